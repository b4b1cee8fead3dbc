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
SELECT sum(l.pages) + 3 = i.bytes / 8192 AS lists_metapage_centroids_directory FROM faiss.list_info('t_v') l, faiss.index_info('t_v') i GROUP BY i.bytes;
SELECT bytes = pg_relation_size('t_v') AS every_byte FROM faiss.index_info('t_v');
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
