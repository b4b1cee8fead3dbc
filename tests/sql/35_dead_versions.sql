-- Row versions that nobody sees take no candidate away from the rows that are seen: recall stays what it was.
CREATE SEQUENCE drawn;
CREATE FUNCTION drawn(spread float8) RETURNS real LANGUAGE sql VOLATILE AS $$ SELECT (hashint8(nextval('drawn')) / 2147483648.0 * spread)::real $$;
CREATE FUNCTION near(center int, spread float8) RETURNS vector LANGUAGE sql VOLATILE AS $$
    SELECT array_agg((sin(center * 7 + j * j) * 1.5 + drawn(spread))::real ORDER BY j)::vector FROM generate_series(1, 32) j $$;
CREATE TABLE t (id int PRIMARY KEY, seen int DEFAULT 0, v vector(32)) WITH (autovacuum_enabled = off);
INSERT INTO t (id, v) SELECT i, near(i % 20, 1.2) FROM generate_series(1, 3000) i;
CREATE TABLE question AS SELECT i AS no, near(i % 20, 1.2) AS q FROM generate_series(1, 20) i;
ANALYZE t;
-- Of the ten nearest rows of every question, those that the index finds.
CREATE FUNCTION found() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint := 0;
    got bigint;
    q vector;
    worst float8;
BEGIN
    FOR q IN SELECT question.q FROM question ORDER BY no LOOP
        SELECT max(d) INTO worst FROM (SELECT (v <-> q) + 0 AS d FROM t ORDER BY 1 LIMIT 10) s;
        SELECT count(*) INTO got FROM (SELECT v <-> q AS d FROM t ORDER BY v <-> q LIMIT 10) s WHERE d <= worst;
        n := n + got;
    END LOOP;
    RETURN n;
END $$;
SET enable_seqscan = off;
CREATE FUNCTION churn(method text, options text) RETURNS TABLE (fresh boolean, twice boolean, five_times boolean) LANGUAGE plpgsql AS $$
DECLARE
    before bigint;
BEGIN
    EXECUTE format('CREATE INDEX made ON t USING %s (v vector_l2_ops) WITH (%s)', method, options);
    before := found();
    fresh := before >= 180;
    FOR i IN 1..5 LOOP
        UPDATE t SET seen = seen + 1;
        IF i = 2 THEN
            twice := found() >= before - 6;
        END IF;
    END LOOP;
    five_times := found() >= before - 6;
    RETURN NEXT;
    DROP INDEX made;
END $$;
SELECT fresh, twice, five_times FROM churn('faissivf', 'nlist = 16, nprobe = 16, code = pqfs, m = 16');
SELECT fresh, twice, five_times FROM churn('faissivf', 'nlist = 16, nprobe = 16, code = pqfs, m = 16, refine = sq8');
SELECT fresh, twice, five_times FROM churn('faissivf', 'nlist = 16, nprobe = 16, code = rabitq');
SELECT fresh, twice, five_times FROM churn('faissflat', 'code = pqfs, m = 16');
SELECT fresh, twice, five_times FROM churn('faisshnsw', 'm = 8, efConstruction = 40, code = sq8');
-- A region that was deleted and not vacuumed: its neighbours are found as if it were not there.
VACUUM FULL t;
CREATE INDEX made ON t USING faissivf (v vector_l2_ops) WITH (nlist = 16, nprobe = 16, code = pqfs, m = 16);
DELETE FROM t WHERE id % 20 < 10;
CREATE TABLE count AS SELECT found() AS before;
VACUUM t;
SELECT before >= found() - 10 AS as_after_vacuum FROM count;
DROP INDEX made;
-- Scans mark what they find dead to all: the next ones do not look it up again.
CREATE TABLE p (id int, seen int DEFAULT 0, v vector(32)) WITH (autovacuum_enabled = off);
INSERT INTO p (id, v) SELECT i, near(i % 20, 1.2) FROM generate_series(1, 2000) i;
-- Every version gets entries of its own.
CREATE INDEX ON p (seen);
-- The blocks that a query touches which meets all versions of the popular rows.
CREATE FUNCTION blocks(q vector) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE format('EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) SELECT id FROM p ORDER BY v <-> %L LIMIT 100', q) INTO plan;
    RETURN (plan #>> '{0,Plan,Shared Hit Blocks}')::int + (plan #>> '{0,Plan,Shared Read Blocks}')::int;
END $$;
-- Who is just connecting may hold back for a moment what is dead to all: the scan that marks is waited for.
CREATE PROCEDURE popular(method text, options text) LANGUAGE plpgsql AS $$
DECLARE
    q vector := (SELECT v FROM p WHERE id = 20);
    fresh int;
    before int;
    after int;
    rows_before int[];
    rows_after int[];
    entries bigint;
BEGIN
    EXECUTE format('CREATE INDEX made ON p USING %s (v vector_l2_ops) %s', method, options);
    fresh := blocks(q);
    COMMIT;
    FOR i IN 1..30 LOOP
        UPDATE p SET seen = seen + 1 WHERE id % 20 = 0;
        COMMIT;
    END LOOP;
    before := blocks(q);
    rows_before := ARRAY(SELECT id FROM p ORDER BY v <-> q LIMIT 10);
    FOR i IN 1..200 LOOP
        -- A new transaction id: without one what is dead is not computed anew.
        PERFORM pg_current_xact_id();
        COMMIT;
        after := blocks(q);
        EXIT WHEN (after - fresh) * 2 < before - fresh;
        PERFORM pg_sleep(0.02);
    END LOOP;
    rows_after := ARRAY(SELECT id FROM p ORDER BY v <-> q LIMIT 10);
    entries := (SELECT ntotal FROM faiss.index_info('made'));
    RAISE NOTICE '%: more blocks for dead rows: %, not half of these once they are marked: %, the same rows: %, all entries are still there: %',
        method, before * 2 > fresh * 3, (after - fresh) * 2 < before - fresh, rows_before = rows_after, entries = 2000 + 30 * 100;
END $$;
CALL popular('faisshnsw', 'WITH (m = 8, efConstruction = 40, code = sq8)');
VACUUM p;
SELECT ntotal FROM faiss.index_info('made');
SELECT * FROM faiss.check('made');
DROP INDEX made;
CALL popular('faisshnsw', 'WITH (m = 8, efConstruction = 40)');
VACUUM p;
SELECT ntotal FROM faiss.index_info('made');
SELECT * FROM faiss.check('made');
DROP INDEX made;
CALL popular('faissivf', 'WITH (nlist = 16, nprobe = 16)');
VACUUM p;
SELECT ntotal FROM faiss.index_info('made');
SELECT * FROM faiss.check('made');
DROP INDEX made;
CALL popular('faissivf', 'WITH (nlist = 16, nprobe = 16, code = pqfs, m = 16)');
VACUUM p;
SELECT ntotal FROM faiss.index_info('made');
SELECT * FROM faiss.check('made');
DROP INDEX made;
CALL popular('faissivf', 'WITH (nlist = 16, nprobe = 16, code = pqfs, m = 16, refine = sq8)');
VACUUM p;
SELECT ntotal FROM faiss.index_info('made');
SELECT * FROM faiss.check('made');
DROP INDEX made;
CALL popular('faissflat', '');
VACUUM p;
SELECT ntotal FROM faiss.index_info('made');
SELECT * FROM faiss.check('made');
DROP INDEX made;
-- So in unlogged and temporary indexes, and by faiss.search: rows of a transaction that was undone are dead to all at once.
CREATE FUNCTION returned() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    before bigint := pg_stat_get_xact_tuples_returned('few_v'::regclass);
BEGIN
    PERFORM id FROM few ORDER BY v <-> '[0,0]' LIMIT 1;
    RETURN pg_stat_get_xact_tuples_returned('few_v'::regclass) - before;
END $$;
CREATE PROCEDURE undone(n int) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO few SELECT 100 + i, ARRAY[i / 100.0, 0]::vector FROM generate_series(1, n) i;
    RAISE 'undone';
EXCEPTION WHEN raise_exception THEN NULL;
END $$;
CREATE TABLE few (id int, v vector(2));
INSERT INTO few SELECT i, ARRAY[i, 1]::vector FROM generate_series(1, 5) i;
CREATE INDEX few_v ON few USING faissflat (v vector_l2_ops);
BEGIN;
CALL undone(7);
SELECT returned() AS met, returned() AS marked;
CALL undone(3);
SELECT few.id FROM faiss.search('few_v', ARRAY['[0,0]']::vector[], 1) s JOIN few ON few.ctid = s.tid;
SELECT returned() AS marked_by_search;
COMMIT;
VACUUM few;
INSERT INTO few SELECT 10 + i, ARRAY[i / 100.0, 0]::vector FROM generate_series(1, 3) i;
SELECT id FROM few ORDER BY v <-> '[0,0]' LIMIT 5;
SELECT * FROM faiss.check('few_v');
DROP TABLE few;
CREATE UNLOGGED TABLE few (id int, v vector(2));
INSERT INTO few SELECT i, ARRAY[i, 1]::vector FROM generate_series(1, 5) i;
CREATE INDEX few_v ON few USING faissflat (v vector_l2_ops);
BEGIN;
CALL undone(7);
SELECT returned() AS met, returned() AS marked;
CALL undone(3);
SELECT few.id FROM faiss.search('few_v', ARRAY['[0,0]']::vector[], 1) s JOIN few ON few.ctid = s.tid;
SELECT returned() AS marked_by_search;
COMMIT;
VACUUM few;
INSERT INTO few SELECT 10 + i, ARRAY[i / 100.0, 0]::vector FROM generate_series(1, 3) i;
SELECT id FROM few ORDER BY v <-> '[0,0]' LIMIT 5;
SELECT * FROM faiss.check('few_v');
DROP TABLE few;
CREATE TEMP TABLE few (id int, v vector(2));
INSERT INTO few SELECT i, ARRAY[i, 1]::vector FROM generate_series(1, 5) i;
CREATE INDEX few_v ON few USING faissflat (v vector_l2_ops);
BEGIN;
CALL undone(7);
SELECT returned() AS met, returned() AS marked;
CALL undone(3);
SELECT few.id FROM faiss.search('few_v', ARRAY['[0,0]']::vector[], 1) s JOIN few ON few.ctid = s.tid;
SELECT returned() AS marked_by_search;
COMMIT;
VACUUM few;
INSERT INTO few SELECT 10 + i, ARRAY[i / 100.0, 0]::vector FROM generate_series(1, 3) i;
SELECT id FROM few ORDER BY v <-> '[0,0]' LIMIT 5;
SELECT * FROM faiss.check('few_v');
DROP TABLE few;
