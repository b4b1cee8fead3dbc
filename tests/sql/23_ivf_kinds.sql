-- Every kind of table and index that PostgreSQL has: built, filled, searched, changed.
SELECT setseed(0.75);
CREATE FUNCTION random_vector(dims int) RETURNS vector LANGUAGE sql VOLATILE
AS 'SELECT array_agg((random() * 2 - 1)::real)::vector FROM generate_series(1, dims)';
SET faiss.nprobe = 100;
SET enable_seqscan = off;
CREATE TABLE t (id int PRIMARY KEY, kind text, v vector(8));
INSERT INTO t SELECT i, CASE WHEN i % 4 = 0 THEN 'rare' ELSE 'common' END, random_vector(8) FROM generate_series(1, 1000) i;
SELECT v AS q FROM t WHERE id = 444 \gset
\set e '[1,1,1,1,1,1,1,1]'
-- CONCURRENTLY.
CREATE INDEX CONCURRENTLY t_v ON t USING faissivf (v) WITH (nlist = 10);
SELECT indisvalid, nlist, ntotal FROM pg_index, faiss.index_info('t_v') WHERE indexrelid = 't_v'::regclass;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> :'e' LIMIT 1;
SELECT id, round((v <-> :'q')::numeric, 6) AS distance FROM t ORDER BY v <-> :'q' LIMIT 1;
REINDEX INDEX CONCURRENTLY t_v;
SELECT indisvalid, nlist, ntotal FROM pg_index, faiss.index_info('t_v') WHERE indexrelid = 't_v'::regclass;
SELECT count(*) FROM pg_class WHERE relname ~ '_ccnew|_ccold';
DROP INDEX CONCURRENTLY t_v;
-- Partial.
CREATE INDEX t_rare ON t USING faissivf (v vector_cosine_ops) WITH (nlist = 4) WHERE kind = 'rare';
SELECT ntotal FROM faiss.index_info('t_rare');
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE kind = 'rare' ORDER BY v <=> :'e' LIMIT 1;
SELECT id FROM t WHERE kind = 'rare' ORDER BY v <=> :'q' LIMIT 1;
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE kind = 'common' ORDER BY v <=> :'e' LIMIT 1;
SET enable_seqscan = off;
UPDATE t SET kind = 'rare' WHERE id = 445;
UPDATE t SET kind = 'common' WHERE id = 444;
SELECT ntotal FROM faiss.index_info('t_rare');
SELECT id <> 444 AS another, count(*) OVER () FROM (SELECT id FROM t WHERE kind = 'rare' ORDER BY v <=> :'q' LIMIT 300) s LIMIT 1;
DROP INDEX t_rare;
-- Expressions: half precision in the index, full in the table; the first dimensions only; normalized.
CREATE INDEX t_half ON t USING faissivf ((v::halfvec(8)) halfvec_l2_ops) WITH (nlist = 10);
SELECT element_type, dims, ntotal FROM faiss.index_info('t_half');
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v::halfvec(8) <-> :'e'::vector::halfvec(8) LIMIT 1;
SELECT id FROM t ORDER BY v::halfvec(8) <-> :'q'::vector::halfvec(8) LIMIT 1;
CREATE INDEX t_head ON t USING faissivf ((subvector(v, 1, 3)::vector(3)) vector_l2_ops) WITH (nlist = 10);
SELECT dims, ntotal FROM faiss.index_info('t_head');
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY subvector(v, 1, 3)::vector(3) <-> subvector(:'e'::vector, 1, 3) LIMIT 1;
SELECT id FROM (SELECT id, v FROM t ORDER BY subvector(v, 1, 3)::vector(3) <-> subvector(:'q'::vector, 1, 3) LIMIT 20) s ORDER BY v <-> :'q' LIMIT 1;
CREATE INDEX t_unit ON t USING faissivf ((l2_normalize(v)::vector(8)) vector_ip_ops) WITH (nlist = 10);
SELECT id FROM t ORDER BY l2_normalize(v)::vector(8) <#> l2_normalize(:'q'::vector) LIMIT 1;
-- An expression without a number of dimensions can be no index, one with it can.
CREATE INDEX ON t USING faissivf (subvector(v, 1, 3));
-- A new row goes through the expressions, too.
INSERT INTO t VALUES (2000, 'rare', '[9,9,9,9,9,9,9,9]');
SELECT id FROM t ORDER BY v::halfvec(8) <-> '[9,9,9,9,9,9,9,9]' LIMIT 1;
SELECT id FROM t ORDER BY subvector(v, 1, 3)::vector(3) <-> '[9,9,9]' LIMIT 1;
SELECT relname, ntotal, (SELECT count(*) FROM faiss.check(c.oid)) AS problems FROM pg_class c, faiss.index_info(c.oid) WHERE relname IN ('t_half', 't_head', 't_unit') ORDER BY 1;
DROP TABLE t;
-- Partitions: an index on each, the answers merged.
CREATE TABLE p (id int, part int, v vector(8)) PARTITION BY LIST (part);
CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p_2 PARTITION OF p FOR VALUES IN (2);
CREATE INDEX p_v ON p USING faissivf (v vector_l2_ops) WITH (nlist = 5, nprobe = 5);
CREATE TABLE p_3 PARTITION OF p FOR VALUES IN (3);
INSERT INTO p SELECT i, i % 3 + 1, random_vector(8) FROM generate_series(1, 900) i;
REINDEX INDEX p_v;
SELECT relid::regclass, isleaf FROM pg_partition_tree('p_v');
SELECT relname, reloptions, ntotal, nlist FROM pg_class c, faiss.index_info(c.oid) WHERE relname ~ '^p_._v' ORDER BY 1;
SELECT v AS q FROM p WHERE id = 444 \gset
EXPLAIN (COSTS OFF) SELECT id, part FROM p ORDER BY v <-> :'e' LIMIT 1;
SELECT id, part FROM p ORDER BY v <-> :'q' LIMIT 1;
EXPLAIN (COSTS OFF) SELECT id FROM p WHERE part = 2 ORDER BY v <-> :'e' LIMIT 1;
SELECT array_agg(id ORDER BY id) = (SELECT array_agg(id ORDER BY id) FROM p) AS every_row_once FROM (SELECT id FROM p ORDER BY v <-> :'q' LIMIT 1000) s;
ALTER TABLE p DETACH PARTITION p_1;
ALTER TABLE p ATTACH PARTITION p_1 FOR VALUES IN (1);
SELECT count(*) FROM pg_partition_tree('p_v') WHERE isleaf;
DROP TABLE p;
-- UNLOGGED, and back.
CREATE UNLOGGED TABLE u (id int, v vector(8));
CREATE INDEX u_v ON u USING faissivf (v) WITH (nlist = 5);
INSERT INTO u SELECT i, random_vector(8) FROM generate_series(1, 300) i;
REINDEX INDEX u_v;
SELECT relpersistence, is_trained, ntotal, pg_relation_size('u_v', 'init') > 0 AS init FROM pg_class, faiss.index_info('u_v') WHERE relname = 'u_v';
ALTER TABLE u SET LOGGED;
SELECT relpersistence, is_trained, ntotal, pg_relation_size('u_v', 'init') > 0 AS init FROM pg_class, faiss.index_info('u_v') WHERE relname = 'u_v';
ALTER TABLE u SET UNLOGGED;
SELECT relpersistence, is_trained, ntotal FROM pg_class, faiss.index_info('u_v') WHERE relname = 'u_v';
SELECT count(*) FROM (SELECT id FROM u ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 1000) s;
TRUNCATE u;
SELECT is_trained, ntotal FROM faiss.index_info('u_v');
DROP TABLE u;
-- Temporary, emptied at commit.
CREATE TEMP TABLE tmp (id int, v vector(8)) ON COMMIT DELETE ROWS;
CREATE INDEX tmp_v ON tmp USING faissivf (v) WITH (nlist = 5);
BEGIN;
INSERT INTO tmp SELECT i, random_vector(8) FROM generate_series(1, 300) i;
SELECT count(*) FROM (SELECT id FROM tmp ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 1000) s;
SELECT ntotal FROM faiss.index_info('tmp_v');
COMMIT;
SELECT ntotal FROM faiss.index_info('tmp_v');
INSERT INTO tmp SELECT i, random_vector(8) FROM generate_series(1, 300) i;
SELECT count(*) FROM (SELECT id FROM tmp ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 1000) s;
-- A materialized view.
CREATE MATERIALIZED VIEW m AS SELECT i AS id, ARRAY[i, -i]::vector(2) AS v FROM generate_series(1, 500) i;
CREATE INDEX m_v ON m USING faissivf (v) WITH (nlist = 5);
REFRESH MATERIALIZED VIEW m;
SELECT id FROM m ORDER BY v <-> '[77.1,-77]' LIMIT 2;
-- In a schema, under a name that needs quotes, beside an index of every other kind on the same column.
CREATE SCHEMA "My Schema";
CREATE TABLE "My Schema"."A Table" ("the id" int, "V" vector(2));
INSERT INTO "My Schema"."A Table" SELECT i, ARRAY[i, -i]::vector FROM generate_series(1, 200) i;
CREATE INDEX "An Index" ON "My Schema"."A Table" USING faissivf ("V") WITH (nlist = 5);
CREATE INDEX ON "My Schema"."A Table" USING btree ("V");
SELECT ntotal FROM faiss.index_info('"My Schema"."An Index"');
SELECT "the id" FROM "My Schema"."A Table" ORDER BY "V" <-> '[7,-7]' LIMIT 1;
-- pg_dump's text of it.
SELECT pg_get_indexdef('"My Schema"."An Index"'::regclass);
-- Options change at once (nprobe) or at REINDEX (the others).
CREATE TABLE o (id int, v vector(2));
INSERT INTO o SELECT i, ARRAY[i % 40, i / 40]::vector FROM generate_series(0, 1599) i;
CREATE INDEX o_v ON o USING faissivf (v) WITH (nlist = 40, nprobe = 1);
SET faiss.iterative_scan = off;
RESET faiss.nprobe;
CREATE FUNCTION found() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM (SELECT id FROM o ORDER BY v <-> '[20,20]' LIMIT 2000) s $$;
SELECT found() < 400 AS one_list;
ALTER INDEX o_v SET (nprobe = 40);
SELECT found();
ALTER INDEX o_v RESET (nprobe);
SELECT found() AS what_the_limit_takes;
ALTER INDEX o_v SET (nlist = 8, seed = 7);
SELECT nlist, seed FROM faiss.index_info('o_v');
REINDEX INDEX o_v;
SELECT nlist, seed FROM faiss.index_info('o_v');
SELECT found();
ALTER INDEX o_v RESET (nlist, seed);
REINDEX INDEX CONCURRENTLY o_v;
SELECT nlist, seed FROM faiss.index_info('o_v');
ALTER INDEX o_v SET (factory = 'IVF16,Flat');
REINDEX INDEX o_v;
SELECT factory, reloptions FROM faiss.index_info('o_v'), pg_class WHERE relname = 'o_v';
ALTER INDEX o_v SET (nlist = 5);
SELECT reloptions FROM pg_class WHERE relname = 'o_v';
