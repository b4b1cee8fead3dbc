-- A search over several servers. What users call is in the schema faiss; what that is made of is here, in a schema of its own.
-- All of it runs with the rights of whoever calls it.

CREATE SCHEMA faiss_shards;
COMMENT ON SCHEMA faiss_shards IS 'parts of faiss.search_shards, which nobody needs to call';
GRANT USAGE ON SCHEMA faiss_shards TO PUBLIC;

-- What users call keeps this path (SET search_path FROM CURRENT): in it, and in all that it calls, names are pg_catalog's or
-- dblink's, whatever the caller's path is. To set it again in each part would cost more than the parts.
SELECT pg_catalog.set_config('search_path',
    (SELECT 'pg_catalog, ' || pg_catalog.quote_ident(n.nspname) || ', pg_temp'
     FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'dblink'),
    true);

-- One server of a search, or this one: what it is asked, and what it answered.
CREATE TYPE faiss_shards.shard AS (
    server oid,            -- null: the partitions are here
    name text,
    partitions text,       -- whose rows it has
    statement text,
    connection text,       -- its name
    is_kept boolean,       -- the connection is that of an earlier call, and may have ended since
    query_nos integer[],
    keys text[],
    distances double precision[],
    problem text);         -- why it is missing
