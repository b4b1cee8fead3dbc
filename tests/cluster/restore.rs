//! Dumps with models, restored in every way that pg_restore has: by several jobs, in parts, in any order, and without the models.
//! An index is built from its model, or a warning says in one line what to run when there is one.

use std::path::PathBuf;
use std::process::Output;

use checks::{Database, describe, shared};
use postgres::{Client, NoTls};

/// Rounds of each restore by several jobs, whose order is another every time.
const ROUNDS: u64 = 4;

/// The bytes of an index's centroids and trained parameters (page kinds 2 and 9).
const TRAINED_PAGES: &str = "
    SELECT md5(string_agg(substr(page, 25, 8152), NULL ORDER BY no))
    FROM (SELECT no, substr(file, no * 8192 + 1, 8192) AS page
          FROM pg_read_binary_file(pg_relation_filepath($1::text::regclass)) file,
               generate_series(0, length(file) / 8192 - 1) no) p
    WHERE get_byte(page, 8176) IN (2, 9)";

/// The indexes with a model.
const INDEXES: [&str; 3] = ["doc_lists", "doc_codes", "\"Odd name\""];

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).unwrap_or_else(|e| panic!("{statement}: {}", describe(&e)));
}

fn texts(client: &mut Client, query: &str) -> Vec<String> {
    client.query(query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// A database with models, indexes made of them, and another table, and its dump.
struct Dumped {
    name: String,
    user: String,
    trained: Vec<String>,
    models: Vec<String>,
}

impl Dumped {
    fn new(client: &mut Client, name: &str, user: &str) -> Self {
        run(
            client,
            "CREATE TABLE doc (id int PRIMARY KEY, v vector(8));
             INSERT INTO doc SELECT i, array(SELECT sin(i * k * 1.7) FROM generate_series(1, 8) k)::vector(8)
                 FROM generate_series(1, 3000) i;
             CREATE TABLE other (id int PRIMARY KEY, body text);
             INSERT INTO other SELECT i, repeat('x', 100) FROM generate_series(1, 1000) i;
             SELECT faiss.train('lists', 'doc', 'v', 'IVF8,SQ8');
             SELECT faiss.train('codes', 'doc', 'v', 'PQ4x4', 'cosine');
             CREATE INDEX doc_lists ON doc USING faissivf (v) WITH (model = lists);
             CREATE INDEX doc_codes ON doc USING faissflat (v vector_cosine_ops) WITH (model = codes);
             CREATE INDEX \"Odd name\" ON doc USING faissivf (v) WITH (model = lists) WHERE id > 10",
        );
        let (trained, models) = (Self::trained(name), Self::models(client));
        Self { name: name.to_owned(), user: user.to_owned(), trained, models }
    }

    fn models(client: &mut Client) -> Vec<String> {
        let whole =
            "SELECT format('%s %s', name, md5(m::text)) FROM faiss.model_parameters m ORDER BY 1";
        texts(client, whole)
    }

    /// Files are read by a superuser only.
    fn trained(database: &str) -> Vec<String> {
        let mut client = shared().connect(database).unwrap();
        run(&mut client, "CHECKPOINT");
        let pages = |index| client.query_one(TRAINED_PAGES, &[&index]).unwrap().get(0);
        INDEXES.map(pages).into()
    }

    /// A file, or a directory, that pg_dump writes with these arguments.
    fn dump(&self, file: &str, arguments: &[&str]) -> PathBuf {
        let path = shared().dir().join(format!("{}.{file}", self.name));
        let mut tool = shared().tool("pg_dump");
        tool.args(["-d", &self.conninfo(&self.name), "-f"]).arg(&path).args(arguments);
        succeeds(tool.output().unwrap());
        path
    }

    fn conninfo(&self, database: &str) -> String {
        format!("{} user={}", shared().conninfo(database), self.user)
    }

    /// What pg_restore says. Of the server's warnings it tells only on demand.
    fn restore(&self, database: &str, dump: &PathBuf, arguments: &[&str]) -> String {
        let mut tool = shared().tool("pg_restore");
        tool.args(["-v", "-d", &self.conninfo(database)]).args(arguments).arg(dump);
        succeeds(tool.output().unwrap())
    }

    /// An empty database of the same owner.
    fn target(&self, database: &str) -> Client {
        let mut postgres = shared().connect("postgres").unwrap();
        run(&mut postgres, &format!("DROP DATABASE IF EXISTS {database}"));
        run(&mut postgres, &format!("CREATE DATABASE {database} OWNER \"{}\"", self.user));
        let mut superuser = shared().connect(database).unwrap();
        run(&mut superuser, &format!("ALTER SCHEMA public OWNER TO \"{}\"", self.user));
        shared().config(database).user(&self.user).connect(NoTls).unwrap()
    }

    /// Everything is there.
    fn assert_whole(&self, client: &mut Client, database: &str, said: &str) {
        assert_eq!(Self::models(client), self.models);
        assert_eq!(Self::trained(database), self.trained, "{said}");
        for index in INDEXES {
            let health = "SELECT advice FROM faiss.health($1::text::regclass)";
            let advice: String = client.query_one(health, &[&index]).unwrap().get(0);
            assert_eq!(advice, "It fits its table.", "{index}");
            checks::agreement::assert_sound(client, index);
        }
    }
}

/// What a tool said to the end, which must be a good one.
fn succeeds(output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// The statements that warnings tell to run.
fn statements(said: &str) -> Vec<&str> {
    said.lines().filter_map(|line| line.find("REINDEX INDEX ").map(|at| &line[at..])).collect()
}

#[test]
fn several_jobs_restore_models_and_their_indexes() {
    let db = Database::new("jobs");
    let user = shared().account().name.clone();
    let dumped = Dumped::new(&mut db.connect(), "jobs", &user);
    let file = dumped.dump("custom", &["-Fc"]);
    let directory = dumped.dump("directory", &["-Fd", "-j", "3"]);
    for _ in 0..checks::rounds(ROUNDS) {
        for (dump, jobs) in [(&file, "2"), (&file, "4"), (&directory, "2"), (&directory, "8")] {
            let mut client = dumped.target("jobs_restored");
            let said = dumped.restore("jobs_restored", dump, &["-j", jobs]);
            dumped.assert_whole(&mut client, "jobs_restored", &said);
        }
    }
}

/// Who owns the database and nothing else restores it by several jobs as well.
#[test]
fn several_jobs_of_an_owner() {
    let mut superuser = shared().connect("postgres").unwrap();
    run(&mut superuser, "CREATE ROLE jobs_owner LOGIN");
    run(&mut superuser, "CREATE DATABASE owned OWNER jobs_owner");
    run(&mut shared().connect("owned").unwrap(), "ALTER SCHEMA public OWNER TO jobs_owner");
    let mut client = shared().config("owned").user("jobs_owner").connect(NoTls).unwrap();
    run(&mut client, "CREATE EXTENSION pgfaiss CASCADE");
    let dumped = Dumped::new(&mut client, "owned", "jobs_owner");
    let file = dumped.dump("custom", &["-Fc"]);
    for jobs in ["1", "2", "4"] {
        let mut client = dumped.target("owned_restored");
        let said = dumped.restore("owned_restored", &file, &["-j", jobs]);
        dumped.assert_whole(&mut client, "owned_restored", &said);
    }
}

/// The definitions come first, the data after them, or the other way round: sections, `-s` and `-a`, a list in another order.
#[test]
fn parts_of_a_dump() {
    let db = Database::new("parts");
    let user = shared().account().name.clone();
    let dumped = Dumped::new(&mut db.connect(), "parts", &user);
    let file = dumped.dump("custom", &["-Fc"]);
    let schema = dumped.dump("schema", &["-Fc", "-s"]);
    let [before, data, after] = ["--section=pre-data", "--section=data", "--section=post-data"];
    // Parts in order, and how many indexes come before their models.
    let orders: [(&[&[&str]], usize); 6] = [
        (&[&[before], &[data], &[after]], 0),
        (&[&[before], &[data, "-j", "3"], &[after, "-j", "3"]], 0),
        (&[&[before], &[after], &[data]], INDEXES.len()),
        (&[&["-s"], &["-a"]], INDEXES.len()),
        (&[&["-s", "-j", "2"], &["-a", "-j", "2"]], INDEXES.len()),
        (&[&[before], &[after], &[data, "-1"]], INDEXES.len()),
    ];
    for (steps, warnings) in orders {
        let mut client = dumped.target("parts_restored");
        let said: String =
            steps.iter().map(|step| dumped.restore("parts_restored", &file, step)).collect();
        assert_eq!(statements(&said).len(), warnings, "{steps:?}: {said}");
        dumped.assert_whole(&mut client, "parts_restored", &said);
    }
    let mut client = dumped.target("parts_restored");
    let said = dumped.restore("parts_restored", &schema, &[]);
    assert!(
        said.contains("WARNING:  index \"doc_lists\" is untrained until model \"lists\""),
        "{said}"
    );
    assert!(said.contains("run: REINDEX INDEX public.\"Odd name\";"), "{said}");
    let said = said + &dumped.restore("parts_restored", &file, &["-a"]);
    dumped.assert_whole(&mut client, "parts_restored", &said);
}

/// Of a dump of one table, or of a list without the models, the indexes are there and right; `faiss.health` says what they wait
/// for, and a model of that name that is trained later will do.
#[test]
fn a_table_without_its_models() {
    let db = Database::new("alone");
    let user = shared().account().name.clone();
    let dumped = Dumped::new(&mut db.connect(), "alone", &user);
    let table = dumped.dump("table", &["-Fc", "-t", "doc"]);
    let whole = dumped.dump("custom", &["-Fc"]);
    let toc = shared().tool("pg_restore").arg("-l").arg(&whole).output().unwrap();
    let list: Vec<_> = std::str::from_utf8(&toc.stdout)
        .unwrap()
        .lines()
        .filter(|line| !line.contains("TABLE DATA faiss"))
        .collect();
    let path = shared().dir().join("alone.list");
    std::fs::write(&path, list.join("\n")).unwrap();
    for is_table in [true, false] {
        let mut client = dumped.target("alone_restored");
        let said = if is_table {
            run(&mut client, "CREATE EXTENSION pgfaiss CASCADE");
            dumped.restore("alone_restored", &table, &[])
        } else {
            dumped.restore("alone_restored", &whole, &["-j", "3", "-L", path.to_str().unwrap()])
        };
        let statements = statements(&said);
        assert_eq!(statements.len(), INDEXES.len(), "{said}");
        let info = "SELECT format('%s %s %s', is_trained, ntotal, model) FROM faiss.index_info('doc_lists')";
        assert_eq!(texts(&mut client, info), ["f 3000 "]);
        let advice =
            texts(&mut client, "SELECT advice FROM faiss.health('doc_codes') WHERE retrain");
        assert!(advice[0].contains("model \"codes\""), "{advice:?}");
        run(&mut client, "SET enable_seqscan = off");
        let nearest =
            "SELECT id::text FROM doc ORDER BY v <-> (SELECT v FROM doc WHERE id = 77) LIMIT 1";
        assert_eq!(texts(&mut client, nearest), ["77"]);
        let refused = client.batch_execute("REINDEX INDEX doc_lists").unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "42704");
        run(
            &mut client,
            "SELECT faiss.train('lists', 'doc', 'v', 'IVF8,SQ8');
             SELECT faiss.train('codes', 'doc', 'v', 'PQ4x4', 'cosine')",
        );
        for statement in statements {
            run(&mut client, statement);
        }
        assert_eq!(Dumped::trained("alone_restored"), dumped.trained);
    }
}

/// Models alone: one COPY out of a database and into another.
#[test]
fn a_model_is_copied() {
    let db = Database::new("copied");
    let user = shared().account().name.clone();
    let dumped = Dumped::new(&mut db.connect(), "copied", &user);
    let path = shared().dir().join("copied.models");
    let copy =
        |direction: &str| format!("COPY faiss.model_parameters {direction} '{}'", path.display());
    run(&mut db.connect(), &copy("TO"));
    let mut client = dumped.target("copied_there");
    run(&mut client, "CREATE EXTENSION pgfaiss CASCADE");
    run(&mut client, &copy("FROM"));
    assert_eq!(Dumped::models(&mut client), dumped.models);
}
