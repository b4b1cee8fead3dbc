-- A table that lives, under six codes: whatever happens to its rows, with every list probed and every candidate re-ranked an
-- index gives what a sort gives.
\i include/answers.sql
CREATE FUNCTION near(center int, spread float8) RETURNS vector LANGUAGE sql VOLATILE AS $$
    SELECT array_agg((sin(center * 7 + j * j) * 2 + (random() - 0.5) * spread)::real ORDER BY j)::vector FROM generate_series(1, 12) j $$;
CREATE TABLE t (id int PRIMARY KEY, n int, v vector(12), h halfvec(12) GENERATED ALWAYS AS (v) STORED) WITH (fillfactor = 50);
SELECT setseed(0.5);
INSERT INTO t SELECT i, 0, near(i % 30, 2) FROM generate_series(1, 1500) i;
CREATE INDEX v_l2 ON t USING faissivf (v vector_l2_ops) WITH (nlist = 8, code = pqfs, m = 6);
CREATE INDEX v_ip ON t USING faissivf (v vector_ip_ops) WITH (nlist = 8, code = sq8, refine = flat);
CREATE INDEX v_cosine ON t USING faissivf (v vector_cosine_ops) WITH (factory = 'RR,IVF8,RaBitQ');
CREATE INDEX h_l2 ON t USING faissivf (h halfvec_l2_ops) WITH (nlist = 8, code = pq, m = 6, nbits = 6, refine = flat);
CREATE INDEX h_ip ON t USING faissivf (h halfvec_ip_ops) WITH (nlist = 8, code = sqfp16);
CREATE INDEX h_cosine ON t USING faissivf (h halfvec_cosine_ops) WITH (factory = 'OPQ4,IVF8,SQ4,RFlat');
SET faiss.nprobe = 100;
SET faiss.k_factor = 1024;
CREATE TABLE query AS SELECT v::text AS q FROM t WHERE id IN (7, 444) UNION ALL SELECT near(99, 1)::text;
-- Over all queries: how many differ. Of the index: how many rows it holds, whether its lists hold as many, whether it is sound.
CREATE FUNCTION compare() RETURNS TABLE (index text, differ bigint, ntotal bigint, dead boolean, lists_agree boolean, problems bigint) LANGUAGE sql AS $$
    SELECT i.name, (SELECT count(*) FROM query WHERE ranking('t', left(i.name, 1), i.op, q, 'true', 10000, true) IS DISTINCT FROM ranking('t', left(i.name, 1), i.op, q, 'true', 10000, false)),
        f.ntotal, f.ndead > 0, (SELECT (sum(l.ntotal), sum(l.ndead)) = (f.ntotal, f.ndead) FROM faiss.list_info(i.name::regclass) l),
        (SELECT count(*) FROM faiss.check(i.name::regclass))
    FROM (VALUES ('v_l2', '<->'), ('v_ip', '<#>'), ('v_cosine', '<=>'), ('h_l2', '<->'), ('h_ip', '<#>'), ('h_cosine', '<=>')) i (name, op), faiss.index_info(i.name::regclass) f $$;
-- The same where nothing has died.
CREATE FUNCTION verdict() RETURNS TABLE (differ numeric, ntotals text, lists_agree boolean, problems numeric) LANGUAGE sql AS $$
    SELECT sum(differ), string_agg(DISTINCT ntotal::text, ','), bool_and(lists_agree), sum(problems) FROM compare() $$;
SELECT * FROM compare();
-- HOT updates leave the indexes alone, twice over; an update of the vector does not.
UPDATE t SET n = n + 1;
UPDATE t SET n = n + 1 WHERE id % 2 = 0;
SELECT * FROM verdict();
UPDATE t SET v = near(id % 30, 2) WHERE id % 10 = 2;
SELECT * FROM compare();
UPDATE t SET v = NULL WHERE id % 100 = 3;
UPDATE t SET v = '[0,0,0,0,0,0,0,0,0,0,0,0]' WHERE id % 100 = 4;
SELECT * FROM verdict();
-- Vectors far from whatever the codes were trained on.
UPDATE t SET v = near(id, 2000) WHERE id % 100 = 5;
SELECT * FROM verdict();
-- Deleted rows are gone at once, and from the index after VACUUM.
DELETE FROM t WHERE id % 3 = 0;
SELECT differ FROM verdict();
VACUUM (INDEX_CLEANUP ON) t;
SELECT * FROM compare();
-- Freed places are used again.
CREATE TABLE sizes AS SELECT relname, pg_relation_size(oid) AS before FROM pg_class WHERE relname ~ '^[vh]_(l2|ip|cosine)$';
INSERT INTO t SELECT i, 0, near(i % 30, 2) FROM generate_series(3, 1500, 6) i;
SELECT * FROM verdict();
VACUUM (INDEX_CLEANUP ON) t;
DELETE FROM t WHERE id % 2 = 1;
VACUUM (INDEX_CLEANUP ON) t;
INSERT INTO t SELECT i, 0, near(i % 30, 2) FROM generate_series(1, 1500, 2) i;
SELECT * FROM verdict();
SELECT relname, pg_relation_size(relname::regclass) <= before * 2 AS bounded FROM sizes ORDER BY 1;
-- What is rolled back, wholly or to a savepoint, does not show.
BEGIN;
DELETE FROM t WHERE id < 300;
SAVEPOINT s;
INSERT INTO t SELECT i, 0, near(i, 2) FROM generate_series(30001, 30300) i;
SELECT differ FROM verdict();
ROLLBACK TO s;
SELECT differ FROM verdict();
ROLLBACK;
SELECT differ FROM verdict();
VACUUM (INDEX_CLEANUP ON) t;
SELECT * FROM compare();
-- Rewritten and rebuilt, in every way.
REINDEX TABLE t;
SELECT * FROM compare();
REINDEX TABLE CONCURRENTLY t;
SELECT * FROM verdict();
VACUUM FULL t;
SELECT * FROM verdict();
CLUSTER t USING t_pkey;
ALTER TABLE t ALTER COLUMN id TYPE bigint;
SELECT * FROM verdict();
-- 5,000 equal vectors in one list, and all of them gone.
INSERT INTO t SELECT i, 0, '[1,2,3,4,5,6,7,8,9,10,11,12]' FROM generate_series(10001, 15000) i;
SELECT * FROM verdict();
DELETE FROM t WHERE id > 10000;
VACUUM (INDEX_CLEANUP ON) t;
SELECT * FROM verdict();
-- Emptied by DELETE, filled again; emptied by TRUNCATE, filled again: the codes are gone until REINDEX, the answers are exact.
DELETE FROM t;
VACUUM (INDEX_CLEANUP ON) t;
SELECT * FROM verdict();
INSERT INTO t SELECT i, 0, near(i % 30, 2) FROM generate_series(1, 500) i;
SELECT * FROM verdict();
TRUNCATE t;
SELECT * FROM verdict();
INSERT INTO t SELECT i, 0, near(i % 30, 2) FROM generate_series(1, 500) i;
SELECT * FROM verdict();
SELECT relname, is_trained, factory FROM pg_class c, faiss.index_info(c.oid) WHERE relname ~ '^[vh]_(l2|ip|cosine)$' ORDER BY 1;
REINDEX TABLE t;
SELECT relname, is_trained, factory FROM pg_class c, faiss.index_info(c.oid) WHERE relname ~ '^[vh]_(l2|ip|cosine)$' ORDER BY 1;
SELECT * FROM verdict();
-- A cursor held over changes sees what was there when it was opened, in order, in pieces.
SET enable_seqscan = off;
SET faiss.k_factor = 2;
SET faiss.iterative_scan = relaxed_order;
CREATE TEMP TABLE seen (id bigint, d float8);
CREATE FUNCTION take(c refcursor, k int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    row record;
BEGIN
    FOR i IN 1..k LOOP
        FETCH c INTO row;
        IF NOT FOUND THEN
            RETURN i - 1;
        END IF;
        INSERT INTO seen VALUES (row.id, row.d);
    END LOOP;
    RETURN k;
END $$;
CREATE FUNCTION around(col name, op text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c refcursor;
    pieces int[];
    once boolean;
    all_old_rows boolean;
BEGIN
    TRUNCATE seen;
    OPEN c FOR EXECUTE format('SELECT id, %1$I %2$s %3$L AS d FROM t ORDER BY %1$I %2$s %3$L', col, op, (SELECT q FROM query LIMIT 1));
    pieces := ARRAY[take(c, 7)];
    DELETE FROM t WHERE id % 5 = 0;
    UPDATE t SET v = near(77, 2) WHERE id % 5 = 1;
    UPDATE t SET n = n + 1 WHERE id % 5 = 2;
    INSERT INTO t SELECT i, 0, near(i % 30, 2) FROM generate_series(2001, 2200) i;
    pieces := pieces || take(c, 100) || take(c, 10000);
    CLOSE c;
    SELECT count(*) = count(DISTINCT id) INTO once FROM seen;
    SELECT count(*) = 500 INTO all_old_rows FROM seen WHERE id <= 500;
    -- Undone, so that each index finds the same table.
    RAISE EXCEPTION USING ERRCODE = 'PF001', MESSAGE = format('%s %s: %s in pieces, once %s, all %s', col, op, pieces, once, all_old_rows);
END $$;
DO $$
DECLARE
    i record;
BEGIN
    FOR i IN SELECT * FROM (VALUES ('v', '<->'), ('v', '<#>'), ('v', '<=>'), ('h', '<->'), ('h', '<#>'), ('h', '<=>')) i (col, op) LOOP
        BEGIN
            PERFORM around(i.col, i.op);
        EXCEPTION WHEN SQLSTATE 'PF001' THEN
            RAISE NOTICE '%', SQLERRM;
        END;
    END LOOP;
END $$;
RESET faiss.iterative_scan;
SET faiss.k_factor = 1024;
SELECT * FROM verdict();
