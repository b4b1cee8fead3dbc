-- Columns of type sparsevec: graphs of faisshnsw and of pgvector's hnsw.
\i include/answers.sql
-- About n elements other than zero, anywhere in so many dimensions.
CREATE FUNCTION random_sparse(n int, dims int) RETURNS sparsevec LANGUAGE sql VOLATILE
AS $$ SELECT format('{%s}/%s', (SELECT string_agg(i || ':' || (random() * 2 - 1)::real, ',') FROM (SELECT DISTINCT 1 + (random() ^ 3 * (dims - 1))::int AS i FROM generate_series(1, n)) s), dims)::sparsevec $$;
SELECT a.amname, c.opcname, t.typname, c.opcdefault, amvalidate(c.oid)
FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod JOIN pg_type t ON t.oid = c.opcintype
WHERE a.amname IN ('hnsw', 'ivfflat', 'faissflat', 'faisshnsw', 'faissivf') AND t.typname = 'sparsevec' ORDER BY 1, 2;
-- Makes an index over rows, adds rows, updates and deletes some, vacuums, adds again, and counts the queries that it answers
-- otherwise than a sort does. Among the rows are NULL, equal ones and such without an element.
CREATE PROCEDURE make(dims int, method text, class text, n int) LANGUAGE plpgsql AS $$
BEGIN
    DROP TABLE IF EXISTS rows;
    EXECUTE format('CREATE TABLE rows (id int, v sparsevec(%s))', dims);
    INSERT INTO rows SELECT i, random_sparse(1 + i % 40, dims) FROM generate_series(1, n) i;
    EXECUTE format('CREATE INDEX made ON rows USING %I (v %I)', method, class);
    INSERT INTO rows SELECT 10000 + i, random_sparse(1 + i % 60, dims) FROM generate_series(1, 700) i;
    INSERT INTO rows SELECT 20000 + i, (SELECT v FROM rows WHERE id = 10007) FROM generate_series(1, 20) i;
    INSERT INTO rows VALUES (30000, format('{}/%s', dims)::sparsevec), (30001, format('{}/%s', dims)::sparsevec), (30003, NULL);
    UPDATE rows SET v = random_sparse(30, dims) WHERE id % 10 = 3;
    DELETE FROM rows WHERE id % 7 = 2;
END $$;
CREATE FUNCTION compare(op text, OUT factory text, OUT metric text, OUT dims int, OUT element_type text, OUT ntotal bigint, OUT wrong int, OUT problems bigint) LANGUAGE plpgsql AS $$
DECLARE
    q text;
    k int;
BEGIN
    INSERT INTO rows SELECT 40000 + i, random_sparse(1 + i % 60, (SELECT i.dims FROM faiss.index_info('made') i)) FROM generate_series(1, 100) i;
    PERFORM set_config('faiss.efSearch', '1000', true), set_config('hnsw.ef_search', '1000', true);
    SELECT i.factory, i.metric, i.dims, i.element_type, i.ntotal, 0 INTO factory, metric, dims, element_type, ntotal, wrong FROM faiss.index_info('made') i;
    FOR q IN SELECT * FROM (SELECT random_sparse(25, dims)::text FROM generate_series(1, 3)) s UNION ALL SELECT format('{}/%s', dims) UNION ALL SELECT v::text FROM rows WHERE id = 10007 LOOP
        CONTINUE WHEN q LIKE '{}%' AND op = '<=>';
        FOREACH k IN ARRAY ARRAY[5, 10000] LOOP
            wrong := wrong + ((answer('rows', 'v', op, q, k, true)).distances IS DISTINCT FROM (answer('rows', 'v', op, q, k, false)).distances)::int;
        END LOOP;
    END LOOP;
    problems := (SELECT count(*) FROM faiss.check('made'));
END $$;
SELECT setseed(0.75);
CALL make(50, 'hnsw', 'sparsevec_l2_ops', 500);
VACUUM rows;
SELECT * FROM compare('<->');
CALL make(30000, 'hnsw', 'sparsevec_ip_ops', 500);
VACUUM rows;
SELECT * FROM compare('<#>');
CALL make(30000, 'hnsw', 'sparsevec_cosine_ops', 1500);
VACUUM rows;
SELECT * FROM compare('<=>');
CALL make(1000000000, 'hnsw', 'sparsevec_l1_ops', 0);
VACUUM rows;
SELECT * FROM compare('<+>');
CALL make(1000000000, 'faisshnsw', 'sparsevec_l2_ops', 0);
VACUUM rows;
SELECT * FROM compare('<->');
CALL make(1, 'faisshnsw', 'sparsevec_ip_ops', 500);
VACUUM rows;
SELECT * FROM compare('<#>');
CALL make(300, 'faisshnsw', 'sparsevec_cosine_ops', 500);
VACUUM rows;
SELECT * FROM compare('<=>');
CALL make(300, 'faisshnsw', 'sparsevec_l1_ops', 1500);
VACUUM rows;
SELECT * FROM compare('<+>');
-- All rows go and others come.
DELETE FROM rows;
VACUUM rows;
SELECT * FROM compare('<+>');
-- maintenance_work_mem has no room for a graph of all rows: the others are inserted.
CREATE TABLE t (id serial PRIMARY KEY, v sparsevec(30000));
INSERT INTO t (v) SELECT random_sparse(150, 30000) FROM generate_series(1, 1500);
SET maintenance_work_mem = '1MB';
CREATE INDEX t_graph ON t USING faisshnsw (v sparsevec_ip_ops);
RESET maintenance_work_mem;
SELECT method, factory, metric, dims, element_type, is_trained, ntotal, ndead, code_size, nlist FROM faiss.index_info('t_graph');
SELECT * FROM faiss.check('t_graph');
DELETE FROM t WHERE id % 3 = 0;
VACUUM t;
SELECT ntotal, ndead FROM faiss.index_info('t_graph');
SELECT * FROM faiss.check('t_graph');
REINDEX INDEX t_graph;
SELECT method, factory, ntotal, ndead FROM faiss.index_info('t_graph');
SET enable_seqscan = off;
-- Distances are the operator's.
SELECT count(*), bool_and(s.distance = (t.v <#> q.v)) FROM (SELECT v FROM t WHERE id = 7) q, LATERAL faiss.search('t_graph', ARRAY[q.v, q.v], 50) s JOIN t ON t.ctid = s.tid;
-- NULL as a query: every row, in no order.
SELECT count(*) FROM (SELECT * FROM t ORDER BY v <#> NULL::sparsevec) s;
-- Measuring.
SELECT recall > 0.9 AS recalled, n_queries FROM faiss.recall('t_graph', k => 5, queries => 50);
SELECT recall > 0.9 AS recalled, n_queries FROM faiss.recall('t_graph', (SELECT array_agg(v) FROM t WHERE id < 20), 5);
SELECT count(*) > 0 AS measured, max(recall) > 0.9 AS recalled FROM faiss.tune('t_graph', k => 5, queries => 50);
SELECT retrain, advice, ntotal FROM faiss.health('t_graph');
SELECT search IS NOT NULL AS is_measured, recall_target FROM faiss.index_info('t_graph');
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <#> '{1:1}/30000' LIMIT 5;
-- An index over an expression, and one over some of the rows.
CREATE TABLE items (id int, embedding vector(5));
INSERT INTO items SELECT i, random_vector(5) FROM generate_series(1, 1200) i;
CREATE INDEX items_sparse ON items USING hnsw ((embedding::sparsevec(5)) sparsevec_l2_ops) WHERE id % 2 = 0;
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE id % 2 = 0 ORDER BY embedding::sparsevec(5) <-> '{1:1}/5' LIMIT 5;
SELECT count(*) FROM (SELECT id FROM items WHERE id % 2 = 0 ORDER BY embedding::sparsevec(5) <-> '{1:1}/5') s;
-- UNLOGGED tables have an empty graph to begin with after a crash.
CREATE UNLOGGED TABLE u (id int, v sparsevec(10));
CREATE INDEX u_graph ON u USING hnsw (v sparsevec_l2_ops);
INSERT INTO u VALUES (1, '{1:1}/10');
SELECT id FROM u ORDER BY v <-> '{1:1}/10';
TRUNCATE u;
SELECT id FROM u ORDER BY v <-> '{1:1}/10';
-- What is refused.
\set VERBOSITY default
SELECT * FROM t ORDER BY v <#> '{1:1}/3' LIMIT 1;
SELECT * FROM faiss.search('t_graph', ARRAY['{1:1}/3'::sparsevec], 1);
SELECT * FROM faiss.search('t_graph', ARRAY['[1]'::vector], 1);
SELECT * FROM faiss.recall('t_graph', ARRAY['{1:1}/3'::sparsevec], 1);
CREATE TABLE wide (id int, v sparsevec(2000));
INSERT INTO wide VALUES (1, array_fill(1, ARRAY[1001])::vector(2000)::sparsevec);
INSERT INTO wide VALUES (1, (SELECT format('{%s}/2000', string_agg(i || ':1', ','))::sparsevec FROM generate_series(1, 1001) i));
CREATE INDEX ON wide USING hnsw (v sparsevec_l2_ops);
CREATE INDEX ON wide USING faisshnsw (v);
TRUNCATE wide;
CREATE INDEX wide_graph ON wide USING faisshnsw (v);
INSERT INTO wide VALUES (2, (SELECT format('{%s}/2000', string_agg(i || ':1', ','))::sparsevec FROM generate_series(1, 1001) i));
INSERT INTO wide VALUES (3, (SELECT format('{%s}/2000', string_agg(i || ':1', ','))::sparsevec FROM generate_series(1, 1000) i));
SELECT id FROM wide ORDER BY v <-> '{1:1}/2000';
CREATE TABLE loose (v sparsevec);
CREATE INDEX ON loose USING hnsw (v sparsevec_l2_ops);
CREATE INDEX ON t USING hnsw (v);
CREATE INDEX ON t USING ivfflat (v sparsevec_l2_ops);
CREATE INDEX ON t USING faissivf (v);
CREATE INDEX ON t USING faisshnsw (v) WITH (code = sq8);
CREATE INDEX ON t USING faisshnsw (v) WITH (factory = 'HNSW16,SQfp16');
SELECT faiss.export('t_graph', 'id');
SELECT * FROM faiss.train('m', 't', 'v');
SELECT faiss.recommend('t', 'v');
CREATE OPERATOR CLASS sparse_lists FOR TYPE sparsevec USING faissivf AS
    OPERATOR 1 <-> (sparsevec, sparsevec) FOR ORDER BY float_ops, FUNCTION 1 faiss.sparsevec_l2_support(internal);
CREATE INDEX ON t USING faissivf (v sparse_lists);
