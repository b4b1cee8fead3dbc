-- What the last index scan of the session did.
SELECT count(*) AS before_the_first FROM faiss.last_scan();
CREATE TABLE t (id int PRIMARY KEY, v vector(4));
INSERT INTO t SELECT i, (SELECT array_agg(hashint4(i * 4 + j) % 1000 ORDER BY j) FROM generate_series(0, 3) j)::vector FROM generate_series(1, 2000) i;
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 20, code = flat);
SET enable_seqscan = off;
SET faiss.nprobe = 4;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[1,2,3,4]' LIMIT 7) s;
SELECT index, lists_probed, lists, pages > 4 AS pages, scored BETWEEN 100 AND 1200 AS some, reranked, rows, stopped FROM faiss.last_scan();
-- All rows: the scan goes on through all lists.
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[1,2,3,4]' OFFSET 0) s;
SELECT lists_probed, lists, scored, rows, stopped FROM faiss.last_scan();
-- Not beyond the first lists, or no farther than the bound.
SET faiss.iterative_scan = off;
SELECT count(*) < 2000 AS fewer FROM (SELECT id FROM t ORDER BY v <-> '[1,2,3,4]' OFFSET 0) s;
SELECT lists_probed, scored = rows AS all_of_them, stopped FROM faiss.last_scan();
RESET faiss.iterative_scan;
SET faiss.max_scan_tuples = 1;
SET client_min_messages = warning;
SELECT count(*) < 2000 AS fewer FROM (SELECT id FROM t ORDER BY v <-> '[1,2,3,4]' OFFSET 0) s;
RESET client_min_messages;
SELECT lists_probed, stopped FROM faiss.last_scan();
RESET faiss.max_scan_tuples;
-- Each scan of a join counts, and the last one is told of; a scan that nobody began is none.
SELECT count(*) FROM (SELECT id, v FROM t WHERE id <= 3) a, LATERAL (SELECT id FROM t ORDER BY v <-> a.v LIMIT 2) b;
SELECT rows, stopped FROM faiss.last_scan();
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[1,2,3,4]' LIMIT 0) s;
SELECT rows FROM faiss.last_scan();
-- While a cursor is open its scan has not ended.
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY v <-> '[4,3,2,1]';
MOVE 25 IN c;
SELECT rows FROM faiss.last_scan();
CLOSE c;
SELECT rows, stopped FROM faiss.last_scan();
COMMIT;
-- Codes: candidates are re-ranked, as many as k_factor says.
DROP INDEX t_v;
CREATE INDEX t_sq8 ON t USING faissivf (v) WITH (nlist = 20, code = sq8);
SET faiss.k_factor = 3;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[1,2,3,4]' LIMIT 10) s;
SELECT index, lists_probed, reranked, rows, stopped FROM faiss.last_scan();
-- A graph has no lists. An error leaves what was told before.
DROP INDEX t_sq8;
CREATE INDEX t_graph ON t USING faisshnsw (v) WITH (m = 8, efConstruction = 40);
SET faiss.efSearch = 30;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[1,2,3,4]' LIMIT 10) s;
SELECT index, lists_probed, lists, scored BETWEEN 30 AND 1000 AS some, reranked, rows, stopped FROM faiss.last_scan();
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[1,2]' LIMIT 10) s;
SELECT index, rows FROM faiss.last_scan();
