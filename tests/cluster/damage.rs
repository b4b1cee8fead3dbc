//! Bytes of an index overwritten in its file, in indexes of every kind: whatever is asked of it then ends in a result or
//! in XX002, and no server process dies.
//!
//! Tables and indexes are built once. Each round damages every index while the server is down, asks, and puts all files
//! back as they were; `PGFAISS_ROUNDS=n` makes n times the rounds. The faults are those that `pages::damage` knows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ann::rng::Rng;
use checks::agreement::{Indexed, assert_sound};
use checks::random::Random;
use checks::watch::{Watchdog, assert_never_crashed};
use checks::{create_database, describe, rounds, workload};
use pages::damage::Fault;
use pages::mem::MemPages;
use pages::page::{BODY_START, PAGE_SIZE, Page};
use postgres::{Client, SimpleQueryMessage};
use xtask::cluster::{Cluster, Shutdown};

const DATABASE: &str = "damage";
/// Rounds of the short form: each kind of index is damaged once by each fault.
const ROUNDS: u64 = 10;

/// Name, type, dimensions, rows, operator, what is built.
type Kind = (&'static str, &'static str, usize, u32, &'static str, &'static str);

const KINDS: [Kind; 18] = [
    ("flat", "vector", 16, 400, "<->", "faissivf (v vector_l2_ops) WITH (nlist = 3)"),
    ("flat_long", "vector", 5000, 24, "<=>", "faissivf (v vector_cosine_ops) WITH (nlist = 2)"),
    ("flat_one", "halfvec", 16, 400, "<+>", "faissflat (v halfvec_l1_ops)"),
    (
        "sqfp16",
        "vector",
        16,
        400,
        "<->",
        "faissivf (v vector_l2_ops) WITH (nlist = 3, code = sqfp16)",
    ),
    (
        "sq8",
        "vector",
        16,
        400,
        "<#>",
        "faissivf (v vector_ip_ops) WITH (nlist = 3, code = sq8, refine = sq8)",
    ),
    (
        "sq4_long",
        "vector",
        5000,
        60,
        "<->",
        "faissivf (v vector_l2_ops) WITH (nlist = 2, code = sq4, refine = flat)",
    ),
    (
        "pq",
        "vector",
        16,
        400,
        "<->",
        "faissivf (v vector_l2_ops) WITH (factory = 'OPQ4,IVF3,PQ4x5,Refine(SQfp16)')",
    ),
    (
        "pqfs",
        "vector",
        16,
        400,
        "<=>",
        "faissivf (v vector_cosine_ops) WITH (nlist = 3, code = pqfs, m = 8)",
    ),
    (
        "pqfs_one",
        "halfvec",
        16,
        400,
        "<->",
        "faissflat (v halfvec_l2_ops) WITH (factory = 'RR,PQ8x4fs,RFlat')",
    ),
    (
        "rabitq",
        "vector",
        16,
        400,
        "<#>",
        "faissivf (v vector_ip_ops) WITH (nlist = 3, code = rabitq, refine = flat)",
    ),
    (
        "rabitq4",
        "vector",
        64,
        200,
        "<->",
        "faissivf (v vector_l2_ops) WITH (nlist = 3, code = rabitq, nbits = 4)",
    ),
    ("small_graph", "vector", 16, 100, "<->", "faisshnsw (v vector_l2_ops) WITH (m = 4)"),
    ("graph", "vector", 16, 1200, "<->", "faisshnsw (v vector_l2_ops) WITH (m = 4)"),
    ("graph_filter", "vector", 16, 1200, "<->", "faisshnsw (v vector_l2_ops, id) WITH (m = 4)"),
    (
        "graph_sq8",
        "vector",
        16,
        1200,
        "<->",
        "faisshnsw (v vector_l2_ops) WITH (m = 4, code = sq8)",
    ),
    (
        "graph_sqfp16",
        "vector",
        30,
        1200,
        "<=>",
        "faisshnsw (v vector_cosine_ops) WITH (m = 3, code = sqfp16)",
    ),
    ("graph_l1", "halfvec", 16, 1200, "<+>", "faisshnsw (v halfvec_l1_ops) WITH (m = 4)"),
    (
        "graph_long",
        "vector",
        2000,
        1010,
        "<#>",
        "faisshnsw (v vector_ip_ops) WITH (m = 2, efConstruction = 8)",
    ),
];

/// An index to be damaged, and all files of its table as they were.
struct Victim {
    kind: &'static Kind,
    index: PathBuf,
    pages: MemPages,
    earlier: Vec<MemPages>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

/// What happened to a victim.
struct Harm {
    fault: Fault,
    seed: u64,
    /// Whether PostgreSQL's own part of a page was hit: it then refuses the page itself, by XX001.
    header: bool,
}

#[test]
fn damaged_pages_end_in_a_result_or_in_xx002() {
    let mut random = Random::for_test("damaged_pages_end_in_a_result_or_in_xx002", 31);
    let mut cluster = checks::cluster()
        .set("statement_timeout", "120s")
        .set("autovacuum", "off")
        .start()
        .unwrap();
    let n_rounds = rounds(ROUNDS);
    let _watchdog = Watchdog::new(&cluster, Duration::from_secs(900 + 60 * n_rounds));
    let mut victims = built(&mut cluster);
    let mut tally = BTreeMap::<(&str, Fault), (u64, u64)>::new();
    for round in 0..n_rounds {
        let harms: Vec<Harm> = victims
            .iter_mut()
            .map(|victim| {
                let fault = Fault::ALL[(round % Fault::ALL.len() as u64) as usize];
                victim.harm(fault, random.bits() & 0xFFFF_FFFF)
            })
            .collect();
        cluster.start().unwrap();
        let mut client = connected(&cluster);
        for (victim, harm) in victims.iter().zip(&harms) {
            let noticed = victim.ask(&mut client, harm) > 0;
            let (n, of_these) = tally.entry((victim.kind.0, harm.fault)).or_default();
            (*n, *of_these) = (*n + 1, *of_these + u64::from(noticed));
            if round + 1 == n_rounds {
                victim.repair(&mut client);
            }
        }
        assert_never_crashed(&cluster);
        cluster.stop(Shutdown::Fast).unwrap();
        victims.iter().for_each(Victim::restore);
    }
    report(&tally);
}

/// Every index is asked of as before when all files are what they were: then nothing may be amiss.
#[test]
fn files_put_back_are_sound() {
    let mut cluster = checks::cluster().set("autovacuum", "off").start().unwrap();
    let mut victims = built(&mut cluster);
    for victim in &mut victims {
        victim.harm(Fault::Filled, 1);
        victim.restore();
    }
    cluster.start().unwrap();
    let mut client = connected(&cluster);
    for victim in &victims {
        victim.assert_fine(&mut client);
    }
}

/// An index whose file is gone or empty is damaged like any other.
#[test]
fn an_empty_file_is_damage() {
    let mut cluster = checks::cluster().set("autovacuum", "off").start().unwrap();
    let victims = built(&mut cluster);
    victims.iter().for_each(|victim| fs::write(&victim.index, []).unwrap());
    cluster.start().unwrap();
    let mut client = connected(&cluster);
    for victim in &victims {
        let harm = Harm { fault: Fault::Truncated, seed: 0, header: false };
        assert!(victim.ask(&mut client, &harm) > 0);
        victim.repair(&mut client);
    }
    assert_never_crashed(&cluster);
}

/// How often each kind of index met each fault, and how often it said so.
fn report(tally: &BTreeMap<(&str, Fault), (u64, u64)>) {
    eprintln!("damages, and how many of these anything noticed, by {:?}", Fault::ALL);
    for (name, ..) in &KINDS {
        let of = |fault| tally.get(&(*name, fault)).copied().unwrap_or_default();
        let cells = Fault::ALL.map(|fault| format!("{} {}", of(fault).0, of(fault).1));
        eprintln!("| {name} | {} |", cells.join(" | "));
    }
    let all: u64 = tally.values().map(|(n, _)| n).sum();
    eprintln!("{all} damages, {} noticed", tally.values().map(|(_, n)| n).sum::<u64>());
}

fn connected(cluster: &Cluster) -> Client {
    let mut client = cluster.connect(DATABASE).unwrap();
    client.batch_execute("SET search_path = s, public").unwrap();
    client
}

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).unwrap_or_else(|e| panic!("{statement}: {}", describe(&e)));
}

/// Builds a victim of each kind; the server is down afterwards.
fn built(cluster: &mut Cluster) -> Vec<Victim> {
    create_database(cluster, DATABASE);
    let mut client = cluster.connect(DATABASE).unwrap();
    run(&mut client, "CREATE SCHEMA s; SET search_path = s, public");
    workload::install(&mut client);
    let mut victims: Vec<Victim> =
        KINDS.iter().map(|kind| Victim::create(cluster, &mut client, kind)).collect();
    drop(client);
    cluster.stop(Shutdown::Fast).unwrap();
    victims.iter_mut().for_each(Victim::keep);
    victims
}

fn pages_of(file: &Path) -> MemPages {
    let bytes = fs::read(file).unwrap();
    let page = |bytes: &[u8]| {
        let mut page = Page::default();
        page.bytes_mut().copy_from_slice(bytes);
        page
    };
    MemPages::from_pages(bytes.chunks_exact(PAGE_SIZE).map(page).collect())
}

impl Victim {
    /// An index that was built, grown and vacuumed, of a table whose rows never need a look at the commit log again.
    fn create(cluster: &Cluster, client: &mut Client, kind: &'static Kind) -> Self {
        let (t, type_name, dims, rows, _, built) = *kind;
        run(client, &format!("CREATE TABLE {t} (id bigint, v {type_name}({dims}))"));
        run(client, &insert(kind, 1, rows));
        run(client, &format!("CREATE INDEX {t}_v ON {t} USING {built}"));
        let file = |name: &str, client: &mut Client| -> PathBuf {
            let sql = "SELECT pg_relation_filepath($1::text::regclass)";
            cluster.data_dir().join(client.query_one(sql, &[&name]).unwrap().get::<_, String>(0))
        };
        let index = file(&format!("{t}_v"), client);
        let mut earlier = Vec::new();
        let mut checkpoint = |client: &mut Client| {
            run(client, "CHECKPOINT");
            earlier.push(pages_of(&index));
        };
        checkpoint(client);
        // The places of the codes that were there at build are full: these get a shelf.
        run(client, &insert(kind, 5001, 5000 + rows / 4));
        checkpoint(client);
        run(client, &format!("DELETE FROM {t} WHERE id % 4 = 0"));
        run(client, &format!("VACUUM (FREEZE) {t}"));
        checkpoint(client);
        run(client, &insert(kind, 6001, 6004));
        run(client, &format!("VACUUM (FREEZE) {t}"));
        let mut names = vec![t.to_owned(), format!("{t}_v")];
        let toast = "SELECT r.oid::regclass::text FROM pg_class t, pg_class r
                     WHERE t.oid = $1::text::regclass AND (r.oid = t.reltoastrelid
                        OR r.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = t.reltoastrelid))";
        names.extend(client.query(toast, &[&t]).unwrap().iter().map(|r| r.get::<_, String>(0)));
        let files = names.iter().map(|name| (file(name, client), Vec::new())).collect();
        Self { kind, index, pages: MemPages::default(), earlier, files }
    }

    /// Remembers all files, with their other forks. The server is down.
    fn keep(&mut self) {
        self.pages = pages_of(&self.index);
        let mains: Vec<PathBuf> = self.files.drain(..).map(|(path, _)| path).collect();
        for main in mains {
            for fork in ["", "_fsm", "_vm"] {
                let path = PathBuf::from(format!("{}{fork}", main.display()));
                // None of the fork is an empty one.
                let bytes = fs::read(&path).unwrap_or_default();
                self.files.push((path, bytes));
            }
        }
    }

    /// Puts all files back.
    fn restore(&self) {
        for (path, bytes) in &self.files {
            match bytes.is_empty() && is_fork(path) {
                true => drop(fs::remove_file(path)),
                false => fs::write(path, bytes).unwrap(),
            }
        }
    }

    /// Damages the index by one fault, up to three times.
    fn harm(&mut self, fault: Fault, seed: u64) -> Harm {
        let mut rng = Rng::new(seed);
        let pages = self.pages.fork();
        for _ in 0..=rng.below(3) {
            fault.apply(&pages, &self.earlier, &mut rng);
        }
        let (now, then) = (pages.to_pages(), self.pages.to_pages());
        let header = |page: &Page| page.bytes()[..BODY_START].to_vec();
        let is_new = |page: &Page| page.bytes().iter().all(|byte| *byte == 0);
        let is_hit = |now: &Page, then: &Page| header(now) != header(then) && !is_new(now);
        let hit = now.iter().zip(&then).any(|(now, then)| is_hit(now, then));
        let bytes: Vec<u8> = now.iter().flat_map(|page| page.bytes().to_vec()).collect();
        fs::write(&self.index, bytes).unwrap();
        Harm { fault, seed, header: hit }
    }

    fn made(&self, key: i32) -> String {
        let (_, type_name, dims, ..) = self.kind;
        format!("made({key}, {dims})::{type_name}")
    }

    /// Everything that reads or writes the index; returns how many statements failed as they may.
    fn ask(&self, client: &mut Client, harm: &Harm) -> u32 {
        let (t, operator) = (self.kind.0, self.kind.4);
        let search = |limit: &str| {
            format!(
                "SET enable_seqscan = off; SET enable_sort = off;
                 SET faiss.nprobe = 3; SET faiss.efSearch = 400;
                 SELECT id FROM {t} ORDER BY v {operator} {} {limit}",
                self.made(-1)
            )
        };
        let together = format!(
            "SELECT * FROM faiss.search('{t}_v', ARRAY[{}, {}], 5)",
            self.made(-1),
            self.made(-2)
        );
        let statements = [
            format!("SELECT * FROM faiss.check('{t}_v')"),
            format!("SELECT * FROM faiss.index_info('{t}_v')"),
            format!("SELECT * FROM faiss.list_info('{t}_v')"),
            search(""),
            search("LIMIT 5"),
            together,
            insert(self.kind, 2001, 2020),
            insert(self.kind, 3001, 3001),
            format!("DELETE FROM {t} WHERE id % 3 = 0"),
            format!("VACUUM {t}"),
            insert(self.kind, 4001, 4030),
            search(""),
            format!("SELECT * FROM faiss.check('{t}_v')"),
        ];
        statements.iter().map(|statement| self.survives(client, statement, harm)).sum()
    }

    fn survives(&self, client: &mut Client, statement: &str, harm: &Harm) -> u32 {
        let error = match client.simple_query(statement) {
            Ok(rows) => {
                let rows = rows.iter().any(|m| matches!(m, SimpleQueryMessage::Row(_)));
                return u32::from(rows && statement.contains("faiss.check"));
            }
            Err(error) => error,
        };
        let said = describe(&error);
        let code = error.code().map_or("", |code| code.code());
        // A graph has no lists to tell of.
        if code == "0A000" && said.contains("is a graph") && statement.contains("list_info") {
            return 0;
        }
        // Where the version stands, damage looks like another version.
        let version = code == "0A000" && said.contains("format version");
        let expected = code == "XX002" || version || code == "XX001" && harm.header;
        let (name, Harm { fault, seed, .. }) = (self.kind.0, harm);
        assert!(expected, "{name}: {fault:?} of seed {seed}\nafter {statement}: {said}");
        1
    }

    /// The hint that comes with XX002 works.
    fn repair(&self, client: &mut Client) {
        run(client, &format!("REINDEX INDEX {}_v", self.kind.0));
        self.assert_fine(client);
    }

    fn assert_fine(&self, client: &mut Client) {
        let (t, operator) = (self.kind.0, self.kind.4);
        assert_sound(client, &format!("{t}_v"));
        let indexed = Indexed { operator: operator.to_owned(), is_coded: true, ..Indexed::l2(t) };
        indexed.assert_exact(client, &[self.made(-7)]);
    }
}

fn is_fork(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains('_'))
}

fn insert(kind: &Kind, first: u32, last: u32) -> String {
    let (t, type_name, dims, ..) = *kind;
    format!(
        "INSERT INTO {t} SELECT i, made(i, {dims})::{type_name} FROM generate_series({first}, {last}) i"
    )
}
