-- The order of values: by the first element that differs, then by length.
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, vector_cmp(a, b) AS cmp
  FROM (VALUES ('[1,2]'::vector, '[1,2]'::vector), ('[1,2]', '[1,3]'), ('[2]', '[1,3]'), ('[1]', '[1,-1]'), ('[1,0]', '[1]'), ('[0]', '[-0]')) s (a, b);
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, halfvec_cmp(a, b) AS cmp
  FROM (VALUES ('[1,2]'::halfvec, '[1,2]'::halfvec), ('[1,2]', '[1,3]'), ('[2]', '[1,3]'), ('[1]', '[1,-1]'), ('[1,0]', '[1]'), ('[0]', '[-0]')) s (a, b);
CREATE TABLE t (v vector, h halfvec);
INSERT INTO t SELECT x::vector, x::halfvec FROM unnest(ARRAY['[1,2]', '[1]', '[0,9,9]', '[1,2]', '[1,1,1]', '[-5]']) x;
INSERT INTO t VALUES (NULL, NULL);
SELECT v FROM t ORDER BY v;
SELECT h FROM t ORDER BY h DESC;
SELECT v, count(*) FROM t GROUP BY v ORDER BY v;
SELECT DISTINCT h FROM t ORDER BY h;
-- btree indexes, by the default operator classes.
CREATE INDEX t_v ON t (v);
CREATE INDEX t_h ON t (h);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT v FROM t WHERE v = '[1,2]';
SELECT v FROM t WHERE v = '[1,2]';
SELECT h FROM t WHERE h >= '[1,1,1]' ORDER BY h;
EXPLAIN (COSTS OFF) SELECT h FROM t ORDER BY h LIMIT 2;
CREATE TABLE u (v vector(2) PRIMARY KEY);
INSERT INTO u VALUES ('[1,2]');
\set VERBOSITY sqlstate
INSERT INTO u VALUES ('[1,2]');
-- Sound operator classes.
SELECT opcname, amvalidate(c.oid) FROM pg_opclass c WHERE opcname IN ('vector_ops', 'halfvec_ops') ORDER BY opcname;
