-- Many queries at once: the rows, places and distances that each query's own scan gives.
CREATE SEQUENCE drawn;
CREATE FUNCTION near(center int, spread float8) RETURNS vector LANGUAGE sql VOLATILE AS $$
    SELECT array_agg((sin(center * 7 + j * j) * 2 + hashint8(nextval('drawn')) / 4294967296.0 * spread)::real ORDER BY j)::vector FROM generate_series(1, 12) j $$;
CREATE TABLE t (id int PRIMARY KEY, n int, v vector(12), h halfvec(12) GENERATED ALWAYS AS (v) STORED) WITH (fillfactor = 60, autovacuum_enabled = off);
INSERT INTO t SELECT i, 0, near(i % 30, 2) FROM generate_series(1, 1500) i;
CREATE TABLE question (no serial, v vector(12));
INSERT INTO question (v) SELECT v FROM t WHERE id % 100 = 7;
INSERT INTO question (v) SELECT near(i, 3) FROM generate_series(1, 20) i;
ANALYZE t, question;
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 16);
-- Queries from a table, ids by the rows' places; the plan looks up each place.
SELECT query_no, id, round(distance::numeric, 3) AS distance
FROM faiss.search('t_v', (SELECT array_agg(v ORDER BY no) FROM question WHERE no <= 3), 3) s JOIN t ON t.ctid = s.tid ORDER BY query_no, s.distance;
CREATE FUNCTION plan(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || statement; END $$;
-- From 16 on the server sorts for an aggregate beforehand.
SELECT ltrim(line) AS plan FROM plan($$WITH q AS (SELECT array_agg(no ORDER BY no) AS nos, array_agg(v ORDER BY no) AS vs FROM question)
    SELECT q.nos[s.query_no] AS question, t.id, s.distance FROM q CROSS JOIN LATERAL faiss.search('t_v', q.vs, 10) s JOIN t ON t.ctid = s.tid$$) line WHERE line !~ 'Sort';
DROP INDEX t_v;
-- One index after the other: what differs between the batch and a loop of scans, in any row.
CREATE FUNCTION differences(made text, type text, op text, k int) RETURNS TABLE (batch bigint, loop bigint, different bigint) LANGUAGE plpgsql AS $$
DECLARE
    scan text := format('SELECT x.ctid AS tid, x.c %1$s q.c AS distance, row_number() OVER () AS rank FROM (SELECT ctid, %2$s AS c FROM t ORDER BY %2$s %1$s q.c LIMIT %3$s) x', op,
        CASE type WHEN 'vector' THEN 'v' ELSE 'h' END, k);
BEGIN
    EXECUTE made;
    SET LOCAL enable_seqscan = off;
    RETURN QUERY EXECUTE format($q$
        WITH q AS (SELECT row_number() OVER (ORDER BY no) AS no, v::%1$s AS c FROM question),
        a AS (SELECT query_no, row_number() OVER (PARTITION BY query_no ORDER BY o) AS rank, tid, distance
              FROM faiss.search('i', (SELECT array_agg(c ORDER BY no) FROM q), %2$s) WITH ORDINALITY s(query_no, tid, distance, o)),
        b AS MATERIALIZED (SELECT q.no AS query_no, s.* FROM q, LATERAL (%3$s) s)
        SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b), (SELECT count(*) FROM (
            SELECT a.query_no, a.rank, a.tid, a.distance FROM a EXCEPT SELECT b.query_no, b.rank, b.tid, b.distance FROM b) d)$q$, type, k, scan);
    DROP INDEX i;
END $$;
CREATE TABLE kind AS SELECT row_number() OVER ()::int AS no, options FROM (VALUES
    ('nlist = 16'), ('nlist = 16, code = sqfp16'), ('nlist = 16, code = sq8'), ('nlist = 16, code = sq4'), ('nlist = 16, code = pqfs, m = 6'), ('nlist = 16, code = pqfs, m = 6, refine = flat'),
    ('nlist = 16, code = pq, m = 6, nbits = 6, refine = sq8'), ('nlist = 16, code = pq, m = 4, nbits = 9, refine = sqfp16'), ('factory = ''RR,IVF16,RaBitQ'''), ('factory = ''OPQ4,IVF16,PQ4x5,RFlat''')) o(options);
-- Each kind once, with types and operators in turn.
CREATE FUNCTION every_kind(method text, k int, turn int) RETURNS TABLE (kinds bigint, rows numeric, different numeric) LANGUAGE sql AS $$
    WITH o AS (SELECT options, (ARRAY['vector', 'halfvec'])[1 + (no + turn) % 2] AS type, (no + turn) % 3 AS op FROM kind),
    made AS (SELECT type, (ARRAY['<->', '<#>', '<=>'])[1 + op] AS op, format('CREATE INDEX i ON t USING %s (%s %s_%s_ops)', method, left(type, 1), type, (ARRAY['l2', 'ip', 'cosine'])[1 + op])
        || CASE WHEN method = 'faissivf' THEN format(' WITH (%s)', options) WHEN options <> 'nlist = 16' THEN format(' WITH (%s)', replace(replace(options, 'nlist = 16, ', ''), 'IVF16,', '')) ELSE '' END AS made FROM o)
    SELECT count(*), sum(d.loop), sum(d.different + abs(d.batch - d.loop)) FROM made, LATERAL differences(made, type, op, k) d $$;
SET client_min_messages = warning;
-- Some candidates belong to many queries, most to few: the batch measures them in different places.
INSERT INTO question (v) SELECT v FROM question, generate_series(1, 6) WHERE no = 5;
SET faiss.nprobe = 3;
SELECT e.* FROM generate_series(0, 2) turn, every_kind('faissivf', 10, turn) e;
SELECT * FROM every_kind('faissflat', 10, 1);
SELECT * FROM differences('CREATE INDEX i ON t USING faissflat (v vector_l1_ops)', 'vector', '<+>', 25);
SELECT * FROM differences('CREATE INDEX i ON t USING faissflat (h halfvec_l1_ops)', 'halfvec', '<+>', 25);
-- A graph is walked by each query alone.
SELECT * FROM differences('CREATE INDEX i ON t USING faisshnsw (v)', 'vector', '<->', 10);
SELECT * FROM differences('CREATE INDEX i ON t USING faisshnsw (h halfvec_cosine_ops)', 'halfvec', '<=>', 10);
-- More of the graph kept in sight finds more; the setting stays what it was.
CREATE INDEX t_graph ON t USING faisshnsw (v) WITH (m = 4, efConstruction = 8, efSearch = 2);
CREATE FUNCTION missed(ef int) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM question q, LATERAL (SELECT v <-> q.v AS d, row_number() OVER (ORDER BY v <-> q.v) AS rank FROM t) e
        JOIN (SELECT query_no, distance, row_number() OVER (PARTITION BY query_no ORDER BY distance) AS rank
              FROM faiss.search('t_graph', (SELECT array_agg(v ORDER BY no) FROM question), 10, efsearch => ef)) s USING (rank)
    WHERE s.query_no = q.no AND s.distance IS DISTINCT FROM e.d $$;
SELECT missed(1) > missed(64) AS more_is_better, missed(NULL) > missed(64) AS unset_is_the_index_s, missed(65536) AS missed;
SHOW faiss.efSearch;
DROP INDEX t_graph;
-- More rows than the lists hold: the queries go on by themselves, as scans do.
SET faiss.nprobe = 1;
SELECT * FROM every_kind('faissivf', 8, 4);
SELECT * FROM differences('CREATE INDEX i ON t USING faissivf (v) WITH (nlist = 16)', 'vector', '<->', 50);
SET faiss.iterative_scan = relaxed_order;
SELECT * FROM differences('CREATE INDEX i ON t USING faissivf (v) WITH (nlist = 16)', 'vector', '<->', 50);
SET faiss.iterative_scan = off;
SELECT * FROM differences('CREATE INDEX i ON t USING faissivf (v) WITH (nlist = 64)', 'vector', '<->', 50);
RESET faiss.iterative_scan;
-- A table that lives: rows updated in their page and out of it, deleted, rolled back, of this very transaction.
UPDATE t SET n = 1 WHERE id % 3 = 0;
UPDATE t SET v = near(id % 30, 2) WHERE id % 7 = 0;
DELETE FROM t WHERE id % 5 = 0;
BEGIN;
INSERT INTO t SELECT i, 0, near(i % 30, 2) FROM generate_series(3001, 3300) i;
ROLLBACK;
INSERT INTO t SELECT i, 0, near(i % 30, 2) FROM generate_series(4001, 4100) i;
SELECT * FROM differences('CREATE INDEX i ON t USING faisshnsw (v)', 'vector', '<->', 10);
SET faiss.nprobe = 4;
SELECT * FROM every_kind('faissivf', 10, 5);
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 16);
CREATE INDEX t_fs ON t USING faissivf (v vector_ip_ops) WITH (nlist = 16, code = pqfs, m = 6);
CREATE INDEX t_rb ON t USING faissivf (v vector_cosine_ops) WITH (factory = 'IVF16,RaBitQ,RFlat');
CREATE FUNCTION lost(k int) RETURNS TABLE (index regclass, answers bigint, strangers bigint, wrong bigint) LANGUAGE sql AS $$
    SELECT i, count(*), count(*) FILTER (WHERE t.ctid IS NULL),
        count(*) FILTER (WHERE s.distance IS DISTINCT FROM CASE i WHEN 't_v' THEN t.v <-> q.v WHEN 't_fs' THEN t.v <#> q.v ELSE t.v <=> q.v END)
    FROM (VALUES ('t_v'), ('t_fs'), ('t_rb')) x(i), LATERAL faiss.search(i::regclass, (SELECT array_agg(v ORDER BY no) FROM question), k) s
        LEFT JOIN t ON t.ctid = s.tid LEFT JOIN question q ON q.no = s.query_no
    GROUP BY i ORDER BY i $$;
UPDATE t SET n = n + 1 WHERE id % 2 = 0;
UPDATE t SET n = n + 1 WHERE id % 4 = 0;
DELETE FROM t WHERE id % 11 = 0;
SELECT * FROM lost(10);
SELECT * FROM lost(100);
BEGIN;
UPDATE t SET v = near(id % 30, 2), n = 7 WHERE id % 13 = 0;
INSERT INTO t SELECT i, 0, near(i % 30, 2) FROM generate_series(5001, 5100) i;
DELETE FROM t WHERE id % 17 = 0;
SELECT * FROM lost(10);
SELECT count(*) AS gone FROM faiss.search('t_v', (SELECT array_agg(v) FROM question), 100) s WHERE NOT EXISTS (SELECT FROM t WHERE t.ctid = s.tid);
ROLLBACK;
SELECT * FROM lost(10);
VACUUM t;
SELECT * FROM lost(10);
-- Nearly everything deleted and not vacuumed: k rows all the same, as long as there are so many.
DELETE FROM t WHERE id > 60;
SELECT * FROM lost(5);
SET faiss.max_scan_tuples = 1000000;
SELECT query_no, count(*) FROM faiss.search('t_v', (SELECT array_agg(v ORDER BY no) FROM question WHERE no < 3), 65536, nprobe => 16) GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM t;
RESET faiss.max_scan_tuples;
VACUUM t;
-- Memory and threads change nothing.
CREATE INDEX t_hnsw ON t USING faisshnsw (v);
CREATE FUNCTION fingerprint() RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(s::text, ';' ORDER BY i, o)) FROM unnest('{t_v,t_fs,t_rb}'::regclass[]) i, LATERAL faiss.search(i, (SELECT array_agg(v ORDER BY no) FROM question), 7) WITH ORDINALITY s(a, b, c, o) $$;
INSERT INTO t SELECT i, 0, near(i % 30, 2) FROM generate_series(5001, 7000) i;
CREATE TEMP TABLE print AS SELECT fingerprint() AS before;
SET work_mem = '64kB';
SELECT fingerprint() = before AS same FROM print;
SET work_mem = '1GB';
SET max_parallel_workers_per_gather = 0;
SELECT fingerprint() = before AS same FROM print;
SET max_parallel_workers_per_gather = 7;
SELECT fingerprint() = before AS same FROM print;
RESET max_parallel_workers_per_gather;
RESET work_mem;
-- The arguments win over the settings; with all lists and candidates the answers are exact.
SET enable_indexscan = off;
SELECT count(*) AS different FROM question q, LATERAL (SELECT v <-> q.v AS d, row_number() OVER (ORDER BY v <-> q.v) AS rank FROM t ORDER BY 1 LIMIT 20) e
LEFT JOIN (SELECT query_no, distance, row_number() OVER (PARTITION BY query_no ORDER BY distance) AS rank FROM faiss.search('t_v', (SELECT array_agg(v ORDER BY no) FROM question), 20, 16)) s
    USING (rank) WHERE s.query_no = q.no AND s.distance IS DISTINCT FROM e.d;
SELECT count(*) AS different FROM question q, LATERAL (SELECT v <#> q.v AS d, row_number() OVER (ORDER BY v <#> q.v) AS rank FROM t ORDER BY 1 LIMIT 20) e
LEFT JOIN (SELECT query_no, distance, row_number() OVER (PARTITION BY query_no ORDER BY distance) AS rank FROM faiss.search('t_fs', (SELECT array_agg(v ORDER BY no) FROM question), 20, nprobe => 16, k_factor => 1024)) s
    USING (rank) WHERE s.query_no = q.no AND s.distance IS DISTINCT FROM e.d;
RESET enable_indexscan;
-- A query without direction has no distance to anything, and finds rows all the same.
SELECT query_no, count(*), count(*) FILTER (WHERE distance = 'NaN') AS nan FROM faiss.search('t_rb', array_fill(array_fill(0::real, '{12}')::vector, '{2}'), 4) GROUP BY 1 ORDER BY 1;
-- Nothing asked, nothing there.
SELECT count(*) FROM faiss.search('t_v', NULL::vector[], 3);
SELECT count(*) FROM faiss.search('t_v', '{}'::vector[], 3);
CREATE TABLE empty (v vector(3));
CREATE INDEX empty_v ON empty USING faissivf (v);
SELECT count(*) FROM faiss.search('empty_v', ARRAY['[1,2,3]', '[4,5,6]']::vector[], 3);
-- Partial, of an expression, of a partition, temporary; in the select list.
CREATE TABLE p (id int, v vector(2)) PARTITION BY LIST (id);
CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p_2 PARTITION OF p FOR VALUES IN (2);
INSERT INTO p SELECT i % 2 + 1, ARRAY[i, -i]::vector FROM generate_series(1, 300) i;
CREATE INDEX p_v ON p USING faissflat (((v * '[2,2]')::halfvec(2)) halfvec_l2_ops) WITH (code = sq8) WHERE v <> '[8,-8]';
SELECT query_no, p_1.v, round(distance::numeric, 3) AS distance FROM faiss.search('p_1_halfvec_idx', ARRAY['[16,-16]', '[17,-17]']::halfvec[], 2) s JOIN p_1 ON p_1.ctid = s.tid ORDER BY 1, s.distance, 2;
SELECT count(*) FROM faiss.search('p_v', '{}'::halfvec[], 3);
CREATE TEMP TABLE own AS SELECT * FROM p;
CREATE INDEX own_v ON own USING faissivf (v) WITH (nlist = 4);
SELECT faiss.search('own_v', ARRAY['[1,-1]']::vector[], 2);
SELECT (SELECT query_no FROM faiss.search('own_v', ARRAY['[1,-1]']::vector[], 2) LIMIT 1);
-- What is refused.
CREATE FUNCTION refusal(arguments text, OUT state text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT count(*) FROM faiss.search(%s)', arguments);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
SELECT a AS arguments, r.* FROM unnest(ARRAY[
    $a$'t_v', ARRAY['[1,2]']::vector[], 3$a$, $a$'t_v', ARRAY[NULL]::vector[], 3$a$, $a$'t_v', (SELECT ARRAY[array_agg(v)] FROM question), 3$a$, $a$'t_v', '{}'::halfvec[], 3$a$,
    $a$'p_1_halfvec_idx', '{}'::vector[], 3$a$, $a$'t_v', '{}'::vector[], 0$a$, $a$'t_v', '{}'::vector[], -5$a$, $a$'t_v', '{}'::vector[], 65537$a$, $a$'t_v', '{}'::vector[], NULL$a$, $a$NULL, '{}'::vector[], 3$a$,
    $a$'t_v', '{}'::vector[], 3, 0$a$, $a$'t_v', '{}'::vector[], 3, 4194305$a$, $a$'t_v', '{}'::vector[], 3, k_factor => -1$a$, $a$'t_v', '{}'::vector[], 3, k_factor => 1025$a$, $a$'p_1_halfvec_idx', '{}'::halfvec[], 3, 5$a$,
    $a$'t_hnsw', '{}'::vector[], 3, nprobe => 5$a$, $a$'t_hnsw', '{}'::vector[], 3, k_factor => 5$a$, $a$'t_hnsw', '{}'::vector[], 3, efsearch => 0$a$, $a$'t_v', '{}'::vector[], 3, efsearch => 5$a$, $a$'t', '{}'::vector[], 3$a$, $a$'t_pkey', '{}'::vector[], 3$a$, $a$12345678, '{}'::vector[], 3$a$]) a, refusal(a) r;
-- An index whose build failed, and one that is younger than what this transaction may see.
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_v'::regclass;
SELECT * FROM refusal($$'t_v', '{}'::vector[], 3$$);
UPDATE pg_index SET indisvalid = true WHERE indexrelid = 't_v'::regclass;
BEGIN;
CREATE TABLE young (id int, v vector(2));
INSERT INTO young SELECT i, ARRAY[i, i]::vector FROM generate_series(1, 10) i;
UPDATE young SET v = '[0,0]' WHERE id = 1;
CREATE INDEX young_v ON young USING faissflat (v);
SELECT indcheckxmin FROM pg_index WHERE indexrelid = 'young_v'::regclass;
SELECT * FROM refusal($$'young_v', '{}'::vector[], 3$$);
COMMIT;
SELECT id, distance FROM faiss.search('young_v', ARRAY['[0,0]']::vector[], 2) s JOIN young ON young.ctid = s.tid ORDER BY 2;
-- Who may not read the table learns nothing; who may not read every row of it neither.
CREATE ROLE "54_reader";
SET ROLE "54_reader";
SELECT * FROM refusal($$'t_v', '{}'::vector[], 3$$);
RESET ROLE;
GRANT SELECT ON t, question TO "54_reader";
SET ROLE "54_reader";
SELECT count(*) FROM faiss.search('t_v', (SELECT array_agg(v) FROM question), 2);
RESET ROLE;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON t USING (id < 10);
SET ROLE "54_reader";
SELECT * FROM refusal($$'t_v', '{}'::vector[], 3$$);
SET row_security = off;
SELECT * FROM refusal($$'t_v', '{}'::vector[], 3$$);
RESET ROLE;
RESET row_security;
SELECT count(*) FROM faiss.search('t_v', (SELECT array_agg(v) FROM question), 2);
DROP TABLE t, p, own, question, empty, young CASCADE;
DROP ROLE "54_reader";
-- Only among some rows, named by their ctids: with every method, many queries at once.
CREATE TABLE among (id int PRIMARY KEY, v vector(4), a int) WITH (fillfactor = 50);
INSERT INTO among SELECT k, ARRAY[sin(k), cos(k), sin(k * 3), cos(k * 7)]::real[]::vector, k % 10 FROM generate_series(1, 3000) k;
-- Rows that moved on their page are known by their new ctids.
UPDATE among SET a = 4 WHERE id % 7 = 0;
SET faiss.nprobe = 9;
CREATE INDEX among_v ON among USING faissivf (v) WITH (nlist = 9, seed = 1, code = flat);
CREATE FUNCTION among(k int) RETURNS TABLE (n bigint, is_right bool) LANGUAGE sql AS $$
  WITH q AS (SELECT array_agg(v ORDER BY id) qs FROM among WHERE id IN (3, 5, 8)),
    found AS (SELECT s.query_no, array_agg(t.id ORDER BY s.distance) ids FROM q, faiss.search('among_v', q.qs, k, tids => (SELECT array_agg(ctid) FROM among WHERE a = 4)) s JOIN among t ON t.ctid = s.tid GROUP BY 1),
    expected AS (SELECT i query_no, (SELECT array_agg(id ORDER BY d) FROM (SELECT id, v <-> q.qs[i] d FROM among WHERE a = 4 ORDER BY (v <-> q.qs[i]) + 0 LIMIT k) x) ids FROM q, generate_series(1, 3) i)
  SELECT sum(cardinality(f.ids)), bool_and(f.ids = e.ids) FROM expected e LEFT JOIN found f USING (query_no) $$;
SELECT * FROM among(10);
UPDATE among SET a = 4 WHERE id % 11 = 0;
SELECT * FROM among(10);
SELECT * FROM among(1000);
DROP INDEX among_v;
CREATE INDEX among_v ON among USING faissflat (v) WITH (code = flat);
SELECT * FROM among(10);
DROP INDEX among_v;
CREATE INDEX among_v ON among USING faissivf (v) WITH (nlist = 9, seed = 1, code = sq8, k_factor = 20);
SELECT * FROM among(10);
DROP INDEX among_v;
CREATE INDEX among_v ON among USING faisshnsw (v) WITH (m = 8, seed = 1, code = flat);
SELECT * FROM among(10);
-- None of them, none there, and no row's.
SELECT count(*) FROM faiss.search('among_v', ARRAY['[1,0,0,0]']::vector[], 5, tids => '{}');
SELECT count(*) FROM faiss.search('among_v', ARRAY['[1,0,0,0]']::vector[], 5, tids => ARRAY['(0,0)', '(0,60000)', '(4000000,1)']::tid[]);
SELECT count(*) FROM faiss.search('among_v', ARRAY['[1,0,0,0]']::vector[], 5, tids => NULL);
SELECT count(*) FROM faiss.search('among_v', ARRAY['[1,0,0,0]']::vector[], 5, tids => ARRAY[NULL]::tid[]);
RESET faiss.nprobe;
