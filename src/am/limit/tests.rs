//! What scans are told, in queries of every form.

use std::cell::RefCell;

use pgrx::pg_test;

use super::SCANS;
use crate::am::testing::{plan, refusal, run, value};

thread_local! {
    static TOLD: RefCell<Vec<Option<u64>>> = const { RefCell::new(Vec::new()) };
}

/// Remembers what a scan was told.
pub fn told(rows: Option<u64>) {
    TOLD.with_borrow_mut(|told| told.push(rows));
}

const NEAR: &str = "ORDER BY v <-> '[1,1]'";

/// What the scans of some statements are told, one after the other.
fn told_in(sql: &str) -> Vec<Option<u64>> {
    TOLD.with_borrow_mut(Vec::clear);
    run(sql);
    TOLD.take()
}

/// What the only scan of a query is told.
fn told_by(query: &str) -> Option<u64> {
    let told = told_in(query);
    assert_eq!(told.len(), 1, "{query}: {told:?}\n{}", plan(query));
    told[0]
}

/// A table `t` of 200 rows with an index, which the planner takes wherever it can.
fn table() {
    run("CREATE TABLE t (id int PRIMARY KEY, v vector(2));
         INSERT INTO t SELECT i, ARRAY[i, i % 7]::vector FROM generate_series(1, 200) i;
         CREATE INDEX i ON t USING faissivf (v);
         ANALYZE t;
         SET LOCAL enable_seqscan = off;
         SET LOCAL enable_sort = off;
         SET LOCAL enable_bitmapscan = off");
}

#[pg_test]
fn pgtest_a_scan_knows_its_limit() {
    table();
    assert_eq!(told_by(&format!("SELECT id FROM t {NEAR} LIMIT 7")), Some(7));
    assert_eq!(told_by(&format!("SELECT id FROM t {NEAR} LIMIT 7 OFFSET 20")), Some(27));
    assert_eq!(told_by(&format!("SELECT id FROM t {NEAR} FETCH FIRST ROW ONLY")), Some(1));
    assert_eq!(
        told_by(&format!("SELECT id, v <-> '[1,1]' FROM t WHERE id % 2 = 0 {NEAR} LIMIT 7")),
        Some(7)
    );
    let huge = format!("SELECT id FROM t {NEAR} LIMIT 9223372036854775807 OFFSET 1");
    assert_eq!(told_by(&huge), Some(1 << 63));
}

#[pg_test]
fn pgtest_no_limit_is_made_up() {
    table();
    for rest in ["", "LIMIT ALL", "LIMIT NULL", "OFFSET 3", "FETCH FIRST 3 ROWS WITH TIES"] {
        assert_eq!(told_by(&format!("SELECT id FROM t {NEAR} {rest}")), None, "{rest}");
    }
    // None of these needs to be read to the end, but nobody knows how far.
    assert_eq!(told_by(&format!("SELECT count(*) FROM (SELECT id FROM t {NEAR}) s LIMIT 1")), None);
    assert_eq!(told_by(&format!("SELECT id, count(*) OVER () FROM t {NEAR} LIMIT 3")), None);
    // No row is asked for at all.
    assert_eq!(told_in(&format!("SELECT id FROM t {NEAR} LIMIT 0")), []);
    assert_eq!(told_in(&format!("EXPLAIN SELECT id FROM t {NEAR} LIMIT 3")), []);
}

#[pg_test]
fn pgtest_a_limit_is_seen_through_subqueries() {
    table();
    let inner = format!("SELECT id FROM t {NEAR} LIMIT 20");
    assert_eq!(told_by(&format!("SELECT sum(id) FROM ({inner}) s")), Some(20));
    assert_eq!(told_by(&format!("SELECT id FROM ({inner}) s LIMIT 5")), Some(5));
    assert_eq!(told_by(&format!("SELECT id FROM ({inner} OFFSET 100) s LIMIT 5")), Some(105));
    assert_eq!(told_by(&format!("SELECT id FROM ({inner}) s LIMIT 500")), Some(20));
    assert_eq!(told_by(&format!("SELECT id FROM ({inner}) s WHERE id > 3 LIMIT 5")), Some(5));
    assert_eq!(told_by(&format!("WITH s AS MATERIALIZED ({inner}) TABLE s")), Some(20));
    assert_eq!(told_by(&format!("SELECT 1 WHERE 3 IN ({inner})")), Some(20));
    assert_eq!(told_by(&format!("SELECT ARRAY({inner})")), Some(20));
    let both = format!("({inner}) UNION ALL (SELECT id FROM t {NEAR} LIMIT 30)");
    assert_eq!(told_in(&both), [Some(20), Some(30)]);
    assert_eq!(told_by(&format!("SELECT * FROM ({both}) s LIMIT 3")), Some(3));
    // The second is asked as well when the first has come to its end.
    let both = told_in(&format!("SELECT * FROM ({both}) s LIMIT 25"));
    assert_eq!(both, [Some(20), Some(25)]);
    assert_eq!(told_in(&format!("CREATE TEMP TABLE copy AS {inner}")), [Some(20)]);
    assert_eq!(told_by(&format!("DELETE FROM t WHERE id IN ({inner})")), Some(20));
}

#[pg_test]
fn pgtest_a_limit_is_seen_through_other_nodes() {
    table();
    run("CREATE TABLE other (id int PRIMARY KEY);
         INSERT INTO other SELECT generate_series(1, 200);
         SET LOCAL enable_hashjoin = off;
         SET LOCAL enable_mergejoin = off");
    let joined = format!("SELECT t.id FROM t JOIN other USING (id) {NEAR} LIMIT 6");
    assert_eq!(told_by(&joined), Some(6));
    assert_eq!(told_by(&format!("SELECT id FROM t {NEAR} LIMIT 6 FOR UPDATE")), Some(6));
    run("SET LOCAL enable_sort = on");
    let ranked = format!("SELECT id, row_number() OVER ({NEAR}) FROM t {NEAR} LIMIT 6");
    assert_eq!(told_by(&ranked), Some(7));
    // Older servers sort all rows instead.
    let told = told_in(&format!("SELECT id FROM t {NEAR}, id LIMIT 6"));
    assert!(told.iter().all(|rows| *rows == Some(7)), "{told:?}");
}

#[pg_test]
fn pgtest_every_rescan_knows_its_limit() {
    table();
    let lateral = |limit: &str| {
        format!(
            "SELECT g, s.id FROM generate_series(1, 3) g,
               LATERAL (SELECT id FROM t ORDER BY v <-> ARRAY[g, g]::vector LIMIT {limit}) s"
        )
    };
    assert_eq!(told_in(&lateral("5")), [Some(5); 3]);
    assert_eq!(told_in(&lateral("g")), [Some(1), Some(2), Some(3)]);
    assert_eq!(told_in(&lateral("nullif(g, 2)")), [Some(1), None, Some(3)]);
    let scalar = "SELECT (SELECT id FROM t ORDER BY v <-> ARRAY[g, g]::vector LIMIT 1)
                    FROM generate_series(1, 3) g";
    assert_eq!(told_in(scalar), [Some(1); 3]);
}

#[pg_test]
fn pgtest_every_partition_knows_the_limit() {
    table();
    run("CREATE TABLE p (id int, v vector(2)) PARTITION BY RANGE (id);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
         CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (300);
         INSERT INTO p SELECT id, v FROM t;
         CREATE INDEX ON p USING faissivf (v);
         ANALYZE p");
    let told = told_in(&format!("SELECT id FROM p {NEAR} LIMIT 7 OFFSET 2"));
    assert_eq!(told, [Some(9), Some(9)]);
}

#[pg_test]
fn pgtest_a_limit_may_be_a_parameter() {
    table();
    run(&format!(
        "SET LOCAL plan_cache_mode = force_generic_plan;
         PREPARE top (int, int) AS SELECT id FROM t {NEAR} LIMIT $1 OFFSET $2"
    ));
    let told = told_in("EXECUTE top (4, 0); EXECUTE top (9, 3); EXECUTE top (NULL, 3)");
    assert_eq!(told, [Some(4), Some(12), None]);
    run("DEALLOCATE top");
    let looped = format!(
        "DO $$ DECLARE n int; found int; c refcursor; BEGIN
           FOR n IN 1 .. 3 LOOP FOR found IN SELECT id FROM t {NEAR} LIMIT n LOOP END LOOP; END LOOP;
           OPEN c FOR SELECT id FROM t {NEAR} LIMIT 50;
           FETCH c INTO found;
           CLOSE c;
           OPEN c FOR SELECT id FROM t {NEAR};
           FETCH c INTO found;
         END $$"
    );
    assert_eq!(told_in(&looped), [Some(1), Some(2), Some(3), Some(50), None]);
}

#[pg_test]
fn pgtest_queries_within_queries_keep_their_limits_apart() {
    table();
    run(&format!(
        "CREATE FUNCTION nearest(int) RETURNS int LANGUAGE plpgsql AS
           $$ BEGIN RETURN (SELECT max(id) FROM (SELECT id FROM t {NEAR} LIMIT $1) s); END $$"
    ));
    let nested =
        format!("SELECT nearest(id + 10), id FROM (SELECT id FROM t {NEAR} LIMIT 3 OFFSET 0) s");
    let told = told_in(&nested);
    assert_eq!(told[0], Some(3));
    let mut inner: Vec<_> = told[1..].iter().copied().flatten().collect();
    inner.sort_unstable();
    assert_eq!(inner, [11, 12, 13]);
}

#[pg_test]
fn pgtest_limits_are_forgotten_with_their_query() {
    table();
    // The scan of the query that runs the test is none of ours.
    let known = || SCANS.with_borrow(|scans| scans.len());
    let before = known();
    run(&format!("DECLARE c CURSOR FOR SELECT id FROM t {NEAR} LIMIT 5; FETCH c"));
    assert_eq!(known(), before + 1);
    let broken = format!("SELECT 1 / (id - id) FROM t {NEAR} LIMIT 8");
    assert!(refusal(&broken).starts_with("22012"), "{}", refusal(&broken));
    assert_eq!(known(), before + 1);
    assert_eq!(told_by(&format!("SELECT id FROM t {NEAR} LIMIT 2")), Some(2));
    run("CLOSE c");
    assert_eq!(known(), before);
    let _: i32 = value(&format!("SELECT id FROM t {NEAR} LIMIT 2"));
    assert_eq!(known(), before);
}
