-- Recall is what one asks for: the build measures what it costs, and scans go as far as that takes.
CREATE TABLE t (id int PRIMARY KEY, v vector(16));
INSERT INTO t SELECT i, (SELECT array_agg(hashint4(i * 16 + j) % 1000 ORDER BY j) FROM generate_series(0, 15) j)::vector FROM generate_series(1, 6000) i;
CREATE TABLE asked AS SELECT array_agg((SELECT array_agg(hashint4(-i * 16 - j) % 1000 ORDER BY j) FROM generate_series(0, 15) j)::vector) AS q FROM generate_series(1, 200) i;
CREATE FUNCTION is_met(index regclass, target float8, k int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    found float8;
BEGIN
    PERFORM set_config('faiss.recall_target', target::text, true);
    SELECT recall INTO found FROM asked, faiss.recall(index, q, k);
    IF found < target - 0.03 THEN
        RAISE NOTICE 'recall@% of % is %', k, index, found;
        RETURN false;
    END IF;
    RETURN true;
END $$;
-- Of every kind: the target is met by queries that are no rows, and a lower one costs less.
CREATE FUNCTION kind(method text, options text) RETURNS TABLE (met boolean, rises boolean, points bigint, target float8, shown text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE INDEX made ON t USING %s (v) WITH (%s)', method, options);
    RETURN QUERY SELECT
        (SELECT bool_and(is_met('made', x.goal, x.k)) FROM (VALUES (0.95::float8, 10), (0.95, 1), (0.95, 100), (0.8, 10), (0.99, 10)) x (goal, k)),
        (SELECT bool_and(effort >= before) FROM (SELECT coalesce(nprobe, 1) * coalesce(k_factor, 1) * coalesce(efsearch, 1) AS effort,
            lag(coalesce(nprobe, 1) * coalesce(k_factor, 1) * coalesce(efsearch, 1)) OVER (PARTITION BY c.k ORDER BY recall) AS before
            FROM faiss.recall_curve('made') c) s WHERE before IS NOT NULL),
        (SELECT count(*) FROM faiss.recall_curve('made') WHERE recall <= 0.95),
        0.0::float8, (SELECT regexp_replace(search, '[0-9.]+', '#', 'g') FROM faiss.index_info('made'));
    DROP INDEX made;
END $$;
SELECT met, rises, points, shown FROM kind('faissivf', 'nlist = 64, code = flat');
SELECT met, rises, points, shown FROM kind('faissivf', 'nlist = 64, code = sq8');
SELECT met, rises, points, shown FROM kind('faissivf', 'nlist = 64, code = pqfs, m = 8');
SELECT met, rises, points, shown FROM kind('faissivf', $$factory = 'RR,IVF64,RaBitQ2'$$);
SELECT met, rises, points, shown FROM kind('faissflat', 'code = pqfs, m = 8');
SELECT met, rises, points, shown FROM kind('faisshnsw', 'm = 8, efConstruction = 40');
SELECT met, rises, points, shown FROM kind('faisshnsw', 'm = 8, efConstruction = 40, code = sq8');
-- Which one wins: what is set in the session, then the own option of the index, then the default.
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 64, code = sq8);
CREATE FUNCTION present() RETURNS TABLE (target float8, nprobe int, k_factor int) LANGUAGE sql AS $$
    SELECT recall_target, (regexp_match(search, 'nprobe=([0-9]+)'))[1]::int, (regexp_match(search, 'k_factor=([0-9]+)'))[1]::int FROM faiss.index_info('t_v') $$;
CREATE TABLE usual AS SELECT * FROM present();
SELECT target FROM usual;
ALTER INDEX t_v SET (recall_target = 0.7);
SELECT n.target, n.nprobe < u.nprobe AS less FROM present() n, usual u;
SET faiss.recall_target = 0.99;
SELECT n.target, n.nprobe > u.nprobe AS more FROM present() n, usual u;
SET faiss.nprobe = 5;
SELECT n.nprobe, n.k_factor >= u.k_factor AS still_by_target FROM present() n, usual u;
SET faiss.k_factor = 9;
SELECT nprobe, k_factor FROM present();
RESET faiss.nprobe;
RESET faiss.k_factor;
ALTER INDEX t_v SET (nprobe = 3, k_factor = 2);
SELECT nprobe, k_factor FROM present();
SET faiss.nprobe = 0;
SELECT n.nprobe > u.nprobe AS automatic_again, n.k_factor FROM present() n, usual u;
RESET faiss.nprobe;
RESET faiss.recall_target;
ALTER INDEX t_v RESET (nprobe, k_factor, recall_target);
SELECT n.target = u.target AND n.nprobe = u.nprobe AND n.k_factor = u.k_factor AS as_before FROM present() n, usual u;
ALTER INDEX t_v SET (recall_target = 0.4);
ALTER INDEX t_v SET (recall_target = 1);
CREATE INDEX ON t USING faisshnsw (v) WITH (recall_target = much);
-- A hundred rows take more than ten, and more is taken where the table has grown since.
SELECT a.nprobe >= b.nprobe AS more FROM (SELECT max(nprobe) AS nprobe FROM faiss.recall_curve('t_v') WHERE k = 100 AND recall = 0.95) a,
    (SELECT max(nprobe) AS nprobe FROM faiss.recall_curve('t_v') WHERE k = 10 AND recall = 0.95) b;
ALTER TABLE t SET (autovacuum_enabled = off);
INSERT INTO t SELECT i, (SELECT array_agg(hashint4(i * 16 + j) % 1000 ORDER BY j) FROM generate_series(0, 15) j)::vector FROM generate_series(6001, 24000) i;
ANALYZE t;
SELECT n.nprobe > u.nprobe AS more FROM present() n, usual u;
SELECT is_met('t_v', 0.95, 10);
-- So is what VACUUM builds anew.
VACUUM t;
SELECT count(*) > 0 AS measured, is_met('t_v', 0.95, 10) FROM faiss.recall_curve('t_v');
-- REINDEX measures anew. A graph that began empty has nothing measured until VACUUM comes, and goes far.
REINDEX INDEX t_v;
SELECT count(*) > 0 AS measured, is_met('t_v', 0.95, 10) FROM faiss.recall_curve('t_v');
CREATE TABLE g (id int, v vector(16));
CREATE INDEX g_v ON g USING faisshnsw (v) WITH (m = 8, efConstruction = 40);
INSERT INTO g SELECT * FROM t WHERE id <= 3000;
SELECT count(*) AS measured FROM faiss.recall_curve('g_v');
SELECT search FROM faiss.index_info('g_v');
SELECT is_met('g_v', 0.95, 10);
-- Nothing to choose, nothing measured; few rows, all equal rows.
CREATE INDEX t_flat ON t USING faissflat (v) WITH (code = flat);
SELECT count(*) FROM faiss.recall_curve('t_flat');
SELECT recall_target, search FROM faiss.index_info('t_flat');
CREATE TABLE few (v vector(16));
INSERT INTO few SELECT v FROM t LIMIT 3;
CREATE INDEX few_v ON few USING faissivf (v) WITH (nlist = 2, code = sq8);
SELECT count(*) FROM few, LATERAL (SELECT v FROM few b ORDER BY b.v <-> few.v LIMIT 3) s;
CREATE TABLE same (v vector(16));
INSERT INTO same SELECT (SELECT v FROM t WHERE id = 1) FROM generate_series(1, 2000);
CREATE INDEX same_v ON same USING faissivf (v) WITH (nlist = 4, code = sq8);
SELECT count(*) FROM (SELECT v FROM same ORDER BY v <-> (SELECT v FROM t WHERE id = 1) LIMIT 50) s;
SELECT count(*) FROM faiss.recall_curve('same_v');
