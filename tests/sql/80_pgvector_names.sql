-- The access methods hnsw and ivfflat of our extension vector: pgvector's statements, as clients send them.
CREATE TABLE t (id int PRIMARY KEY, v vector(4), h halfvec(4));
INSERT INTO t SELECT i, ARRAY[i % 71, i % 53, i % 37, i % 11]::vector, ARRAY[i % 71, i % 53, i % 37, i % 11]::halfvec FROM generate_series(1, 3000) i;
SELECT amname, amtype, obj_description(oid, 'pg_am') FROM pg_am WHERE amname IN ('hnsw', 'ivfflat') ORDER BY 1;
SELECT a.amname, c.opcname, t.typname, c.opcdefault, amvalidate(c.oid)
FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod JOIN pg_type t ON t.oid = c.opcintype
WHERE a.amname IN ('hnsw', 'ivfflat') AND t.typname IN ('vector', 'halfvec') ORDER BY 1, 3 DESC, 2;
-- Settings are there once an index was looked at, as in pgvector once its library is loaded. Unset, they show our defaults.
CREATE INDEX t_graph ON t USING hnsw (v vector_l2_ops) WITH (m = 16, ef_construction = 64);
CREATE INDEX t_lists ON t USING ivfflat (v vector_cosine_ops) WITH (lists = 20);
SELECT name, setting, boot_val, min_val, max_val, enumvals, context FROM pg_settings WHERE name ~ '^(hnsw|ivfflat)\.' ORDER BY 1;
-- Options are stored under the names that were typed.
SELECT indexdef FROM pg_indexes WHERE tablename = 't' ORDER BY indexname;
SELECT relname, reloptions FROM pg_class WHERE relname IN ('t_graph', 't_lists') ORDER BY 1;
SELECT i.* FROM unnest(ARRAY['t_graph', 't_lists']::regclass[]) c, LATERAL (SELECT method, factory, metric, dims, ntotal, nlist FROM faiss.index_info(c)) i;
SELECT * FROM faiss.check('t_graph');
SELECT * FROM faiss.check('t_lists');
-- Without options, ours hold.
CREATE INDEX t_plain ON t USING hnsw (h halfvec_l1_ops);
CREATE INDEX t_some ON t USING ivfflat (v);
SELECT i.* FROM unnest(ARRAY['t_plain', 't_some']::regclass[]) c, LATERAL (SELECT method, factory, metric, element_type FROM faiss.index_info(c)) i;
DROP INDEX t_plain, t_some;
-- Our own options can be had as well, and pgvector's spelling on our methods.
CREATE INDEX t_coded ON t USING ivfflat (v vector_ip_ops) WITH (lists = 10, code = sq8, nprobe = 3);
CREATE INDEX t_ours ON t USING faisshnsw (h) WITH (m = 8, ef_construction = 40);
CREATE INDEX t_our_lists ON t USING faissivf (h) WITH (lists = 12);
SELECT i.* FROM unnest(ARRAY['t_coded', 't_ours', 't_our_lists']::regclass[]) c, LATERAL (SELECT method, factory, metric, nlist FROM faiss.index_info(c)) i;
DROP INDEX t_coded, t_ours, t_our_lists;
-- What is refused.
\set VERBOSITY default
CREATE INDEX ON t USING hnsw (v);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (m = 1);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (ef_construction = 1001);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (ef_construction = 64, efConstruction = 64);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH ("efConstruction" = 64);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (lists = 10);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (ef_search = 10);
CREATE INDEX ON t USING ivfflat (v) WITH (lists = 0);
CREATE INDEX ON t USING ivfflat (v) WITH (lists = 32769);
CREATE INDEX ON t USING ivfflat (v) WITH (lists = 10, nlist = 10);
CREATE INDEX ON t USING ivfflat (v) WITH (probes = 10);
CREATE INDEX ON t USING ivfflat (v vector_l1_ops);
SET hnsw.ef_search = 0;
SET hnsw.ef_search = 1001;
SET hnsw.max_scan_tuples = 0;
SET hnsw.iterative_scan = on;
SET ivfflat.probes = 0;
SET ivfflat.max_probes = 32769;
SET hnsw.scan_mem_multiplier = 0.5;
-- Scans heed the settings: more lists, more rows of the first look.
SET enable_seqscan = off;
SET enable_sort = off;
CREATE FUNCTION rows_of(operator text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (SELECT id FROM t ORDER BY v %s %L OFFSET 0) s', operator, '[5,5,5,5]') INTO n;
    RETURN n;
END $$;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[5,5,5,5]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <=> '[5,5,5,5]' LIMIT 5;
-- Unset they say nothing: every row comes.
SELECT rows_of('<=>'), rows_of('<->');
SET ivfflat.iterative_scan = off;
SET ivfflat.probes = 1;
SELECT rows_of('<=>') < 1000 AS few, rows_of('<->') AS "of the graph";
SET ivfflat.probes = 20;
SELECT rows_of('<=>');
SET ivfflat.iterative_scan = relaxed_order;
SET ivfflat.probes = 1;
SELECT rows_of('<=>');
-- A bound below what is searched first is none, but where nobody says how much that is.
SET ivfflat.max_probes = 2;
RESET ivfflat.probes;
SELECT rows_of('<=>') < 1500 AS few;
SET ivfflat.probes = 20;
SELECT rows_of('<=>');
SET ivfflat.probes = 1;
SELECT rows_of('<=>') < 1500 AS few;
\set VERBOSITY terse
SET faiss.max_scan_tuples = 1000000;
SELECT rows_of('<=>') < 1500 AS few;
RESET faiss.max_scan_tuples;
RESET ivfflat.max_probes;
SET hnsw.iterative_scan = off;
SET hnsw.ef_search = 50;
SELECT rows_of('<->'), rows_of('<=>') AS "of the lists";
BEGIN;
SET LOCAL hnsw.ef_search = 100;
SELECT rows_of('<->');
COMMIT;
SELECT rows_of('<->');
-- A setting of faiss that was set for the same wins, one for the database loses to the session's, and the index's own option
-- loses to both.
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET faiss."efSearch" = 16', current_database()); END $$;
\c
\set VERBOSITY terse
SET enable_seqscan = off;
SET enable_sort = off;
SET hnsw.iterative_scan = off;
SELECT rows_of('<->');
SET hnsw.ef_search = 50;
SELECT rows_of('<->');
SET faiss."efSearch" = 70;
SELECT rows_of('<->');
RESET faiss."efSearch";
ALTER INDEX t_graph SET (efSearch = 90);
SELECT rows_of('<->');
RESET hnsw.ef_search;
SELECT rows_of('<->');
ALTER INDEX t_graph RESET (efSearch);
SET hnsw.iterative_scan = relaxed_order;
SET hnsw.max_scan_tuples = 100;
SELECT rows_of('<->') < 1000 AS few;
RESET hnsw.max_scan_tuples;
SELECT rows_of('<->');
-- They are not for other access methods.
DROP INDEX t_graph;
CREATE INDEX t_graph ON t USING faisshnsw (v);
SET hnsw.iterative_scan = off;
SELECT rows_of('<->');
-- The functions of faiss know these indexes.
DROP INDEX t_graph;
CREATE INDEX t_graph ON t USING hnsw (v vector_l2_ops);
SELECT recall > 0.9 AS good, settings FROM faiss.recall('t_graph', queries => 50);
SELECT count(*) FROM faiss.search('t_lists', (SELECT array_agg(v) FROM t WHERE id < 10), 5);
SELECT count(*) FROM faiss.search('t_graph', (SELECT array_agg(v) FROM t WHERE id < 10), 5, efsearch => 2000);
SELECT retrain FROM faiss.health('t_lists');
\set VERBOSITY default
SET ivfflat.probes = 5;
SELECT bool_or(is_chosen) FROM faiss.tune('t_lists', 0.5, apply => true, queries => 50);
SELECT count(*) FROM pg_class WHERE relname = 't_lists' AND array_to_string(reloptions, ' ') ~ 'lists=20 nprobe=';
DROP TABLE t;
DROP FUNCTION rows_of;
