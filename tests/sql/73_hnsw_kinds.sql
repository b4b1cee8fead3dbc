-- Graphs on tables of every kind, options, what is shown of them, and how a list becomes one.
CREATE FUNCTION point(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$ SELECT ARRAY[hashint4(i) % 1000, hashint4(i + 100000) % 1000]::vector $$;
SET faiss.build_threads = 1;
CREATE VIEW info AS
    SELECT c.relname, i.method, i.factory, i.metric, i.dims, i.element_type, i.is_trained, i.trained_rows, i.ntotal, i.ndead, i.code_size, i.nlist, i.imbalance_factor, i.model, i.seed
    FROM pg_class c, faiss.index_info(c.oid) i WHERE c.relkind = 'i' AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'faisshnsw') ORDER BY c.relname;
CREATE TABLE t (id int PRIMARY KEY, v vector(2));
INSERT INTO t SELECT i, point(i) FROM generate_series(1, 1500) i;
CREATE INDEX t_flat ON t USING faisshnsw (v);
CREATE INDEX t_half ON t USING faisshnsw ((v::halfvec(2)) halfvec_l1_ops) WITH (m = 4, efConstruction = 16, code = sqfp16, efSearch = 50, seed = 7) WHERE id % 5 > 0;
CREATE INDEX CONCURRENTLY t_sq8 ON t USING faisshnsw (v vector_ip_ops) WITH (factory = 'HNSW8_SQ8', efConstruction = 40);
\d+ t_flat
\d+ t_half
\d t
SELECT * FROM info;
SELECT relname, bytes > 0 AS bytes, bytes_per_vector > 0 AS per_vector, format_version FROM pg_class c, faiss.index_info(c.oid) i WHERE relname LIKE 't\_%' AND relkind = 'i' AND relname <> 't_pkey' ORDER BY 1;
SELECT * FROM faiss.list_info('t_flat');
SELECT relname, c.* FROM pg_class, faiss.check(oid) c WHERE relname IN ('t_flat', 't_half', 't_sq8');
REINDEX INDEX CONCURRENTLY t_half;
REINDEX TABLE t;
SELECT relname, ntotal FROM info;
-- Structural options at REINDEX, search defaults at once.
ALTER INDEX t_flat SET (m = 5, code = sq8);
SELECT factory FROM info WHERE relname = 't_flat';
REINDEX INDEX t_flat;
SELECT factory FROM info WHERE relname = 't_flat';
-- Empty, then a list, then a graph, by itself.
TRUNCATE t;
SELECT relname, factory, is_trained, ntotal FROM info;
INSERT INTO t SELECT i, point(i) FROM generate_series(1, 999) i;
SELECT relname, factory, is_trained, ntotal FROM info;
SET enable_seqscan = off;
SELECT id FROM t ORDER BY v <-> point(77) LIMIT 1;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY v <-> point(77);
FETCH 1 FROM c;
SET client_min_messages = debug1;
INSERT INTO t VALUES (1000, point(1000));
RESET client_min_messages;
-- A scan that began in the list goes on there.
MOVE 998 IN c;
FETCH 1 FROM c;
COMMIT;
SELECT relname, factory, is_trained, trained_rows, ntotal FROM info;
INSERT INTO t SELECT i, point(i) FROM generate_series(1001, 2000) i;
SELECT relname, is_trained, ntotal FROM info;
SELECT relname, c.* FROM pg_class, faiss.check(oid) c WHERE relname IN ('t_flat', 't_half', 't_sq8');
SET faiss.efSearch = 2000;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> point(77) LIMIT 3000) s;
SELECT id FROM t ORDER BY v <-> point(77) LIMIT 1;
DELETE FROM t WHERE id % 2 = 0;
VACUUM t;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> point(77) LIMIT 3000) s;
SELECT relname, ntotal FROM info;
DROP TABLE t;
-- UNLOGGED, temporary, partitioned.
CREATE UNLOGGED TABLE u (id int, v vector(2));
CREATE INDEX u_v ON u USING faisshnsw (v);
INSERT INTO u SELECT i, point(i) FROM generate_series(1, 1200) i;
SELECT relname, is_trained, ntotal, pg_relation_size('u_v', 'init') > 0 AS init FROM info;
ALTER TABLE u SET LOGGED;
SELECT relname, is_trained, ntotal FROM info;
SELECT id FROM u ORDER BY v <-> point(5) LIMIT 1;
DROP TABLE u;
CREATE TEMP TABLE temporary (id int, v vector(2));
CREATE INDEX temporary_v ON temporary USING faisshnsw (v vector_cosine_ops);
INSERT INTO temporary SELECT i, point(i) FROM generate_series(1, 1200) i;
SELECT relname, is_trained, ntotal FROM info;
DROP TABLE temporary;
CREATE TABLE p (id int, v vector(2)) PARTITION BY LIST (id);
CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (0);
CREATE TABLE p_2 PARTITION OF p FOR VALUES IN (1);
INSERT INTO p SELECT i % 2, point(i) FROM generate_series(1, 2400) i;
CREATE INDEX p_v ON p USING faisshnsw (v);
SELECT relname, is_trained, ntotal FROM info;
EXPLAIN (COSTS OFF) SELECT id FROM p ORDER BY v <-> '[1,1]' LIMIT 2;
SELECT count(*) FROM (SELECT id FROM p ORDER BY v <-> '[1,1]' LIMIT 20) s;
DROP TABLE p;
-- Little memory: the graph of the first rows takes the others.
SET maintenance_work_mem = '1MB';
CREATE TABLE m (id int, v vector(16));
INSERT INTO m SELECT i, (SELECT array_agg(hashint4(i * 16 + j) % 100 ORDER BY j) FROM generate_series(1, 16) j)::vector FROM generate_series(1, 3000) i;
CREATE INDEX m_v ON m USING faisshnsw (v) WITH (m = 64, efConstruction = 20);
SELECT relname, is_trained, ntotal FROM info;
SELECT relname, c.* FROM pg_class, faiss.check(oid) c WHERE relname = 'm_v';
SET faiss.efSearch = 4000;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM m ORDER BY v <-> (SELECT v FROM m WHERE id = 5) LIMIT 4000) s;
SELECT id FROM m ORDER BY v <-> (SELECT v FROM m WHERE id = 2999) LIMIT 1;
RESET maintenance_work_mem;
DROP TABLE m;
-- Options that there are not, and what does not go together.
CREATE TABLE o (v vector(6), h halfvec(6), w vector);
CREATE INDEX ON o USING faisshnsw (v) WITH (m = 1);
CREATE INDEX ON o USING faisshnsw (v) WITH (m = 101);
CREATE INDEX ON o USING faisshnsw (v) WITH (efConstruction = 3);
CREATE INDEX ON o USING faisshnsw (v) WITH (efConstruction = 2001);
CREATE INDEX ON o USING faisshnsw (v) WITH (efSearch = 0);
CREATE INDEX ON o USING faisshnsw (v) WITH (code = pq);
CREATE INDEX ON o USING faisshnsw (v) WITH (nlist = 10);
CREATE INDEX ON o USING faisshnsw (v) WITH (k_factor = 10);
CREATE INDEX ON o USING faisshnsw (v) WITH (refine = flat);
CREATE INDEX ON o USING faisshnsw (v) WITH (factory = 'Flat');
CREATE INDEX ON o USING faisshnsw (v) WITH (factory = 'IVF10,Flat');
CREATE INDEX ON o USING faisshnsw (v) WITH (factory = 'HNSW200');
CREATE INDEX ON o USING faisshnsw (v) WITH (factory = 'HNSW32,PQ8');
CREATE INDEX ON o USING faisshnsw (v) WITH (factory = 'HNSW32,SQ8,RFlat');
CREATE INDEX ON o USING faisshnsw (v) WITH (factory = 'L2norm,HNSW32');
CREATE INDEX ON o USING faisshnsw (v) WITH (factory = 'HNSW32', m = 16);
CREATE INDEX ON o USING faisshnsw (w);
CREATE INDEX ON o USING faisshnsw (v halfvec_l2_ops);
CREATE INDEX ON o USING faissivf (v) WITH (efSearch = 10);
CREATE UNIQUE INDEX ON o USING faisshnsw (v);
SET faiss."efSearch" = 0;
SET faiss."efSearch" = 65537;
SET faiss.efSearch = 40;
SHOW faiss.efsearch;
