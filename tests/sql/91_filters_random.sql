-- Random conditions, methods, codes and changes: a filtered scan gives the rows of a sequential scan, each once.
CREATE TABLE t (id int, v vector(8), i int, s int2, x text, d date, f float8, n numeric, b bool, u uuid, a int[]);
-- What a row has follows from two numbers, so that changes can be made again.
CREATE FUNCTION h(int, int, int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT abs(hashint4($1 * 101 + $2 * 7919) % 1000003) % $3 $$;
CREATE FUNCTION filled(k int, salt int) RETURNS t LANGUAGE sql IMMUTABLE AS $$
  SELECT ROW(k, (SELECT array_agg(h(k, salt + 50 + j, 1000) / 500.0 - 1) FROM generate_series(1, 8) j)::real[]::vector,
    nullif(h(k, salt + 1, 40), 7), nullif(h(k, salt + 2, 9) - 4, 0), 'x' || nullif(h(k, salt + 3, 25), 1), DATE '2024-01-01' + nullif(h(k, salt + 4, 60), 3),
    nullif(h(k, salt + 5, 50), 4) / 7.0, nullif(h(k, salt + 6, 50), 4) / 10.0, h(k, salt + 7, 3) > 0 OR NULLIF(h(k, salt + 7, 7), 0) IS NULL,
    md5(nullif(h(k, salt + 8, 12), 2)::text)::uuid, CASE WHEN h(k, salt + 9, 11) > 0 THEN ARRAY[h(k, salt + 10, 20), h(k, salt + 11, 20) + 20] END)::t $$;
INSERT INTO t SELECT (filled(k, 0)).* FROM generate_series(1, 1500) k;
-- A condition drawn by a number: of a column, by an operator, with a value that a row has.
CREATE FUNCTION condition(seed int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE col text = (ARRAY['i', 's', 'x', 'd', 'f', 'n', 'b', 'u', 'a'])[h(seed, 1, 9) + 1]; val text; other text; k int = h(seed, 2, 12);
BEGIN
  IF k = 0 THEN RETURN col || ' IS NULL'; ELSIF k = 1 THEN RETURN col || ' IS NOT NULL'; END IF;
  EXECUTE format('SELECT quote_literal(%I) FROM t WHERE %I IS NOT NULL ORDER BY h(id, $1, 1000003) LIMIT 1', col, col) INTO val USING seed;
  EXECUTE format('SELECT quote_literal(%I) FROM t WHERE %I IS NOT NULL ORDER BY h(id, $1, 1000003) LIMIT 1', col, col) INTO other USING seed + 1;
  IF col = 'a' THEN RETURN format('a %s %s', (ARRAY['&&', '@>'])[k % 2 + 1], val); END IF;
  IF k < 5 OR col = 'x' AND k < 8 THEN RETURN format('%s = %s', col, val); END IF;
  IF col = 'b' THEN RETURN (ARRAY['b', 'NOT b', 'b IS TRUE', 'b IS FALSE', 'b < true'])[k % 5 + 1]; END IF;
  IF k < 8 OR col = 'x' THEN RETURN format('%s IN (%s, %s)', col, val, other); END IF;
  IF k = 8 THEN RETURN format('%s BETWEEN least(%s, %s::%s) AND %s', col, val, other, (SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = col), val); END IF;
  RETURN format('%s %s %s', col, (ARRAY['<', '<=', '>=', '>'])[k % 4 + 1], val);
END $$;
-- Runs some of them; says how many used the index and found no row, and what was wrong.
CREATE FUNCTION trial(first int, n int) RETURNS TABLE (tried int, in_index int, empty int, wrong text) LANGUAGE plpgsql AS $$
DECLARE c text; q text; k int; query text; line text; plan text; found int[]; expected int[]; few int[];
BEGIN
  tried = 0; in_index = 0; empty = 0;
  FOR k IN first .. first + n - 1 LOOP
    c = condition(3 * k) || CASE WHEN k % 3 > 0 THEN ' AND ' || condition(3 * k + 1) ELSE '' END || CASE WHEN k % 5 = 0 THEN ' AND ' || condition(3 * k + 2) ELSE '' END;
    q = quote_literal((filled(k, 999)).v);
    query = format('SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM t WHERE %s ORDER BY v <-> %s LIMIT $1) q', c, q);
    PERFORM set_config('faiss.nprobe', (ARRAY['1', '3', '20'])[k % 3 + 1], true), set_config('faiss.iterative_scan', (ARRAY['strict_order', 'relaxed_order'])[k % 2 + 1], true),
      set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true), set_config('enable_indexscan', 'on', true);
    plan = '';
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || replace(query, '$1', '9') LOOP plan = plan || line; END LOOP;
    EXECUTE query INTO found USING 100000;
    EXECUTE query INTO few USING 9;
    PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_sort', 'on', true), set_config('enable_indexscan', 'off', true);
    -- Rows without a vector have no entry.
    EXECUTE replace(query, 'WHERE', 'WHERE v IS NOT NULL AND') INTO expected USING 100000;
    tried = tried + 1; in_index = in_index + (plan ~ 'Index Cond')::int; empty = empty + (expected IS NULL)::int;
    IF found IS DISTINCT FROM expected OR coalesce(cardinality(few), 0) <> least(9, coalesce(cardinality(expected), 0)) OR NOT coalesce(few, '{}') <@ coalesce(expected, '{}') THEN
      wrong = concat_ws('; ', wrong, format('%s: %s of %s, LIMIT 9 %s', c, cardinality(found), cardinality(expected), cardinality(few)));
    END IF;
  END LOOP;
  RETURN NEXT;
END $$;
-- Some rows change, die, come; the filter columns of others alone.
CREATE PROCEDURE change(salt int) LANGUAGE sql AS $$
  DELETE FROM t WHERE h(id, salt, 9) = 0;
  INSERT INTO t SELECT (filled(k + 10000 * salt, salt)).* FROM generate_series(1, 200) k;
  UPDATE t SET i = (filled(id, salt)).i, x = (filled(id, salt)).x, a = (filled(id, salt)).a WHERE h(id, salt + 1, 8) = 0;
  UPDATE t SET v = NULL WHERE h(id, salt + 2, 50) = 0;
$$;
\set QUIET on
CREATE INDEX t_v ON t USING faissivf (i, s, x, v, d, f, n, b, u) WITH (nlist = 20, seed = 1);
ANALYZE t;
SELECT * FROM trial(0, 40);
CALL change(1);
SELECT * FROM trial(40, 30);
VACUUM t;
CALL change(31);
SELECT * FROM trial(70, 30);
SELECT * FROM faiss.check('t_v');
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faissflat (v, a, x, i, u, b, n, f, d) WITH (seed = 1);
ANALYZE t;
SELECT * FROM trial(100, 40);
CALL change(2);
SELECT * FROM trial(140, 30);
VACUUM t;
CALL change(32);
SELECT * FROM trial(170, 30);
SELECT * FROM faiss.check('t_v');
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faissivf (i, s, x, v, d, f, n, b, u) WITH (nlist = 20, seed = 1, code = sq8);
ANALYZE t;
SELECT * FROM trial(200, 40);
CALL change(3);
SELECT * FROM trial(240, 30);
VACUUM t;
CALL change(33);
SELECT * FROM trial(270, 30);
SELECT * FROM faiss.check('t_v');
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faissivf (v, a, x, i, u, b, n, f, d) WITH (nlist = 20, seed = 1, code = pqfs, m = 4, refine = flat);
ANALYZE t;
SELECT * FROM trial(300, 40);
CALL change(4);
SELECT * FROM trial(340, 30);
VACUUM t;
CALL change(34);
SELECT * FROM trial(370, 30);
SELECT * FROM faiss.check('t_v');
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faissivf (i, s, x, v, d, f, n, b, u) WITH (nlist = 7, seed = 1, code = pq, m = 4, nbits = 5);
ANALYZE t;
SELECT * FROM trial(400, 40);
CALL change(5);
SELECT * FROM trial(440, 30);
VACUUM t;
CALL change(35);
SELECT * FROM trial(470, 30);
SELECT * FROM faiss.check('t_v');
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faissflat (v, a, x, i, u, b, n, f, d) WITH (seed = 1, code = rabitq);
ANALYZE t;
SELECT * FROM trial(500, 40);
CALL change(6);
SELECT * FROM trial(540, 30);
VACUUM t;
CALL change(36);
SELECT * FROM trial(570, 30);
SELECT * FROM faiss.check('t_v');
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faissivf (i, s, x, v, d, f, n, b, u) WITH (nlist = 20, seed = 1, code = rabitq, refine = sq8);
ANALYZE t;
SELECT * FROM trial(600, 40);
CALL change(7);
SELECT * FROM trial(640, 30);
VACUUM t;
CALL change(37);
SELECT * FROM trial(670, 30);
SELECT * FROM faiss.check('t_v');
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faissivf (v, a, x, i, u, b, n, f, d) WITH (nlist = 5, seed = 1, code = sqfp16, refine = sqfp16);
ANALYZE t;
SELECT * FROM trial(700, 40);
CALL change(8);
SELECT * FROM trial(740, 30);
VACUUM t;
CALL change(38);
SELECT * FROM trial(770, 30);
SELECT * FROM faiss.check('t_v');
DROP INDEX t_v;
-- Graphs: of vectors as they are, of codes alone, of halves, and one that was made before its rows.
CREATE INDEX t_v ON t USING faisshnsw (i, s, x, v, d, f, n, b, u) WITH (m = 6, efConstruction = 40, seed = 1);
ANALYZE t;
SELECT * FROM trial(900, 40);
CALL change(21);
SELECT * FROM trial(940, 30);
VACUUM t;
CALL change(51);
SELECT * FROM trial(970, 30);
SELECT * FROM faiss.check('t_v');
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faisshnsw (v, a, x, i, u, b, n, f, d) WITH (m = 6, efConstruction = 40, seed = 1, code = sq8);
ANALYZE t;
SELECT * FROM trial(1000, 40);
CALL change(22);
SELECT * FROM trial(1040, 30);
VACUUM t;
CALL change(52);
SELECT * FROM trial(1070, 30);
SELECT * FROM faiss.check('t_v');
DROP INDEX t_v;
CREATE INDEX t_v ON t USING faisshnsw (a, x, i, v, u, b, n, f, d) WITH (m = 6, efConstruction = 40, seed = 1, code = sqfp16);
ANALYZE t;
SELECT * FROM trial(1100, 40);
CALL change(23);
SELECT * FROM trial(1140, 30);
VACUUM t;
CALL change(53);
SELECT * FROM trial(1170, 30);
SELECT * FROM faiss.check('t_v');
DROP INDEX t_v;
CREATE TABLE kept AS SELECT * FROM t;
TRUNCATE t;
CREATE INDEX t_v ON t USING faisshnsw (i, s, x, v, d, f, n, b, u) WITH (m = 6, efConstruction = 40, seed = 1);
INSERT INTO t SELECT * FROM kept LIMIT 600;
ANALYZE t;
SELECT * FROM trial(1200, 20);
INSERT INTO t SELECT * FROM kept OFFSET 600;
ANALYZE t;
SELECT * FROM trial(1240, 40);
CALL change(24);
VACUUM t;
SELECT * FROM trial(1280, 20);
SELECT * FROM faiss.check('t_v');
DROP INDEX t_v;
DROP TABLE t CASCADE;
