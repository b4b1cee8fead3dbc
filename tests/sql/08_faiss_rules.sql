-- Rules of thumb and conversions of the schema faiss.
SELECT n, faiss.optimal_nlist(n) FROM unnest(ARRAY[0, 1, 39, 77, 78, 1000, 10000, 30000, 100000, 1000000, 10000000, 1000000000]::bigint[]) n;
SELECT faiss.optimal_nlist(9223372036854775807);
SELECT d, faiss.similarity(d) FROM unnest(ARRAY[0, 1, 3, 1e300, 'Infinity', 'NaN']::float8[]) d;
SELECT d, faiss.l2_to_cosine(d) FROM unnest(ARRAY[0, 1, sqrt(2), 2, 2.000001, 'NaN']::float8[]) d;
SELECT faiss.l2_to_cosine(l2_normalize('[1,0]'::vector) <-> l2_normalize('[1,1]'::vector))::numeric(7, 6);
SELECT faiss.optimal_nlist(-1);
SELECT faiss.similarity('[1,2]'::vector <#> '[3,4]');
SELECT faiss.l2_to_cosine(3);
SELECT faiss.l2_to_cosine(-0.5);
\set VERBOSITY sqlstate
SELECT faiss.optimal_nlist(-1);
SELECT faiss.similarity(-1);
SELECT faiss.l2_to_cosine(2.5);
SELECT faiss.l2_to_cosine('Infinity');
SELECT has_schema_privilege('public', 'faiss', 'USAGE');
