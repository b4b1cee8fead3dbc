-- Queries of a graph: filters, large limits, joins, settings.
CREATE TABLE t (id int PRIMARY KEY, kind int, v vector(3));
INSERT INTO t SELECT i, i % 100, ARRAY[hashint4(i) % 1000, hashint4(i + 100000) % 1000, hashint4(i + 200000) % 1000]::vector FROM generate_series(1, 6000) i;
SET faiss.build_threads = 1;
CREATE INDEX t_v ON t USING faisshnsw (v) WITH (m = 16);
VACUUM ANALYZE t;
-- The planner takes it for the nearest, and a sort for the nearest of a few.
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[1,2,3]' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE id < 20 ORDER BY v <-> '[1,2,3]' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[1,2,3]';
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <=> '[1,2,3]' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT count(*) FROM t;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_sort = off;
-- A filter that keeps one row in a hundred still gives as many rows as the LIMIT wants, in order.
CREATE FUNCTION ordered(q vector, lim int, OUT n bigint, OUT in_order boolean, OUT recall numeric) LANGUAGE sql AS $$
    WITH found AS MATERIALIZED (SELECT id, v <-> q AS d, row_number() OVER () AS r FROM (SELECT id, v FROM t WHERE kind = 7 ORDER BY v <-> q LIMIT lim) s)
    SELECT count(*), bool_and(d >= before), round(avg((d <= limit_d)::int), 1)
    FROM (SELECT d, lag(d, 1, 0) OVER (ORDER BY r) AS before FROM found) f,
        (SELECT max(d) AS limit_d FROM (SELECT v <-> q AS d FROM t WHERE kind = 7 ORDER BY (v <-> q) + 0 LIMIT lim) e) e
$$;
SELECT q, o.* FROM unnest(ARRAY['[0,0,0]', '[500,-500,500]', '[2000,0,0]']::vector[]) q, ordered(q, 10) o;
SELECT q, o.* FROM unnest(ARRAY['[0,0,0]', '[500,-500,500]', '[2000,0,0]']::vector[]) q, ordered(q, 40) o;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> '[5,5,5]' LIMIT 3000) s;
-- Without going on, a scan ends after its first candidates: as many as its LIMIT, and efSearch at least.
SET faiss.iterative_scan = off;
SET faiss.efSearch = 20;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[5,5,5]' LIMIT 300) s;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[5,5,5]' OFFSET 0) s;
SET faiss.iterative_scan = relaxed_order;
SET faiss.max_scan_tuples = 2147483647;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> '[5,5,5]' LIMIT 10000) s;
\set VERBOSITY terse
SET faiss.max_scan_tuples = 500;
SELECT count(*) < 6000 AS bounded FROM (SELECT id FROM t ORDER BY v <-> '[5,5,5]' OFFSET 0) s;
\set VERBOSITY default
RESET faiss.iterative_scan;
RESET faiss.max_scan_tuples;
-- efSearch: an explicit SET wins over the index's option, which wins over the default.
RESET faiss.efSearch;
SET faiss.iterative_scan = off;
ALTER INDEX t_v SET (efSearch = 12);
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[5,5,5]' OFFSET 0) s;
SET faiss.efSearch = 14;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[5,5,5]' OFFSET 0) s;
RESET faiss.efSearch;
ALTER INDEX t_v RESET (efSearch);
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[5,5,5]' OFFSET 0) s;
RESET faiss.iterative_scan;
-- Inner sides of joins begin anew for every row; parameters and cursors.
EXPLAIN (COSTS OFF) SELECT a.id, b.id FROM t a, LATERAL (SELECT id FROM t ORDER BY v <-> a.v LIMIT 1) b WHERE a.id <= 50;
SELECT count(*), bool_and(a.id = b.id) FROM t a, LATERAL (SELECT id FROM t ORDER BY v <-> a.v LIMIT 1) b WHERE a.id <= 50;
PREPARE nearest (vector) AS SELECT id FROM t ORDER BY v <-> $1 LIMIT 1;
SET plan_cache_mode = force_generic_plan;
SELECT format('EXECUTE nearest (%L)', v) FROM t WHERE id IN (17, 18) ORDER BY id \gexec
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 99);
FETCH 1 FROM c;
MOVE 200 IN c;
DELETE FROM t WHERE id = 100;
FETCH 1 FROM c \gset after_
SELECT :after_id IS NOT NULL AS goes_on;
ROLLBACK;
-- NULL is near to nothing, a query of another dimension is refused.
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> NULL LIMIT 10000) s;
SELECT id FROM t ORDER BY v <-> '[1,2]' LIMIT 1;
INSERT INTO t VALUES (-1, 0, '[1,2]');
