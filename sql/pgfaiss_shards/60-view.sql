-- The same as one SQL statement, for those who want a plan.

-- One branch for each partition: each sends its server ORDER BY and LIMIT, and all of them run at once. Without MATERIALIZED the
-- planner would merge the branches in order, one after the other.
CREATE FUNCTION faiss_shards.view_text(
    parent regclass, t faiss_shards.target, function_name text, filter text)
RETURNS text LANGUAGE sql STABLE PARALLEL UNSAFE AS $$
    SELECT format(E'CREATE OR REPLACE FUNCTION %s(query %s, k bigint)\nRETURNS TABLE (key %s, distance double precision) LANGUAGE sql STABLE AS $body$\n  WITH found AS MATERIALIZED (\n%s)\n  SELECT found.key, found.distance FROM found ORDER BY found.distance LIMIT k\n$body$',
        function_name, t.type_name,
        (SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE a.attrelid = parent AND a.attname = t.key),
        string_agg(format(E'    (SELECT %I AS key, %I %s query AS distance FROM %I.%I%s\n     ORDER BY %I %s query LIMIT k)',
            t.key, t.column_name, t.operator, n.nspname, c.relname,
            CASE WHEN filter IS NOT NULL THEN format(' WHERE (%s)', concat(filter, CASE WHEN filter LIKE '%--%' THEN E'\n' END)) ELSE '' END,
            t.column_name, t.operator), E' UNION ALL\n' ORDER BY c.oid))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'f', 'm', 'v')
      AND (c.oid = parent OR c.oid IN (SELECT relid FROM pg_partition_tree(parent) WHERE isleaf))
$$;

CREATE FUNCTION faiss.shard_view(
    parent regclass, filter text DEFAULT NULL, key_column text DEFAULT 'id', "column" text DEFAULT NULL, metric text DEFAULT NULL,
    name text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path FROM CURRENT AS $$
DECLARE
    columns text[];
    element regtype;
BEGIN
    IF parent IS NULL THEN
        RETURN NULL;
    END IF;
    -- The column's type is not given by queries here: one of the types that the extension vector has.
    SELECT array_agg(a.attname::text ORDER BY a.attnum), max(a.atttypid)::regtype INTO columns, element
    FROM pg_attribute a
    WHERE a.attrelid = parent AND a.attnum > 0 AND NOT a.attisdropped AND (shard_view."column" IS NULL OR a.attname = shard_view."column")
      AND (shard_view."column" IS NOT NULL OR EXISTS (
        SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'vector'
        WHERE d.classid = 'pg_type'::regclass AND d.objid = a.atttypid AND d.refclassid = 'pg_extension'::regclass));
    IF coalesce(cardinality(columns), 0) <> 1 THEN
        RAISE EXCEPTION 'table "%" has % columns of vectors', parent, coalesce(cardinality(columns), 0)
            USING ERRCODE = 'ambiguous_column', HINT = 'Name one by the argument "column".';
    END IF;
    RETURN faiss_shards.view_text(parent, faiss_shards.target(parent, element, columns[1], key_column, metric),
        coalesce(name, (SELECT format('%I.%I', n.nspname, c.relname || '_search') FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = parent)), filter);
END $$;
COMMENT ON FUNCTION faiss.shard_view(regclass, text, text, text, text, text) IS
    'a CREATE FUNCTION for the k nearest rows in a table whose partitions are foreign tables, with a branch for each partition; run it by \gexec, and again when partitions come or go';
