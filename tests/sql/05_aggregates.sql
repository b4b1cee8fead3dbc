-- avg and sum.
CREATE TABLE t (g int, v vector, h halfvec);
INSERT INTO t VALUES (1, '[1,2,3]', '[1,2,3]'), (1, '[3,5,7]', '[3,5,7]'), (2, '[1,1]', '[1,1]'), (2, NULL, NULL), (3, NULL, NULL);
SELECT g, avg(v), sum(v), avg(h), sum(h) FROM t GROUP BY g ORDER BY g;
SELECT avg(v), sum(v), avg(h), sum(h) FROM t WHERE false;
-- avg sums in double precision, sum in the precision of the type.
-- A sum keeps the sign of a zero.
SELECT avg(v), avg(h) FROM (VALUES ('[-0,0,1]'::vector, '[-0,0,1]'::halfvec)) s (v, h);
SELECT avg(v) FROM (VALUES ('[-0,-0]'::vector), ('[-0,0]')) s (v);
SELECT avg(v), avg(h) FROM (VALUES ('[3e38]'::vector, '[65504]'::halfvec), ('[3e38]', '[65504]')) s (v, h);
SELECT avg(v) FROM (VALUES ('[16777216]'::vector), ('[1]'), ('[1]'), ('[1]')) s (v);
SELECT sum(h) FROM (SELECT '[1.5]'::halfvec AS h FROM generate_series(1, 10000)) s;
-- As window functions.
SELECT i, avg(v) OVER w, sum(v) OVER w FROM (SELECT i, ARRAY[i, -i]::vector AS v FROM generate_series(1, 5) i) s
  WINDOW w AS (ORDER BY i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) ORDER BY i;
SELECT i, avg(h) OVER (ORDER BY i) FROM (SELECT i, ARRAY[i, -i]::halfvec AS h FROM generate_series(1, 5) i) s ORDER BY i;
-- Hashed groups, each with a state of its own.
SELECT g, avg(v), avg(h), count(*) FROM (SELECT i % 3 AS g, ARRAY[i, 2 * i]::vector AS v, ARRAY[i, 0]::halfvec AS h
  FROM generate_series(1, 9) i) s GROUP BY g ORDER BY g;
-- The state, by hand: a count and sums.
SELECT vector_accum('{0}', '[1,2]'), vector_accum('{1,1,2}', '[3,4]'), halfvec_accum('{1,1,2}', '[3,4]');
SELECT vector_combine('{0}', '{0}'), vector_combine('{0}', '{2,3,4}'), vector_combine('{2,3,4}', '{0}'), vector_combine('{1,1,2}', '{2,3,4}');
SELECT vector_avg('{0}'), vector_avg('{2,3,4}'), halfvec_avg('{2,3,4}'), vector_avg('{0,3,4}');
-- An argument is never changed in place.
WITH s AS MATERIALIZED (SELECT '{1,1,2}'::float8[] AS state) SELECT vector_accum(state, '[3,4]'), state FROM s;
-- Parallel: integers sum exactly in any order.
CREATE TABLE big AS SELECT ARRAY[i % 7, i % 11, 1]::vector AS v, ARRAY[i % 7, i % 11, 1]::halfvec AS h FROM generate_series(1, 77000) i;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT avg(v), sum(v), avg(h) FROM big;
SELECT avg(v), sum(v), avg(h) FROM big;
EXPLAIN (COSTS OFF) SELECT count(*) FROM big WHERE v <-> '[0,0,0]' < 5;
SELECT count(*), count(*) FILTER (WHERE h <-> '[0,0,0]' < 5) FROM big WHERE v <-> '[0,0,0]' < 5;
-- No worker sees a row. (pgvector 0.8.6 does not combine two empty states, and so refuses this.)
EXPLAIN (COSTS OFF) SELECT avg(v), avg(h) FROM big WHERE v <-> '[0,0,0]' < 0;
SELECT avg(v), avg(h) FROM big WHERE v <-> '[0,0,0]' < 0;
