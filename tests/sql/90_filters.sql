-- Filter columns: what a query with a WHERE gets from the index alone is what a sort of the rows that pass gives.
CREATE TYPE mood AS ENUM ('sad', 'calm', 'glad');
CREATE TABLE t (
    id int PRIMARY KEY, v vector(4), b bool, s int2, i int4, l int8, f4 real, f8 float8, n numeric, o oid, d date, ts timestamp,
    tz timestamptz, tm time, u uuid, x text, vc varchar(9), c char(6), e mood, ip inet, a int[], w text[]);
SET timezone = 'UTC';
CREATE FUNCTION h(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT abs(hashint4($1 * 31 + $2)) % 1000003 $$;
INSERT INTO t SELECT k, ARRAY[sin(k), cos(k), sin(k * 3), cos(k * 7)]::real[]::vector, h(k, 1) % 3 = 0, h(k, 2) % 50 - 25, h(k, 3) % 70 - 35,
    (h(k, 4) % 20) * 10000000000, (h(k, 5) % 9) / 2.0 - 2, (h(k, 6) % 11) / 3.0, (h(k, 7) % 30) / 10.0 - 1, h(k, 8) % 13, DATE '2024-01-01' + h(k, 9) % 40,
    TIMESTAMP '2024-01-01' + (h(k, 10) % 40) * INTERVAL '1 hour', TIMESTAMPTZ '2024-01-01' + (h(k, 11) % 40) * INTERVAL '1 day',
    TIME '00:00' + (h(k, 12) % 24) * INTERVAL '1 hour', md5((h(k, 13) % 8)::text)::uuid, 'w' || h(k, 14) % 12, 'v' || h(k, 15) % 6, 'c' || h(k, 16) % 5,
    (ARRAY['sad', 'calm', 'glad'])[h(k, 17) % 3 + 1]::mood, ('10.0.0.' || h(k, 18) % 17)::inet, ARRAY[h(k, 19) % 7, h(k, 20) % 5 + 10], ARRAY['t' || h(k, 21) % 4]
  FROM generate_series(1, 2000) k;
-- Every column is NULL somewhere.
DO $$ DECLARE name text; p int = 0; BEGIN
  FOR name IN SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 2 LOOP
    p = p + 1;
    EXECUTE format('UPDATE t SET %I = NULL WHERE id %% 61 = %s', name, p);
  END LOOP;
END $$;
UPDATE t SET f8 = 'NaN' WHERE id % 97 = 1;
UPDATE t SET f8 = '-0' WHERE id % 97 = 2;
UPDATE t SET f4 = 'Infinity', n = 'NaN' WHERE id % 97 = 3;
-- One column in each index has to be first; the vector need not be.
CREATE INDEX t_1 ON t USING faissivf (v, b, s, i, l, f4, f8, n) WITH (nlist = 12, seed = 1);
CREATE INDEX t_2 ON t USING faissivf (o, d, v vector_l2_ops, ts, tz, tm, u, x) WITH (nlist = 12, seed = 1);
CREATE INDEX t_3 ON t USING faissflat (vc, c, e, ip, a, w, v) WITH (seed = 1);
VACUUM ANALYZE t;
SET enable_seqscan = off; SET enable_sort = off;
-- What an index on these columns is asked for.
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE i = 3 AND l < 50000000000 ORDER BY v <-> '[1,0,0,0]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE x IN ('w1', 'w2') AND d BETWEEN '2024-01-05' AND '2024-01-09' ORDER BY v <-> '[1,0,0,0]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE a && '{1,12}' AND w @> '{t1}' AND vc = 'v3' AND e = 'sad' ORDER BY v <-> '[1,0,0,0]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE u IS NULL AND o IS NOT NULL ORDER BY v <-> '[1,0,0,0]' LIMIT 5;
RESET enable_seqscan; RESET enable_sort;
-- By each condition: rows from the index, and whether they are those of a sort, in its order.
CREATE FUNCTION asked(condition text, k text DEFAULT '') RETURNS TABLE (n bigint, is_right bool) LANGUAGE plpgsql AS $$
DECLARE found int[]; expected int[]; line text; plan text = '';
  query text = 'SELECT array_agg(id) FROM (SELECT id FROM t WHERE ' || condition || ' ORDER BY v <-> ''[0.3,0.1,0.7,-0.2]'' ' || k || ') q';
BEGIN
  SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_indexscan = on;
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP plan = plan || line; END LOOP;
  IF plan !~ 'Index Cond' THEN RAISE EXCEPTION 'the index is not used: %', plan; END IF;
  EXECUTE query INTO found;
  SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off;
  EXECUTE query INTO expected;
  RETURN QUERY SELECT coalesce(cardinality(found), 0)::bigint, found IS NOT DISTINCT FROM expected;
END $$;
SET faiss.nprobe = 12;
BEGIN;
DROP INDEX t_2, t_3;
SELECT c, (asked(c)).* FROM unnest(ARRAY[
    's = 3', 's = 3::int8', 's < 100000', 's > 100000', 's <= -100000', 's = 100000', 's IN (1, 2, 3, 4)', 's = ANY (ARRAY[7, 100000]::int8[])',
    'i = 12::int2', 'i > 9000000000', 'i < 9000000000', 'i BETWEEN -5 AND 5', 'i <> 3 AND i > 30', 'i IN (3, NULL)',
    'l = 20000000000', 'l > 3::int2', 'l IS NULL', 'l IS NOT NULL AND i IS NULL', 'i >= 0 AND i < 10 AND i IN (8, 9, 10, 11)',
    'f4 = 0.5', 'f4 = 0.1::float8', 'f4 < 0.1::float8', 'f4 >= 1e300::float8', 'f4 = ''Infinity''', 'f8 = ''NaN''', 'f8 > 3', 'f8 = 0', 'f8 < 0.5::real',
    'n = 0.7', 'n < 0.7', 'n > 0.7', 'n <= 0.7', 'n >= 0.7', 'n = ''NaN''', 'n IN (0.1, 0.2)',
    'i = ANY (ARRAY(SELECT k FROM generate_series(1, 30) k))', 'i < ANY (ARRAY[-30, -20])', 'i = ANY (ARRAY[]::int[])']) c;
-- Booleans are conditions by themselves.
SELECT c, (asked(c)).* FROM unnest(ARRAY['b', 'NOT b', 'b IS TRUE', 'b IS FALSE', 'b IS NULL', 'b IS NOT TRUE AND s = 3', 'b >= true', 'b < true AND s = 3']) c;
ROLLBACK;
BEGIN;
DROP INDEX t_1, t_3;
SELECT c, (asked(c)).* FROM unnest(ARRAY[
    'o = 5', 'o > 10', 'd = ''2024-01-05''', 'd > ''2024-02-01''', 'd < ''infinity''', 'ts < ''2024-01-01 05:00''', 'tz >= ''2024-02-01''', 'tz >= now()',
    'tm = ''05:00''', 'tm BETWEEN ''05:00'' AND ''07:00''', 'u = md5(''3'')::uuid', 'u > ''80000000-0000-0000-0000-000000000000''', 'x = ''w5''', 'x = ANY (''{w5,w6,w7}'')', 'x IS NULL',
    'x = ''nothing has it''', 'o = 5 AND x = ''w5''', 'u IS NOT NULL AND x = ''w3'' AND d < ''2024-01-20''']) c;
ROLLBACK;
BEGIN;
DROP INDEX t_1, t_2;
SELECT c, (asked(c)).* FROM unnest(ARRAY[
    'vc = ''v3''', 'vc IN (''v1'', ''v2'')', 'c = ''c1''', 'c = ''c1    ''', 'e = ''calm''', 'e IN (''sad'', ''glad'')', 'ip = ''10.0.0.3''', 'ip IN (''10.0.0.3'', ''10.0.0.4'')',
    'a && ''{3}''', 'a && ''{3,11}''', 'a @> ''{3,11}''', 'a @> ''{}''', 'a && ''{}''', 'a @> ''{3,NULL}''', 'a && ''{3,NULL}''', 'w @> ''{t1}''', 'w && ''{t1,t2}'' AND vc = ''v3''']) c;
ROLLBACK;
SET faiss.nprobe = 1;
-- Few pass, and the first list has hardly any of them: LIMIT is reached all the same.
SELECT c, (asked(c, 'LIMIT 7')).n FROM unnest(ARRAY['s = 3', 'i = 12', 'x = ''w5'' AND o = 9', 'vc = ''v3'' AND e = ''calm''', 'l IS NULL', 'b IS NULL']) c;
-- Conditions that are known at run time: parameters, joins, row-level security.
PREPARE p(int, text) AS SELECT id FROM t WHERE i = $1 AND v <-> '[1,0,0,0]' < 9 ORDER BY v <-> '[1,0,0,0]' LIMIT 3;
SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_sort = off;
EXPLAIN (COSTS OFF) EXECUTE p(3, 'w');
EXECUTE p(3, 'w');
EXECUTE p(NULL, 'w');
EXPLAIN (COSTS OFF) SELECT g, near.id FROM generate_series(1, 3) g, LATERAL (SELECT id FROM t WHERE i = g ORDER BY v <-> '[1,0,0,0]' LIMIT 2) near;
SELECT g, near.id, near.i FROM generate_series(1, 3) g, LATERAL (SELECT id, i FROM t WHERE i = g ORDER BY v <-> '[1,0,0,0]' LIMIT 2) near;
CREATE ROLE filters_tenant;
GRANT SELECT ON t TO filters_tenant;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON t USING (i = current_setting('app.tenant')::int);
SET app.tenant = 12;
SET ROLE filters_tenant;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[1,0,0,0]' LIMIT 3;
SELECT id, i FROM t ORDER BY v <-> '[1,0,0,0]' LIMIT 3;
RESET ROLE;
ALTER TABLE t DISABLE ROW LEVEL SECURITY;
-- An index with filter columns is looked into as any other.
SELECT dims, ntotal FROM faiss.index_info('t_1');
SELECT count(*), sum(ntotal) FROM faiss.list_info('t_2');
SELECT * FROM faiss.check('t_1');
SELECT * FROM faiss.check('t_3');
SELECT recall > 0.5 AS is_measured FROM faiss.recall('t_1', 10, 20);
SELECT count(*) > 0 AS is_tuned FROM faiss.tune('t_2', 0.9, 5, queries => 20);
SELECT retrain, ntotal FROM faiss.health('t_3');
SELECT factory FROM faiss.recommend('t', 'v');
SELECT faiss.report('t_2', measure => false) LIKE '<!doctype%' AS is_page;
SELECT count(*) FROM faiss.search('t_1', ARRAY['[1,0,0,0]', '[0,1,0,0]']::vector[], 5);
-- An expression as a filter column, and a partial index.
CREATE TABLE j (id int, v vector(3), meta jsonb);
INSERT INTO j SELECT k, ARRAY[k, k % 7, 1]::vector, jsonb_build_object('lang', 'l' || k % 5, 'n', k) FROM generate_series(1, 300) k;
CREATE INDEX j_v ON j USING faissflat ((v::halfvec(3)) halfvec_l2_ops, (meta->>'lang'), ((meta->>'n')::int)) WHERE id > 10;
EXPLAIN (COSTS OFF) SELECT id FROM j WHERE id > 10 AND meta->>'lang' = 'l3' AND (meta->>'n')::int < 50 ORDER BY v::halfvec(3) <-> '[0,0,0]' LIMIT 3;
SELECT id FROM j WHERE id > 10 AND meta->>'lang' = 'l3' AND (meta->>'n')::int < 50 ORDER BY v::halfvec(3) <-> '[0,0,0]' LIMIT 3;
INSERT INTO j VALUES (301, '[0,0,0]', '{"lang": "l3", "n": 20}'), (302, '[0,0,0]', '{"lang": null, "n": null}'), (303, NULL, '{"lang": "l3", "n": 20}');
SELECT id FROM j WHERE id > 10 AND meta->>'lang' = 'l3' AND (meta->>'n')::int < 50 ORDER BY v::halfvec(3) <-> '[0,0,0]' LIMIT 3;
SELECT id FROM j WHERE id > 10 AND meta->>'lang' IS NULL ORDER BY v::halfvec(3) <-> '[0,0,0]' LIMIT 3;
SELECT recall > 0.5 AS is_measured FROM faiss.recall('j_v', 5, 20);
-- Without an ORDER BY the index is of no use, nor for rows without a vector.
EXPLAIN (COSTS OFF) SELECT id FROM j WHERE id > 10 AND meta->>'lang' = 'l3';
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v IS NULL AND i = 3 ORDER BY v <-> '[1,0,0,0]' LIMIT 3;
RESET enable_seqscan; RESET enable_sort;
-- What is refused.
CREATE INDEX ON t USING faissivf (i, x);
CREATE INDEX ON t USING faissivf (v, v vector_cosine_ops, i);
CREATE INDEX ON t USING faissivf (v, b, s, i, l, f4, f8, n, o, d);
CREATE INDEX ON j USING faissivf (v, meta);
CREATE INDEX ON t USING hnsw (v vector_l2_ops, i);
CREATE COLLATION filters_loose (provider = icu, locale = 'und', deterministic = false);
CREATE INDEX ON t USING faissivf (v, x COLLATE filters_loose);
CREATE TABLE no_hash (v vector(2), m money[], p point[]);
CREATE INDEX ON no_hash USING faissflat (v, p);
INSERT INTO no_hash VALUES ('[1,2]', NULL, NULL), ('[1,2]', NULL, ARRAY[point(1, 2)]);
DROP TABLE t, j, no_hash;
DROP OWNED BY filters_tenant; DROP ROLE filters_tenant;
