-- A table whose partitions are on other servers: faiss.search_shards, faiss.shard_view, and what the other functions say of it.
-- The other servers are this one, over connections of their own. tests/shards has real ones.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION pgfaiss_shards CASCADE;
RESET client_min_messages;
\set ECHO none
SELECT format('CREATE SERVER shard%s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L, extensions ''vector, pgfaiss'', async_capable ''true'')',
    n, current_setting('unix_socket_directories'), current_setting('port'), current_database()),
    format('CREATE USER MAPPING FOR PUBLIC SERVER shard%s OPTIONS (user %L)', n, current_user) FROM generate_series(1, 2) n \gexec
\set ECHO all
CREATE SCHEMA there;
CREATE TABLE there.doc_1 (id bigint PRIMARY KEY, tenant int, v vector(4), "Text" text);
CREATE TABLE there.doc_2 (LIKE there.doc_1 INCLUDING ALL);
CREATE TABLE doc (id bigint, tenant int, v vector(4), "Text" text) PARTITION BY LIST (tenant);
CREATE FOREIGN TABLE doc_1 PARTITION OF doc FOR VALUES IN (1, 2) SERVER shard1 OPTIONS (schema_name 'there', table_name 'doc_1');
CREATE FOREIGN TABLE doc_2 PARTITION OF doc FOR VALUES IN (3, 4) SERVER shard2 OPTIONS (schema_name 'there', table_name 'doc_2');
-- One that is here.
CREATE TABLE doc_3 PARTITION OF doc FOR VALUES IN (5);
INSERT INTO doc SELECT i, 1 + i % 5, ARRAY[i, i % 7, i % 5, 1]::vector, 'row ' || i FROM generate_series(1, 1000) i;
-- What is not analyzed is not known.
\x on
SELECT create_index, why FROM faiss.recommend('doc', 'v', memory_mb => 100);
ANALYZE doc;
SELECT create_index, why FROM faiss.recommend('doc', 'v', memory_mb => 100);
SELECT create_index, why FROM faiss.recommend('doc_1', 'v', memory_mb => 100);
\x off
CREATE INDEX ON there.doc_1 USING faissflat (v);
CREATE INDEX ON doc_3 USING faissflat (v);
-- One query and several; doc_2 has no index, and a loop answers.
SELECT * FROM faiss.search_shards('doc', ARRAY['[500,3,0,1]']::vector[], 3);
SELECT * FROM faiss.search_shards('doc', ARRAY['[500,3,0,1]', '[1,1,1,1]', '[700,0,0,0]']::vector[], 2);
SELECT id, v <-> '[500,3,0,1]' AS distance FROM doc ORDER BY 2, id::text LIMIT 3;
-- What they are asked for.
SELECT * FROM faiss.search_shards('doc', ARRAY['[500,3,0,1]']::vector[], 2, key_column => 'Text', metric => 'cosine');
SELECT "Text", v <=> '[500,3,0,1]' AS distance FROM doc ORDER BY 2, 1 LIMIT 2;
SELECT * FROM faiss.search_shards('doc_2', ARRAY['[500,3,0,1]']::vector[], 2, metric => 'inner_product');
-- A filter is the shard's; a comment in it is one.
SELECT * FROM faiss.search_shards('doc', ARRAY['[500,3,0,1]', '[1,1,1,1]']::vector[], 2, filter => 'id % 2 = 0 -- even');
-- Only partitions that can have rows of the filter are asked: there is no column missing in doc_2.
ALTER FOREIGN TABLE doc_2 OPTIONS (SET table_name 'doc_missing');
SELECT * FROM faiss.search_shards('doc', ARRAY['[500,3,0,1]']::vector[], 2, filter => 'tenant = 1');
SELECT * FROM faiss.search_shards('doc', ARRAY['[500,3,0,1]']::vector[], 2, filter => 'tenant IN (1, 5)');
SELECT * FROM faiss.search_shards('doc', ARRAY['[500,3,0,1]']::vector[], 2, filter => 'tenant = 6');
-- What is wrong with a statement is an error, whatever is to be done about missing servers.
SELECT * FROM faiss.search_shards('doc', ARRAY['[500,3,0,1]']::vector[], 2, missing => 'warn');
ALTER FOREIGN TABLE doc_2 OPTIONS (SET table_name 'doc_2');
-- Other names of columns.
ALTER TABLE there.doc_2 RENAME v TO embedding;
ALTER FOREIGN TABLE doc_2 ALTER v OPTIONS (ADD column_name 'embedding');
SELECT * FROM faiss.search_shards('doc', ARRAY['[500,3,0,1]']::vector[], 3);
SELECT * FROM faiss.search_shards('doc', ARRAY['[500,3,0,1]', '[1,1,1,1]']::vector[], 1, filter => 'v <-> ''[1,1,1,1]'' < 100');
-- Settings of the caller go along, those that are explicit.
SET faiss.nprobe = 7;
SET faiss.recall_target = 0.9;
SELECT * FROM faiss.explicit_settings();
SELECT count(*) FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 2, filter => 'current_setting(''faiss.nprobe'') = ''7''');
RESET faiss.nprobe;
SELECT count(*) FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 2, filter => 'current_setting(''faiss.nprobe'') = ''7''');
RESET faiss.recall_target;
SELECT * FROM faiss.explicit_settings();
-- Connections are kept, until the options change or somebody ends them.
SELECT faiss.disconnect_shards();
SELECT count(*) FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 2);
SELECT faiss.disconnect_shards(), faiss.disconnect_shards();
-- A setting of the server's options that it has not taken.
ALTER SERVER shard1 OPTIONS (ADD options '-c faiss.nprobes=3 -c faiss.k_factor=-1 -c faiss.nprobe=9');
SELECT count(*) FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 2);
SELECT count(*) FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 2);
ALTER SERVER shard1 OPTIONS (DROP options);
-- The same as SQL.
SELECT faiss.shard_view('doc', filter => 'tenant > 1', name => 'near') \gexec
SELECT * FROM near('[500,3,0,1]', 3);
EXPLAIN (VERBOSE, COSTS off) SELECT * FROM near('[500,3,0,1]', 3);
SELECT faiss.shard_view(NULL) IS NULL AS nothing;
-- What an index without rows behind it says.
CREATE INDEX doc_v ON doc USING faissflat (v vector_cosine_ops);
SELECT * FROM faiss.search('doc_v', ARRAY['[1,1,1,1]']::vector[], 1);
SELECT * FROM faiss.recall('doc_v');
SELECT method FROM faiss.index_info('doc_v');
SELECT * FROM faiss.index_info('doc_1');
-- It says which distance is meant.
SELECT * FROM faiss.search_shards('doc', ARRAY['[500,3,0,1]']::vector[], 1);
-- Arguments.
SELECT * FROM faiss.search_shards('doc', '{}'::vector[], 3);
SELECT * FROM faiss.search_shards('doc', NULL::vector[], 3);
SELECT * FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]', NULL]::vector[], 3);
SELECT * FROM faiss.search_shards(NULL, ARRAY['[1,1,1,1]']::vector[], 3);
SELECT * FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], NULL);
SELECT * FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 0);
SELECT * FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 1, missing => 'ignore');
SELECT * FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 1, timeout => '-1 s');
SELECT * FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 1, metric => 'manhattan');
SELECT * FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 1, metric => 'hamming');
SELECT * FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::halfvec[], 1);
SELECT * FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 1, key_column => 'key');
SELECT * FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 1, "column" => 'id');
SELECT * FROM faiss.search_shards('doc', ARRAY['[1,1]']::vector[], 1);
SELECT * FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 1, filter => 'missing = 1');
SELECT faiss.shard_view('there.doc_2', "column" => 'id');
-- Another role: it needs SELECT on the table, USAGE on the servers and a password there. Policies of the table are not the shards'.
CREATE ROLE "95_reader";
SET ROLE "95_reader";
SELECT * FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 1);
RESET ROLE;
GRANT SELECT ON doc TO "95_reader";
SET ROLE "95_reader";
SELECT * FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 1);
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER shard1, shard2 TO "95_reader";
SET ROLE "95_reader";
SELECT * FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 1);
RESET ROLE;
ALTER TABLE doc ENABLE ROW LEVEL SECURITY;
SET ROLE "95_reader";
SELECT * FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 1);
RESET ROLE;
ALTER TABLE doc DISABLE ROW LEVEL SECURITY;
-- Whoever runs it within a role that is not the session's leaves no connection behind.
ALTER ROLE "95_reader" SUPERUSER;
SELECT faiss.disconnect_shards() > 0 AS some;
SET ROLE "95_reader";
SELECT count(*) FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 2);
RESET ROLE;
SELECT faiss.disconnect_shards();
-- Nobody's functions are taken for dblink's or the server's own.
CREATE SCHEMA evil;
CREATE FUNCTION evil.dblink_send_query(text, text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hijacked'; END $$;
CREATE FUNCTION evil.format(text, VARIADIC "any") RETURNS text LANGUAGE internal AS 'text_format';
CREATE FUNCTION evil.cardinality(anyarray) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hijacked'; END $$;
SET search_path = evil, pg_catalog, public;
SELECT count(*) FROM faiss.search_shards('doc', ARRAY['[1,1,1,1]']::vector[], 2, filter => 'tenant = 1');
RESET search_path;
-- Citus names the tables that it has distributed in a catalog of its own; their indexes here are empty.
CREATE TABLE shell (id bigint, v vector(4));
CREATE INDEX shell_v ON shell USING faissflat (v);
SELECT ntotal FROM faiss.index_info('shell_v');
SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass);
INSERT INTO pg_catalog.pg_dist_partition VALUES ('shell');
UPDATE pg_class SET reltuples = 5000 WHERE oid = 'shell'::regclass;
SELECT * FROM faiss.search('shell_v', ARRAY['[1,1,1,1]']::vector[], 1);
SELECT * FROM faiss.recall('shell_v');
SELECT ntotal FROM faiss.index_info('shell_v');
SELECT create_index, why FROM faiss.recommend('shell', 'v', memory_mb => 100);
DROP TABLE pg_catalog.pg_dist_partition;
RESET allow_system_table_mods;
SELECT ntotal FROM faiss.index_info('shell_v');
-- The extension goes as it came.
SELECT faiss.disconnect_shards();
DROP EXTENSION pgfaiss_shards;
SELECT count(*) FROM pg_namespace WHERE nspname = 'faiss_shards';
DROP SCHEMA evil CASCADE;
DROP TABLE doc;
DROP OWNED BY "95_reader";
DROP ROLE "95_reader";
