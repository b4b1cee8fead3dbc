-- faissflat: everything is compared with everything. Exact, or with a lossy code whose candidates the real distances put in order.
-- Makes an index, adds rows, and counts the queries that it answers otherwise than a sort does: all rows, when every row is a
-- candidate. With the code's own k_factor it recalls eight of the ten nearest.
\i include/answers.sql
CREATE FUNCTION story(type text, metric text, options text)
RETURNS TABLE (factory text, is_trained boolean, ntotal bigint, code_size int, wrong int, recalled boolean, problems bigint) LANGUAGE plpgsql AS $$
DECLARE
    q text;
    tab text := format('%s_rows', type);
    near bigint := 0;
BEGIN
    EXECUTE format('CREATE TABLE %I AS SELECT id, v::%s(16) AS v FROM source WHERE id %% 3 > 0 ORDER BY id', tab, type);
    EXECUTE format('CREATE INDEX made ON %I USING faissflat (v %s_%s_ops) WITH (%s)', tab, type, metric, options);
    EXECUTE format('INSERT INTO %I SELECT id, v FROM source WHERE id %% 3 = 0 ORDER BY id', tab);
    SELECT i.factory, i.is_trained, i.ntotal, i.code_size, 0 INTO factory, is_trained, ntotal, code_size, wrong FROM faiss.index_info('made') i;
    FOR q IN SELECT query.q FROM query LOOP
        PERFORM set_config('faiss.k_factor', '1024', true);
        wrong := wrong + (answer(tab, 'v', operator_of(metric), q, 10000, true) IS DISTINCT FROM answer(tab, 'v', operator_of(metric), q, 10000, false))::int;
        PERFORM set_config('faiss.k_factor', '0', true);
        near := near + (SELECT count(*) FROM unnest((answer(tab, 'v', operator_of(metric), q, 10, true)).distances) d
            WHERE d <= (answer(tab, 'v', operator_of(metric), q, 10, false)).distances[10]);
    END LOOP;
    recalled := near >= 8 * (SELECT count(*) FROM query);
    problems := (SELECT count(*) FROM faiss.check('made'));
    EXECUTE format('DROP TABLE %I', tab);
    RETURN NEXT;
END $$;
-- Among the rows are NULL, a vector without direction, and equal ones.
SELECT setseed(0.25);
CREATE TABLE source AS SELECT i AS id, random_vector(16) AS v FROM generate_series(1, 1200) i;
UPDATE source SET v = (SELECT v FROM source WHERE id = 7) WHERE id BETWEEN 8 AND 12;
UPDATE source SET v = array_fill(0, ARRAY[16])::vector WHERE id IN (13, 1200);
UPDATE source SET v = NULL WHERE id IN (14, 1199);
CREATE TABLE query AS SELECT random_vector(16)::text AS q FROM generate_series(1, 4) UNION ALL SELECT v::text FROM source WHERE id = 7;
SELECT type, metric, s.* FROM unnest('{vector,halfvec}'::text[]) type, unnest('{l2,ip,cosine,l1}'::text[]) metric, story(type, metric, 'code = flat') s;
SELECT metric, s.* FROM unnest('{l2,ip,cosine}'::text[]) metric,
    unnest(ARRAY['code = sqfp16', 'code = sq8', 'code = sq4', 'code = pq, nbits = 6', 'code = pqfs, m = 16, opq = on', 'code = rabitq, refine = flat', 'code = rabitq, nbits = 3']) options,
    story('vector', metric, options) s;
SELECT metric, s.* FROM unnest('{l2,ip,cosine}'::text[]) metric,
    unnest(ARRAY['SQ8,RFlat', 'PQ16x4fs', 'RR,RaBitQ', 'RaBitQ6', 'L2norm,SQ4', 'OPQ4,PQ4x5,RFlat', 'SQ4,Refine(SQ8)', 'RaBitQ,Refine(SQfp16)']) f,
    story('halfvec', metric, format('factory = %L', f)) s;
-- Rows that all lie on one side: RaBitQ takes signs from their mean, as FAISS does.
BEGIN;
UPDATE source SET v = v + array_fill(5, ARRAY[16])::vector;
UPDATE query SET q = (q::vector + array_fill(5, ARRAY[16])::vector)::text;
SELECT s.* FROM story('vector', 'l2', 'code = rabitq') s;
ROLLBACK;
-- Any dimension; there is nothing to train.
CREATE TABLE wide (id int, v vector(16000), h halfvec(5000));
INSERT INTO wide SELECT i, random_vector(16000), random_vector(5000)::halfvec FROM generate_series(1, 60) i;
CREATE INDEX wide_v ON wide USING faissflat (v vector_l1_ops);
CREATE INDEX wide_h ON wide USING faissflat (h halfvec_l1_ops);
INSERT INTO wide SELECT i, random_vector(16000), random_vector(5000)::halfvec FROM generate_series(61, 90) i;
SELECT setseed(0.5);
SELECT answer('wide', 'v', '<+>', q, 5, true) = answer('wide', 'v', '<+>', q, 5, false) AS first,
    answer('wide', 'v', '<+>', q, 100, true) = answer('wide', 'v', '<+>', q, 100, false) AS whole
FROM (SELECT random_vector(16000)::text AS q FROM generate_series(1, 2) OFFSET 0) s;
SELECT answer('wide', 'h', '<+>', q, 5, true) = answer('wide', 'h', '<+>', q, 5, false) AS first,
    answer('wide', 'h', '<+>', q, 100, true) = answer('wide', 'h', '<+>', q, 100, false) AS whole
FROM (SELECT random_vector(5000)::text AS q FROM generate_series(1, 2) OFFSET 0) s;
DROP TABLE wide;
-- What is shown of one.
CREATE TABLE t (id int PRIMARY KEY, v vector(4));
INSERT INTO t SELECT i, ARRAY[i % 40, i / 40, 1, 0]::vector FROM generate_series(0, 1999) i;
CREATE INDEX t_flat ON t USING faissflat (v vector_l1_ops);
CREATE INDEX t_sq8 ON t USING faissflat (v) WITH (code = sq8, seed = 7, k_factor = 4);
CREATE INDEX t_rabitq ON t USING faissflat (v vector_cosine_ops) WITH (factory = 'RR,RaBitQ,RFlat');
\d+ t_flat
\d+ t_sq8
\d t
CREATE VIEW info AS
    SELECT c.relname, i.method, i.factory, i.metric, i.is_trained, i.trained_rows, i.ntotal, i.ndead, i.code_size, i.nlist, i.imbalance_factor, i.seed
    FROM pg_class c, faiss.index_info(c.oid) i WHERE c.relam = (SELECT oid FROM pg_am WHERE amname = 'faissflat') ORDER BY c.relname;
SELECT *, (SELECT count(*) FROM faiss.check(relname::regclass)) AS problems FROM info;
SELECT list_no, ntotal, ndead, radius FROM faiss.list_info('t_flat') UNION ALL SELECT list_no, ntotal, ndead, radius FROM faiss.list_info('t_rabitq');
-- The planner takes it for the nearest, and a sort for the nearest of a few.
ANALYZE t;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <+> '[3.2,4.3,0,0]' LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[3.2,4.3,0,0]' LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE id < 5 ORDER BY v <+> '[3.2,4.3,0,0]' LIMIT 3;
SET enable_seqscan = off;
SELECT id, v <+> '[3.2,4.3,0,0]' AS distance FROM t ORDER BY v <+> '[3.2,4.3,0,0]' LIMIT 3;
SELECT id FROM t ORDER BY v <-> '[3.2,4.3,0,0]' LIMIT 3;
SELECT id FROM t ORDER BY v <=> '[3.2,4.3,0.4,0]' LIMIT 3;
-- A zero vector is a point under taxicab distance, NULL is near to nothing; how lists are probed does not matter where there is one.
SELECT id FROM t ORDER BY v <+> '[0,0,0,0]' LIMIT 3;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <+> NULL LIMIT 1000) s;
SET faiss.nprobe = 1;
SET faiss.iterative_scan = off;
SET faiss.max_scan_tuples = 1;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <+> '[3,4,0,0]' LIMIT 1000) s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t WHERE id % 50 = 3 ORDER BY v <+> '[3,4,0,0]' LIMIT 1000) s;
RESET faiss.nprobe;
RESET faiss.iterative_scan;
RESET faiss.max_scan_tuples;
SELECT id FROM t ORDER BY v <+> '[3,4,0]' LIMIT 3;
INSERT INTO t VALUES (-1, '[1,2,3]');
-- Changed, vacuumed, built again.
DELETE FROM t WHERE id % 2 = 0;
UPDATE t SET v = v + '[0.25,0,0,0]' WHERE id % 5 = 0;
VACUUM t;
SELECT relname, ntotal, ndead, (SELECT count(*) FROM faiss.check(relname::regclass)) AS problems FROM info;
SELECT id FROM t ORDER BY v <+> '[3.2,4.3,0,0]' LIMIT 3;
SELECT id FROM t ORDER BY v <-> '[3.2,4.3,0,0]' LIMIT 3;
REINDEX INDEX CONCURRENTLY t_sq8;
REINDEX TABLE t;
SELECT relname, is_trained, trained_rows, ntotal, ndead FROM info;
SELECT id FROM t ORDER BY v <-> '[3.2,4.3,0,0]' LIMIT 3;
-- Structural options at REINDEX, search defaults at once.
ALTER INDEX t_flat SET (code = sq4);
REINDEX INDEX t_flat;
ALTER INDEX t_flat RESET (code);
ALTER INDEX t_sq8 SET (code = sqfp16, k_factor = 9);
SELECT factory FROM info;
REINDEX INDEX t_sq8;
SELECT factory FROM info;
ALTER INDEX t_sq8 SET (nprobe = 3);
-- Empty: code flat has nothing to wait for, another has.
TRUNCATE t;
SELECT relname, factory, is_trained, trained_rows, ntotal, imbalance_factor FROM info;
CREATE TABLE empty (v vector(4));
CREATE INDEX ON empty USING faissflat (v);
CREATE INDEX ON empty USING faissflat (v) WITH (code = pq, m = 2);
SELECT * FROM empty ORDER BY v <-> '[1,2,3,4]' LIMIT 3;
INSERT INTO empty SELECT ARRAY[i, -i, 0, 1]::vector FROM generate_series(1, 100) i;
SELECT * FROM empty ORDER BY v <-> '[50,-50,0,1]' LIMIT 2;
REINDEX TABLE empty;
REINDEX TABLE t;
SELECT relname, factory, is_trained, trained_rows, ntotal FROM info;
DROP TABLE t, empty CASCADE;
-- UNLOGGED, partitioned, partial, of an expression.
CREATE UNLOGGED TABLE u (id int, v vector(2));
CREATE INDEX u_v ON u USING faissflat (v vector_ip_ops);
INSERT INTO u SELECT i, ARRAY[i, -i]::vector FROM generate_series(1, 300) i;
SELECT relname, is_trained, ntotal, pg_relation_size('u_v', 'init') > 0 AS init FROM info;
ALTER TABLE u SET LOGGED;
SELECT relname, is_trained, ntotal FROM info;
SELECT id FROM u ORDER BY v <#> '[1,0]' LIMIT 2;
DROP TABLE u;
CREATE TABLE p (id int, v vector(2)) PARTITION BY LIST (id);
CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p_2 PARTITION OF p FOR VALUES IN (2);
INSERT INTO p SELECT i % 2 + 1, ARRAY[i, -i]::vector FROM generate_series(1, 300) i;
CREATE INDEX p_v ON p USING faissflat ((v::halfvec(2)) halfvec_l1_ops) WHERE v IS NOT NULL;
SELECT relid, metric, ntotal FROM pg_partition_tree('p_v'), faiss.index_info(relid) WHERE isleaf ORDER BY 1;
SELECT id, v FROM p ORDER BY v::halfvec(2) <+> '[7,-7]'::halfvec LIMIT 2;
SELECT count(*) FROM faiss.index_info('p_v');
DROP TABLE p;
DROP VIEW info;
-- Options that there are not, and what does not go together.
CREATE TABLE t (v vector(6), h halfvec(6));
CREATE INDEX ON t USING faissflat (v) WITH (nlist = 10);
CREATE INDEX ON t USING faissflat (v) WITH (nprobe = 10);
CREATE INDEX ON t USING faissflat (v) WITH (factory = 'IVF10,Flat');
CREATE INDEX ON t USING faissflat (v) WITH (factory = 'Flat', code = flat);
CREATE INDEX ON t USING faissflat (v) WITH (factory = 'L2norm,Flat');
CREATE INDEX ON t USING faissflat (v) WITH (factory = 'HNSW32');
CREATE INDEX ON t USING faissflat (v) WITH (code = sq8, m = 3);
CREATE INDEX ON t USING faissflat (v) WITH (code = pq, m = 4);
CREATE INDEX ON t USING faissflat (v) WITH (refine = flat);
CREATE INDEX ON t USING faissflat (v vector_l1_ops) WITH (code = sq8);
CREATE INDEX ON t USING faissflat (h halfvec_l1_ops) WITH (factory = 'PQ6');
CREATE INDEX ON t USING faissflat (v halfvec_l2_ops);
CREATE INDEX ON t USING faissivf (v vector_l1_ops);
CREATE INDEX ON t USING faissivf (v) WITH (factory = 'SQ8');
CREATE UNIQUE INDEX ON t USING faissflat (v);
CREATE OPERATOR CLASS taxicab FOR TYPE vector USING faissivf AS OPERATOR 1 <+> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 faiss.vector_l1_support(internal);
CREATE INDEX ON t USING faissivf (v taxicab);
