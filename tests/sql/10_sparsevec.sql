-- sparsevec: only elements other than zero are written and stored, each with its position.
SELECT '{1:1.5,4:-2}/6'::sparsevec, '{}/3'::sparsevec, '{1000000000:1}/1000000000'::sparsevec;
SELECT E' { 4\t: -2 ,\n +1 : 1.5 } / +6 '::sparsevec AS blanks_and_any_order, '{2:0,3:-0,5:7}/5'::sparsevec AS zeros_are_left_out;
SELECT '{1:0.1,2:1e20,3:123456789,4:1e-45,5:0x1A,6:.5}/6'::sparsevec;
-- The type modifier is the number of dimensions.
CREATE TABLE t (id int, s sparsevec(5), free sparsevec);
SELECT attname, format_type(atttypid, atttypmod), attstorage FROM pg_attribute
  WHERE attrelid = 't'::regclass AND attnum > 1 ORDER BY attnum;
INSERT INTO t VALUES (1, '{1:1,3:3}/5', '{7:1}/9'), (2, '{}/5', '{}/1'), (3, '{2:-1}/5', '{2:-1}/5'), (4, NULL, NULL);
SELECT * FROM t ORDER BY id;
-- The binary form: dims, stored elements, 0, positions from 0, elements; big-endian. In memory 16 bytes and 8 for each.
SELECT sparsevec_send('{2:1.5,5:-2}/6'), sparsevec_send('{}/1000000000');
SELECT pg_column_size('{2:1.5,5:-2}/6'::sparsevec), pg_column_size('{}/6'::sparsevec), pg_column_size(s) FROM t WHERE id = 1;
\copy t TO PROGRAM 'cat > pgfaiss_sparse.bin' (FORMAT binary)
CREATE TABLE copied (LIKE t);
\copy copied FROM PROGRAM 'cat pgfaiss_sparse.bin; rm pgfaiss_sparse.bin' (FORMAT binary)
SELECT count(*) FROM t JOIN copied USING (id) WHERE (t.s, t.free) IS NOT DISTINCT FROM (copied.s, copied.free);
-- Toasted.
CREATE TABLE wide (s sparsevec);
INSERT INTO wide SELECT ('{' || string_agg(i * 1000 || ':' || i, ',') || '}/1000000000')::sparsevec FROM generate_series(1, 16000) i;
SELECT pg_column_size(s), s <-> s AS l2, s = s AS same, l2_norm(s) FROM wide;
SELECT pg_relation_size(reltoastrelid) > 0 AS toasted FROM pg_class WHERE relname = 'wide';
-- From the other types and from arrays, and back.
SELECT '[0,1.5,-0,-2]'::vector::sparsevec, '[0,1.5,-0,-2]'::halfvec::sparsevec(4), '{2:1.5,4:-2}/4'::sparsevec::vector,
  '{2:1.5,4:0.1}/4'::sparsevec::halfvec(4), '{}/2'::sparsevec::vector;
SELECT '{0,1,0,2}'::int[]::sparsevec, '{0,1.5}'::real[]::sparsevec(2), '{0,1.5,1e-50}'::float8[]::sparsevec, '{0,1.5}'::numeric[]::sparsevec;
-- An array may be longer than a vector can be.
SELECT (array_fill(0, ARRAY[20000]) || 7)::sparsevec;
INSERT INTO t (id, s) VALUES (5, '[0,0,0,0,5]'::vector), (6, '[6,0,0,0,0]'::halfvec), (7, '{0,0,7,0,0}'::int[]);
CREATE TABLE dense (v vector(3), h halfvec(3));
INSERT INTO dense SELECT s, s FROM (VALUES ('{2:2}/3'::sparsevec)) x (s);
SELECT * FROM dense;
-- Distances equal those of the vectors written out.
WITH pairs (a, b) AS (VALUES ('{1:1,2:2}/4'::sparsevec, '{2:3,4:4}/4'::sparsevec), ('{}/4', '{3:2}/4'), ('{1:1,4:-1}/4', '{1:1,4:-1}/4'))
SELECT a, b, a <-> b AS l2, a <#> b AS ip, (a <=> b)::numeric(10, 7) AS cosine, a <+> b AS l1,
  ((a <-> b) = (a::vector <-> b::vector)) AND ((a <#> b) = (a::vector <#> b::vector)) AND ((a <+> b) = (a::vector <+> b::vector))
  AND (a <=> b) = (a::vector <=> b::vector) AS as_vectors FROM pairs;
SELECT l2_distance('{1:3}/2'::sparsevec, '{2:4}/2'), inner_product('{1:3}/2'::sparsevec, '{1:4}/2'), l1_distance('{1:3}/2'::sparsevec, '{2:4}/2'),
  cosine_distance('{1:3}/2'::sparsevec, '{2:4}/2'), sparsevec_l2_squared_distance('{1:3}/2', '{2:4}/2'),
  sparsevec_negative_inner_product('{1:3}/2', '{1:4}/2');
-- Too far for single precision.
SELECT '{1:3e38}/1'::sparsevec <-> '{1:-3e38}/1', '{1:3e38}/1'::sparsevec <#> '{1:3e38}/1', '{1:3e38}/1'::sparsevec <=> '{1:3e38}/1';
-- Norms do not overflow; what becomes 0 is not stored.
SELECT l2_norm('{1:3,9:4}/9'::sparsevec), l2_norm('{}/9'::sparsevec), l2_norm('{1:3e37,2:4e37}/2'::sparsevec)::real, l2_normalize('{1:3,9:4}/9'::sparsevec),
  l2_normalize('{}/9'::sparsevec), l2_normalize('{1:1e-45,2:3e38}/2'::sparsevec);
-- Order: that of the vectors written out.
SELECT s, s::vector AS written_out FROM (VALUES ('{}/2'::sparsevec), ('{}/3'), ('{1:-1}/2'), ('{1:1}/2'), ('{2:-1}/2'), ('{2:1}/2'),
    ('{1:1,2:1}/2'), ('{1:1,2:-1}/2'), ('{1:1}/1'), ('{1:1,3:-1}/3'), ('{3:1}/3'), ('{1:-1,2:5}/2')) x (s) ORDER BY s;
WITH few (s) AS (SELECT format('{%s:%s,%s:%s}/%s', i, a, i + j, b, n)::sparsevec
  FROM generate_series(1, 2) i, generate_series(1, 2) j, generate_series(-1, 1) a, generate_series(-1, 1) b, generate_series(4, 5) n)
SELECT count(*), bool_and(sparsevec_cmp(x.s, y.s) = vector_cmp(x.s::vector, y.s::vector)
    AND (x.s < y.s) = (x.s::vector < y.s::vector) AND (x.s <= y.s) = (x.s::vector <= y.s::vector)
    AND (x.s = y.s) = (x.s::vector = y.s::vector) AND (x.s <> y.s) = (x.s::vector <> y.s::vector)
    AND (x.s >= y.s) = (x.s::vector >= y.s::vector) AND (x.s > y.s) = (x.s::vector > y.s::vector)) AS as_vectors
  FROM few x, few y;
CREATE UNIQUE INDEX ON t (s);
INSERT INTO t VALUES (8, '{3:3,1:1}/5');
SET enable_seqscan = off;
SELECT id FROM t WHERE s = '{3:3,1:1}/5';
SELECT id, s FROM t WHERE s < '{1:1}/5' ORDER BY s;
SELECT DISTINCT s FROM t ORDER BY s DESC NULLS LAST LIMIT 3;
-- Bad text is 22P02.
SELECT '1:1/2'::sparsevec;
SELECT '{1:1}'::sparsevec;
SELECT '{1:1}/2x'::sparsevec;
SELECT '{1:1,}/2'::sparsevec;
SELECT '{1}/2'::sparsevec;
-- Elements that are not finite are 22000, out of range 22003: too large, or so small that nothing would be stored.
SELECT '{1:NaN}/2'::sparsevec;
SELECT '{1:-inf}/2'::sparsevec;
SELECT '{1:1e39}/2'::sparsevec;
SELECT '{1:1e-46}/2'::sparsevec;
-- Dimensions and positions.
SELECT '{}/0'::sparsevec;
SELECT '{}/1000000001'::sparsevec;
SELECT '{}/99999999999999999999'::sparsevec;
SELECT '{0:1}/2'::sparsevec;
SELECT '{3:1}/2'::sparsevec;
SELECT '{1:1,1:2}/2'::sparsevec;
SELECT '{}/3'::sparsevec(2);
SELECT '[1,2]'::vector::sparsevec(3);
SELECT array_to_sparsevec('{1,2}'::int[], -5, false), array_to_vector('{1,2}'::int[], -5, false);
SELECT '{}/3'::sparsevec::vector(2);
SELECT '{}/16001'::sparsevec::vector;
SELECT '{}/16001'::sparsevec::halfvec;
SELECT '{1:70000}/1'::sparsevec::halfvec;
SELECT '{}/3'::sparsevec <-> '{}/2';
SELECT ('{' || string_agg(i || ':1', ',') || '}/20000')::sparsevec FROM generate_series(1, 16001) i;
SELECT array_agg(1)::sparsevec FROM generate_series(1, 16001);
CREATE TABLE bad (s sparsevec(0));
CREATE TABLE bad (s sparsevec(1000000001));
CREATE TABLE bad (s sparsevec(1, 2));
SELECT '{}'::int[]::sparsevec;
SELECT '{{1}}'::int[]::sparsevec;
SELECT '{NULL}'::int[]::sparsevec;
SELECT '{0,NaN}'::real[]::sparsevec;
SELECT '{0,1e39}'::float8[]::sparsevec;
SELECT '{0,1e39}'::numeric[]::sparsevec;
-- Binary that is cut short is 08P01, malformed 22000 or 54000.
CREATE TABLE b (s sparsevec);
\set copied 'printf ''PGCOPY\\n\\377\\r\\n\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\001\\000\\000\\000'
\set done '\\377\\377'' '
\set good :copied '\\024\\000\\000\\000\\003\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\002\\077\\200\\000\\000' :done
COPY b FROM PROGRAM :'good' (FORMAT binary);
SELECT s FROM b;
\set short :copied '\\020\\000\\000\\000\\003\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\002' :done
COPY b FROM PROGRAM :'short' (FORMAT binary);
\set negative :copied '\\014\\000\\000\\000\\003\\377\\377\\377\\377\\000\\000\\000\\000' :done
COPY b FROM PROGRAM :'negative' (FORMAT binary);
\set many :copied '\\014\\000\\000\\000\\003\\000\\000\\000\\004\\000\\000\\000\\000' :done
COPY b FROM PROGRAM :'many' (FORMAT binary);
\set reserved :copied '\\014\\000\\000\\000\\003\\000\\000\\000\\000\\377\\377\\377\\377' :done
COPY b FROM PROGRAM :'reserved' (FORMAT binary);
\set outside :copied '\\020\\000\\000\\000\\003\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\003' :done
COPY b FROM PROGRAM :'outside' (FORMAT binary);
\set falling :copied '\\034\\000\\000\\000\\003\\000\\000\\000\\002\\000\\000\\000\\000\\000\\000\\000\\001\\000\\000\\000\\000\\077\\200\\000\\000\\077\\200\\000\\000' :done
COPY b FROM PROGRAM :'falling' (FORMAT binary);
\set zero :copied '\\024\\000\\000\\000\\003\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\002\\200\\000\\000\\000' :done
COPY b FROM PROGRAM :'zero' (FORMAT binary);
\set nan :copied '\\024\\000\\000\\000\\003\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\002\\177\\300\\000\\000' :done
COPY b FROM PROGRAM :'nan' (FORMAT binary);
\set long :copied '\\020\\000\\000\\000\\003\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000' :done
COPY b FROM PROGRAM :'long' (FORMAT binary);
-- The SQLSTATE of each.
\set VERBOSITY sqlstate
SELECT '1:1/2'::sparsevec;
SELECT '{1:1}'::sparsevec;
SELECT '{1:NaN}/2'::sparsevec;
SELECT '{1:inf}/2'::sparsevec;
SELECT '{1:1e39}/2'::sparsevec;
SELECT '{1:1e-46}/2'::sparsevec;
SELECT '{}/0'::sparsevec;
SELECT '{}/1000000001'::sparsevec;
SELECT '{3:1}/2'::sparsevec;
SELECT '{1:1,1:2}/2'::sparsevec;
SELECT '{}/3'::sparsevec(2);
SELECT '{}/16001'::sparsevec::vector;
SELECT '{1:70000}/1'::sparsevec::halfvec;
SELECT '{}/3'::sparsevec <-> '{}/2';
SELECT '{}/3'::sparsevec <#> '{}/2';
SELECT '{}/3'::sparsevec <=> '{}/2';
SELECT '{}/3'::sparsevec <+> '{}/2';
SELECT array_agg(1)::sparsevec FROM generate_series(1, 16001);
CREATE TABLE bad (s sparsevec(0));
CREATE TABLE bad (s sparsevec(1, 2));
CREATE TABLE bad (s sparsevec(x));
SELECT '{}'::int[]::sparsevec;
SELECT '{{1}}'::int[]::sparsevec;
SELECT '{NULL}'::int[]::sparsevec;
SELECT '{0,1e39}'::numeric[]::sparsevec;
COPY b FROM PROGRAM :'short' (FORMAT binary);
COPY b FROM PROGRAM :'negative' (FORMAT binary);
COPY b FROM PROGRAM :'many' (FORMAT binary);
COPY b FROM PROGRAM :'reserved' (FORMAT binary);
COPY b FROM PROGRAM :'falling' (FORMAT binary);
COPY b FROM PROGRAM :'zero' (FORMAT binary);
COPY b FROM PROGRAM :'nan' (FORMAT binary);
COPY b FROM PROGRAM :'long' (FORMAT binary);
SELECT count(*) FROM b;
