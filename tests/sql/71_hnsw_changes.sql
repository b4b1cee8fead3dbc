-- Graphs that change: inserts, updates, deletes, VACUUM, and many equal rows.
CREATE FUNCTION point(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY[hashint4(i) % 1000, hashint4(i + 100000) % 1000, hashint4(i + 200000) % 1000, hashint4(i + 300000) % 1000]::vector
$$;
SET faiss.build_threads = 1;
CREATE TABLE t (id int PRIMARY KEY, v vector(4));
INSERT INTO t SELECT i, point(i) FROM generate_series(1, 4000) i;
CREATE INDEX t_v ON t USING faisshnsw (v) WITH (m = 8, efConstruction = 40);
ANALYZE t;
-- How many of 20 queries get ten rows of which at least nine are right, and whether the index is sound.
CREATE FUNCTION judge(OUT right_answers bigint, OUT ntotal bigint, OUT problems bigint) LANGUAGE plpgsql AS $$
DECLARE
    q vector;
    found int[];
    exact float8;
    good int := 0;
BEGIN
    FOR i IN 1 .. 20 LOOP
        q := point(-i);
        SET LOCAL enable_seqscan = off;
        found := ARRAY(SELECT id FROM t ORDER BY v <-> q LIMIT 10);
        SET LOCAL enable_seqscan = on;
        SET LOCAL enable_indexscan = off;
        exact := (SELECT max(d) FROM (SELECT v <-> q AS d FROM t ORDER BY d LIMIT 10) s);
        SET LOCAL enable_indexscan = on;
        good := good + ((SELECT count(*) FROM t WHERE id = ANY (found) AND v <-> q <= exact) >= 9)::int;
    END LOOP;
    right_answers := good;
    SELECT i.ntotal INTO ntotal FROM faiss.index_info('t_v') i;
    problems := (SELECT count(*) FROM faiss.check('t_v'));
END $$;
SELECT * FROM judge();
-- Updates leave an old row behind until VACUUM, a rollback as well.
UPDATE t SET v = point(id + 10000) WHERE id % 4 = 0;
BEGIN;
INSERT INTO t SELECT i, point(i) FROM generate_series(5001, 5200) i;
ROLLBACK;
SELECT * FROM judge();
VACUUM t;
SELECT * FROM judge();
-- Rounds of change: it neither grows without end nor forgets.
CREATE TABLE size AS SELECT pg_relation_size('t_v') AS bytes;
DELETE FROM t WHERE id % 10 IN (1, 4, 7);
VACUUM t;
SELECT * FROM judge();
INSERT INTO t SELECT i, point(i + 7000) FROM generate_series(10001, 11200) i;
SELECT * FROM judge();
DELETE FROM t WHERE id % 10 IN (2, 5, 8);
VACUUM t;
INSERT INTO t SELECT i, point(i + 9000) FROM generate_series(20001, 21200) i;
DELETE FROM t WHERE id % 10 IN (3, 6, 9);
VACUUM t;
INSERT INTO t SELECT i, point(i + 11000) FROM generate_series(30001, 31200) i;
SELECT * FROM judge();
SELECT pg_relation_size('t_v') <= 1.3 * bytes AS small FROM size;
-- Everything goes, and comes back.
DELETE FROM t;
VACUUM t;
SELECT ntotal FROM faiss.index_info('t_v');
SET enable_seqscan = off;
SELECT id FROM t ORDER BY v <-> '[1,2,3,4]' LIMIT 3;
INSERT INTO t SELECT i, point(i) FROM generate_series(1, 1500) i;
SELECT * FROM judge();
-- Rows that are equal share a node: all come back, and none takes longer than others.
INSERT INTO t SELECT i, '[2000,2000,2000,2000]' FROM generate_series(40001, 50000) i;
SELECT count(*), count(DISTINCT id), min(id), max(id) FROM (SELECT id FROM t ORDER BY v <-> '[2000,2000,2000,2000]' LIMIT 10000) s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> '[2000,2000,2000,1999]' LIMIT 10000) s;
DELETE FROM t WHERE id BETWEEN 40001 AND 49990;
VACUUM t;
SELECT id FROM t ORDER BY v <-> '[2000,2000,2000,2000]' LIMIT 10;
REINDEX INDEX t_v;
INSERT INTO t SELECT i, '[2000,2000,2000,2000]' FROM generate_series(40001, 42000) i;
REINDEX INDEX t_v;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t WHERE id > 40000 ORDER BY v <-> '[2000,2000,2000,2000]' LIMIT 2010) s;
SELECT * FROM judge();
