-- Casts: arrays, the two types, the type modifier.
SELECT ARRAY[1,2,3]::vector, ARRAY[1.5,2,3]::real[]::vector, ARRAY[1.5,2,3]::float8[]::vector,
  ARRAY[1.5,2,3]::numeric[]::vector;
SELECT ARRAY[1,2,3]::halfvec, ARRAY[1.5,2,3]::real[]::halfvec, ARRAY[1.5,2,3]::float8[]::halfvec,
  ARRAY[1.5,2,3]::numeric[]::halfvec;
-- Rounded once, to the nearest.
SELECT ARRAY[0.1,16777217]::float8[]::vector, ARRAY[16777217]::vector, ARRAY[2049,0.1]::numeric[]::halfvec;
SELECT ARRAY[1e-50]::float8[]::vector, ARRAY[1e-9]::real[]::halfvec;
-- The type modifier of an explicit cast is checked too.
SELECT ARRAY[1,2,3]::vector(3), ARRAY[1,2,3]::halfvec(3);
-- A lower bound other than 1 does not matter.
SELECT '[5:6]={1,2}'::int[]::vector;
-- A NULL bitmap without a NULL does not matter.
SELECT (array_remove(ARRAY[1,NULL,2]::int[], NULL))::vector;
-- Back to real[].
SELECT '[1,2.5]'::vector::real[], '[1,2.5,0.1]'::halfvec::real[];
SELECT array_dims('[1,2,3]'::vector::real[]), ('[1,2,3]'::vector::real[])[2];
-- Between the types.
SELECT '[1,2.5,0.1]'::vector::halfvec, '[1,2.5,0.1]'::halfvec::vector;
SELECT '[1,2]'::vector::halfvec(2), '[1,2]'::halfvec::vector(2);
SELECT '[65519]'::vector::halfvec, '[1e-8]'::vector::halfvec;
-- Which casts there are, and where they apply by themselves.
SELECT castsource::regtype, casttarget::regtype, castcontext, castfunc::regprocedure FROM pg_cast
  WHERE (castsource IN ('vector'::regtype, 'halfvec'::regtype) OR casttarget IN ('vector'::regtype, 'halfvec'::regtype))
  AND NOT EXISTS (SELECT FROM pg_type WHERE typname = 'sparsevec' AND oid IN (castsource, casttarget))
  ORDER BY castsource::regtype::text, casttarget::regtype::text;
-- Assignment.
CREATE TABLE t (v vector(2), h halfvec(2));
INSERT INTO t VALUES (ARRAY[1,2], ARRAY[3,4]), (ARRAY[1.5,2]::real[], ARRAY[1.5,2]::float8[]);
INSERT INTO t SELECT h, v FROM t;
SELECT * FROM t;
-- An expression index may cast.
SELECT v::halfvec(2) <-> '[0,0]' FROM t ORDER BY 1;
