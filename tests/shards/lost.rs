//! A shard that dies in the middle of a statement: an error that names it, or the rows of the others; and a session that goes on
//! once it is back.

use postgres::Client;
use xtask::cluster::Cluster;

use super::servers::{Servers, alone, connect, with_query};

/// What is running when the shard dies. All of them wait on it for a lock.
const STATEMENTS: [&str; 5] = [
    "SELECT key FROM faiss.search_shards('held', ARRAY[$1], 10)",
    "SELECT key FROM faiss.search_shards('held', ARRAY[$1, $1], 10, filter => 'true')",
    "SELECT key FROM near_held($1, 10)",
    "SELECT id FROM held ORDER BY v <-> $1 LIMIT 10",
    "UPDATE held SET tenant = 8 WHERE id < 100",
];

#[test]
fn a_shard_is_lost_in_the_middle_of_each_statement() {
    let mut servers = Servers::with_rows(1500);
    let mut client = servers.connect();
    let view: String = client
        .query_one("SELECT faiss.shard_view('held', name => 'near_held')", &[])
        .unwrap()
        .get(0);
    client.batch_execute(&view).unwrap();
    let question = checks::dictionary().queries.row(0).to_vec();
    for statement in STATEMENTS {
        let statement = with_query(statement, &question);
        let error = lose(&mut servers, &mut client, &statement).unwrap_err();
        let code = error.code().map(|c| c.code().to_owned()).unwrap_or_default();
        let text = checks::describe(&error);
        assert!(code.starts_with("08") || code.starts_with("57P"), "{statement}\n{text}");
        if statement.contains("search_shards") {
            assert!(text.contains("server \"s3\" has not answered"), "{text}");
            assert!(text.contains("held_3") && text.contains("missing => 'warn'"), "{text}");
        }
        servers.shards[2].start().unwrap();
        // The same session, over a connection that has died meanwhile.
        client
            .execute(&statement.replace("held", "doc").replace("near_doc", "near_held"), &[])
            .unwrap();
    }
}

#[test]
fn the_others_answer_without_it() {
    let mut servers = Servers::with_rows(1500);
    let (mut client, heard) = servers.listening();
    let question = checks::dictionary().queries.row(0).to_vec();
    let without = "SELECT key FROM faiss.search_shards('doc', ARRAY[$1], 20) WHERE key::bigint IN (SELECT id FROM doc_1 UNION ALL SELECT id FROM doc_2)";
    let known: Vec<String> = keys(&mut client, &with_query(without, &question));
    assert!(known.len() > 5 && known.len() < 20, "{known:?}");
    heard.lock().unwrap().clear();
    // In the middle of a search, then before one: with the connection that has died, and without any.
    let search = "SELECT key FROM faiss.search_shards('TABLE', ARRAY[$1], 20, missing => 'warn')";
    let search = with_query(search, &question);
    let middle = lose(&mut servers, &mut client, &search.replace("TABLE", "held")).unwrap();
    for (round, found) in [
        ("in the middle", middle),
        ("before", keys(&mut client, &search.replace("TABLE", "doc"))),
        ("again", keys(&mut client, &search.replace("TABLE", "doc"))),
    ] {
        let lost = found.iter().filter(|key| !known.contains(key)).count();
        // The twenty nearest of two shards: all that were known, and others behind them.
        assert_eq!((found.len(), found.len() - lost), (20, known.len()), "{round}");
        let said: Vec<String> = heard.lock().unwrap().clone();
        assert!(
            said.iter().any(|s| s.starts_with("WARNING server \"s3\" has not answered")),
            "{round} {said:?}"
        );
    }
    let refused =
        client.query(&search.replace("TABLE", "doc").replace("warn", "error"), &[]).unwrap_err();
    assert_eq!(refused.code().map(|c| c.code()), Some("08006"), "{}", checks::describe(&refused));
    servers.shards[2].start().unwrap();
    heard.lock().unwrap().clear();
    let whole = with_query("SELECT key FROM faiss.search_shards('doc', ARRAY[$1], 20)", &question);
    assert_eq!(keys(&mut client, &whole).len(), 20);
    assert_eq!(*heard.lock().unwrap(), Vec::<String>::new());
}

/// A shard that only takes too long is left out, and told to stop.
#[test]
fn a_slow_shard_is_left_out_when_the_time_is_over() {
    let _alone = alone();
    let servers = Servers::shared();
    let (mut client, heard) = servers.listening();
    let question = checks::dictionary().queries.row(0).to_vec();
    let shard = &servers.shards[1];
    let holder = Servers::hold(shard);
    let search = "SELECT key FROM faiss.search_shards('held', ARRAY[$1], 10, timeout => '2 s', missing => 'warn')";
    let found = keys(&mut client, &with_query(search, &question));
    assert_eq!(found.len(), 10);
    let said = heard.lock().unwrap().join("\n");
    assert!(said.contains("server \"s2\" has not answered: the time given is over"), "{said}");
    Servers::await_held(&[shard], 0);
    drop(holder);
}

/// Many queries that the index of a shard answers together: here it waits for the table.
#[test]
fn a_shard_is_lost_in_the_middle_of_a_batch() {
    let mut servers = Servers::with_rows(1500);
    servers.index("IVF8,Flat");
    let mut client = servers.connect();
    let question = checks::dictionary().queries.row(0).to_vec();
    let batch = "SELECT key FROM faiss.search_shards('doc', ARRAY[$1, $1], 5, missing => 'warn')";
    let batch = with_query(batch, &question);
    assert_eq!(keys(&mut client, &batch).len(), 10);
    let mut holder = connect(&servers.shards[2]);
    holder.batch_execute("BEGIN; LOCK TABLE doc IN ACCESS EXCLUSIVE MODE").unwrap();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| keys(&mut client, &batch));
        Servers::await_held(&[&servers.shards[2]], 1);
        servers.shards[2].crash().unwrap();
        assert_eq!(running.join().unwrap().len(), 10, "those of the others");
    });
}

/// What the manual says is not atomic: some shards have committed when another cannot. The first to commit is not said; so each of
/// them is the one that is lost.
#[test]
fn a_commit_can_fail_in_part() {
    let mut servers = Servers::with_rows(300);
    let mut client = servers.connect();
    let counts = |servers: &Servers, lost: usize| -> Vec<i64> {
        let others = servers.shards.iter().enumerate().filter(|(n, _)| *n != lost);
        others
            .map(|(_, s)| connect(s).query_one("SELECT count(*) FROM doc", &[]).unwrap().get(0))
            .collect()
    };
    let mut in_part = 0;
    for lost in 0..servers.shards.len() {
        let before = counts(&servers, lost);
        let insert = format!("INSERT INTO doc SELECT id + {}, 0, v FROM one", 1000 * (lost + 1));
        client.batch_execute(&format!("BEGIN; {insert}")).unwrap();
        servers.shards[lost].crash().unwrap();
        let error = client.batch_execute("COMMIT").unwrap_err();
        let code = error.code().map(|c| c.code().to_owned()).unwrap_or_default();
        assert!(code.starts_with("08"), "{}", checks::describe(&error));
        in_part += u32::from(counts(&servers, lost) != before);
        servers.shards[lost].start().unwrap();
    }
    assert!((1..=2).contains(&in_part), "{in_part} of three commits were done in part");
}

/// Runs a statement and kills the third shard while it waits there.
fn lose(
    servers: &mut Servers,
    client: &mut Client,
    statement: &str,
) -> Result<Vec<String>, postgres::Error> {
    let holder = Servers::hold(&servers.shards[2]);
    let last: &mut Cluster = &mut servers.shards[2];
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let rows = client.query(statement, &[])?;
            Ok(rows.iter().map(|row| row.try_get::<_, String>(0).unwrap_or_default()).collect())
        });
        Servers::await_held(&[last], 1);
        last.crash().unwrap();
        drop(holder);
        running.join().unwrap()
    })
}

fn keys(client: &mut Client, statement: &str) -> Vec<String> {
    let rows = client.query(statement, &[]).unwrap_or_else(|e| panic!("{}", checks::describe(&e)));
    rows.iter().map(|row| row.get(0)).collect()
}
