-- A bound of the distance ends a scan: it does not look through all rows for those that are not there.
CREATE TABLE t (id int PRIMARY KEY, v vector(8), a int);
CREATE FUNCTION h(int, int, int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT abs(hashint4($1 * 101 + $2 * 7919) % 1000003) % $3 $$;
INSERT INTO t SELECT k, (SELECT array_agg(sin(k * sqrt(j * j + 2.0) * 97)) FROM generate_series(1, 8) j)::real[]::vector, h(k, 9, 10) FROM generate_series(1, 8000) k;
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 40, seed = 1, code = flat);
CREATE INDEX t_a ON t (a);
ANALYZE t;
-- A query, and how many rows each bound keeps.
CREATE TABLE q AS SELECT v::text FROM t WHERE id = 77;
CREATE TABLE bounds AS SELECT kept, (SELECT max(d) FROM (SELECT t.v <-> q.v::vector d FROM t ORDER BY (t.v <-> q.v::vector) + 0 LIMIT kept) x) AS bound
  FROM q, unnest(ARRAY[1, 5, 100, 2000]) kept;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[0.1,0.2,0,0,0,0,0,-0.3]' < 0.5 ORDER BY v <-> '[0.1,0.2,0,0,0,0,0,-0.3]' LIMIT 20;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE 0.5 >= '[0.1,0.2,0,0,0,0,0,-0.3]' <-> v ORDER BY v <-> '[0.1,0.2,0,0,0,0,0,-0.3]' LIMIT 20;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE 1 - (v <-> '[0.1,0.2,0,0,0,0,0,-0.3]') > 0.5 ORDER BY v <-> '[0.1,0.2,0,0,0,0,0,-0.3]';
PREPARE near(float8) AS SELECT id FROM t WHERE v <-> '[0.1,0.2,0,0,0,0,0,-0.3]' <= $1 ORDER BY v <-> '[0.1,0.2,0,0,0,0,0,-0.3]' LIMIT 20;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE near(0.5);
RESET plan_cache_mode;
-- Together with another index's rows.
SET enable_sort = off; SET cpu_tuple_cost = 10;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[0.1,0.2,0,0,0,0,0,-0.3]' < 0.5 AND a = 3 ORDER BY v <-> '[0.1,0.2,0,0,0,0,0,-0.3]' LIMIT 20;
RESET enable_sort; RESET cpu_tuple_cost;
-- What does not bound the scan: another query, another operator, more than a bound, a value of the row.
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,0,0,0,0,0,0,0]' < 0.5 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 2;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <=> '[0,0,0,0,0,0,0,0]' < 0.5 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 2;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[0,0,0,0,0,0,0,0]' > 0.5 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 2;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[0,0,0,0,0,0,0,0]' < a ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 2;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[0,0,0,0,0,0,0,0]' < random() ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 2;
-- The rows: with as many lists as there are, those of a sort; and the end comes early.
CREATE FUNCTION asked(bound float8, k text) RETURNS TABLE (n int, is_right bool, stopped text, scored_part numeric) LANGUAGE plpgsql AS $$
DECLARE found int[]; expected int[]; line text; plan text = '';
  query text = format('SELECT array_agg(id) FROM (SELECT id FROM t WHERE v <-> %1$L <= %2$L::float8 ORDER BY v <-> %1$L %3$s) q', (SELECT v FROM q), bound, k);
BEGIN
  SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_indexscan = on;
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP plan = plan || line; END LOOP;
  IF plan !~ 'Distance Bound' THEN RAISE EXCEPTION 'the bound is not used: %', plan; END IF;
  EXECUTE query INTO found;
  SELECT l.stopped, round(l.scored / 8000.0, 1) FROM faiss.last_scan() l INTO stopped, scored_part;
  SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off;
  EXECUTE query INTO expected;
  n = coalesce(cardinality(found), 0); is_right = found IS NOT DISTINCT FROM expected;
  RETURN NEXT;
END $$;
SET faiss.nprobe = 40;
SELECT kept, x.*, y.* FROM bounds, asked(bound, 'LIMIT 20') x, asked(bound, '') y ORDER BY kept;
SELECT x.n, x.stopped FROM (VALUES (1, -1::float8, ''), (2, 'NaN', ''), (3, 'Infinity', 'LIMIT 5000')) b(number, bound, k), asked(bound, k) x ORDER BY number;
-- By default, recall is what one asks for, and far fewer vectors are compared.
RESET faiss.nprobe;
SELECT kept, x.*, y.n > 0.9 * kept AS most FROM bounds, asked(bound, 'LIMIT 20') x, asked(bound, '') y ORDER BY kept;
\set QUIET on
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faissflat (v) WITH (code = flat);
SELECT kept, x.is_right, y.is_right, y.scored_part FROM bounds, asked(bound, 'LIMIT 20') x, asked(bound, '') y ORDER BY kept;
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 40, seed = 1, code = pqfs, m = 4);
SELECT kept, x.n >= least(kept, 20) * 0.8 AS most, y.n > 0.8 * kept AS most FROM bounds, asked(bound, 'LIMIT 20') x, asked(bound, '') y ORDER BY kept;
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faisshnsw (v) WITH (m = 8, seed = 1, code = flat);
SELECT kept, x.n >= least(kept, 20) * 0.9 AS most, y.n > 0.9 * kept AS most, y.scored_part FROM bounds, asked(bound, 'LIMIT 20') x, asked(bound, '') y ORDER BY kept;
\set QUIET off
-- In every order.
SET faiss.iterative_scan = relaxed_order;
SELECT kept, x.n > 0.9 * kept AS most FROM bounds, asked(bound, '') x ORDER BY kept;
SET faiss.iterative_scan = off;
SELECT kept, x.n = least(kept, 5) AS all FROM bounds, asked(bound, 'LIMIT 5') x ORDER BY kept;
RESET faiss.iterative_scan;
-- A bound that comes from each row of a join.
SELECT q.k, count(x.id) FROM (VALUES (1, 0.8), (2, 1.0), (3, NULL)) q(k, bound), LATERAL (SELECT id FROM t WHERE v <-> '[0.1,0.2,0,0,0,0,0,-0.3]' < q.bound::float8 ORDER BY v <-> '[0.1,0.2,0,0,0,0,0,-0.3]') x GROUP BY q.k ORDER BY q.k;
SELECT k, (SELECT count(*) FROM t WHERE v <-> '[0.1,0.2,0,0,0,0,0,-0.3]' < bound) FROM (VALUES (1, 0.8), (2, 1.0)) q(k, bound);
