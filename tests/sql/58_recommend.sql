-- Which index to build: faiss.recommend.
\set VERBOSITY terse
CREATE FUNCTION vectors(n int, d int) RETURNS SETOF vector LANGUAGE sql AS $$
    SELECT array_agg((hashint8(i::bigint * 1000 + j) & 1048575) / 1048576.0 ORDER BY j)::vector
    FROM generate_series(1, n) i, generate_series(1, d) j GROUP BY i ORDER BY i $$;
CREATE TABLE doc (id serial PRIMARY KEY, embedding vector(8), note text);
-- Nothing there yet.
SELECT * FROM faiss.recommend('doc', 'embedding');
INSERT INTO doc (embedding) SELECT v FROM vectors(1000, 8) v;
\x on
-- Never analyzed, then analyzed: the rows are there either way.
SELECT * FROM faiss.recommend('doc', 'embedding', memory_mb => 100);
ANALYZE doc;
SELECT * FROM faiss.recommend('doc', 'embedding', memory_mb => 100);
-- By rows expected, by recall, by memory, by metric.
SELECT * FROM faiss.recommend('doc', 'embedding', memory_mb => 1000, rows => 5000000);
SELECT * FROM faiss.recommend('doc', 'embedding', 0.999, memory_mb => 1000, rows => 5000000);
SELECT * FROM faiss.recommend('doc', 'embedding', memory_mb => 10, metric => 'cosine', rows => 5000000);
SELECT * FROM faiss.recommend('doc', 'embedding', memory_mb => 1000, metric => 'l1', rows => 500000);
SELECT * FROM faiss.recommend('doc', 'embedding', 1, memory_mb => 1000, rows => 500000);
SELECT * FROM faiss.recommend('doc', 'embedding', memory_mb => 100000, rows => 400000000);
\x off
-- Without memory_mb it is shared_buffers that counts.
SELECT why LIKE '%fits in shared\_buffers, ' || pg_size_pretty(pg_size_bytes(current_setting('shared_buffers'))) || '.%' AS shared_buffers
FROM faiss.recommend('doc', 'embedding');
-- Every recommendation runs as it stands.
CREATE FUNCTION build(relation regclass, "column" text, memory_mb int, metric text DEFAULT NULL, rows bigint DEFAULT NULL)
RETURNS TABLE (factory text, statement text, size_is_right boolean) LANGUAGE plpgsql AS $$
DECLARE advice record; index regclass;
BEGIN
    SELECT * INTO advice FROM faiss.recommend($1, $2, memory_mb => $3, metric => $4, rows => $5);
    EXECUTE advice.create_index;
    SELECT max(indexrelid) INTO index FROM pg_index WHERE indrelid = $1;
    RETURN QUERY SELECT advice.factory, advice.create_index,
        CASE WHEN $5 IS NULL THEN abs(advice.bytes / (SELECT sum(pg_relation_size(oid)) FROM pg_class
            WHERE oid IN (SELECT index UNION SELECT relid FROM pg_partition_tree(index))) - 1) < 0.03 END;
    EXECUTE 'DROP INDEX ' || index;
END $$;
SELECT * FROM build('doc', 'embedding', 100);
SELECT * FROM build('doc', 'embedding', 100, 'inner_product');
SELECT * FROM build('doc', 'embedding', 100, 'l1');
SET client_min_messages = warning;
SELECT b.* FROM unnest('{1000,20,1}'::int[]) memory_mb, unnest('{l2,cosine}'::text[]) metric, unnest('{300000,3000000}'::bigint[]) n,
    build('doc', 'embedding', memory_mb, metric, n) b;
RESET client_min_messages;
-- What it says of an index's size is what the index has.
CREATE TABLE large (v halfvec(16));
INSERT INTO large SELECT v::halfvec FROM vectors(100000, 16) v;
SELECT * FROM build('large', 'v', 100);
SELECT * FROM build('large', 'v', 2);
SELECT * FROM build('large', 'v', 1, 'cosine');
-- A partitioned table: an index on each partition, their lists by rule.
CREATE TABLE part (id int, v vector(16)) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (100001);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100001) TO (200001);
INSERT INTO part SELECT i, v FROM (SELECT row_number() OVER () AS i, v FROM large) s;
INSERT INTO part SELECT id + 100000, v FROM part;
ANALYZE part_1;
\x on
SELECT factory, create_index, why FROM faiss.recommend('part', 'v', memory_mb => 4);
\x off
SELECT * FROM build('part', 'v', 4);
-- Dimensions that only the rows know, and those of a domain.
CREATE DOMAIN place AS vector(8) CHECK (VALUE IS NOT NULL);
CREATE TABLE "Odd Table" ("The Vector" vector, at place);
SELECT factory FROM faiss.recommend('"Odd Table"', 'at');
SELECT factory FROM faiss.recommend('"Odd Table"', 'The Vector');
INSERT INTO "Odd Table" SELECT embedding, embedding FROM doc;
SELECT * FROM build('"Odd Table"', 'The Vector', 100);
SELECT * FROM build('"Odd Table"', 'at', 100);
\x on
SELECT why FROM faiss.recommend('"Odd Table"', 'The Vector', memory_mb => 100);
\x off
-- Names are found whatever the search path.
SET search_path = pg_catalog;
SELECT * FROM public.build('public.doc', 'embedding', 100, 'cosine');
RESET search_path;
-- The metric of an index that is there.
CREATE INDEX doc_cosine ON doc USING faissflat (embedding vector_cosine_ops);
SELECT create_index FROM faiss.recommend('doc', 'embedding');
SELECT create_index FROM faiss.recommend('doc', 'embedding', metric => 'l2');
DROP INDEX doc_cosine;
-- Vectors out of line; maintenance_work_mem.
CREATE TABLE wide (v vector(1000));
INSERT INTO wide SELECT v FROM vectors(20, 1000) v;
SELECT factory, create_index FROM faiss.recommend('wide', 'v', memory_mb => 3000, rows => 1000000);
ALTER TABLE wide ALTER v SET STORAGE PLAIN;
VACUUM FULL wide;
SELECT factory, create_index FROM faiss.recommend('wide', 'v', memory_mb => 3000, rows => 1000000);
SET maintenance_work_mem = '1MB';
\x on
SELECT factory, create_index, why FROM faiss.recommend('wide', 'v', memory_mb => 100, rows => 1000000);
\x off
RESET maintenance_work_mem;
-- Materialized views can be indexed, views and sequences cannot.
CREATE MATERIALIZED VIEW m AS SELECT * FROM doc;
CREATE VIEW w AS SELECT * FROM doc;
SELECT * FROM build('m', 'embedding', 100);
SELECT * FROM faiss.recommend('w', 'embedding');
SELECT * FROM faiss.recommend('doc_id_seq', 'embedding');
SELECT * FROM faiss.recommend('doc_pkey', 'id');
SELECT * FROM faiss.recommend(12345678, 'id');
-- What cannot be answered.
\set VERBOSITY default
SELECT * FROM faiss.recommend('doc', 'id');
SELECT * FROM faiss.recommend('doc', 'missing');
SELECT * FROM faiss.recommend('doc', 'ctid');
SELECT * FROM faiss.recommend('doc', 'embedding', 0);
SELECT * FROM faiss.recommend('doc', 'embedding', 1.5);
SELECT * FROM faiss.recommend('doc', 'embedding', 'NaN');
SELECT * FROM faiss.recommend('doc', 'embedding', memory_mb => 0);
SELECT * FROM faiss.recommend('doc', 'embedding', rows => -1);
SELECT * FROM faiss.recommend('doc', 'embedding', metric => 'hamming');
SELECT count(*) FROM faiss.recommend(NULL, 'embedding');
SELECT count(*) FROM faiss.recommend('doc', NULL);
-- SELECT on the table or on the column is enough, and needed.
CREATE ROLE "58_reader";
SET ROLE "58_reader";
SELECT factory FROM faiss.recommend('doc', 'embedding');
RESET ROLE;
GRANT SELECT (embedding) ON doc TO "58_reader";
SET ROLE "58_reader";
SELECT factory FROM faiss.recommend('doc', 'embedding');
SELECT factory FROM faiss.recommend('doc', 'note');
SELECT factory FROM faiss.recommend('doc', 'id');
RESET ROLE;
DROP OWNED BY "58_reader";
DROP ROLE "58_reader";
