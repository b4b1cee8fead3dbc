-- Columns of type bit: faissflat, faisshnsw and faissivf as FAISS's binary indexes, and pgvector's hnsw and ivfflat.
\i include/answers.sql
CREATE FUNCTION random_bits(n int, share float8 DEFAULT 0.5) RETURNS text LANGUAGE sql VOLATILE
AS $$ SELECT string_agg((random() < share)::int::text, '') FROM generate_series(1, n) $$;
SELECT a.amname, c.opcname, t.typname, c.opcdefault, amvalidate(c.oid)
FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod JOIN pg_type t ON t.oid = c.opcintype
WHERE a.amname IN ('hnsw', 'ivfflat', 'faissflat', 'faisshnsw', 'faissivf') AND t.typname = 'bit' ORDER BY 1, 2;
-- Makes an index over rows of n bits, adds rows, deletes some, and counts the queries that it answers otherwise than a sort does.
-- Among the rows are NULL, equal ones, and such without a bit, which under Jaccard distance are as far from everything as can be.
CREATE FUNCTION story(n int, method text, class text, op text, options text)
RETURNS TABLE (factory text, metric text, dims int, element_type text, ntotal bigint, code_size int, wrong int, problems bigint) LANGUAGE plpgsql AS $$
DECLARE
    q text;
    k int;
BEGIN
    EXECUTE format('CREATE TABLE rows (id int, v bit(%s))', n);
    INSERT INTO rows SELECT i, random_bits(n)::varbit FROM generate_series(1, 400) i;
    INSERT INTO rows SELECT i, random_bits(n, 0.05)::varbit FROM generate_series(401, 500) i;
    EXECUTE format('CREATE INDEX made ON rows USING %I (v %I)', method, class) || coalesce(' WITH (' || options || ')', '');
    INSERT INTO rows SELECT 500 + i, random_bits(n)::varbit FROM generate_series(1, 700) i;
    INSERT INTO rows SELECT 2000 + i, (SELECT v FROM rows WHERE id = 7) FROM generate_series(1, 20) i;
    INSERT INTO rows VALUES (3000, repeat('0', n)::varbit), (3001, repeat('0', n)::varbit), (3002, repeat('1', n)::varbit), (3003, NULL);
    UPDATE rows SET v = ~v WHERE id % 10 = 3;
    DELETE FROM rows WHERE id % 7 = 2;
    PERFORM set_config('faiss.efSearch', '1000', true), set_config('faiss.nprobe', '65536', true),
        set_config('hnsw.ef_search', '1000', true), set_config('ivfflat.probes', '32768', true);
    SELECT i.factory, i.metric, i.dims, i.element_type, i.ntotal, i.code_size, 0 INTO factory, metric, dims, element_type, ntotal, code_size, wrong FROM faiss.index_info('made') i;
    FOR q IN SELECT * FROM (SELECT random_bits(n) FROM generate_series(1, 3)) s UNION ALL SELECT repeat('0', n) UNION ALL SELECT v::text FROM rows WHERE id = 7 LOOP
        FOREACH k IN ARRAY ARRAY[5, 10000] LOOP
            wrong := wrong + ((answer('rows', 'v', op, q, k, true)).distances IS DISTINCT FROM (answer('rows', 'v', op, q, k, false)).distances)::int;
        END LOOP;
    END LOOP;
    problems := (SELECT count(*) FROM faiss.check('made'));
    DROP TABLE rows;
    RETURN NEXT;
END $$;
SELECT setseed(0.75);
SELECT s.* FROM unnest(ARRAY[1, 7, 8, 9, 64, 1000]) n, story(n, 'faissflat', 'bit_hamming_ops', '<~>', NULL) s;
SELECT s.* FROM unnest(ARRAY[1, 7, 8, 9, 64, 1000]) n, story(n, 'faissflat', 'bit_jaccard_ops', '<%>', NULL) s;
SELECT s.* FROM unnest(ARRAY[1, 7, 8, 9, 64, 1000]) n, story(n, 'faissivf', 'bit_hamming_ops', '<~>', 'nlist = 4, nprobe = 4') s;
SELECT s.* FROM unnest(ARRAY[1, 7, 8, 9, 64, 1000]) n, story(n, 'faisshnsw', 'bit_hamming_ops', '<~>', 'efSearch = 1000') s;
SELECT s.* FROM unnest(ARRAY[1, 7, 8, 9, 64, 1000]) n, story(n, 'faisshnsw', 'bit_jaccard_ops', '<%>', 'efSearch = 1000') s;
SELECT s.* FROM unnest(ARRAY[9, 64]) n, story(n, 'ivfflat', 'bit_hamming_ops', '<~>', 'lists = 4') s;
SELECT s.* FROM unnest(ARRAY[9, 64]) n, story(n, 'hnsw', 'bit_hamming_ops', '<~>', 'm = 8') s;
SELECT s.* FROM unnest(ARRAY[9, 64]) n, story(n, 'hnsw', 'bit_jaccard_ops', '<%>', 'm = 8') s;
-- A graph from the first row on, and one that a list becomes.
CREATE TABLE t (id serial PRIMARY KEY, v bit(64));
INSERT INTO t (v) SELECT random_bits(64)::bit(64) FROM generate_series(1, 1500);
CREATE INDEX t_flat ON t USING faissflat (v);
CREATE INDEX t_graph ON t USING faisshnsw (v bit_jaccard_ops);
CREATE INDEX t_lists ON t USING faissivf (v) WITH (nlist = 10);
INSERT INTO t (v) SELECT random_bits(64)::bit(64) FROM generate_series(1, 100);
DELETE FROM t WHERE id % 3 = 0;
VACUUM t;
SELECT i.* FROM unnest(ARRAY['t_flat', 't_graph', 't_lists']::regclass[]) c,
    LATERAL (SELECT method, factory, metric, dims, element_type, is_trained, ntotal, ndead, code_size, nlist FROM faiss.index_info(c)) i;
SELECT * FROM unnest(ARRAY['t_flat', 't_graph', 't_lists']::regclass[]) c, LATERAL faiss.check(c);
SELECT count(*), sum(ntotal), bool_and(radius = trunc(radius)) FROM faiss.list_info('t_lists');
REINDEX INDEX t_graph;
REINDEX INDEX t_lists;
INSERT INTO t (v) VALUES (repeat('10', 32)::bit(64));
SET enable_seqscan = off;
-- Distances are the operator's.
SET faiss.nprobe = 10;
SELECT s.query_no, s.distance, t.v = repeat('10', 32)::bit(64) AS is_it FROM faiss.search('t_lists', ARRAY[repeat('10', 32)::bit(64)], 3) s JOIN t ON t.ctid = s.tid ORDER BY s.distance LIMIT 1;
SELECT count(*), bool_and(s.distance = (t.v <~> repeat('01', 32)::bit(64))) FROM faiss.search('t_flat', ARRAY[repeat('01', 32)::bit(64), repeat('01', 32)::bit(64)], 100) s JOIN t ON t.ctid = s.tid;
SELECT count(*), bool_and(s.distance = (t.v <%> repeat('01', 32)::bit(64))) FROM faiss.search('t_graph', ARRAY[repeat('01', 32)::bit(64)], 50) s JOIN t ON t.ctid = s.tid;
RESET faiss.nprobe;
-- NULL as a query: every row, in no order.
SELECT count(*) FROM (SELECT * FROM t ORDER BY v <~> NULL::bit(64)) s;
SELECT count(*) FROM (SELECT * FROM t ORDER BY v <%> NULL::bit(64)) s;
-- Measuring.
SELECT recall, n_queries FROM faiss.recall('t_flat', k => 5, queries => 50);
SELECT recall > 0.9 AS recalled, n_queries FROM faiss.recall('t_graph', k => 5, queries => 50);
SELECT count(*) > 0 AS measured, max(recall) AS most FROM faiss.tune('t_lists', k => 5, queries => 50);
SELECT recall, n_queries FROM faiss.recall('t_flat', ARRAY[repeat('01', 32)::bit(64), repeat('0', 64)::bit(64)], 5);
SELECT c, h.* FROM unnest(ARRAY['t_flat', 't_graph', 't_lists']::regclass[]) c, LATERAL (SELECT retrain, advice, ntotal FROM faiss.health(c)) h;
-- An expression, as pgvector's manual has it for binary quantization.
CREATE TABLE items (id int, embedding vector(5));
INSERT INTO items SELECT i, random_vector(5) FROM generate_series(1, 1200) i;
CREATE INDEX items_bits ON items USING hnsw ((binary_quantize(embedding)::bit(5)) bit_hamming_ops);
EXPLAIN (COSTS OFF) SELECT id FROM (SELECT * FROM items ORDER BY binary_quantize(embedding)::bit(5) <~> binary_quantize('[1,-2,3,-1,0]'::vector) LIMIT 20) s ORDER BY embedding <=> '[1,-2,3,-1,0]' LIMIT 5;
SELECT count(*) FROM (SELECT * FROM items ORDER BY binary_quantize(embedding)::bit(5) <~> binary_quantize('[1,-2,3,-1,0]'::vector) LIMIT 20) s;
-- FAISS's factory strings of binary indexes.
CREATE INDEX f1 ON t USING faissflat (v) WITH (factory = 'BFlat');
CREATE INDEX f2 ON t USING faissivf (v) WITH (factory = 'BIVF16');
CREATE INDEX f3 ON t USING faisshnsw (v) WITH (factory = 'BHNSW16');
CREATE INDEX f4 ON t USING faissivf (v) WITH (factory = 'IVF8,Flat');
SELECT i.* FROM unnest(ARRAY['f1', 'f2', 'f3', 'f4']::regclass[]) c, LATERAL (SELECT method, factory, metric, nlist FROM faiss.index_info(c)) i;
DROP INDEX f1, f2, f3, f4;
-- What is refused.
\set VERBOSITY default
SELECT * FROM t ORDER BY v <~> B'101' LIMIT 1;
SELECT * FROM t ORDER BY v <%> B'' LIMIT 1;
SELECT * FROM faiss.search('t_flat', ARRAY[B'101'], 1);
SELECT * FROM faiss.search('t_flat', ARRAY['[1]'::vector], 1);
INSERT INTO t (v) VALUES (B'101');
CREATE INDEX ON t USING hnsw (v);
CREATE INDEX ON t USING faissivf (v bit_jaccard_ops);
CREATE INDEX ON t USING faissivf (v) WITH (code = sq8);
CREATE INDEX ON t USING faissflat (v bit_jaccard_ops) WITH (code = pqfs);
CREATE INDEX ON t USING faisshnsw (v) WITH (code = sqfp16);
CREATE INDEX ON t USING faissivf (v) WITH (factory = 'IVF16,SQ8');
CREATE INDEX ON t USING faissivf (v) WITH (factory = 'BIVF16,SQ8');
CREATE INDEX ON t USING faissivf (v) WITH (factory = 'BHNSW16');
CREATE INDEX ON items USING faissivf (embedding) WITH (factory = 'BIVF16');
CREATE TABLE odd (v varbit(5), w bit varying, x bit(64769), y bit(128001));
CREATE INDEX ON odd USING faissflat (v);
CREATE INDEX ON odd USING hnsw (v bit_hamming_ops);
CREATE INDEX ON odd USING faissflat (w);
CREATE INDEX ON odd USING faissflat ((w::bit));
CREATE INDEX ON odd USING hnsw (x bit_hamming_ops);
CREATE INDEX ON odd USING ivfflat (y bit_hamming_ops);
CREATE INDEX ON odd USING faissflat (x);
SELECT * FROM faiss.train('m', 't', 'v');
SELECT faiss.recommend('t', 'v');
