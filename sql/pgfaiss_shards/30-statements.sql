-- What each server is asked.

-- The table as its server calls it. Where columns have other names there, a subquery gives them those of the foreign table.
CREATE FUNCTION faiss_shards.remote_name(relation oid)
RETURNS text LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path FROM CURRENT AS $$
    WITH named AS (
        SELECT format('%I.%I',
            coalesce((SELECT option_value FROM pg_options_to_table(f.ftoptions) WHERE option_name = 'schema_name'), n.nspname),
            coalesce((SELECT option_value FROM pg_options_to_table(f.ftoptions) WHERE option_name = 'table_name'), c.relname)) AS name
        FROM pg_foreign_table f JOIN pg_class c ON c.oid = f.ftrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE f.ftrelid = relation),
    columns AS (
        SELECT count(o.option_value) AS renamed,
            string_agg(format('%I AS %I', coalesce(o.option_value, a.attname), a.attname), ', ' ORDER BY a.attnum) AS list
        FROM pg_attribute a
            LEFT JOIN LATERAL pg_options_to_table(a.attfdwoptions) o ON o.option_name = 'column_name'
        WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped)
    SELECT CASE WHEN renamed > 0 THEN format('(SELECT %s FROM %s)', list, name) ELSE name END FROM named, columns
$$;

-- The nearest rows of one table: query number, key, distance. Queries, where there is more than one, are the column a of the
-- subquery q that faiss_shards.statement adds.
CREATE FUNCTION faiss_shards.branch(relation text, t faiss_shards.target, query text, k integer, filter text)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
    SELECT CASE
        WHEN query IS NOT NULL THEN
            format('(SELECT 1, t.%I::text, t.%I %s %L::%s FROM %s AS t%s ORDER BY 3 LIMIT %s)',
                t.key, t.column_name, t.operator, query, t.type_name, relation, clause, k)
        ELSE concat(
            CASE WHEN is_searchable THEN
                format('(SELECT s.query_no, t.%I::text, s.distance FROM (%s) AS i CROSS JOIN q CROSS JOIN LATERAL faiss.search(i.index, q.a, %s) AS s JOIN %s AS t ON t.ctid = s.tid) UNION ALL ',
                    t.key, index, k, relation) END,
            format('(SELECT q.n::integer, x.key, x.distance FROM (SELECT u.* FROM q, unnest(q.a) WITH ORDINALITY AS u(v, n)) AS q CROSS JOIN LATERAL (SELECT t.%I::text, t.%I %s q.v FROM %s AS t%s ORDER BY 2 LIMIT %s) AS x(key, distance)%s)',
                t.key, t.column_name, t.operator, relation, clause, k,
                CASE WHEN is_searchable THEN format(' WHERE NOT EXISTS (%s)', index) END)) END
    FROM (SELECT
            -- A comment at the end of the filter must not swallow what follows.
            CASE WHEN filter IS NOT NULL THEN format(E' WHERE (%s\n)', filter) ELSE '' END AS clause,
            filter IS NULL AND relation NOT LIKE '(%' AS is_searchable,
            faiss_shards.index_query(relation, t) AS index) AS x
$$;

-- An index that faiss.search answers many queries by: on the bare column, of all rows, where no policy hides any.
CREATE FUNCTION faiss_shards.index_query(relation text, t faiss_shards.target)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
    SELECT format('SELECT i.indexrelid::regclass AS index FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS m ON m.oid = c.relam JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attname = %L CROSS JOIN generate_series(0, i.indnkeyatts - 1) AS p JOIN pg_opclass AS o ON o.oid = i.indclass[p] JOIN pg_amop AS f ON f.amopfamily = o.opcfamily AND f.amoppurpose = ''o'' WHERE i.indrelid = %L::regclass AND i.indisvalid AND i.indpred IS NULL AND c.relkind = ''i'' AND i.indkey[p] = a.attnum AND f.amopopr = %L::regoperator AND m.amname IN (''faissflat'', ''faissivf'', ''faisshnsw'', ''hnsw'', ''ivfflat'') AND NOT row_security_active(i.indrelid) ORDER BY i.indexrelid LIMIT 1',
        t.column_name, relation,
        -- OPERATOR(schema.sign) without its word, and the types of both sides.
        format('%s(%s,%s)', substring(t.operator FROM '^OPERATOR\((.*)\)$'), t.type_name, t.type_name))
$$;

-- One statement for each server that has partitions of the table, and one for those that are here. pruned: the only partitions
-- to be asked; null: all.
CREATE FUNCTION faiss_shards.plan(
    parent regclass, t faiss_shards.target, queries text[], k integer, filter text, pruned oid[])
RETURNS faiss_shards.shard[] LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path FROM CURRENT AS $$
    WITH leaves AS (
        SELECT c.oid, s.oid AS server, s.srvname::text AS name, format('%I.%I', n.nspname, c.relname) AS here
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_foreign_table f ON f.ftrelid = c.oid
            -- A foreign table of another wrapper is read as a table of this server is.
            LEFT JOIN (pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw AND w.fdwname = 'postgres_fdw')
                ON s.oid = f.ftserver
        WHERE c.relkind IN ('r', 'f', 'm', 'v')
          AND (c.oid = parent OR c.oid IN (SELECT relid FROM pg_partition_tree(parent) WHERE isleaf))
          AND (pruned IS NULL OR c.oid = ANY (pruned))),
    asked AS (
        SELECT server, name, string_agg(here, ', ' ORDER BY oid) AS partitions,
            string_agg(faiss_shards.branch(CASE WHEN server IS NULL THEN here ELSE faiss_shards.remote_name(oid) END, t,
                CASE cardinality(queries) WHEN 1 THEN queries[1] END, k, filter), ' UNION ALL ' ORDER BY oid) AS branches
        FROM leaves GROUP BY server, name)
    SELECT array_agg(ROW(server, name, partitions,
        CASE WHEN cardinality(queries) > 1 THEN format('WITH q AS MATERIALIZED (SELECT %L::%s[] AS a) ', queries, t.type_name) ELSE '' END || branches,
        NULL, false, NULL, NULL, NULL, NULL)::faiss_shards.shard ORDER BY name) FROM asked
$$;

-- The partitions in which rows of the filter can be, as the planner sees it. The filter is read with the caller's search_path.
CREATE FUNCTION faiss_shards.pruned(parent regclass, filter text)
RETURNS oid[] LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
DECLARE
    plan pg_catalog.jsonb;
BEGIN
    EXECUTE pg_catalog.format(E'EXPLAIN (FORMAT JSON, VERBOSE, COSTS off) SELECT FROM %s WHERE (%s\n)', parent, filter) INTO plan;
    RETURN faiss_shards.scanned(plan);
END $$;

-- The relations that a plan reads.
CREATE FUNCTION faiss_shards.scanned(plan jsonb)
RETURNS oid[] LANGUAGE sql STABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
    SELECT coalesce(array_agg(c.oid), '{}')
    FROM jsonb_path_query(plan, 'strict $.** ? (exists (@."Relation Name"))') AS node
        JOIN pg_namespace n ON n.nspname = node->>'Schema'
        JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = node->>'Relation Name'
$$;
