-- The recall curve of a graph is measured again when the graph has other rows than those that it was measured on.
CREATE FUNCTION points(first int, last int) RETURNS TABLE (id int, v vector) LANGUAGE sql AS $$
    SELECT i, array_agg(hashint4(i * 16 + j) % 1000 ORDER BY j)::vector FROM generate_series(first, last) i, generate_series(0, 15) j GROUP BY i ORDER BY i $$;
CREATE TABLE t (id int, v vector(16)) WITH (autovacuum_enabled = off);
CREATE INDEX dense ON t USING faisshnsw (v) WITH (m = 8, efConstruction = 40);
CREATE INDEX coded ON t USING faisshnsw (v) WITH (m = 8, efConstruction = 40, code = sq8);
CREATE INDEX half ON t USING faisshnsw ((v::halfvec(16)) halfvec_l2_ops) WITH (m = 8, efConstruction = 40);
CREATE INDEX bits ON t USING faisshnsw ((binary_quantize(v)::bit(16)) bit_hamming_ops) WITH (m = 8, efConstruction = 40);
CREATE INDEX sparse ON t USING hnsw ((v::sparsevec(16)) sparsevec_l2_ops) WITH (m = 8, ef_construction = 40);
CREATE INDEX partial ON t USING faisshnsw (v vector_cosine_ops) WITH (m = 8, efConstruction = 40) WHERE id % 2 = 0;
CREATE FUNCTION twice(v vector) RETURNS vector LANGUAGE sql IMMUTABLE AS $$ SELECT v + v $$;
CREATE INDEX computed ON t USING faisshnsw ((twice(v)::vector(16))) WITH (m = 8, efConstruction = 40);
CREATE VIEW state AS SELECT c.relname AS index, (SELECT count(*) > 0 FROM faiss.recall_curve(c.oid)) AS measured,
    (regexp_match(i.search, '[0-9]+'))[1]::int AS ef, (SELECT count(*) FROM faiss.check(c.oid)) AS problems
    FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid, faiss.index_info(c.oid) i WHERE x.indrelid = 't'::regclass ORDER BY 1;
INSERT INTO t SELECT * FROM points(1, 900);
VACUUM t;
SELECT * FROM state;
-- Users' functions are not called by VACUUM, but by who asks.
INSERT INTO t SELECT * FROM points(901, 2400);
SELECT * FROM state;
VACUUM t;
SELECT index, measured, ef <> 100 AS chosen, problems FROM state;
SELECT rebuilt, reason, lists_before, lists, ntotal FROM faiss.maintain('computed');
SELECT rebuilt, reason, ntotal FROM faiss.maintain('computed');
SELECT index, measured FROM state WHERE index = 'computed';
-- Half as many again are not enough, and once more are.
INSERT INTO t SELECT * FROM points(2401, 3600);
SELECT index, reason FROM state, faiss.maintain(index::regclass);
INSERT INTO t SELECT * FROM points(3601, 5000);
SELECT index, reason, ntotal FROM state, faiss.maintain(index::regclass);
-- Other sessions see it at once, as do those that have the graph at hand.
SELECT index, measured, problems FROM state;
-- As many rows as before, but others.
DELETE FROM t WHERE id <= 3000;
VACUUM t;
INSERT INTO t SELECT * FROM points(5001, 8000);
SELECT index, regexp_replace(reason, '^[0-9]+', '#') AS reason FROM state, faiss.maintain(index::regclass);
-- Few rows are not measured, and a build measures by itself.
DELETE FROM t WHERE id > 3500;
VACUUM t;
SELECT rebuilt, reason FROM faiss.maintain('dense');
REINDEX INDEX dense;
SELECT rebuilt, reason FROM faiss.maintain('dense');
