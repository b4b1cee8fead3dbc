-- Distances and arithmetic.
SELECT '[1,2,3]'::vector <-> '[4,6,3]', '[1,2,3]'::halfvec <-> '[4,6,3]';
SELECT '[1,2,3]'::vector <#> '[4,5,6]', '[1,2,3]'::halfvec <#> '[4,5,6]';
SELECT '[1,0]'::vector <=> '[0,2]', '[1,0]'::halfvec <=> '[0,2]';
SELECT '[1,2,3]'::vector <+> '[4,0,3]', '[1,2,3]'::halfvec <+> '[4,0,3]';
-- The same by name.
SELECT l2_distance('[0,0]'::vector, '[3,4]'), inner_product('[1,2]'::vector, '[3,4]'),
  cosine_distance('[1,1]'::vector, '[-1,-1]'), l1_distance('[0,0]'::vector, '[3,4]'),
  vector_l2_squared_distance('[0,0]', '[3,4]'), vector_negative_inner_product('[1,2]', '[3,4]');
SELECT l2_distance('[0,0]'::halfvec, '[3,4]'), inner_product('[1,2]'::halfvec, '[3,4]'),
  cosine_distance('[1,1]'::halfvec, '[-1,-1]'), l1_distance('[0,0]'::halfvec, '[3,4]'),
  halfvec_l2_squared_distance('[0,0]', '[3,4]'), halfvec_negative_inner_product('[1,2]', '[3,4]');
-- Cosine: parallel is 0, opposite is 2, never outside; a vector of zeros has no direction.
SELECT '[2,2]'::vector <=> '[1,1]', '[2,2]'::vector <=> '[-1,-1]', '[0,0]'::vector <=> '[1,1]', '[1,1]'::vector <=> '[0,0]';
SELECT '[2,2]'::halfvec <=> '[1,1]', '[2,2]'::halfvec <=> '[-1,-1]', '[0,0]'::halfvec <=> '[1,1]', '[1,1]'::halfvec <=> '[0,0]';
SELECT '[3,3,3]'::vector <=> '[1e-3,1e-3,1e-3]' >= 0 AS not_negative;
-- Sums of squares that overflow single precision are infinite, not an error.
SELECT '[3e38]'::vector <-> '[-3e38]', '[3e38]'::vector <#> '[3e38]', '[3e38]'::vector <=> '[3e38]', '[3e38]'::vector <+> '[-3e38]';
SELECT '[60000,60000]'::halfvec <-> '[-60000,-60000]', '[60000]'::halfvec <#> '[60000]';
-- Dimensions beside the width of a register; small integers are exact in any order of summing.
SELECT n, a <-> b AS l2, a <#> b AS ip, a <+> b AS l1, a::halfvec <-> b::halfvec AS half_l2,
  a::halfvec <#> b::halfvec AS half_ip, a::halfvec <+> b::halfvec AS half_l1
FROM (SELECT n, (SELECT array_agg(i % 5) FROM generate_series(1, n) i)::vector AS a,
  (SELECT array_agg(i % 3) FROM generate_series(1, n) i)::vector AS b
  FROM unnest(ARRAY[1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 384, 1000, 1536, 16000]) n) s;
-- By element.
SELECT '[1,2,3]'::vector + '[4,5,6]', '[1,2,3]'::vector - '[4,5,6]', '[1,2,3]'::vector * '[4,5,6]', '[1,2]'::vector || '[3]';
SELECT '[1,2,3]'::halfvec + '[4,5,6]', '[1,2,3]'::halfvec - '[4,5,6]', '[1,2,3]'::halfvec * '[4,5,6]', '[1,2]'::halfvec || '[3]';
-- Rounded to the element type; sums and differences may underflow to zero or a subnormal number.
SELECT '[2048]'::halfvec + '[1]', '[0.1]'::halfvec * '[0.1]', '[0.1]'::vector + '[0.2]', '[1e-45]'::vector - '[1e-45]';
SELECT '[0,1e-30]'::vector * '[5,0]', '[0,6e-8]'::halfvec * '[5,0]';
-- Every distance is immutable, strict and parallel safe.
SELECT p.oid::regprocedure, provolatile, proisstrict, proparallel FROM pg_operator o JOIN pg_proc p ON p.oid = oprcode
  WHERE oprname IN ('<->', '<#>', '<=>', '<+>') AND oprleft IN ('vector'::regtype, 'halfvec'::regtype) ORDER BY 1::text COLLATE "C";
