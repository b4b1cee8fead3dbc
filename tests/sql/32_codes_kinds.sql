-- Codes in every kind of table and index that PostgreSQL has, under queries of every kind.
SELECT setseed(0.75);
CREATE FUNCTION near(center int, dims int, spread float8) RETURNS vector LANGUAGE sql VOLATILE AS $$
    SELECT array_agg((sin(center * 7 + j * j) * 2 + (random() - 0.5) * spread)::real ORDER BY j)::vector FROM generate_series(1, dims) j $$;
SET faiss.nprobe = 100;
SET enable_seqscan = off;
CREATE TABLE t (id int PRIMARY KEY, kind text, v vector(16));
INSERT INTO t SELECT i, CASE WHEN i % 4 = 0 THEN 'rare' ELSE 'common' END, near(i % 25, 16, 2) FROM generate_series(1, 1600) i;
SELECT v AS q FROM t WHERE id = 444 \gset
\set e '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]'
-- What an index says of itself: the options as text, the canonical factory string, the bytes of a code.
CREATE INDEX a ON t USING faissivf (v) WITH (nlist = 5, code = pq, m = 4, nbits = 6, opq = on, refine = flat, nprobe = 3, k_factor = 20);
CREATE INDEX b ON t USING faissivf (v vector_cosine_ops) WITH (factory = 'L2norm,RR,IVF6,RaBitQ1,Refine(Flat)');
CREATE INDEX c ON t USING faissivf (v vector_ip_ops) WITH (code = pqfs, m = 8, nlist = 7);
CREATE INDEX d ON t USING faissivf (v) WITH (nlist = 5, code = sq8);
CREATE INDEX e ON t USING faissivf (v) WITH (nlist = 5, code = sq4);
CREATE INDEX f ON t USING faissivf (v) WITH (nlist = 5, code = sqfp16);
CREATE INDEX g ON t USING faissivf (v) WITH (factory = 'IVF5,PQ2x10np');
SELECT pg_get_indexdef(oid) FROM pg_class WHERE relname ~ '^[a-g]$' ORDER BY relname;
SELECT relname, i.factory, metric, i.is_trained, i.trained_rows, i.ntotal, i.code_size, i.nlist, i.bytes = pg_relation_size(c.oid) AS every_byte,
    round(bytes_per_vector::numeric, 1) = round(i.bytes::numeric / i.ntotal, 1) AS a_vector,
    (SELECT sum(l.ntotal) = i.ntotal AND sum(l.ndead) >= 0 AND count(*) = i.nlist FROM faiss.list_info(c.oid) l) AS lists,
    (SELECT count(*) FROM faiss.check(c.oid)) AS problems
FROM pg_class c, faiss.index_info(c.oid) i WHERE relname ~ '^[a-g]$' ORDER BY relname;
-- An index's own k_factor, and the session's over it.
DROP INDEX b, c, d, e, f, g;
-- Under a LIMIT that the index knows of, no row is late.
CREATE FUNCTION late(k int) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM (SELECT d, lag(d) OVER () AS before FROM (SELECT v <-> (SELECT v FROM t WHERE id = 444) AS d FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 444) LIMIT k) s) s WHERE d < before $$;
CREATE FUNCTION late() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM (SELECT d, lag(d) OVER () AS before FROM (SELECT v <-> (SELECT v FROM t WHERE id = 444) AS d FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 444)) s) s WHERE d < before $$;
SET faiss.iterative_scan = relaxed_order;
SELECT late(1600) AS late;
ALTER INDEX a SET (k_factor = 1);
SELECT late(1600) AS late, late() > 0 AS some_late;
SET faiss.k_factor = 160;
SELECT late(1600) AS late;
RESET faiss.k_factor;
SET faiss.iterative_scan = strict_order;
SELECT late(1600) AS late;
RESET faiss.iterative_scan;
-- Rescans: with a vector, without one, with zeros, again; and the nearest of each of many.
SELECT (SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> x LIMIT 3) s) FROM (VALUES (:'q'::vector), (NULL), (array_fill(0, ARRAY[16])::vector), (:'q')) a (x);
SELECT count(*), count(*) FILTER (WHERE a.id = b.id) AS themselves
FROM t a CROSS JOIN LATERAL (SELECT id FROM t ORDER BY v <-> a.v LIMIT 2) b WHERE a.id <= 500;
ALTER INDEX a RESET (k_factor);
SET faiss.k_factor = 160;
SET plan_cache_mode = force_generic_plan;
PREPARE unknown (vector) AS SELECT count(id), sum(id), count(v <-> $1) FROM (SELECT id, v FROM t ORDER BY v <-> $1 LIMIT 5000) s;
EXPLAIN (COSTS OFF) EXECUTE unknown (NULL);
EXECUTE unknown (NULL);
EXECUTE unknown (:'q');
EXECUTE unknown ('[1,2]');
DEALLOCATE unknown;
RESET plan_cache_mode;
RESET faiss.k_factor;
-- A zero vector as the query of a cosine distance: nothing has a distance to it.
CREATE INDEX b ON t USING faissivf (v vector_cosine_ops) WITH (factory = 'IVF6,RaBitQ');
SELECT count(*) FROM (SELECT v <=> array_fill(0, ARRAY[16])::vector AS d FROM t ORDER BY v <=> array_fill(0, ARRAY[16])::vector LIMIT 2000) s WHERE d < 'NaN';
INSERT INTO t VALUES (5000, 'rare', array_fill(0, ARRAY[16])::vector), (5001, 'rare', NULL);
SELECT relname, ntotal FROM pg_class c, faiss.index_info(c.oid) WHERE relname ~ '^[ab]$' ORDER BY 1;
SELECT count(*), min(d) = 0 AS itself FROM (SELECT v <=> :'q' AS d FROM t ORDER BY v <=> :'q' LIMIT 2000) s;
-- An error in the middle of a scan, and the session goes on.
SELECT count(1 / (id - 444)) FROM (SELECT id FROM t ORDER BY v <-> :'q' LIMIT 10) s;
SELECT id FROM t ORDER BY v <-> :'q' LIMIT 1;
-- Rows locked and changed where the index found them.
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> :'q' LIMIT 5 FOR UPDATE) s;
DELETE FROM t WHERE id IN (SELECT id FROM t WHERE id > 1000 ORDER BY v <-> :'q' LIMIT 5);
SELECT count(*) FROM t;
DROP INDEX a, b;
-- Partial.
CREATE INDEX p ON t USING faissivf (v vector_cosine_ops) WITH (nlist = 4, code = pqfs, m = 8) WHERE kind = 'rare';
SELECT ntotal = (SELECT count(*) FROM t WHERE kind = 'rare' AND v <=> :'e' < 'NaN') AS all_rare FROM faiss.index_info('p');
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE kind = 'rare' ORDER BY v <=> :'e' LIMIT 1;
SELECT id FROM t WHERE kind = 'rare' ORDER BY v <=> :'q' LIMIT 1;
UPDATE t SET kind = 'common' WHERE id = 444;
SELECT id <> 444 AS another FROM t WHERE kind = 'rare' ORDER BY v <=> :'q' LIMIT 1;
UPDATE t SET kind = 'rare' WHERE id = 444;
DROP INDEX p;
-- Expressions are evaluated again for the real distance: half precision in the index, the first dimensions only.
CREATE INDEX x_half ON t USING faissivf ((v::halfvec(16)) halfvec_l2_ops) WITH (nlist = 10, code = sq8);
CREATE INDEX x_head ON t USING faissivf ((subvector(v, 1, 3)::vector(3)) vector_l2_ops) WITH (nlist = 10, code = sq4);
CREATE INDEX x_flat ON t USING faissivf ((l2_normalize(v)::vector(16)) vector_ip_ops) WITH (nlist = 10, code = rabitq, refine = flat);
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v::halfvec(16) <-> :'e'::vector::halfvec(16) LIMIT 1;
SELECT id FROM t ORDER BY v::halfvec(16) <-> :'q'::vector::halfvec(16) LIMIT 1;
SELECT array_agg(id) = (SELECT array_agg(id) FROM (SELECT id FROM t WHERE v IS NOT NULL ORDER BY (subvector(v, 1, 3) <-> subvector(:'q'::vector, 1, 3)) + 0 LIMIT 100) s) AS as_sorted
FROM (SELECT id FROM t ORDER BY subvector(v, 1, 3)::vector(3) <-> subvector(:'q'::vector, 1, 3) LIMIT 100) s;
SELECT id FROM t ORDER BY l2_normalize(v)::vector(16) <#> l2_normalize(:'q'::vector) LIMIT 1;
INSERT INTO t VALUES (2000, 'rare', array_fill(9, ARRAY[16])::vector);
SELECT id FROM t ORDER BY v::halfvec(16) <-> array_fill(9, ARRAY[16])::vector::halfvec(16) LIMIT 1;
DROP TABLE t;
-- Long vectors, whose rows are elsewhere: as they are, and compressed.
CREATE TABLE l (id int, raw vector(3000), packed vector(3000));
ALTER TABLE l ALTER raw SET STORAGE EXTERNAL, ALTER packed SET STORAGE EXTENDED;
INSERT INTO l SELECT i, v, v FROM (SELECT i, array_agg(((i % 12) * ((j + i) % 7))::real ORDER BY j)::vector AS v FROM generate_series(1, 300) i, generate_series(1, 3000) j GROUP BY i) s;
CREATE INDEX l_raw ON l USING faissivf (raw) WITH (nlist = 4, code = pqfs, m = 300);
CREATE INDEX l_packed ON l USING faissivf (packed vector_cosine_ops) WITH (factory = 'IVF4,SQ8,RFlat');
CREATE INDEX l_half ON l USING faissivf ((packed::halfvec(3000)) halfvec_ip_ops) WITH (nlist = 4, code = sq4);
SELECT raw AS q FROM l WHERE id = 44 \gset
SET enable_sort = off;
SELECT count(*) = 300 AND bool_and(d >= before) AS as_sorted FROM (SELECT d, lag(d, 1, -1) OVER () AS before FROM (SELECT raw <-> :'q' AS d FROM l ORDER BY raw <-> :'q') s) s;
SELECT count(*) AS rows, bool_and(d >= before) AS as_sorted FROM (SELECT d, lag(d, 1, -1) OVER () AS before FROM (SELECT packed <=> :'q' AS d FROM l ORDER BY packed <=> :'q') s) s;
SELECT count(*) = 300 AND bool_and(d >= before) AS as_sorted FROM (SELECT d, lag(d, 1, '-Infinity') OVER () AS before FROM
    (SELECT packed::halfvec(3000) <#> :'q'::vector::halfvec(3000) AS d FROM l ORDER BY packed::halfvec(3000) <#> :'q'::vector::halfvec(3000)) s) s;
RESET enable_sort;
SELECT relname, is_trained, code_size, (SELECT count(*) FROM faiss.check(c.oid)) AS problems FROM pg_class c, faiss.index_info(c.oid) WHERE relname ~ '^l_' ORDER BY 1;
DROP TABLE l;
-- Partitions: an index on each, the answers merged.
CREATE TABLE p (id int, part int, v vector(8)) PARTITION BY LIST (part);
CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p_2 PARTITION OF p FOR VALUES IN (2);
INSERT INTO p SELECT i, i % 2 + 1, near(i % 9, 8, 2) FROM generate_series(1, 1200) i;
CREATE INDEX p_v ON p USING faissivf (v vector_l2_ops) WITH (nlist = 5, nprobe = 5, code = pqfs, m = 4);
CREATE TABLE p_3 (id int, part int, v vector(8));
INSERT INTO p_3 SELECT i, 3, near(i % 9, 8, 2) FROM generate_series(1201, 1800) i;
ALTER TABLE p ATTACH PARTITION p_3 FOR VALUES IN (3);
SELECT relname, reloptions, factory, is_trained, ntotal FROM pg_class c, faiss.index_info(c.oid) WHERE relname ~ '^p_._v' ORDER BY 1;
SELECT v AS q FROM p WHERE id = 444 \gset
EXPLAIN (COSTS OFF) SELECT id, part FROM p ORDER BY v <-> '[1,1,1,1,1,1,1,1]' LIMIT 1;
SELECT array_agg(d) = (SELECT array_agg(d) FROM (SELECT (v <-> :'q') + 0 AS d FROM p ORDER BY 1 LIMIT 50) s) AS as_sorted FROM (SELECT v <-> :'q' AS d FROM p ORDER BY v <-> :'q' LIMIT 50) s;
DROP TABLE p;
-- Unlogged, and back; temporary, emptied at commit; a materialized view.
CREATE UNLOGGED TABLE u AS SELECT i AS id, near(i % 9, 8, 2)::vector(8) AS v FROM generate_series(1, 600) i;
CREATE INDEX u_v ON u USING faissivf (v) WITH (nlist = 5, code = rabitq);
SELECT relpersistence, is_trained, factory, ntotal FROM pg_class, faiss.index_info('u_v') WHERE relname = 'u_v';
ALTER TABLE u SET LOGGED;
ALTER TABLE u SET UNLOGGED;
SELECT relpersistence, is_trained, factory, ntotal, (SELECT count(*) FROM faiss.check('u_v')) AS problems FROM pg_class, faiss.index_info('u_v') WHERE relname = 'u_v';
CREATE TEMP TABLE tmp (id int, v vector(8)) ON COMMIT DELETE ROWS;
CREATE INDEX tmp_v ON tmp USING faissivf (v) WITH (nlist = 5, code = pqfs, m = 4);
BEGIN;
INSERT INTO tmp SELECT * FROM u;
REINDEX INDEX tmp_v;
INSERT INTO tmp SELECT id + 1000, v FROM u;
SELECT is_trained, ntotal FROM faiss.index_info('tmp_v');
SELECT count(*) FROM (SELECT id FROM tmp ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10) s;
COMMIT;
SELECT ntotal FROM faiss.index_info('tmp_v');
CREATE MATERIALIZED VIEW m AS SELECT * FROM u;
CREATE INDEX m_v ON m USING faissivf (v) WITH (nlist = 5, code = sq4);
REFRESH MATERIALIZED VIEW m;
SELECT is_trained, ntotal FROM faiss.index_info('m_v');
-- Too few rows for a code: exact until they are enough and REINDEX comes. CONCURRENTLY, too.
CREATE TABLE few (id int, v vector(8));
INSERT INTO few SELECT id, v FROM u WHERE id <= 10;
CREATE INDEX few_pq ON few USING faissivf (v) WITH (nlist = 4, code = pq, m = 4);
CREATE INDEX few_fs ON few USING faissivf (v vector_ip_ops) WITH (factory = 'OPQ4,IVF4,PQ4x4fs,RFlat');
SELECT relname, is_trained, factory, nlist, ntotal FROM pg_class c, faiss.index_info(c.oid) WHERE relname ~ '^few_' ORDER BY 1;
INSERT INTO few SELECT id, v FROM u WHERE id > 10;
SELECT array_agg(id) = (SELECT array_agg(id) FROM (SELECT id FROM few ORDER BY (v <-> '[1,1,1,1,1,1,1,1]') + 0 LIMIT 50) s) AS as_sorted FROM (SELECT id FROM few ORDER BY v <-> '[1,1,1,1,1,1,1,1]' LIMIT 50) s;
REINDEX INDEX CONCURRENTLY few_pq;
REINDEX INDEX few_fs;
SELECT relname, is_trained, factory, nlist, ntotal, reloptions FROM pg_class c, faiss.index_info(c.oid) WHERE relname ~ '^few_' ORDER BY 1;
SELECT array_agg(id) = (SELECT array_agg(id) FROM (SELECT id FROM few ORDER BY (v <-> '[1,1,1,1,1,1,1,1]') + 0 LIMIT 50) s) AS as_sorted FROM (SELECT id FROM few ORDER BY v <-> '[1,1,1,1,1,1,1,1]' LIMIT 50) s;
-- One code changed for another: at REINDEX.
ALTER INDEX few_pq SET (code = sq8);
ALTER INDEX few_pq RESET (m);
ALTER INDEX few_pq SET (code = sq8);
SELECT factory FROM faiss.index_info('few_pq');
REINDEX INDEX few_pq;
SELECT factory FROM faiss.index_info('few_pq');
ALTER INDEX few_pq RESET (code);
REINDEX INDEX few_pq;
SELECT factory FROM faiss.index_info('few_pq');
