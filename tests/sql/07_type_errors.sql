-- Bad values: the words, then the SQLSTATE of each. Nothing here ends the session.
-- Bad text is 22P02.
SELECT '1,2'::vector;
SELECT '[1,2'::vector;
SELECT '[1,2]x'::vector;
SELECT '[1,,2]'::halfvec;
SELECT '[1 2]'::halfvec;
-- Not finite is 22000, too large for the element 22003.
SELECT '[1,NaN]'::vector;
SELECT '[1,-Infinity]'::halfvec;
SELECT '[1e39]'::vector;
SELECT '[65520]'::halfvec;
SELECT '[1e39]'::halfvec;
-- Dimensions.
SELECT '[]'::vector;
SELECT '[1,2,3]'::vector <-> '[1,2]';
SELECT '[1,2,3]'::halfvec + '[1,2]';
SELECT '[1,2,3]'::vector(2);
SELECT '[1,2,3]'::halfvec::vector(2);
SELECT ('[' || repeat('1,', 16000) || '1]')::vector;
SELECT (SELECT array_agg(1) FROM generate_series(1, 16001))::halfvec;
CREATE TABLE t (v vector(0));
CREATE TABLE t (v halfvec(16001));
-- Arrays.
SELECT ARRAY[1,NULL]::vector;
SELECT ARRAY[[1,2],[3,4]]::halfvec;
SELECT ARRAY[70000]::halfvec;
-- Results.
SELECT '[3e38]'::vector + '[3e38]';
SELECT '[1e-30]'::vector * '[1e-30]';
SELECT subvector('[1,2,3]'::vector, 4, 1);
-- Of several bad elements those that are too large are named first, as all are rounded before one is looked at.
SELECT '{NaN,65520}'::real[]::halfvec;
SELECT '{NaN,65520}'::float8[]::halfvec;
SELECT '{Infinity,NaN}'::real[]::halfvec;
SELECT '{65520,1e39}'::numeric[]::halfvec;
SELECT '{1e39,65520}'::numeric[]::halfvec;
SELECT '{NaN,65520}'::numeric[]::halfvec;
-- What is no state of an aggregate.
SELECT vector_avg('{}');
SELECT halfvec_avg('{{2,2,4,6}}');
SELECT vector_accum('{NULL,2,4,6}', '[1]');
SELECT halfvec_accum('{}', '[1]');
SELECT vector_combine('{1}', '{}');
SELECT vector_avg(array_fill(1::float8, ARRAY[16002]));
SELECT halfvec_avg(array_fill(1::float8, ARRAY[16002]));
SELECT vector_combine(array_fill(1::float8, ARRAY[16002]), '{0}');
SELECT vector_combine('{0}', array_fill(1::float8, ARRAY[16002]));
SELECT vector_accum(array_fill(1::float8, ARRAY[16002]), '[1]');
-- Binary that is cut short is 08P01, as of the server's own types, and an unused number other than 0 is 22000.
CREATE TABLE t (v vector, h halfvec);
\set copied 'printf ''PGCOPY\\n\\377\\r\\n\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\001\\000\\000\\000'
\set done '\\377\\377'' '
\set good :copied '\\014\\000\\002\\000\\000\\077\\200\\000\\000\\100\\000\\000\\000' :done
COPY t (v) FROM PROGRAM :'good' (FORMAT binary);
SELECT v FROM t;
\set reserved :copied '\\010\\000\\001\\000\\007\\077\\200\\000\\000' :done
COPY t (v) FROM PROGRAM :'reserved' (FORMAT binary);
\set empty :copied '\\000' :done
COPY t (v) FROM PROGRAM :'empty' (FORMAT binary);
\set short :copied '\\010\\000\\002\\000\\000\\077\\200\\000\\000' :done
COPY t (v) FROM PROGRAM :'short' (FORMAT binary);
\set short_nan :copied '\\006\\000\\002\\000\\000\\176\\000' :done
COPY t (h) FROM PROGRAM :'short_nan' (FORMAT binary);
\set long :copied '\\012\\000\\001\\000\\000\\077\\200\\000\\000\\000\\000' :done
COPY t (v) FROM PROGRAM :'long' (FORMAT binary);
\set nan :copied '\\006\\000\\001\\000\\000\\176\\000' :done
COPY t (h) FROM PROGRAM :'nan' (FORMAT binary);
\set many :copied '\\004\\377\\377\\000\\000' :done
COPY t (h) FROM PROGRAM :'many' (FORMAT binary);
-- All again, and more of them, by SQLSTATE alone.
\set VERBOSITY sqlstate
SELECT '1,2'::vector;
SELECT '1,2'::halfvec;
SELECT ''::vector;
SELECT ''::halfvec;
SELECT '['::vector;
SELECT '['::halfvec;
SELECT '[1,2'::vector;
SELECT '[1,2'::halfvec;
SELECT '[1,2]x'::vector;
SELECT '[1,2]x'::halfvec;
SELECT '[1,,2]'::vector;
SELECT '[1,]'::halfvec;
SELECT '[,1]'::vector;
SELECT '[1e]'::vector;
SELECT '[1-2]'::vector;
SELECT '[--1]'::halfvec;
SELECT '[1_0]'::vector;
SELECT '[one]'::halfvec;
SELECT '{1,2}'::vector;
SELECT '[NaN]'::vector;
SELECT '[NaN]'::halfvec;
SELECT '[inf]'::vector;
SELECT '[inf]'::halfvec;
SELECT '[-Infinity]'::vector;
SELECT '[4e38]'::vector;
SELECT '[-4e38]'::vector;
SELECT '[65520]'::halfvec;
SELECT '[1e39]'::halfvec;
SELECT '[]'::vector;
SELECT '[ ]'::halfvec;
SELECT '[1,2,3]'::vector(2);
SELECT '[1,2,3]'::halfvec(2);
SELECT '[1,2,3]'::vector::halfvec(2);
SELECT '[1,2,3]'::halfvec::vector(2);
SELECT ARRAY[1,2,3]::vector(2);
SELECT ARRAY[1,2,3]::halfvec(2);
SELECT ('[' || repeat('1,', 16000) || '1]')::vector;
SELECT ('[' || repeat('1,', 16000) || '1]')::halfvec;
SELECT (SELECT array_agg(1) FROM generate_series(1, 16001))::vector;
SELECT (SELECT array_agg(1) FROM generate_series(1, 16001))::halfvec;
SELECT (SELECT array_agg(1) FROM generate_series(1, 16000))::vector || '[1]';
SELECT (SELECT array_agg(1) FROM generate_series(1, 16000))::halfvec || '[1]';
SELECT '{}'::int[]::vector;
SELECT '{}'::real[]::halfvec;
SELECT ARRAY[1,NULL]::vector;
SELECT ARRAY[1,NULL]::halfvec;
SELECT ARRAY[[1,2],[3,4]]::vector;
SELECT ARRAY[[1,2],[3,4]]::halfvec;
SELECT ARRAY['NaN']::real[]::vector;
SELECT ARRAY['inf']::float8[]::halfvec;
SELECT ARRAY['NaN']::numeric[]::vector;
SELECT ARRAY[1e39]::float8[]::vector;
SELECT ARRAY[1e39]::numeric[]::vector;
SELECT ARRAY[70000]::vector::halfvec;
SELECT ARRAY[70000]::halfvec;
CREATE TABLE bad (v vector(0));
CREATE TABLE bad (v vector(16001));
CREATE TABLE bad (v vector(1, 2));
CREATE TABLE bad (v vector(x));
CREATE TABLE bad (v halfvec(0));
CREATE TABLE bad (v halfvec(16001));
CREATE TABLE bad (v halfvec(1, 2));
SELECT '[1,2]'::vector <-> '[1]';
SELECT '[1,2]'::vector <#> '[1]';
SELECT '[1,2]'::vector <=> '[1]';
SELECT '[1,2]'::vector <+> '[1]';
SELECT '[1,2]'::vector + '[1]';
SELECT '[1,2]'::vector - '[1]';
SELECT '[1,2]'::vector * '[1]';
SELECT '[1,2]'::halfvec <-> '[1]';
SELECT '[1,2]'::halfvec <#> '[1]';
SELECT '[1,2]'::halfvec <=> '[1]';
SELECT '[1,2]'::halfvec <+> '[1]';
SELECT '[1,2]'::halfvec + '[1]';
SELECT '[1,2]'::halfvec - '[1]';
SELECT '[1,2]'::halfvec * '[1]';
SELECT '[3e38]'::vector + '[3e38]';
SELECT '[3e38]'::vector - '[-3e38]';
SELECT '[3e38]'::vector * '[2]';
SELECT '[1e-30]'::vector * '[1e-30]';
SELECT '[65504]'::halfvec + '[65504]';
SELECT '[65504]'::halfvec - '[-65504]';
SELECT '[65504]'::halfvec * '[2]';
SELECT '[1e-5]'::halfvec * '[1e-5]';
SELECT subvector('[1,2,3]'::vector, 4, 1);
SELECT subvector('[1,2,3]'::halfvec, 1, 0);
SELECT subvector('[1,2,3]'::vector, -1, 2);
SELECT subvector('[1,2,3]'::vector, 1, -2147483648);
SELECT avg(v) FROM (VALUES ('[1]'::vector), ('[1,2]')) s (v);
SELECT avg(v) FROM (VALUES ('[1]'::halfvec), ('[1,2]')) s (v);
SELECT sum(v) FROM (VALUES ('[1]'::vector), ('[1,2]')) s (v);
SELECT sum(v) FROM (VALUES ('[65504]'::halfvec), ('[65504]')) s (v);
SELECT vector_combine('{1,2}', '{1,2,3}');
-- Not the state of an aggregate.
SELECT vector_accum('{}', '[1]');
SELECT vector_accum('{{0},{1}}', '[1]');
SELECT vector_accum('{0,NULL}', '[1]');
SELECT vector_avg('{1}');
SELECT halfvec_avg('{1,1e6}');
COPY t (v) FROM PROGRAM :'reserved' (FORMAT binary);
COPY t (v) FROM PROGRAM :'empty' (FORMAT binary);
COPY t (v) FROM PROGRAM :'short' (FORMAT binary);
COPY t (v) FROM PROGRAM :'long' (FORMAT binary);
COPY t (h) FROM PROGRAM :'nan' (FORMAT binary);
COPY t (h) FROM PROGRAM :'many' (FORMAT binary);
SELECT v, h FROM t;
