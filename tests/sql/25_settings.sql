-- The settings faiss.*: defaults, ranges, words, and who wins over whom.
SELECT name, setting, boot_val, min_val, max_val, enumvals, context, vartype FROM pg_settings WHERE name LIKE 'faiss.%' ORDER BY name;
-- The library must be loaded to know them.
SELECT '[1]'::vector;
SELECT name, setting, boot_val, min_val, max_val, enumvals, context, vartype FROM pg_settings WHERE name LIKE 'faiss.%' ORDER BY name;
SELECT name, short_desc, extra_desc FROM pg_settings WHERE name LIKE 'faiss.%' ORDER BY name \gx
-- Outside of the range.
SET faiss.nprobe = 0;
SET faiss.nprobe = 4194305;
SET faiss.nprobe = 'many';
SET faiss.k_factor = -1;
SET faiss.k_factor = 1025;
SET faiss.iterative_scan = on;
SET faiss.max_scan_tuples = -1;
SET faiss.build_threads = -1;
SET faiss.build_threads = 1025;
-- nprobe: an explicit SET wins over the index's own option, which wins over the default. An index built on as many rows
-- as lists has one of them in each; with 39 more near each of them, the rows that come out tell the lists probed.
SET faiss.iterative_scan = off;
SET enable_seqscan = off;
CREATE TABLE t (id int, v vector(1));
INSERT INTO t SELECT i, ARRAY[i * 1000]::vector FROM generate_series(1, 40) i;
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 40);
INSERT INTO t SELECT i, ARRAY[(i % 40 + 1) * 1000 + i / 40]::vector FROM generate_series(40, 1599) i;
SELECT min(ntotal), max(ntotal) FROM faiss.list_info('t_v');
CREATE FUNCTION lists_probed() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) / 40 FROM (SELECT id FROM t ORDER BY v <-> '[20400]' LIMIT 2000) s $$;
SELECT lists_probed() AS "default";
ALTER INDEX t_v SET (nprobe = 3);
SELECT lists_probed() AS option;
SET faiss.nprobe = 5;
SELECT lists_probed() AS set;
SET faiss.nprobe = 10;
SELECT lists_probed() AS set_to_the_default;
RESET faiss.nprobe;
SELECT lists_probed() AS option;
BEGIN;
SET LOCAL faiss.nprobe = 5;
SELECT lists_probed() AS set_local;
SAVEPOINT s;
SET LOCAL faiss.nprobe = 7;
SELECT lists_probed() AS deeper;
ROLLBACK TO s;
SELECT lists_probed() AS set_local;
COMMIT;
SELECT lists_probed() AS option;
BEGIN;
SET faiss.nprobe = 5;
ROLLBACK;
SELECT lists_probed() AS option;
SET faiss.nprobe = 5;
BEGIN;
RESET faiss.nprobe;
SELECT lists_probed() AS option;
ROLLBACK;
SELECT lists_probed() AS set;
RESET ALL;
SET faiss.iterative_scan = off;
SET enable_seqscan = off;
CREATE FUNCTION with_six() RETURNS bigint LANGUAGE plpgsql SET faiss.nprobe = 6 AS $$ BEGIN RETURN lists_probed(); END $$;
SELECT with_six() AS of_the_function, lists_probed() AS option;
SELECT set_config('faiss.nprobe', '8', false);
SELECT lists_probed() AS set;
DISCARD ALL;
SET faiss.iterative_scan = off;
SET enable_seqscan = off;
SELECT lists_probed() AS option;
-- By role and database: as explicit as SET.
ALTER DATABASE "25_settings" SET faiss.nprobe = 4;
\c
SET faiss.iterative_scan = off;
SET enable_seqscan = off;
SELECT lists_probed() AS of_the_database;
ALTER DATABASE "25_settings" RESET faiss.nprobe;
\c
SET faiss.iterative_scan = off;
SET enable_seqscan = off;
SELECT lists_probed() AS option;
-- More than there are lists is all of them.
SET faiss.nprobe = 65536;
SELECT lists_probed() AS every_list;
ALTER INDEX t_v RESET (nprobe);
RESET faiss.nprobe;
SELECT lists_probed() AS "default";
-- A prepared statement follows the setting of the moment.
SET plan_cache_mode = force_generic_plan;
PREPARE p AS SELECT count(*) / 40 AS lists FROM (SELECT id FROM t ORDER BY v <-> '[20500]' LIMIT 2000) s;
EXECUTE p;
SET faiss.nprobe = 2;
EXECUTE p;
ALTER INDEX t_v SET (nprobe = 4);
RESET faiss.nprobe;
EXECUTE p;
