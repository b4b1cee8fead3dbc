//! The measurements of pgvector's own test suite on columns of type bit, with its parameters and its bars: files 020, 021, 022,
//! 035 and 036 of test/t; and on rows in clusters, which are what bits of real vectors are.

use checks::random::Random;
use checks::{Database, shared};
use postgres::{Client, NoTls};

use crate::pgvector::{INSERTS, LIMIT, QUERIES, Question, SESSIONS, none, run};

const DIMS: usize = 52;
/// The operators of a graph with their classes and pgvector's bars.
const METRICS: [(&str, &str, f64); 2] =
    [("<~>", "bit_hamming_ops", 0.98), ("<%>", "bit_jaccard_ops", 0.95)];
/// pgvector's own settings, under its names.
const DEFAULTS: &str = "SET hnsw.ef_search = 100; SET hnsw.iterative_scan = off";
/// As pgvector draws them.
const VALUE: &str = "(random() * 4503599627370496)::bigint::bit(52)";

fn queries() -> Vec<String> {
    let mut random = Random::new(0xB175);
    let mut one = || {
        let bits: String =
            (0..DIMS).map(|_| if random.below(2) == 0 { '0' } else { '1' }).collect();
        format!("B'{bits}'")
    };
    (0..QUERIES).map(|_| one()).collect()
}

fn filled(client: &mut Client, rows: usize) {
    run(client, "CREATE TABLE tst (i serial, v bit(52)); SELECT setseed(0.25)");
    run(
        client,
        &format!("INSERT INTO tst (i, v) SELECT i, {VALUE} FROM generate_series(1, {rows}) i"),
    );
}

/// File 020: 10,000 rows, a graph built by one thread, by several, and where memory is short.
#[test]
fn pgvector_020_bit_graph_as_built() {
    let db = Database::new("pgvector_020");
    let mut client = db.connect();
    filled(&mut client, 10_000);
    let mut below = Vec::new();
    for (operator, class, bar) in METRICS {
        let question = Question { filter: "", operator };
        for (threads, memory) in [(1, "64MB"), (2, "64MB"), (2, "1MB")] {
            run(
                &mut client,
                &format!(
                    "SET faiss.build_threads = {threads}; SET maintenance_work_mem = '{memory}';
                     CREATE INDEX idx ON tst USING hnsw (v {class}) WITH (m = 16, ef_construction = 64)"
                ),
            );
            run(&mut client, DEFAULTS);
            let what = format!("built by {threads} threads in {memory}");
            below.extend(question.assert(&mut client, &queries(), bar, &what));
            run(&mut client, "DROP INDEX idx");
        }
    }
    none(below);
}

/// File 021: the graph first, then rows from ten sessions at once.
#[test]
fn pgvector_021_bit_graph_filled_by_sessions() {
    let db = Database::new("pgvector_021");
    let mut client = db.connect();
    run(&mut client, "CREATE TABLE tst (i serial, v bit(52))");
    let mut below = Vec::new();
    for (operator, class, bar) in METRICS {
        run(
            &mut client,
            &format!(
                "CREATE INDEX idx ON tst USING hnsw (v {class}) WITH (m = 16, ef_construction = 64)"
            ),
        );
        let session = || shared().config("pgvector_021").connect(NoTls);
        let sessions: Vec<Client> =
            (0..SESSIONS).map(|_| session().unwrap_or_else(|e| panic!("{e}"))).collect();
        let insert = format!("INSERT INTO tst (v) VALUES ({VALUE})");
        let threads: Vec<_> = sessions
            .into_iter()
            .map(|mut session| {
                let insert = insert.clone();
                std::thread::spawn(move || (0..INSERTS).for_each(|_| run(&mut session, &insert)))
            })
            .collect();
        threads.into_iter().for_each(checks::pressure::joined);
        run(&mut client, DEFAULTS);
        let question = Question { filter: "", operator };
        below.extend(question.assert(&mut client, &queries(), bar, "inserted"));
        run(&mut client, "DROP INDEX idx; TRUNCATE tst");
    }
    none(below);
}

/// File 022: a thin graph of which three quarters are deleted, before and after VACUUM.
#[test]
fn pgvector_022_bit_graph_after_vacuum() {
    let db = Database::new("pgvector_022");
    let mut client = db.connect();
    filled(&mut client, 10_000);
    run(
        &mut client,
        "ALTER TABLE tst SET (autovacuum_enabled = false);
         CREATE INDEX idx ON tst USING hnsw (v bit_hamming_ops) WITH (m = 4, ef_construction = 8)",
    );
    run(&mut client, "DELETE FROM tst WHERE i > 2500");
    run(&mut client, DEFAULTS);
    let question = Question { filter: "", operator: "<~>" };
    let mut below = Vec::new();
    below.extend(question.assert(&mut client, &queries(), 0.35, "before VACUUM"));
    run(&mut client, "VACUUM tst");
    below.extend(question.assert(&mut client, &queries(), 0.80, "after VACUUM"));
    none(below);
}

/// File 035: 100,000 rows in 100 lists.
#[test]
fn pgvector_035_bit_lists_as_built() {
    let db = Database::new("pgvector_035");
    let mut client = db.connect();
    filled(&mut client, 100_000);
    let mut below = Vec::new();
    let question = Question { filter: "", operator: "<~>" };
    run(
        &mut client,
        "CREATE INDEX idx ON tst USING ivfflat (v bit_hamming_ops) WITH (lists = 100)",
    );
    for (probes, bar) in [(1, 0.08), (10, 0.5), (100, 1.0)] {
        run(
            &mut client,
            &format!("SET ivfflat.probes = {probes}; SET ivfflat.iterative_scan = off"),
        );
        let what = format!("probes = {probes}");
        below.extend(question.assert(&mut client, &queries(), bar, &what));
    }
    none(below);
}

/// File 036: with more lists than values each list has the rows of one value.
#[test]
fn pgvector_036_bit_lists_of_single_values() {
    let db = Database::new("pgvector_036");
    let mut client = db.connect();
    run(
        &mut client,
        "CREATE TABLE tst (i int, v bit(3));
         INSERT INTO tst SELECT i, (i * 5 % 8)::bigint::bit(3) FROM generate_series(1, 100) i;
         CREATE INDEX idx ON tst USING ivfflat (v bit_hamming_ops) WITH (lists = 100);
         SET enable_seqscan = off; SET ivfflat.probes = 1; SET ivfflat.iterative_scan = off",
    );
    for value in 0..8u32 {
        let bits = format!("B'{value:03b}'");
        let sql = format!("SELECT i FROM tst ORDER BY v <~> {bits} LIMIT 100");
        let found = client.query(&sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let wanted = (1..=100).filter(|i| i * 5 % 8 == value).count();
        assert_eq!(found.len(), wanted, "rows of value {bits}");
    }
}

/// Rows in clusters: one bit in ten of its centre is turned. A search for one more row of a cluster finds nearly all.
#[test]
fn bit_graph_of_clusters() {
    let db = Database::new("bit_clusters");
    let mut client = db.connect();
    let mut below = Vec::new();
    for dims in [64, 256] {
        let mut random = Random::new(dims as u64);
        let mut bits = |centre: Option<&str>| -> String {
            let bit = |i: usize, random: &mut Random| match centre {
                None => random.below(2) == 0,
                Some(centre) => (centre.as_bytes()[i] == b'1') != (random.below(10) == 0),
            };
            (0..dims).map(|i| if bit(i, &mut random) { '1' } else { '0' }).collect()
        };
        let centres: Vec<String> = (0..100).map(|_| bits(None)).collect();
        let rows: Vec<String> = (0..10_000).map(|i| bits(Some(&centres[i % 100]))).collect();
        let queries: Vec<String> =
            (0..QUERIES).map(|i| format!("B'{}'", bits(Some(&centres[i * 5])))).collect();
        run(&mut client, &format!("CREATE TABLE tst (i serial, v bit({dims}))"));
        for some in rows.chunks(1000) {
            let values: Vec<String> = some.iter().map(|row| format!("(B'{row}')")).collect();
            run(&mut client, &format!("INSERT INTO tst (v) VALUES {}", values.join(",")));
        }
        for (operator, class, bar) in METRICS {
            run(
                &mut client,
                &format!(
                    "CREATE INDEX idx ON tst USING hnsw (v {class}) WITH (m = 16, ef_construction = 64)"
                ),
            );
            run(&mut client, DEFAULTS);
            let question = Question { filter: "", operator };
            let what = format!("{dims} bits in clusters, {LIMIT} of {}", rows.len());
            below.extend(question.assert(&mut client, &queries, bar, &what));
            run(&mut client, "DROP INDEX idx");
        }
        run(&mut client, "DROP TABLE tst");
    }
    none(below);
}
