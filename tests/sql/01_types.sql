-- How values look outside: text, type modifier, binary form, storage.
SELECT '[1,2.5,-3]'::vector, '[1,2.5,-3]'::halfvec;
SELECT E' [ 1 ,\t2.5\n, -3 ] '::vector, E' [ 1 ,\t2.5\r\n, -3 ]\x0b\x0c'::halfvec;
-- As short as possible, and exactly what was stored.
SELECT '[0.1,1e5,1e-7,1e20,123456789,3.4028235e38,1e-45]'::vector;
SELECT '[0.1,1e4,1e-7,65504,0.333333,6e-8]'::halfvec;
SELECT '[+1,.5,5.,1E2,0x1A,0x.8p1]'::vector, '[+1,.5,5.,1E2,0x1A,0x.8p1]'::halfvec;
-- Negative zero stays; what is too small for the element becomes zero.
SELECT '[-0,1e-46,-1e-46]'::vector, '[-0,1e-8,-1e-8]'::halfvec;
-- Half precision rounds to even; 65519 is the last number that rounds down to 65504.
SELECT '[65519,-65519,2049,2051]'::halfvec;
-- Limits of the dimensions.
SELECT vector_dims(array_agg(i)::vector) FROM generate_series(1, 16000) i;
SELECT vector_dims(array_agg(i % 10)::halfvec) FROM generate_series(1, 16000) i;
-- The type modifier.
CREATE TABLE t (id int, v vector(3), h halfvec(3), free_v vector, free_h halfvec);
SELECT attname, format_type(atttypid, atttypmod), attstorage FROM pg_attribute
  WHERE attrelid = 't'::regclass AND attnum > 1 ORDER BY attnum;
INSERT INTO t VALUES (1, '[1,2,3]', '[1,2,3]', '[1]', '[1,2]'), (2, '[4,5,6]', '[4,5,6]', '[1,2]', '[1]'),
  (3, NULL, NULL, NULL, NULL);
SELECT * FROM t ORDER BY id;
SELECT '[1,2,3]'::vector(3), '[1,2,3]'::halfvec(3);
-- The binary form: dims, 0, elements; big-endian.
SELECT vector_send('[1,-2.5,3]'), halfvec_send('[1,-2.5,3]');
SELECT vector_send('[-0,3.4028235e38,1e-45]'), halfvec_send('[-0,65504,6e-8]');
-- Bytes in memory: 8 and 4 or 2 for each dimension; a small value has a one-byte header on disk.
SELECT pg_column_size('[1,2,3]'::vector), pg_column_size('[1,2,3]'::halfvec);
SELECT pg_column_size(v), pg_column_size(h) FROM t WHERE id = 1;
-- Through binary COPY and back. (The file lies in the directory where psql runs.)
\copy t TO PROGRAM 'cat > pgfaiss_copy.bin' (FORMAT binary)
CREATE TABLE copied (LIKE t);
\copy copied FROM PROGRAM 'cat pgfaiss_copy.bin; rm pgfaiss_copy.bin' (FORMAT binary)
SELECT count(*) FROM t JOIN copied USING (id) WHERE (t.v, t.h, t.free_v, t.free_h)
  IS NOT DISTINCT FROM (copied.v, copied.h, copied.free_v, copied.free_h);
-- Toasted values.
CREATE TABLE wide (v vector(3000), h halfvec(3000));
INSERT INTO wide SELECT array_agg(i)::vector, array_agg(i)::halfvec FROM generate_series(1, 3000) i;
SELECT pg_column_size(v), pg_column_size(h), vector_dims(v), vector_dims(h), v <-> v, h <-> h,
  subvector(v, 2999, 2), subvector(h, 1, 2) FROM wide;
SELECT pg_relation_size(reltoastrelid) > 0 AS toasted FROM pg_class WHERE relname = 'wide';
-- NULL in, NULL out.
SELECT NULL::vector <-> '[1]', l2_norm(NULL::halfvec), NULL::vector::halfvec;
