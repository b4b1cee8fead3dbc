-- A table that lives: whatever happens to its rows, with faiss.nprobe = nlist the index gives what the sequential scan gives.
\i include/answers.sql
CREATE TABLE query (q text);
-- Differences of the three indexes, how many rows each holds and how many slots are free, and what faiss.check finds.
CREATE FUNCTION compare() RETURNS TABLE (index text, queries int, top_10 int, all_rows int, ntotal bigint, ndead bigint, problems bigint)
LANGUAGE plpgsql AS $$
BEGIN
    FOREACH index IN ARRAY '{l2,ip,cosine}'::text[] LOOP
        SELECT d.queries, d.top_10, d.all_rows INTO compare.queries, compare.top_10, compare.all_rows
            FROM differences('t', 'v', CASE index WHEN 'l2' THEN '<->' WHEN 'ip' THEN '<#>' ELSE '<=>' END) d;
        SELECT i.ntotal, i.ndead INTO compare.ntotal, compare.ndead FROM faiss.index_info(index::regclass) i;
        problems := (SELECT count(*) FROM faiss.check(index::regclass));
        RETURN NEXT;
    END LOOP;
END $$;
SET faiss.nprobe = 32;
SELECT setseed(0.5);
-- Coordinates are small integers, so that many distances are equal; every 50th row is NULL and every 75th zero.
CREATE TABLE t (id int PRIMARY KEY, v vector(3), n int) WITH (fillfactor = 70);
INSERT INTO t
    SELECT i, CASE WHEN i % 50 = 0 THEN NULL WHEN i % 75 = 0 THEN '[0,0,0]'
        ELSE ARRAY[i % 7 - 3, i % 11 - 5, i % 13 - 6]::vector END, 0
    FROM generate_series(1, 3000) i;
INSERT INTO query VALUES ('[0,0,1]'), ('[3,-2,5]'), ('[0.5,0.25,-8]'), ('[100,-100,1]');
INSERT INTO query SELECT random_vector(3);
CREATE INDEX l2 ON t USING faissivf (v vector_l2_ops) WITH (nlist = 32);
CREATE INDEX ip ON t USING faissivf (v vector_ip_ops) WITH (nlist = 32);
CREATE INDEX cosine ON t USING faissivf (v vector_cosine_ops) WITH (nlist = 32);
SELECT * FROM compare();
-- A zero vector as the query: a point like any other under L2; the inner product with it is 0; no cosine.
SELECT * FROM answer('t', 'v', '<->', '[0,0,0]', 3, true);
SELECT distances, ids FROM answer('t', 'v', '<#>', '[0,0,0]', 3, true);
SELECT distances, ids FROM answer('t', 'v', '<=>', '[0,0,0]', 3, true);
SELECT ids FROM answer('t', 'v', '<#>', '[0,0,0]', 5000, true);
SELECT ids FROM answer('t', 'v', '<=>', '[0,0,0]', 5000, true);
-- 10,000 equal vectors.
INSERT INTO t SELECT i, '[1,2,3]', 0 FROM generate_series(10001, 20000) i;
INSERT INTO query VALUES ('[1,2,3]');
SELECT * FROM compare();
-- Deleted rows are gone at once, and their slots after VACUUM.
DELETE FROM t WHERE id > 12000 OR id % 3 = 0;
SELECT * FROM compare();
VACUUM t;
SELECT * FROM compare();
-- Freed slots are used again.
SELECT pg_relation_size('l2') AS before, pg_relation_size('cosine') AS before_cosine \gset
INSERT INTO t SELECT i, '[1,2,3]', 0 FROM generate_series(12001, 20000) i;
INSERT INTO t SELECT i, CASE WHEN i % 75 = 0 THEN '[0,0,0]' ELSE ARRAY[i % 7 - 3, i % 11 - 5, i % 13 - 6]::vector END, 0 FROM generate_series(3, 3000, 3) i WHERE i % 50 > 0;
SELECT * FROM compare();
SELECT pg_relation_size('l2') <= :before AS l2_reused, pg_relation_size('cosine') <= :before_cosine AS cosine_reused;
-- HOT updates leave the indexes alone; an update of the vector does not.
UPDATE t SET n = n + 1 WHERE id % 10 = 1;
SELECT ntotal FROM faiss.index_info('l2');
SELECT * FROM compare();
UPDATE t SET n = n + 1 WHERE id % 10 = 1;
UPDATE t SET v = ARRAY[id % 5, 2, 1]::vector WHERE id % 10 = 2;
SELECT * FROM compare();
UPDATE t SET v = NULL WHERE id % 100 = 3;
UPDATE t SET v = '[0,0,0]' WHERE id % 100 = 4;
SELECT * FROM compare();
-- What is rolled back, wholly or to a savepoint, does not show.
BEGIN;
DELETE FROM t WHERE id < 1000;
SAVEPOINT s;
INSERT INTO t SELECT i, '[1,1,1]', 0 FROM generate_series(30001, 31000) i;
SELECT top_10, all_rows FROM compare();
ROLLBACK TO s;
SELECT top_10, all_rows FROM compare();
ROLLBACK;
SELECT top_10, all_rows FROM compare();
VACUUM t;
SELECT * FROM compare();
REINDEX TABLE t;
SELECT * FROM compare();
REINDEX TABLE CONCURRENTLY t;
SELECT * FROM compare();
VACUUM FULL t;
SELECT * FROM compare();
CLUSTER t USING t_pkey;
SELECT top_10, all_rows, problems FROM compare();
-- The table is rewritten: the indexes follow.
ALTER TABLE t ALTER COLUMN id TYPE bigint;
SELECT top_10, all_rows, problems FROM compare();
-- Rows deleted so that whole lists are empty.
DELETE FROM t WHERE v <-> '[1,2,3]' > 2;
VACUUM t;
SELECT top_10, all_rows, problems FROM compare();
DELETE FROM t;
VACUUM t;
SELECT * FROM compare();
INSERT INTO t SELECT i, ARRAY[i % 7 - 3, i % 11 - 5, i % 13 - 6]::vector, 0 FROM generate_series(1, 500) i;
SELECT * FROM compare();
TRUNCATE t;
SELECT * FROM compare();
INSERT INTO t SELECT i, ARRAY[i % 7 - 3, i % 11 - 5, i % 13 - 6]::vector, 0 FROM generate_series(1, 500) i;
SELECT * FROM compare();
