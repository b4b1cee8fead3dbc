//! What the planner makes of the shapes that the manual shows: all shards at once, and with LIMIT in each. The plans are the same
//! on every major.

use super::rows::indexed;
use super::servers::Servers;

fn plan(servers: &Servers, statement: &str) -> String {
    let mut client = servers.connect();
    let rows = client.query(&format!("EXPLAIN (VERBOSE, COSTS off) {statement}"), &[]).unwrap();
    let lines: Vec<String> = rows
        .iter()
        .map(|row| row.get::<_, String>(0))
        // Outputs name columns, and subplans are numbered in other ways from 19 on.
        .filter(|line| !line.trim_start().starts_with("Output:"))
        .collect();
    // The query's numbers say nothing.
    let mut text = lines.join("\n");
    while let (Some(from), Some(to)) = (text.find("'["), text.find("]'")) {
        text.replace_range(from..to + 2, "QUERY");
    }
    text
}

fn question() -> String {
    checks::literal(checks::dictionary().queries.row(3))
}

const VIEW: &str = "Limit
  CTE found
    ->  Append
          ->  Async Foreign Scan on public.doc_1
                Remote SQL: SELECT id, v FROM public.doc ORDER BY (v OPERATOR(public.<->) QUERY) ASC NULLS LAST LIMIT 10::bigint
          ->  Async Foreign Scan on public.doc_2
                Remote SQL: SELECT id, v FROM public.doc ORDER BY (v OPERATOR(public.<->) QUERY) ASC NULLS LAST LIMIT 10::bigint
          ->  Async Foreign Scan on public.doc_3
                Remote SQL: SELECT id, v FROM public.doc ORDER BY (v OPERATOR(public.<->) QUERY) ASC NULLS LAST LIMIT 10::bigint
  ->  Sort
        Sort Key: found.distance
        ->  CTE Scan on found";

const PARENT: &str = "Limit
  ->  Merge Append
        Sort Key: ((doc.v <-> QUERY::vector))
        ->  Foreign Scan on public.doc_1
              Remote SQL: SELECT id, v FROM public.doc ORDER BY (v OPERATOR(public.<->) QUERY) ASC NULLS LAST
        ->  Foreign Scan on public.doc_2
              Remote SQL: SELECT id, v FROM public.doc ORDER BY (v OPERATOR(public.<->) QUERY) ASC NULLS LAST
        ->  Foreign Scan on public.doc_3
              Remote SQL: SELECT id, v FROM public.doc ORDER BY (v OPERATOR(public.<->) QUERY) ASC NULLS LAST";

#[test]
fn the_shard_view_asks_all_at_once_for_no_more_than_it_wants() {
    let servers = indexed();
    let mut client = servers.connect();
    let view: String =
        client.query_one("SELECT faiss.shard_view('doc', name => 'planned')", &[]).unwrap().get(0);
    client.batch_execute(&view).unwrap();
    assert_eq!(plan(servers, &format!("SELECT * FROM planned({}, 10)", question())), VIEW);
}

#[test]
fn the_parent_asks_one_after_the_other_and_has_no_limit_for_them() {
    let servers = indexed();
    let statement = format!("SELECT id FROM doc ORDER BY v <-> {} LIMIT 10", question());
    assert_eq!(plan(servers, &statement), PARENT);
}

/// What a shard makes of the statement that it is sent.
#[test]
fn a_shard_answers_by_its_index() {
    let servers = indexed();
    let mut client = servers.connect();
    let statements = "SELECT s.statement FROM unnest(faiss_shards.plan('doc',
        faiss_shards.target('doc', 'vector', NULL, NULL, NULL), $1, 10, $2, NULL)) s";
    let question = format!("[{}]", vec!["0.1"; 384].join(","));
    for (queries, filter, expected) in [
        (vec![question.clone()], None, "Index Scan using doc_v"),
        (vec![question.clone()], Some("tenant < 6"), "Index Scan using doc_v"),
        (vec![question.clone(); 2], None, "Function Scan on faiss.search"),
        (vec![question.clone(); 2], Some("tenant < 6"), "Index Scan using doc_v"),
    ] {
        let rows = client.query(statements, &[&queries, &filter]).unwrap();
        assert_eq!(rows.len(), 3);
        for (row, shard) in rows.iter().zip(&servers.shards) {
            let statement = format!("EXPLAIN (VERBOSE, COSTS off) {}", row.get::<_, String>(0));
            let plan = super::servers::connect(shard).query(&statement, &[]).unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
            assert!(plan.iter().any(|line| line.contains(expected)), "{expected}: {plan:#?}");
        }
    }
}
