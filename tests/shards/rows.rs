//! What comes out is what one server would answer, at equal lists; only those are asked who can have an answer, and all of them at
//! the same time.

use std::sync::OnceLock;

use postgres::Client;

use super::servers::{SHARDS, Servers, alone, with_query};

/// The servers with their indexes, built once.
pub fn indexed() -> &'static Servers {
    static INDEXED: OnceLock<&Servers> = OnceLock::new();
    INDEXED.get_or_init(|| {
        let servers = Servers::shared();
        servers.index("IVF128,Flat");
        servers
    })
}

type Answer = Vec<(i64, f64)>;

/// Rows of a statement that returns key and distance, in order of distance.
fn answer(client: &mut Client, statement: &str) -> Answer {
    let rows = client.query(statement, &[]).unwrap_or_else(|e| panic!("{}", checks::describe(&e)));
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

const ONE: &str =
    "SELECT id::bigint, v <-> $1 AS distance FROM one WHERE FILTER ORDER BY v <-> $1 LIMIT 10";
/// Without a LIMIT of their own the shards read more lists than they are told to, so that this finds as much or more.
const PARENT: &str =
    "SELECT id, v <-> $1 AS distance FROM doc WHERE FILTER ORDER BY v <-> $1 LIMIT 10";
const SAME: [&str; 2] = [
    "SELECT key, distance FROM NAME($1, 10)",
    "SELECT key::bigint, distance FROM faiss.search_shards('doc', ARRAY[$1], 10, filter => 'FILTER')",
];

#[test]
fn the_rows_are_those_of_one_server() {
    let servers = indexed();
    let mut client = servers.connect();
    let questions = checks::dictionary().queries;
    for (name, filter) in [("near", "true"), ("near_few", "tenant IN (2, 3)")] {
        let view =
            format!("SELECT faiss.shard_view('doc', filter => '{filter}', name => '{name}')");
        let view: String = client.query_one(&view, &[]).unwrap().get(0);
        client.batch_execute(&view).unwrap();
        // Few of the lists, so that other lists on a shard would show; the setting must arrive there.
        for nprobe in [10, 40] {
            set_everywhere(servers, &mut client, nprobe);
            for question in questions.rows().take(30) {
                let filled = |s: &str| {
                    with_query(&s.replace("FILTER", filter).replace("NAME", name), question)
                };
                let expected = answer(&mut client, &filled(ONE));
                assert_eq!(expected.len(), 10);
                let parent = answer(&mut client, &filled(PARENT));
                let is_as_near = parent.iter().zip(&expected).all(|(a, b)| a.1 <= b.1);
                assert!(is_as_near && parent.len() == 10, "{parent:?} {expected:?}");
                for statement in SAME {
                    let actual = answer(&mut client, &filled(statement));
                    assert_eq!(actual, expected, "{statement} with nprobe {nprobe}");
                }
            }
        }
    }
}

/// What `SET` does not carry is set by the server's options.
fn set_everywhere(servers: &Servers, client: &mut Client, nprobe: u32) {
    client.batch_execute(&format!("SET faiss.nprobe = {nprobe}")).unwrap();
    for n in 1..=servers.shards.len() {
        let had = "SELECT srvoptions::text LIKE '%faiss.nprobe%' FROM pg_foreign_server WHERE srvname = $1";
        let had: bool = client.query_one(had, &[&format!("s{n}")]).unwrap().get(0);
        let verb = if had { "SET" } else { "ADD" };
        client
            .batch_execute(&format!(
                "ALTER SERVER s{n} OPTIONS ({verb} options '-c faiss.nprobe={nprobe}')"
            ))
            .unwrap();
    }
}

#[test]
fn a_batch_gives_what_one_query_after_the_other_does() {
    let servers = indexed();
    let mut client = servers.connect();
    client.batch_execute("SET faiss.nprobe = 5").unwrap();
    let questions = checks::dictionary().queries;
    let queries: Vec<String> = questions.rows().take(200).map(checks::literal).collect();
    let all = format!("ARRAY[{}]", queries.join(","));
    for filter in ["NULL", "'tenant = 4'"] {
        let batch = format!(
            "SELECT query_no, key::bigint, distance FROM faiss.search_shards('doc', {all}, 5, filter => {filter})"
        );
        let rows = client.query(&batch, &[]).unwrap();
        assert_eq!(rows.len(), 200 * 5);
        let mut rows = rows.iter();
        for (i, query) in queries.iter().enumerate() {
            let single = format!(
                "SELECT key::bigint, distance FROM faiss.search_shards('doc', ARRAY[{query}], 5, filter => {filter})"
            );
            for (key, distance) in answer(&mut client, &single) {
                let row = rows.next().unwrap();
                let found = (row.get::<_, i32>(0), row.get::<_, i64>(1), row.get::<_, f64>(2));
                assert_eq!(found, (i as i32 + 1, key, distance), "filter {filter}");
            }
        }
    }
}

/// A tenant on one shard: the others are not even asked, so that they may be down.
#[test]
fn only_shards_that_can_have_rows_are_asked() {
    let servers = indexed();
    let mut client = servers.connect();
    client
        .batch_execute(
            "CREATE TABLE owned (id bigint, tenant int, v vector(384)) PARTITION BY LIST (tenant);
             CREATE FOREIGN TABLE owned_1 PARTITION OF owned FOR VALUES IN (1) SERVER s1 OPTIONS (table_name 'doc');
             CREATE FOREIGN TABLE owned_2 PARTITION OF owned FOR VALUES IN (2) SERVER s2 OPTIONS (table_name 'doc')",
        )
        .unwrap();
    let question = checks::literal(checks::dictionary().queries.row(0));
    let asked = |client: &mut Client, filter: &str| -> Vec<String> {
        client.batch_execute("SELECT faiss.disconnect_shards()").unwrap();
        let search = format!(
            "SELECT count(*) FROM faiss.search_shards('owned', ARRAY[{question}], 5, filter => '{filter}')"
        );
        let found: i64 = client.query_one(&search, &[]).unwrap().get(0);
        assert!(found <= 5);
        let open = "SELECT s.srvname::text FROM unnest(dblink_get_connections()) c
            JOIN pg_foreign_server s ON s.oid = split_part(c, '_', 2)::oid ORDER BY 1";
        client.query(open, &[]).unwrap().iter().map(|row| row.get(0)).collect()
    };
    assert_eq!(asked(&mut client, "tenant = 1"), ["s1"]);
    assert_eq!(asked(&mut client, "tenant = 2 AND id > 100"), ["s2"]);
    assert_eq!(asked(&mut client, "id > 100"), ["s1", "s2"]);
    assert!(asked(&mut client, "tenant = 3").is_empty());
}

/// Every shard has the search at work while none of them has ended it.
#[test]
fn all_shards_work_at_the_same_time() {
    let _alone = alone();
    let servers = indexed();
    let mut client = servers.connect();
    let view: String = client
        .query_one("SELECT faiss.shard_view('held', name => 'near_held')", &[])
        .unwrap()
        .get(0);
    client.batch_execute(&view).unwrap();
    let question = checks::literal(checks::dictionary().queries.row(0));
    for statement in [
        format!("SELECT count(*) FROM faiss.search_shards('held', ARRAY[{question}], 10)"),
        format!(
            "SELECT count(*) FROM faiss.search_shards('held', ARRAY[{question}, {question}], 5, filter => 'true')"
        ),
        format!("SELECT count(*) FROM near_held({question}, 10)"),
    ] {
        let holders: Vec<Client> = servers.shards.iter().map(Servers::hold).collect();
        let shards: Vec<_> = servers.shards.iter().collect();
        assert_eq!(shards.len(), SHARDS);
        std::thread::scope(|scope| {
            let search =
                scope.spawn(|| servers.connect().query_one(&statement, &[]).unwrap().get(0));
            Servers::await_held(&shards, 1);
            drop(holders);
            let found: i64 = search.join().unwrap();
            assert_eq!(found, 10, "{statement}");
        });
    }
}

/// A cancel of the caller reaches it at once, and the shards end what they were doing.
#[test]
fn a_cancelled_search_ends_on_every_shard() {
    let _alone = alone();
    let servers = indexed();
    let question = checks::literal(checks::dictionary().queries.row(0));
    let statement =
        format!("SELECT count(*) FROM faiss.search_shards('held', ARRAY[{question}], 10)");
    let holders: Vec<Client> = servers.shards.iter().map(Servers::hold).collect();
    let shards: Vec<_> = servers.shards.iter().collect();
    let mut client = servers.connect();
    let cancel = client.cancel_token();
    std::thread::scope(|scope| {
        let search = scope.spawn(|| {
            let cancelled = client.query_one(&statement, &[]).unwrap_err();
            assert_eq!(cancelled.code().map(|c| c.code()), Some("57014"), "{cancelled:?}");
            // The session goes on.
            let elsewhere = statement.replace("'held'", "'doc'");
            client.query_one(&elsewhere, &[]).unwrap().get::<_, i64>(0)
        });
        Servers::await_held(&shards, 1);
        cancel.cancel_query(postgres::NoTls).unwrap();
        assert_eq!(search.join().unwrap(), 10);
    });
    // Nobody waits any more, although the lock is still held.
    Servers::await_held(&shards, 0);
    drop(holders);
}
