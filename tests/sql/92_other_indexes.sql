-- Conditions that other indexes check: their rows come as a bitmap, among which the vector index is searched.
CREATE TABLE t (id int PRIMARY KEY, v vector(4), a int, b int, meta jsonb, body text, words tsvector GENERATED ALWAYS AS (to_tsvector('simple', body)) STORED, during int4range, tenant text);
CREATE FUNCTION h(int, int, int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT abs(hashint4($1 * 31 + $2) % 1000003) % $3 $$;
INSERT INTO t (id, v, a, b, meta, body, during, tenant) SELECT k, ARRAY[sin(k), cos(k), sin(k * 3), cos(k * 7)]::real[]::vector, h(k, 1, 40), h(k, 2, 10),
    jsonb_build_object('lang', 'l' || h(k, 3, 20), 'tags', jsonb_build_array('t' || h(k, 4, 9), 't' || h(k, 5, 9))),
    'word' || h(k, 6, 15) || ' other' || h(k, 7, 6), int4range(h(k, 8, 100), h(k, 8, 100) + 5), 'who' || h(k, 9, 4)
  FROM generate_series(1, 6000) k;
CREATE INDEX t_a ON t (a);
CREATE INDEX t_b ON t (b);
CREATE INDEX t_meta ON t USING gin (meta jsonb_path_ops);
CREATE INDEX t_words ON t USING gin (words);
CREATE INDEX t_during ON t USING gist (during);
CREATE INDEX t_b_some ON t (a) WHERE tenant = 'who1';
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 24, seed = 1, code = flat);
VACUUM ANALYZE t;
-- The planner is to take the bitmap also where the table is small: rows of the table are dear.
SET enable_sort = off; SET cpu_tuple_cost = 10;
SET faiss.nprobe = 24;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE meta @> '{"lang": "l3"}' ORDER BY v <-> '[1,0,0,0]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE words @@ to_tsquery('simple', 'word3 & !other2') ORDER BY v <-> '[1,0,0,0]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE a = 3 AND b = 4 ORDER BY v <-> '[1,0,0,0]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE a = 3 OR meta @> '{"lang": "l4"}' ORDER BY v <-> '[1,0,0,0]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE during && '[30,33)' ORDER BY v <-> '[1,0,0,0]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE tenant = 'who1' AND a < 20 ORDER BY v <-> '[1,0,0,0]' LIMIT 5;
-- A condition that no index checks stays in the filter.
EXPLAIN (COSTS OFF) SELECT id, body FROM t WHERE a = 3 AND body LIKE '%1' ORDER BY v <-> '[1,0,0,0]' LIMIT 5;
-- By each condition: whether the rows are those of a sort, in its order.
CREATE FUNCTION asked(condition text, k text DEFAULT '') RETURNS TABLE (n bigint, is_right bool) LANGUAGE plpgsql AS $$
DECLARE found int[]; expected int[]; line text; plan text = '';
  query text = 'SELECT array_agg(id) FROM (SELECT id FROM t WHERE ' || condition || ' ORDER BY v <-> ''[0.3,0.1,0.7,-0.2]'' ' || k || ') q';
BEGIN
  SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_indexscan = on; SET LOCAL enable_bitmapscan = on;
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP plan = plan || line; END LOOP;
  IF plan !~ 'Faiss Filtered Scan' THEN RAISE EXCEPTION 'the bitmap is not used: %', plan; END IF;
  EXECUTE query INTO found;
  SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off;
  EXECUTE query INTO expected;
  RETURN QUERY SELECT coalesce(cardinality(found), 0)::bigint, found IS NOT DISTINCT FROM expected;
END $$;
CREATE TABLE asks AS SELECT * FROM unnest(ARRAY['meta @> ''{"lang": "l3"}''', 'meta @> ''{"tags": ["t1", "t2"]}''', 'words @@ to_tsquery(''simple'', ''word3 & !other2'')',
    'a = 3 AND b = 4', 'a = 3 OR meta @> ''{"lang": "l4"}''', 'during && ''[30,33)''', 'tenant = ''who1'' AND a < 20', 'a = 3 AND body LIKE ''%1''', 'a = -1', 'a IN (1, 2, 3)']) WITH ORDINALITY AS x(c, number);
SELECT c, x.*, y.* FROM asks, asked(c) x, asked(c, 'LIMIT 7') y ORDER BY number;
-- With every method, and codes whose rows are re-ranked.
\set QUIET on
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faissflat (v) WITH (code = flat);
SELECT bool_and(x.is_right AND y.is_right) FROM asks, asked(c) x, asked(c, 'LIMIT 7') y;
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faissivf (v, b) WITH (nlist = 9, seed = 1, code = sq8);
SELECT bool_and(x.is_right AND y.is_right) FROM asks, asked(c) x, asked(c, 'LIMIT 7') y;
-- Beside conditions on filter columns of its own.
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE b = 3 AND meta @> '{"lang": "l3"}' ORDER BY v <-> '[1,0,0,0]' LIMIT 5;
SELECT * FROM asked('b = 3 AND meta @> ''{"lang": "l3"}''');
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faisshnsw (v) WITH (m = 8, code = flat);
SELECT bool_and(x.is_right AND y.is_right) FROM asks, asked(c) x, asked(c, 'LIMIT 7') y;
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faisshnsw (v) WITH (m = 8, code = sq8);
SELECT bool_and(x.is_right AND y.is_right) FROM asks, asked(c) x, asked(c, 'LIMIT 7') y;
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 24, seed = 1, code = flat);
-- A bitmap that has room for pages only.
CREATE FUNCTION explained(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN RETURN QUERY EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query; END $$;
SET work_mem = '64kB';
INSERT INTO t (id, v, a, b, meta, body, during, tenant) SELECT k, ARRAY[sin(k), cos(k), sin(k * 3), cos(k * 7)]::real[]::vector, h(k, 1, 40), h(k, 2, 10), jsonb_build_object('lang', 'l' || h(k, 3, 20)),
    'word' || h(k, 6, 15) || ' other' || h(k, 7, 6) || repeat(' long', 100), int4range(1, 2), 'who' || h(k, 9, 4) FROM generate_series(6001, 30000) k;
SELECT c, x.* FROM asks, asked(c) x WHERE number IN (1, 3, 5) ORDER BY number;
SELECT bool_or(line ~ 'Lossy Pages: [1-9]') FROM explained($$SELECT id FROM t WHERE tenant = 'who1' AND a < 20 ORDER BY v <-> '[1,0,0,0]'$$) line;
RESET work_mem;
DELETE FROM t WHERE id > 6000;
-- Updates: rows that moved within their page, and rows that did not.
UPDATE t SET body = body || ' word3' WHERE id % 50 = 0;
UPDATE t SET a = 3 WHERE id % 61 = 0;
SELECT c, x.* FROM asks, asked(c) x ORDER BY number;
VACUUM t;
SELECT c, x.* FROM asks, asked(c) x ORDER BY number;
\set QUIET off
-- A plan for any value.
PREPARE by_lang(jsonb, vector, int) AS SELECT id FROM t WHERE meta @> $1 ORDER BY v <-> $2 LIMIT $3;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE by_lang('{"lang": "l5"}', '[1,0,0,0]', 4);
EXECUTE by_lang('{"lang": "l5"}', '[1,0,0,0]', 4);
EXECUTE by_lang('{"lang": "l6"}', '[0,1,0,0]', 2);
EXECUTE by_lang(NULL, '[0,1,0,0]', 2);
RESET plan_cache_mode;
-- The bitmap is made anew where its value changes, and only there.
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT q.k, x.id FROM generate_series(1, 3) q(k), LATERAL (SELECT id FROM t WHERE a = 3 ORDER BY v <-> ARRAY[q.k, 1, 0, 0]::real[]::vector LIMIT 2) x;
SELECT q.k, x.id, x.a FROM generate_series(1, 3) q(k), LATERAL (SELECT id, a FROM t WHERE a = q.k AND b < 8 ORDER BY v <-> ARRAY[q.k, 1, 0, 0]::real[]::vector LIMIT 2) x;
-- Cursors, forwards and back, and the row that one stands on.
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM t WHERE a = 5 ORDER BY v <-> '[1,0,0,0]';
FETCH 3 FROM c; FETCH BACKWARD 1 FROM c; FETCH 2 FROM c;
DECLARE d CURSOR FOR SELECT id FROM t WHERE a = 5 ORDER BY v <-> '[1,0,0,0]';
FETCH 2 FROM d;
UPDATE t SET body = 'here' WHERE CURRENT OF d RETURNING id;
ROLLBACK;
-- Locks, system columns, whole rows, and expressions beside.
SELECT id, (t).a, tableoid::regclass, ctid IS NOT NULL AS has_ctid, round((v <-> '[1,0,0,0]')::numeric, 3) d, (SELECT count(*) FROM asks WHERE number < t.a) FROM t WHERE a = 5 ORDER BY v <-> '[1,0,0,0]' LIMIT 3 FOR UPDATE;
-- Row-level security: what a policy says may be a bitmap's condition; what leaks may not.
CREATE ROLE bitmap_reader;
GRANT SELECT ON t TO bitmap_reader;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON t FOR SELECT TO bitmap_reader USING (a = 7);
SET ROLE bitmap_reader;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE meta @> '{"lang": "l3"}' ORDER BY v <-> '[1,0,0,0]' LIMIT 5;
SELECT count(*), count(*) FILTER (WHERE a = 7) FROM (SELECT a FROM t ORDER BY v <-> '[1,0,0,0]' LIMIT 500) x;
RESET ROLE;
ALTER TABLE t DISABLE ROW LEVEL SECURITY;
-- Switched off with bitmaps.
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE meta @> '{"lang": "l3"}' ORDER BY v <-> '[1,0,0,0]' LIMIT 5;
RESET enable_bitmapscan;
-- Partitions: a node for each, merged in order.
CREATE TABLE p (id int, v vector(4), a int, k int) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
INSERT INTO p SELECT id, v, a, 1 + id % 2 FROM t;
CREATE INDEX ON p (a);
CREATE INDEX ON p USING faissivf (v) WITH (nlist = 10, seed = 1, code = flat);
ANALYZE p;
EXPLAIN (COSTS OFF) SELECT id FROM p WHERE a = 3 ORDER BY v <-> '[1,0,0,0]' LIMIT 5;
SELECT (SELECT array_agg(id) FROM (SELECT id FROM p WHERE a = 3 ORDER BY v <-> '[1,0,0,0]' LIMIT 9) x) = (SELECT array_agg(id) FROM (SELECT id FROM t WHERE a = 3 ORDER BY v <-> '[1,0,0,0]' LIMIT 9) x) AS same;
-- BRIN says pages only.
CREATE TABLE r AS SELECT id, v, id / 100 AS day FROM t ORDER BY id;
CREATE INDEX ON r USING brin (day) WITH (pages_per_range = 1);
CREATE INDEX ON r USING faissflat (v) WITH (code = flat);
ANALYZE r;
EXPLAIN (COSTS OFF) SELECT id FROM r WHERE day = 3 ORDER BY v <-> '[1,0,0,0]' LIMIT 5;
SELECT array_agg(id) FROM (SELECT id FROM r WHERE day = 3 ORDER BY v <-> '[1,0,0,0]' LIMIT 5) x;
SELECT array_agg(id) FROM (SELECT id FROM r WHERE day + 0 = 3 ORDER BY v <-> '[1,0,0,0]' LIMIT 5) x;
