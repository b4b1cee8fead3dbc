-- Queries of every shape, and what the planner makes of them.
SELECT setseed(0.0625);
CREATE FUNCTION random_vector(dims int) RETURNS vector LANGUAGE sql VOLATILE
AS 'SELECT array_agg((random() * 2 - 1)::real)::vector FROM generate_series(1, dims)';
CREATE TABLE t (id int PRIMARY KEY, n int, v vector(8));
INSERT INTO t SELECT i, i % 100, random_vector(8) FROM generate_series(1, 4000) i;
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 64);
ANALYZE t;
SELECT v AS q FROM t WHERE id = 1234 \gset
\set e '[1,1,1,1,1,1,1,1]'
-- With the default settings a plain top k takes the index,
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> :'e' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id, v <-> :'e' AS distance FROM t WHERE n <> 5 ORDER BY v <-> :'e' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY :'e' <-> v LIMIT 10;
-- a selective condition the btree,
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE id < 20 ORDER BY v <-> :'e' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE id = 20 ORDER BY v <-> :'e' LIMIT 5;
-- and what has no use for the index does not take it, even if nothing else is allowed.
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> :'e';
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> :'e' DESC LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <#> :'e' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <=> :'e' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY 1 - (v <-> :'e') LIMIT 10;
EXPLAIN (COSTS OFF) SELECT count(*) FROM t;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> :'e' < 1;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
CREATE FUNCTION uses_t_v(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
        IF line ~ 't_v' THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;
SELECT q, uses_t_v(q) FROM unnest(ARRAY[
    $$SELECT id FROM t ORDER BY v <-> '[1,1,1,1,1,1,1,1]'$$,
    $$SELECT id FROM t ORDER BY v <-> '[1,1,1,1,1,1,1,1]' DESC LIMIT 10$$,
    $$SELECT id FROM t ORDER BY v <#> '[1,1,1,1,1,1,1,1]' LIMIT 10$$,
    $$SELECT id FROM t WHERE v <-> '[1,1,1,1,1,1,1,1]' < 1$$,
    $$SELECT id FROM t WHERE v = '[1,1,1,1,1,1,1,1]'$$,
    $$SELECT v FROM t$$,
    $$SELECT count(*) FROM t$$]) q;
RESET enable_seqscan;
RESET enable_bitmapscan;
-- The row itself is the nearest to its own vector, and distances ascend.
SELECT id FROM t ORDER BY v <-> :'q' LIMIT 1;
SELECT bool_and(d >= before) FROM (SELECT d, lag(d, 1, 0::float8) OVER () AS before FROM (SELECT v <-> :'q' AS d FROM t ORDER BY v <-> :'q' LIMIT 100) a) b;
-- Parameters: a prepared statement with a generic plan, a function's argument, a subquery.
SET plan_cache_mode = force_generic_plan;
PREPARE nearest (vector, int) AS SELECT id FROM t ORDER BY v <-> $1 LIMIT $2;
EXPLAIN (COSTS OFF) EXECUTE nearest (:'e', 3);
EXECUTE nearest (:'q', 1);
SELECT count(*) FROM (SELECT 1) s, LATERAL (SELECT 1 FROM t ORDER BY v <-> :'q' LIMIT 7) l;
EXECUTE nearest ('[1,2]', 1);
EXECUTE nearest (NULL, 0);
RESET plan_cache_mode;
DEALLOCATE nearest;
CREATE FUNCTION nearest(q vector, k int) RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT id FROM t ORDER BY v <-> q LIMIT k';
SELECT nearest(v, 1) FROM t WHERE id IN (5, 6, 7) ORDER BY id;
SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 99) LIMIT 1;
-- The nearest of each of many: one scan after the other.
EXPLAIN (COSTS OFF) SELECT a.id, b.id FROM t a CROSS JOIN LATERAL (SELECT id FROM t ORDER BY v <-> a.v LIMIT 2) b WHERE a.id <= 500;
SELECT count(*), count(*) FILTER (WHERE a.id = b.id) AS themselves
FROM t a CROSS JOIN LATERAL (SELECT id FROM t ORDER BY v <-> a.v LIMIT 2) b WHERE a.id <= 500;
SET faiss.nprobe = 64;
SELECT count(*) FROM (
    SELECT a.id, b.d, (SELECT min(c.v <-> a.v) FROM t c WHERE c.id <> a.id) AS expected
    FROM t a CROSS JOIN LATERAL (SELECT v <-> a.v AS d FROM t ORDER BY v <-> a.v OFFSET 1 LIMIT 1) b WHERE a.id <= 100) s
WHERE d <> expected;
RESET faiss.nprobe;
-- Rescans, among them with no vector and with a zero vector.
SELECT (SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> x LIMIT 3) s) FROM (VALUES (:'q'::vector), (NULL), ('[0,0,0,0,0,0,0,0]'), (:'q')) a (x);
-- Without a vector to compare with every row is as near as any other: they come in some order, all of them.
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> NULL LIMIT 3;
SET enable_seqscan = off;
SET plan_cache_mode = force_generic_plan;
SET faiss.max_scan_tuples = 1000000;
PREPARE unknown (vector) AS SELECT count(id), sum(id), count(v <-> $1) FROM (SELECT id, v FROM t ORDER BY v <-> $1 LIMIT 5000) s;
EXPLAIN (COSTS OFF) EXECUTE unknown (NULL);
EXECUTE unknown (NULL);
RESET plan_cache_mode;
RESET faiss.max_scan_tuples;
-- A cursor, read in pieces.
BEGIN;
DECLARE c CURSOR FOR SELECT id, v <-> :'q' AS d FROM t ORDER BY v <-> :'q';
FETCH 1 FROM c \gset first_
SELECT :first_id AS first_id;
MOVE 99 FROM c;
FETCH 1 FROM c \gset hundred_and_first_
MOVE 900 FROM c;
FETCH 1 FROM c \gset last_
SELECT :first_d <= :hundred_and_first_d AND :hundred_and_first_d <= :last_d AS ascending;
-- Rows that appear after the cursor was opened are not its own.
INSERT INTO t SELECT i, 0, :'q' FROM generate_series(5001, 5100) i;
MOVE ALL FROM c;
CLOSE c;
ROLLBACK;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM t ORDER BY v <-> :'q' LIMIT 3;
FETCH 1 FROM c;
MOVE LAST FROM c;
FETCH FIRST FROM c;
COMMIT;
-- More rows than the first lists hold.
CREATE FUNCTION found(q vector, k int, filter int) RETURNS TABLE (n_found bigint, ascending boolean) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format($q$
        SELECT count(*), coalesce(bool_and(d >= before), true) FROM (SELECT d, lag(d, 1, 0::float8) OVER () AS before FROM
            (SELECT v <-> %1$L AS d FROM t WHERE n < %2$s ORDER BY v <-> %1$L LIMIT %3$s) a) b
        $q$, q, filter, k);
END $$;
SET faiss.nprobe = 1;
SET faiss.iterative_scan = off;
SELECT n_found < 400 AS fewer, ascending FROM found(:'q', 4000, 100);
SELECT n_found < 10 AS fewer, ascending FROM found(:'q', 10, 1);
SET faiss.iterative_scan = relaxed_order;
SELECT n_found FROM found(:'q', 4000, 100);
SELECT n_found FROM found(:'q', 10, 1);
SET faiss.iterative_scan = strict_order;
-- All of them, the late ones at the end.
SELECT n_found FROM found(:'q', 4000, 100);
SELECT n_found, ascending FROM found(:'q', 400, 100);
SELECT n_found, ascending FROM found(:'q', 10, 1);
SELECT n_found, ascending FROM found(:'q', 20, 10);
-- The budget ends a scan that finds nothing, after the first lists.
\set VERBOSITY terse
SET faiss.max_scan_tuples = 1;
SELECT n_found < 1000 AS fewer, ascending FROM found(:'q', 4000, 100);
SET faiss.max_scan_tuples = 1000;
SELECT n_found BETWEEN 200 AND 1500 AS some FROM found(:'q', 4000, 100);
SET faiss.iterative_scan = relaxed_order;
SELECT n_found BETWEEN 1000 AND 1500 AS some FROM found(:'q', 4000, 100);
\set VERBOSITY default
SET faiss.max_scan_tuples = 20000;
SELECT n_found FROM found(:'q', 4000, 100);
SELECT n_found FROM found(:'q', 1, 0);
RESET faiss.iterative_scan;
RESET faiss.max_scan_tuples;
-- The same with every list from the start: exact.
SET faiss.nprobe = 64;
SELECT * FROM found(:'q', 4000, 100);
SELECT * FROM found(:'q', 4000, 1);
RESET faiss.nprobe;
-- Ties are broken by a further column after the index has sorted by distance.
SET faiss.nprobe = 64;
SELECT array_agg(id) = (SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY (v <-> :'q') + 0, id LIMIT 50) s)
FROM (SELECT id FROM t ORDER BY v <-> :'q', id LIMIT 50) s;
RESET faiss.nprobe;
RESET enable_seqscan;
-- Other statements that read with the index.
DELETE FROM t WHERE id IN (SELECT id FROM t ORDER BY v <-> :'q' LIMIT 5);
SELECT count(*) FROM t;
UPDATE t SET n = -1 FROM (SELECT id FROM t ORDER BY v <-> :'q' LIMIT 5) s WHERE t.id = s.id;
SELECT count(*) FROM t WHERE n = -1;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> :'q' LIMIT 5 FOR UPDATE) s;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> :'q' LIMIT 5 OFFSET 10) s;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> :'q' FETCH FIRST 5 ROWS WITH TIES) s;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> :'q' LIMIT 0) s;
WITH a AS MATERIALIZED (SELECT id, v <-> :'q' AS d FROM t ORDER BY v <-> :'q' LIMIT 20) SELECT count(*) FROM a WHERE d < 100;
-- Two indexes on one column: each for its operator.
CREATE INDEX t_ip ON t USING faissivf (v vector_ip_ops) WITH (nlist = 64);
CREATE INDEX t_cosine ON t USING faissivf (v vector_cosine_ops) WITH (nlist = 64);
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <#> :'e' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <=> :'e' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> :'e' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <+> :'e' LIMIT 10;
-- EXPLAIN (SETTINGS) shows what was set, the statistics what was scanned, once the session that did has ended.
SET faiss.nprobe = 20;
EXPLAIN (COSTS OFF, SETTINGS) SELECT id FROM t ORDER BY v <-> :'e' LIMIT 10;
\c
DO $$ BEGIN
    FOR i IN 1..1000 LOOP
        EXIT WHEN (SELECT idx_scan > 0 FROM pg_stat_user_indexes WHERE indexrelname = 't_v');
        PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
    END LOOP;
END $$;
SELECT idx_scan > 0 AS scans, idx_tup_read > 0 AS read FROM pg_stat_user_indexes WHERE indexrelname = 't_v';
