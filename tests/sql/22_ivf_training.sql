-- What an index is trained on, and what it says when there is little.
SELECT setseed(0.125);
CREATE FUNCTION random_vector(dims int) RETURNS vector LANGUAGE sql VOLATILE
AS 'SELECT array_agg((random() * 2 - 1)::real)::vector FROM generate_series(1, dims)';
CREATE VIEW info AS
    SELECT c.relname, i.method, i.factory, i.metric, i.dims, i.element_type, i.is_trained, i.trained_rows, i.ntotal, i.nlist, i.seed
    FROM pg_class c, faiss.index_info(c.oid) i WHERE c.relam = (SELECT oid FROM pg_am WHERE amname = 'faissivf') ORDER BY c.relname;
-- An empty table: one list, exact.
CREATE TABLE t (id int, v vector(4));
CREATE INDEX t_v ON t USING faissivf (v);
SELECT * FROM info;
SELECT ndead, code_size, bytes, bytes_per_vector, imbalance_factor, model, format_version FROM faiss.index_info('t_v');
SELECT * FROM faiss.list_info('t_v');
SELECT * FROM faiss.check('t_v');
SELECT * FROM t ORDER BY v <-> '[0,0,0,0]' LIMIT 3;
INSERT INTO t SELECT i, ARRAY[i, i, 0, 1]::vector FROM generate_series(1, 2000) i;
SET enable_seqscan = off;
SELECT id FROM t ORDER BY v <-> '[100.2,100.2,0,1]' LIMIT 3;
SELECT * FROM faiss.list_info('t_v');
-- REINDEX trains it: 4 * sqrt(2000) is near 128, but there are 39 rows for 51 lists only.
REINDEX INDEX t_v;
SELECT * FROM info;
SELECT count(*), sum(ntotal), min(ntotal) > 0 AS none_empty, sum(ndead) FROM faiss.list_info('t_v');
SELECT id FROM t ORDER BY v <-> '[100.2,100.2,0,1]' LIMIT 3;
-- Only NULLs, or only what has no direction, is as good as empty.
CREATE TABLE nothing (v vector(4));
INSERT INTO nothing VALUES (NULL), ('[0,0,0,0]');
CREATE INDEX nothing_cosine ON nothing USING faissivf (v vector_cosine_ops);
DROP TABLE nothing;
-- A tiny table is left untrained without words when the number of lists is automatic.
CREATE TABLE tiny (v vector(2));
INSERT INTO tiny SELECT ARRAY[i, -i]::vector FROM generate_series(1, 77) i;
CREATE INDEX tiny_v ON tiny USING faissivf (v);
SELECT * FROM info WHERE relname = 'tiny_v';
INSERT INTO tiny VALUES ('[0.5,0.5]');
REINDEX INDEX tiny_v;
SELECT * FROM info WHERE relname = 'tiny_v';
-- Fewer rows than lists asked for, and fewer than 39 for each.
CREATE INDEX tiny_100 ON tiny USING faissivf (v) WITH (nlist = 100);
SELECT * FROM info WHERE relname = 'tiny_100';
CREATE INDEX tiny_3 ON tiny USING faissivf (v) WITH (nlist = 3);
CREATE INDEX tiny_2 ON tiny USING faissivf (v) WITH (nlist = 2);
CREATE INDEX tiny_1 ON tiny USING faissivf (v) WITH (nlist = 1);
SELECT * FROM info WHERE relname ~ '^tiny_[123]$';
DROP TABLE tiny;
-- Automatic, by the number of rows.
SELECT faiss.optimal_nlist(count(*)) = (SELECT nlist FROM info WHERE relname = 't_v') AS by_rule FROM t;
INSERT INTO t SELECT i, random_vector(4) FROM generate_series(2001, 5000) i;
REINDEX INDEX t_v;
SELECT relname, nlist, trained_rows, is_trained FROM info;
-- At most 256 rows are drawn for each list.
CREATE INDEX t_4 ON t USING faissivf (v) WITH (nlist = 4);
SELECT relname, nlist, trained_rows, ntotal FROM info WHERE relname = 't_4';
-- The same rows and seed give the same lists, and another seed others.
CREATE INDEX seed_1 ON t USING faissivf (v) WITH (nlist = 50, seed = 1);
CREATE INDEX seed_1_again ON t USING faissivf (v) WITH (nlist = 50, seed = 1);
SET faiss.build_threads = 1;
CREATE INDEX seed_1_alone ON t USING faissivf (v) WITH (nlist = 50, seed = 1);
RESET faiss.build_threads;
CREATE INDEX seed_2 ON t USING faissivf (v) WITH (nlist = 50, seed = 2);
CREATE VIEW lists AS SELECT relname, l.* FROM pg_class c, faiss.list_info(c.oid) l WHERE relname ~ '^seed_';
SELECT a.relname, b.relname, bool_and(a.ntotal = b.ntotal AND a.radius IS NOT DISTINCT FROM b.radius) AS same
FROM lists a JOIN lists b USING (list_no) WHERE a.relname = 'seed_1' AND b.relname > a.relname GROUP BY 1, 2 ORDER BY 2;
SELECT relname, factory, seed FROM info WHERE relname ~ '^seed_';
DROP INDEX seed_1, seed_1_again, seed_1_alone, seed_2;
-- How even the lists are: 1 when equally long.
CREATE TABLE even (id int, v vector(2));
INSERT INTO even SELECT i, ARRAY[i % 2 * 100, i % 3 * 0.001]::vector FROM generate_series(1, 600) i;
CREATE INDEX even_v ON even USING faissivf (v) WITH (nlist = 2);
SELECT imbalance_factor, ntotal, bytes_per_vector = bytes::float8 / ntotal AS per_vector FROM faiss.index_info('even_v');
SELECT list_no, ntotal, ndead, pages, radius < 0.002 AS small FROM faiss.list_info('even_v');
INSERT INTO even SELECT i, '[0,0]' FROM generate_series(601, 1200) i;
SELECT round(imbalance_factor::numeric, 3) AS imbalance_factor FROM faiss.index_info('even_v');
REINDEX INDEX even_v;
SELECT round(imbalance_factor::numeric, 3) AS imbalance_factor FROM faiss.index_info('even_v');
DELETE FROM even WHERE id > 600;
VACUUM even;
SELECT imbalance_factor, ntotal FROM faiss.index_info('even_v');
-- What other element types and metrics show.
CREATE TABLE other (h halfvec(5), v vector(5));
INSERT INTO other SELECT r, r FROM generate_series(1, 100) i, random_vector(5) r;
CREATE INDEX other_h_ip ON other USING faissivf (h halfvec_ip_ops) WITH (factory = 'IVF2,Flat', seed = 0);
CREATE INDEX other_v_cosine ON other USING faissivf (v vector_cosine_ops) WITH (code = FLAT);
SELECT * FROM info WHERE relname ~ '^other';
SELECT code_size FROM faiss.index_info('other_h_ip');
SELECT bool_and(radius BETWEEN 0 AND 2) FROM faiss.list_info('other_v_cosine');
-- All points equal.
CREATE TABLE equal (id int, v vector(3));
INSERT INTO equal SELECT i, '[1,1,1]' FROM generate_series(1, 1000) i;
CREATE INDEX equal_v ON equal USING faissivf (v) WITH (nlist = 10);
SELECT nlist, ntotal, imbalance_factor FROM faiss.index_info('equal_v');
SELECT count(*) FROM (SELECT id FROM equal ORDER BY v <-> '[0,0,0]' LIMIT 1000) s;
SELECT count(*) FROM faiss.check('equal_v');
-- A sample that memory has no room for is trained on from a file. A number of lists is refused if its centroids take many
-- times the memory.
CREATE TABLE wide (v vector(2000));
INSERT INTO wide SELECT array_fill(i::real, ARRAY[2000])::vector FROM generate_series(1, 2000) i;
SET maintenance_work_mem = '1MB';
CREATE INDEX wide_v ON wide USING faissivf (v) WITH (nlist = 525);
CREATE INDEX wide_v ON wide USING faissivf (v) WITH (nlist = 40);
SELECT relname, nlist, trained_rows, ntotal FROM info WHERE relname = 'wide_v';
DROP INDEX wide_v;
CREATE INDEX wide_v ON wide USING faissivf (v);
SELECT relname, nlist, trained_rows, ntotal FROM info WHERE relname = 'wide_v';
SELECT count(*) FROM faiss.check('wide_v');
-- So does a model, whose rows come from a query.
SELECT trained_as, trained_rows FROM faiss.train('little memory', 'wide', 'v', 'IVF40,SQ8');
RESET maintenance_work_mem;
REINDEX INDEX wide_v;
SELECT relname, nlist, trained_rows, ntotal FROM info WHERE relname = 'wide_v';
-- What a small table could not use is not missed.
SET maintenance_work_mem = '1MB';
TRUNCATE wide;
CREATE INDEX wide_65536 ON wide USING faissivf (v) WITH (nlist = 65536);
