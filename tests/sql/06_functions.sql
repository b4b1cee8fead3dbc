-- Functions of one value.
SELECT vector_dims('[1,2,3]'::vector), vector_dims('[1,2]'::halfvec);
SELECT vector_norm('[3,4]'), l2_norm('[3,4]'::halfvec), vector_norm('[0,0]'), l2_norm('[0]'::halfvec);
-- Summed in double precision: nothing overflows.
SELECT vector_norm('[3e38,4e37]') < 3.1e38 AS finite, l2_norm('[60000,60000]'::halfvec)::numeric(10, 2);
SELECT l2_normalize('[3,4]'::vector), l2_normalize('[3,4]'::halfvec);
SELECT l2_normalize('[0,0]'::vector), l2_normalize('[0,0]'::halfvec), l2_normalize('[3e38]'::vector), l2_normalize('[65504]'::halfvec);
SELECT l2_normalize('[0,-0,5]'::vector);
-- l2_norm is not for vector, as in pgvector: it could be cast to either of the other types.
SELECT vector_norm('[300000,400000]');
SELECT l2_norm('[300000,400000]'::vector);
-- Positions count from 1; what lies outside is left out.
SELECT subvector('[1,2,3,4,5]'::vector, 1, 3), subvector('[1,2,3,4,5]'::vector, 3, 2), subvector('[1,2,3,4,5]'::vector, 5, 9),
  subvector('[1,2,3,4,5]'::vector, -1, 3), subvector('[1,2,3,4,5]'::vector, 2, 2147483647);
SELECT subvector('[1,2,3,4,5]'::halfvec, 1, 3), subvector('[1,2,3,4,5]'::halfvec, 3, 2), subvector('[1,2,3,4,5]'::halfvec, 5, 9),
  subvector('[1,2,3,4,5]'::halfvec, -1, 3), subvector('[1,2,3,4,5]'::halfvec, 2, 2147483647);
-- A bit per dimension: positive or not.
SELECT binary_quantize('[1,0,-1]'::vector), binary_quantize('[0,0.1,-0.2,-0.3,0.4,0.5,0.6,-0.7,0.8,-0.9,1]'::vector);
SELECT binary_quantize('[1,0,-1]'::halfvec), binary_quantize('[0,0.1,-0.2,-0.3,0.4,0.5,0.6,-0.7,0.8,-0.9,1]'::halfvec);
SELECT length(binary_quantize(array_agg(i)::vector)), bit_count(binary_quantize(array_agg(i - 8000)::vector)) FROM generate_series(1, 16000) i;
SELECT binary_quantize('[1,-1,1]'::vector)::bit(3) # B'111';
