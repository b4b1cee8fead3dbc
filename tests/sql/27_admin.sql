-- Who may look inside which index, and what is no index of ours.
CREATE TABLE t (id int PRIMARY KEY, v vector(2));
INSERT INTO t SELECT i, ARRAY[i, -i]::vector FROM generate_series(1, 200) i;
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 4);
CREATE TABLE p (id int, v vector(2)) PARTITION BY RANGE (id);
CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (1000);
INSERT INTO p SELECT * FROM t;
CREATE INDEX p_v ON p USING faissivf (v) WITH (nlist = 4);
CREATE VIEW w AS SELECT * FROM t;
\a
SELECT oid::regprocedure, provolatile, proparallel, proisstrict, prosecdef, obj_description(oid) IS NOT NULL AS described
FROM pg_proc WHERE pronamespace = 'faiss'::regnamespace AND prorettype <> 'internal'::regtype ORDER BY oid::regprocedure::text COLLATE "C";
\a
-- SQLSTATE, message, detail and hint of whatever a statement is refused with.
CREATE FUNCTION refusal(statement text, OUT state text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
CREATE FUNCTION refusals(arguments text[]) RETURNS TABLE (function text, argument text, state text, message text, hint text) LANGUAGE plpgsql AS $$
BEGIN
    FOREACH argument IN ARRAY arguments LOOP
        FOREACH function IN ARRAY ARRAY['index_info', 'list_info', 'check'] LOOP
            SELECT r.state, r.message, r.hint INTO refusals.state, refusals.message, refusals.hint
            FROM refusal(format('SELECT count(*) FROM faiss.%I(%L)', function, argument)) r;
            RETURN NEXT;
        END LOOP;
    END LOOP;
END $$;
-- Not an index, not ours, partitioned, not there at all.
SELECT * FROM refusals('{t,w,t_pkey,p_v,p,pg_class,pg_class_oid_index,12345678,missing}');
SELECT method, ntotal FROM faiss.index_info('p_1_v_idx');
-- NULL in, nothing out.
SELECT count(*) FROM faiss.index_info(NULL);
SELECT count(*) FROM faiss.list_info(NULL);
SELECT count(*) FROM faiss.check(NULL);
-- Without SELECT on the table there is nothing to see of its index.
CREATE ROLE "27_reader";
SET ROLE "27_reader";
SELECT * FROM refusals('{t_v,p_1_v_idx}');
SELECT faiss.optimal_nlist(1000), faiss.similarity(1), faiss.l2_to_cosine(0);
RESET ROLE;
GRANT SELECT ON t TO "27_reader";
SET ROLE "27_reader";
SELECT state, message FROM refusals('{t_v}');
SELECT ntotal FROM faiss.index_info('t_v');
SELECT count(*) FROM faiss.list_info('t_v');
SELECT count(*) FROM faiss.check('t_v');
SELECT id FROM t ORDER BY v <-> '[7,-7]' LIMIT 1;
-- An ordinary role makes and uses indexes of its own.
CREATE TEMP TABLE own (v vector(2));
INSERT INTO own SELECT v FROM t;
CREATE INDEX own_v ON own USING faissivf (v) WITH (nlist = 4);
SELECT ntotal FROM faiss.index_info('own_v');
SET faiss.nprobe = 4;
SELECT count(*) FROM (SELECT * FROM own ORDER BY v <-> '[7,-7]' LIMIT 1000) s;
DROP TABLE own;
RESET ROLE;
REVOKE SELECT ON t FROM "27_reader";
SET ROLE "27_reader";
SELECT state, count(*) FROM refusals('{t_v}') GROUP BY 1;
RESET ROLE;
-- The functions in plain queries: joined, in a subquery, with the index given by its name or number.
SELECT c.relname, i.ntotal, l.n FROM pg_class c, faiss.index_info(c.oid) i, LATERAL (SELECT count(*) AS n FROM faiss.list_info(c.oid)) l
WHERE c.relam = (SELECT oid FROM pg_am WHERE amname = 'faissivf') AND c.relkind = 'i' ORDER BY 1;
SELECT (faiss.index_info('t_v')).ntotal;
SELECT sum(ntotal) FROM faiss.list_info('public.t_v'::regclass::oid);
-- The metapage, the directory, and of the centroids their vectors, their entries and a directory; a page that two lists share counts for both.
SELECT sum(l.pages) + 5 BETWEEN i.bytes / 8192 AND i.bytes / 8192 + 2 * count(*) AS every_page FROM faiss.list_info('t_v') l, faiss.index_info('t_v') i GROUP BY i.bytes;
SELECT bytes = pg_relation_size('t_v') AS every_byte FROM faiss.index_info('t_v');
-- An index without a complete build is not damaged: one query over all indexes goes on.
CREATE TABLE n (id int PRIMARY KEY, v vector(2));
INSERT INTO n SELECT * FROM t;
CREATE INDEX n_good ON n USING faissivf (v) WITH (nlist = 4, seed = 7);
CREATE INDEX CONCURRENTLY n_failed ON n USING faissivf ((ARRAY[1 / (id - 150), 1]::vector(2))) WITH (nlist = 4, seed = 8);
CREATE INDEX CONCURRENTLY n_graph ON n USING faisshnsw ((ARRAY[1 / (id - 150), 1]::vector(2)));
SELECT c.relname, i.method, i.factory, i.metric, i.dims, i.element_type, i.is_trained, i.ntotal, i.code_size, i.nlist, i.seed, i.format_version, i.is_valid
FROM pg_class c, faiss.index_info(c.oid) i WHERE c.relname LIKE 'n\_%' AND c.relkind = 'i' AND c.relname <> 'n_pkey' ORDER BY 1;
SELECT c.relname, h.retrain, h.advice FROM pg_class c, faiss.health(c.oid) h WHERE c.relname IN ('n_failed', 'n_graph', 'n_good') ORDER BY 1;
SELECT count(*) FROM faiss.list_info('n_failed');
SELECT count(*) FROM faiss.check('n_failed');
SELECT r.* FROM unnest(ARRAY['recall(''n_failed'')', 'tune(''n_graph'')', 'search(''n_failed'', ''{}''::vector[], 3)']) s, refusal('SELECT * FROM faiss.' || s) r;
-- Built, and not valid yet: its pages are read, no query uses it.
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'n_good'::regclass;
SELECT ntotal, is_valid FROM faiss.index_info('n_good');
SELECT count(*) FROM faiss.list_info('n_good');
SELECT advice FROM faiss.health('n_good');
SELECT count(*) FROM faiss.check('n_good');
DELETE FROM n WHERE id = 150;
REINDEX INDEX n_failed;
SELECT ntotal, is_valid FROM faiss.index_info('n_failed');
DROP TABLE n;
-- A column or an expression of a domain has the dimensions of the type below it.
CREATE DOMAIN pair AS vector(2);
CREATE DOMAIN near AS pair CHECK (VALUE <-> '[0,0]' < 1000);
CREATE DOMAIN free AS vector;
CREATE TABLE d (id int, v near, f free);
INSERT INTO d SELECT id, v, v FROM t;
CREATE INDEX d_v ON d USING faissivf (v) WITH (nlist = 4);
CREATE INDEX d_graph ON d USING faisshnsw ((v::pair));
SELECT i.dims, i.element_type, i.ntotal FROM unnest('{d_v,d_graph}'::regclass[]) x, faiss.index_info(x) i;
CREATE INDEX ON d USING faissivf (f);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM d ORDER BY v <-> '[7,-7]' LIMIT 3;
SELECT id FROM d ORDER BY v <-> '[7,-7]' LIMIT 3;
RESET enable_seqscan;
SELECT recall FROM faiss.recall('d_v', queries => 20);
SELECT create_index ~ '\(v ' AS the_column FROM faiss.recommend('d', 'v') LIMIT 1;
INSERT INTO d VALUES (1, '[1,2,3]');
DROP TABLE d;
DROP DOMAIN near, pair, free;
-- In a transaction that changed the table, and again after it was undone.
BEGIN;
DELETE FROM t WHERE id > 100;
INSERT INTO t SELECT i, '[5,5]' FROM generate_series(1001, 1010) i;
SELECT ntotal FROM faiss.index_info('t_v');
SELECT count(*) FROM faiss.check('t_v');
ROLLBACK;
VACUUM t;
SELECT ntotal FROM faiss.index_info('t_v');
DROP TABLE t, p CASCADE;
DROP ROLE "27_reader";
