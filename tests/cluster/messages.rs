//! What clients read when something fails, whatever the server's environment says.

use checks::{create_database, workload};
use postgres::Client;

/// Statements that fail below the functions of the extension: in the server itself, in SQL that they run, and in their own words.
const FAILING: [&str; 14] = [
    "SELECT '[1]'::vector('a')",
    "SELECT '[1,2]'::vector(3)",
    "SELECT '{1e39}'::numeric[]::halfvec",
    "CREATE INDEX ON t USING faisshnsw (v) WITH (m = 1)",
    "CREATE INDEX ON t USING faissivf (v) WITH (nlist = many)",
    "CREATE INDEX ON t USING faissivf ((array_fill(1 / (id - 7), ARRAY[3])::vector(3)))",
    "CREATE INDEX ON t USING faissivf (v) WITH (model = missing)",
    "INSERT INTO computed VALUES (7)",
    "SELECT faiss.train('m', 'broken', 'v', 'IVF2,Flat')",
    "SELECT * FROM faiss.recall('t_v', 0)",
    "SELECT * FROM faiss.search('t_v', '{[1]}'::vector[], 3)",
    "SELECT * FROM faiss.index_info('t')",
    "SET LOCAL statement_timeout = 1; SELECT faiss.train('m', 't', 'v', 'OPQ3,IVF64,PQ3')",
    "SET enable_seqscan = off; SELECT id FROM t ORDER BY v <-> '[1,2]' LIMIT 1",
];

/// With RUST_BACKTRACE set a Rust program shows where it was when something failed. A server's client is not to see that.
#[test]
fn no_backtrace_reaches_a_client() {
    for (name, value) in
        [("RUST_BACKTRACE", "1"), ("RUST_BACKTRACE", "full"), ("RUST_LIB_BACKTRACE", "1")]
    {
        let cluster = checks::cluster().environment(name, value).start().unwrap();
        create_database(&cluster, "messages");
        let mut client = cluster.connect("messages").unwrap();
        workload::install(&mut client);
        client
            .batch_execute(
                "CREATE TABLE t (id int, v vector(3));
                 INSERT INTO t SELECT i, made(i, 3) FROM generate_series(1, 3000) i;
                 CREATE INDEX t_v ON t USING faissivf (v);
                 CREATE VIEW broken AS SELECT (v * array_fill(1 / (id - 7), ARRAY[3])::vector(3))::vector(3) AS v FROM t;
                 CREATE TABLE computed (id int);
                 CREATE INDEX ON computed USING faissivf ((array_fill(1 / (id - 7), ARRAY[3])::vector(3)))",
            )
            .unwrap();
        for statement in FAILING {
            assert_plain(&mut client, statement);
        }
        let log = std::fs::read_to_string(cluster.log_path()).unwrap();
        assert!(!log.contains("stack backtrace"), "the log has a backtrace");
    }
}

fn assert_plain(client: &mut Client, statement: &str) {
    let error = client.batch_execute(statement).err();
    let error = error.unwrap_or_else(|| panic!("{statement} does not fail"));
    let error = error.as_db_error().unwrap();
    assert_ne!(error.code().code(), "XX000", "{statement}: {error}");
    let said = [Some(error.message()), error.detail(), error.hint(), error.where_()];
    for text in said.into_iter().flatten() {
        let has_place =
            [".rs:", "rust", "backtrace", "panicked"].iter().any(|word| text.contains(word));
        assert!(!has_place, "{statement}: {text}");
    }
}
