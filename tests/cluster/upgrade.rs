//! From one version of the extension to the next, and to pages of a version that this one does not read.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use checks::agreement::Indexed;
use checks::catalogue::Deal;
use checks::kinds::{EACH, Kind};
use checks::watch::assert_never_crashed;
use checks::{Database, create_database, describe, shared, workload};
use postgres::Client;
use xtask::build::Flavor;
use xtask::cluster::{Cluster, Shutdown};
use xtask::install::VERSION;
use xtask::pg::PgConfig;
use xtask::servers;

/// Where block 0 of every index has its format version: behind the server's header of a page and a magic number.
const VERSION_AT: u64 = 24 + 4;

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).unwrap_or_else(|e| panic!("{statement}: {}", describe(&e)));
}

/// A script that is there for this test alone.
struct Script(PathBuf);

impl Script {
    fn new(to: &str, sql: &str) -> Self {
        let name = format!("pgfaiss--{VERSION}--{to}.sql");
        let path = checks::release().extension_dir().join(name);
        std::fs::write(&path, sql).unwrap();
        Self(path)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Indexes, models and prepared statements go on; what the next version adds is there, and a dump tells of it.
#[test]
fn an_update_of_the_extension() {
    let script = Script::new(
        "9.9",
        "CREATE FUNCTION faiss.of_the_next_version(double precision) RETURNS double precision
             AS 'MODULE_PATHNAME', 'pgfaiss_similarity' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
         ALTER TABLE faiss.model_parameters ADD COLUMN note text;",
    );
    let db = Database::new("update");
    let (mut client, mut other) = (db.connect(), db.connect());
    workload::install(&mut client);
    let queries = workload::queries(&mut client, Kind::DIMS, 2);
    for kind in EACH {
        kind.create_table(&mut client, 1000);
        run(&mut client, &kind.create_index(""));
    }
    run(&mut client, "SELECT faiss.train('kept', 'ivf', 'v', 'IVF8,SQ8')");
    run(&mut other, "SET enable_seqscan = off");
    let near = other.prepare("SELECT id FROM ivf ORDER BY v <-> $1::text::vector LIMIT 5").unwrap();
    let ids = |other: &mut Client| -> Vec<i64> {
        let zero = format!("[{}1]", "0,".repeat(Kind::DIMS - 1));
        other.query(&near, &[&zero]).unwrap().iter().map(|row| row.get(0)).collect()
    };
    let before = ids(&mut other);
    run(&mut client, "ALTER EXTENSION pgfaiss UPDATE TO '9.9'");
    drop(script);
    assert_eq!(ids(&mut other), before);
    let version = "SELECT extversion FROM pg_extension WHERE extname = 'pgfaiss'";
    assert_eq!(client.query_one(version, &[]).unwrap().get::<_, String>(0), "9.9");
    run(&mut client, "SELECT faiss.of_the_next_version(1)");
    for kind in EACH {
        let name = kind.name;
        run(&mut client, &format!("INSERT INTO {name} SELECT id + 5000, v FROM {name} LIMIT 200"));
        kind.assert_fine(&mut client, &queries);
        run(&mut client, &format!("REINDEX INDEX {name}_v"));
        kind.assert_fine(&mut client, &queries);
    }
    run(&mut client, "CREATE INDEX ON ivf USING faissivf (v) WITH (model = kept)");
    let dump =
        shared().tool("pg_dump").args(["-d", &shared().conninfo("update")]).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
}

/// pg_upgrade restores the schema without a row, then puts the old files in place. From the same version, or from that of
/// `PGFAISS_UPGRADE_FROM`; `PGFAISS_ROUNDS=20` has every method with every code.
#[test]
fn an_upgrade_of_the_server() {
    let deals: Vec<Deal> = (0..checks::rounds(1))
        .map(|seed| Deal::new(seed, &format!("dealt_{seed}"), Kind::DIMS))
        .collect();
    let dealt = deals.iter().flat_map(|deal| &deal.kinds).map(|kind| kind.indexed.clone());
    let mut indexed: Vec<Indexed> = EACH.iter().map(Kind::indexed).chain(dealt).collect();
    // Of a model.
    indexed.push(Indexed { is_coded: true, ..Indexed::l2("m") });
    let mut old = Cluster::builder(&older()).start().unwrap();
    create_database(&old, "upgraded");
    let mut client = old.connect("upgraded").unwrap();
    let queries = fill(&mut client, &deals);
    let answers = |client: &mut Client| -> Vec<_> {
        indexed.iter().map(|index| index.answers(client, &queries[0])).collect()
    };
    let before = answers(&mut client);
    let evidence = xtask::build::target_dir().join("upgrade");
    let mut new = checks::cluster().evidence(&evidence).start().unwrap();
    upgrade(&mut old, &mut new);
    client = new.connect("upgraded").unwrap();
    assert!(answers(&mut client) == before);
    for _ in 0..2 {
        for index in &indexed {
            index.assert_sound(&mut client);
            index.assert_exact(&mut client, &queries);
        }
        run(&mut client, "INSERT INTO m SELECT id + 5000, v FROM m LIMIT 200");
        run(&mut client, "INSERT INTO u SELECT * FROM m");
        run(&mut client, "REINDEX DATABASE upgraded");
    }
    println!("{} to {}: {} indexes", old.pg().version, new.pg().version, indexed.len());
    assert_never_crashed(&new);
}

/// The PostgreSQL to upgrade from.
fn older() -> PgConfig {
    let Some(program) = std::env::var_os("PGFAISS_UPGRADE_FROM") else {
        return checks::release().clone();
    };
    PgConfig::locate(Some(program.as_ref()))
        .and_then(|pg| servers::with_extension(&pg, Flavor::Release))
        .unwrap_or_else(|e| panic!("{e:#}"))
}

/// The tables and their indexes; queries to ask of them.
fn fill(client: &mut Client, deals: &[Deal]) -> Vec<String> {
    workload::install(client);
    for kind in EACH {
        kind.create_table(client, 1000);
        run(client, &kind.create_index(""));
    }
    for deal in deals {
        let (table, column) = (&deal.table, deal.column());
        run(client, &format!("CREATE TABLE {table} (id bigint, v {column})"));
        run(client, &format!("INSERT INTO {table} SELECT id, v::{column} FROM ivf"));
        deal.create(client);
    }
    run(
        client,
        "SELECT faiss.train('kept', 'ivf', 'v', 'IVF8,SQ8');
         CREATE TABLE m AS SELECT * FROM ivf;
         CREATE INDEX m_v ON m USING faissivf (v) WITH (model = kept);
         CREATE UNLOGGED TABLE u (LIKE m INCLUDING INDEXES)",
    );
    workload::queries(client, Kind::DIMS, 2)
}

/// Leaves the new server running with what the old one had.
fn upgrade(old: &mut Cluster, new: &mut Cluster) {
    old.stop(Shutdown::Fast).unwrap();
    new.stop(Shutdown::Fast).unwrap();
    let mut upgrade = new.tool("pg_upgrade");
    upgrade.arg("-b").arg(&old.pg().bindir).arg("-B").arg(&new.pg().bindir);
    upgrade.arg("-d").arg(old.data_dir()).arg("-D").arg(new.data_dir());
    upgrade.arg("-U").arg(&old.account().name).arg("-s").arg(new.socket_dir());
    // It runs programs of both.
    let libraries = [&*old, new].into_iter().filter_map(|c| c.pg().libraries.as_ref());
    upgrade.env("LD_LIBRARY_PATH", std::env::join_paths(libraries).unwrap());
    let out = upgrade.current_dir(new.dir()).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    new.start().unwrap();
}

/// pg_upgrade carries pages over as they are. Those of a format that this version does not read are refused, whatever is
/// asked of them, and REINDEX makes new ones.
#[test]
fn pages_of_another_version() {
    let mut cluster = checks::cluster().start().unwrap();
    create_database(&cluster, "formats");
    let mut client = cluster.connect("formats").unwrap();
    workload::install(&mut client);
    let queries = workload::queries(&mut client, Kind::DIMS, 2);
    for kind in EACH {
        kind.create_table(&mut client, 300);
        run(&mut client, &kind.create_index(""));
    }
    for other in [0, 1000] {
        let files: Vec<PathBuf> = EACH.map(|kind| file_of(&cluster, &mut client, &kind)).into();
        run(&mut client, "CHECKPOINT");
        cluster.stop(Shutdown::Fast).unwrap();
        for path in files {
            put_version(&path, other);
        }
        cluster.start().unwrap();
        client = cluster.connect("formats").unwrap();
        for kind in EACH {
            assert_refused(&mut client, &kind, &queries[0], other);
            run(&mut client, &format!("REINDEX INDEX {}_v", kind.name));
            kind.assert_fine(&mut client, &queries);
        }
    }
    assert_never_crashed(&cluster);
}

fn file_of(cluster: &Cluster, client: &mut Client, kind: &Kind) -> PathBuf {
    let sql = format!("SELECT pg_relation_filepath('{}_v')", kind.name);
    cluster.data_dir().join(client.query_one(&sql, &[]).unwrap().get::<_, String>(0))
}

fn put_version(path: &PathBuf, version: u16) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut found = [0; 2];
    file.read_exact_at(&mut found, VERSION_AT).unwrap();
    assert!((1..9).contains(&u16::from_le_bytes(found)), "this is no format version: {found:?}");
    file.write_all_at(&version.to_le_bytes(), VERSION_AT).unwrap();
}

fn assert_refused(client: &mut Client, kind: &Kind, query: &str, version: u16) {
    let name = kind.name;
    run(client, "SET enable_seqscan = off; SET enable_sort = off");
    for statement in [
        format!("SELECT id FROM {name} ORDER BY v <-> {query} LIMIT 3"),
        format!("INSERT INTO {name} VALUES (0, {query})"),
        format!("DELETE FROM {name} WHERE id = 7; VACUUM {name}"),
        format!("VACUUM {name}"),
        format!("SELECT FROM faiss.index_info('{name}_v')"),
        format!("SELECT FROM faiss.list_info('{name}_v')"),
        format!("SELECT FROM faiss.search('{name}_v', ARRAY[{query}], 3)"),
        format!("SELECT FROM faiss.recall('{name}_v')"),
        format!("SELECT FROM faiss.tune('{name}_v')"),
    ] {
        // Each statement alone: VACUUM is none of a transaction.
        let mut outcome = Ok(());
        for part in statement.split("; ") {
            outcome = outcome.and_then(|()| client.batch_execute(part));
        }
        let Err(error) = outcome else { panic!("{statement}: version {version} was read") };
        let told = describe(&error);
        assert_eq!(error.code().map(|c| c.code()), Some("0A000"), "{statement}: {told}");
        for part in
            [format!("\"{name}_v\" has format version {version}"), "Please REINDEX it.".into()]
        {
            assert!(told.contains(&part), "{statement}: {told}");
        }
    }
    run(client, "RESET ALL");
    // It tells, instead of failing.
    let problems = format!("SELECT count(*) FROM faiss.check('{name}_v')");
    let checked = client.query_one(&problems, &[]);
    assert!(checked.is_err() || checked.is_ok_and(|row| row.get::<_, i64>(0) > 0), "{name}");
}
