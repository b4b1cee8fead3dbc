-- Random conditions that other indexes check, bounds of the distance, methods, codes and changes: a scan among a bitmap's rows gives
-- the rows of a sequential scan, each once.
CREATE TABLE t (id int, v vector(8), i int, s int, x text, meta jsonb, words tsvector, during int4range);
CREATE FUNCTION h(int, int, int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT abs(hashint4($1 * 101 + $2 * 7919) % 1000003) % $3 $$;
CREATE FUNCTION filled(k int, salt int) RETURNS t LANGUAGE sql IMMUTABLE AS $$
  SELECT ROW(k, (SELECT array_agg(sin((k + salt) * sqrt(j * j + 2.0) * 97)) FROM generate_series(1, 8) j)::real[]::vector,
    nullif(h(k, salt + 1, 40), 7), h(k, salt + 2, 9), 'x' || nullif(h(k, salt + 3, 25), 1),
    jsonb_build_object('k', h(k, salt + 4, 12), 'tags', jsonb_build_array(h(k, salt + 5, 6), h(k, salt + 6, 6))),
    to_tsvector('simple', 'w' || h(k, salt + 7, 15) || ' u' || h(k, salt + 8, 5)), int4range(h(k, salt + 9, 50), h(k, salt + 9, 50) + 3))::t $$;
INSERT INTO t SELECT (filled(k, 0)).* FROM generate_series(1, 2500) k;
CREATE INDEX ON t (i);
CREATE INDEX ON t (s) WHERE s < 6;
CREATE INDEX ON t (x, s);
CREATE INDEX ON t USING gin (meta jsonb_path_ops);
CREATE INDEX ON t USING gin (words);
CREATE INDEX ON t USING gist (during);
CREATE INDEX ON t USING hash (i);
-- A condition drawn by a number.
CREATE FUNCTION one(seed int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE h(seed, 1, 10)
    WHEN 0 THEN format('i = %s', h(seed, 2, 40)) WHEN 1 THEN format('i BETWEEN %s AND %s', h(seed, 2, 40), h(seed, 2, 40) + h(seed, 3, 9))
    WHEN 2 THEN format('s = %s AND s < 6', h(seed, 2, 9)) WHEN 3 THEN format('x = %L', 'x' || h(seed, 2, 25)) WHEN 4 THEN format('x IN (%L, %L)', 'x' || h(seed, 2, 25), 'x' || h(seed, 3, 25))
    WHEN 5 THEN format('meta @> %L', jsonb_build_object('k', h(seed, 2, 12))) WHEN 6 THEN format('meta @> %L', jsonb_build_object('tags', jsonb_build_array(h(seed, 2, 6))))
    WHEN 7 THEN format('words @@ %L::tsquery', 'w' || h(seed, 2, 15)) WHEN 8 THEN format('during && int4range(%s, %s)', h(seed, 2, 50), h(seed, 2, 50) + 2)
    ELSE 'i IS NULL' END $$;
CREATE FUNCTION condition(k int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE h(k, 9, 5) WHEN 0 THEN one(k) WHEN 1 THEN one(k) || ' AND ' || one(k + 1000) WHEN 2 THEN '(' || one(k) || ' OR ' || one(k + 1000) || ')'
    WHEN 3 THEN one(k) || ' AND id % 3 > 0' ELSE '(' || one(k) || ' OR ' || one(k + 1000) || ') AND ' || one(k + 2000) END $$;
-- Runs some of them; says how many used a bitmap, how many a bound, how many found no row, and what was wrong.
CREATE FUNCTION trial(first int, n int) RETURNS TABLE (tried int, by_bitmap int, by_bound int, empty int, wrong text) LANGUAGE plpgsql AS $$
DECLARE c text; q text; k int; query text; line text; plan text; found int[]; distances float8[]; expected int[]; few int[];
BEGIN
  tried = 0; by_bitmap = 0; by_bound = 0; empty = 0;
  FOR k IN first .. first + n - 1 LOOP
    q = quote_literal((filled(k, 999)).v);
    -- A bound that keeps everything must not lose a row; what a nearer one keeps depends on recall.
    c = condition(k) || CASE WHEN k % 4 = 0 THEN format(' AND v <-> %s < 100', q) ELSE '' END;
    query = format('SELECT array_agg(id ORDER BY id), array_agg(d) FROM (SELECT id, v <-> %2$s d FROM t WHERE %1$s ORDER BY v <-> %2$s LIMIT $1) q', c, q);
    PERFORM set_config('faiss.nprobe', (ARRAY['1', '3', '20'])[k % 3 + 1], true), set_config('faiss.iterative_scan', (ARRAY['strict_order', 'relaxed_order'])[k % 2 + 1], true),
      set_config('work_mem', (ARRAY['4MB', '64kB'])[k % 2 + 1], true),
      set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true), set_config('enable_indexscan', 'on', true), set_config('enable_bitmapscan', 'on', true);
    plan = '';
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || replace(query, '$1', '9') LOOP plan = plan || line; END LOOP;
    EXECUTE query INTO found USING 100000;
    EXECUTE query INTO few, distances USING 9;
    PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_sort', 'on', true), set_config('enable_indexscan', 'off', true), set_config('enable_bitmapscan', 'off', true);
    EXECUTE replace(query, 'WHERE', 'WHERE v IS NOT NULL AND') INTO expected USING 100000;
    tried = tried + 1; empty = empty + (expected IS NULL)::int;
    by_bitmap = by_bitmap + (plan ~ 'Faiss Filtered Scan' AND plan ~ 'Bitmap Index Scan')::int; by_bound = by_bound + (plan ~ 'Distance Bound')::int;
    IF found IS DISTINCT FROM expected OR coalesce(cardinality(few), 0) <> least(9, coalesce(cardinality(expected), 0)) OR NOT coalesce(few, '{}') <@ coalesce(expected, '{}') THEN
      wrong = concat_ws('; ', wrong, format('%s: %s of %s, LIMIT 9 %s', c, cardinality(found), cardinality(expected), cardinality(few)));
    END IF;
    -- In strict order what comes first is in order; nothing is late where every list is searched first.
    IF k % 2 = 0 AND k % 3 = 2 AND EXISTS (SELECT FROM unnest(distances) WITH ORDINALITY a(d, n) JOIN unnest(distances) WITH ORDINALITY b(d, n) ON a.n < b.n AND a.d > b.d) THEN
      wrong = concat_ws('; ', wrong, format('%s: not in order', c));
    END IF;
  END LOOP;
  RETURN NEXT;
END $$;
CREATE PROCEDURE change(salt int) LANGUAGE sql AS $$
  DELETE FROM t WHERE h(id, salt, 9) = 0;
  INSERT INTO t SELECT (filled(k + 10000 * salt, salt)).* FROM generate_series(1, 300) k;
  UPDATE t SET i = (filled(id, salt)).i, meta = (filled(id, salt)).meta WHERE h(id, salt + 1, 8) = 0;
  UPDATE t SET v = NULL WHERE h(id, salt + 2, 50) = 0;
$$;
-- The planner is to take the bitmap also where the table is small: rows of the table are dear.
SET cpu_tuple_cost = 10;
\set QUIET on
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 20, seed = 1, code = flat);
ANALYZE t;
SELECT * FROM trial(0, 40);
CALL change(1);
SELECT * FROM trial(40, 30);
VACUUM t;
CALL change(31);
SELECT * FROM trial(70, 30);
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faissflat (v) WITH (code = flat);
ANALYZE t;
SELECT * FROM trial(100, 40);
CALL change(2);
SELECT * FROM trial(140, 30);
VACUUM t;
CALL change(32);
SELECT * FROM trial(170, 30);
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 20, seed = 1, code = sq8);
ANALYZE t;
SELECT * FROM trial(200, 40);
CALL change(3);
SELECT * FROM trial(240, 30);
VACUUM t;
CALL change(33);
SELECT * FROM trial(270, 30);
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faissivf (v, s) WITH (nlist = 20, seed = 1, code = pqfs, m = 4, refine = flat);
ANALYZE t;
SELECT * FROM trial(300, 40);
CALL change(4);
SELECT * FROM trial(340, 30);
VACUUM t;
CALL change(34);
SELECT * FROM trial(370, 30);
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faissflat (v) WITH (seed = 1, code = rabitq);
ANALYZE t;
SELECT * FROM trial(400, 40);
CALL change(5);
SELECT * FROM trial(440, 30);
VACUUM t;
CALL change(35);
SELECT * FROM trial(470, 30);
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faisshnsw (v) WITH (m = 8, seed = 1, code = flat);
ANALYZE t;
SELECT * FROM trial(500, 40);
CALL change(6);
SELECT * FROM trial(540, 30);
VACUUM t;
CALL change(36);
SELECT * FROM trial(570, 30);
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faisshnsw (v) WITH (m = 8, seed = 1, code = sq8);
ANALYZE t;
SELECT * FROM trial(600, 40);
CALL change(7);
SELECT * FROM trial(640, 30);
VACUUM t;
CALL change(37);
SELECT * FROM trial(670, 30);
DROP INDEX t_v;
