-- What each server is asked. These are functions of plpgsql, which keep the plans of their queries for the session: a search
-- would else take longer to prepare than to run.

-- The table as its server calls it, where its columns have other names there: a subquery gives them those of the foreign table.
CREATE FUNCTION faiss_shards.renamed(relation oid, name text)
RETURNS text LANGUAGE plpgsql STABLE PARALLEL UNSAFE AS $$
BEGIN
    RETURN (SELECT format('(SELECT %s FROM %s)',
            string_agg(format('%I AS %I', coalesce(o.option_value, a.attname), a.attname), ', ' ORDER BY a.attnum), name)
        FROM pg_attribute a LEFT JOIN LATERAL pg_options_to_table(a.attfdwoptions) o ON o.option_name = 'column_name'
        WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped);
END $$;

-- The nearest rows of one table: query number, key, distance. A query that stands alone is part of the statement; several are the
-- column a of the subquery q that faiss_shards.plan adds.
CREATE FUNCTION faiss_shards.branch(relation text, t faiss_shards.target, query text, k integer, filter text)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    -- A comment at the end of the filter must not swallow what follows.
    clause text := CASE WHEN filter IS NOT NULL THEN format(E' WHERE (%s\n)', filter) ELSE '' END;
    index text;
    loop_clause text := '';
    batch text := '';
BEGIN
    IF query IS NOT NULL THEN
        RETURN format('(SELECT 1, t.%I::text, t.%I %s %L::%s FROM %s AS t%s ORDER BY 3 LIMIT %s)',
            t.key, t.column_name, t.operator, query, t.type_name, relation, clause, k);
    END IF;
    IF filter IS NULL AND left(relation, 1) <> '(' THEN
        index := faiss_shards.index_query(relation, t);
        batch := format('(SELECT s.query_no, t.%I::text, s.distance FROM (%s) AS i CROSS JOIN q CROSS JOIN LATERAL faiss.search(i.index, q.a, %s) AS s JOIN %s AS t ON t.ctid = s.tid) UNION ALL ',
            t.key, index, k, relation);
        loop_clause := format(' WHERE NOT EXISTS (%s)', index);
    END IF;
    RETURN batch || format('(SELECT q.n::integer, x.key, x.distance FROM (SELECT u.* FROM q, unnest(q.a) WITH ORDINALITY AS u(v, n)) AS q CROSS JOIN LATERAL (SELECT t.%I::text, t.%I %s q.v FROM %s AS t%s ORDER BY 2 LIMIT %s) AS x(key, distance)%s)',
        t.key, t.column_name, t.operator, relation, clause, k, loop_clause);
END $$;

-- An index that faiss.search answers many queries by: on the bare column, of all rows, where no policy hides any.
CREATE FUNCTION faiss_shards.index_query(relation text, t faiss_shards.target)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN format('SELECT i.indexrelid::regclass AS index FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS m ON m.oid = c.relam JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attname = %L CROSS JOIN generate_series(0, i.indnkeyatts - 1) AS p JOIN pg_opclass AS o ON o.oid = i.indclass[p] JOIN pg_amop AS f ON f.amopfamily = o.opcfamily AND f.amoppurpose = ''o'' WHERE i.indrelid = %L::regclass AND i.indisvalid AND i.indpred IS NULL AND c.relkind = ''i'' AND i.indkey[p] = a.attnum AND f.amopopr = %L::regoperator AND m.amname IN (''faissflat'', ''faissivf'', ''faisshnsw'') AND NOT row_security_active(i.indrelid) ORDER BY i.indexrelid LIMIT 1',
        t.column_name, relation, t.signature);
END $$;

-- One statement for each server that has partitions of the table, and one for those that are here. pruned: the only partitions
-- to be asked; null: all.
CREATE FUNCTION faiss_shards.plan(
    parent regclass, t faiss_shards.target, queries text[], k integer, filter text, pruned oid[])
RETURNS faiss_shards.shard[] LANGUAGE plpgsql STABLE PARALLEL UNSAFE AS $$
DECLARE
    leaf record;
    branch text;
    before text := '';
    shards faiss_shards.shard[] := '{}';
    servers oid[] := '{}';
    i integer;
    mappings text := (SELECT string_agg(concat(u.umid, u.umoptions), ' ' ORDER BY u.umid) FROM pg_user_mappings u
        WHERE u.usename IN (current_user, 'public'));
    -- A table without partitions is its own only one, and pg_partition_tree has no row of it.
    leaves oid[] := coalesce((SELECT array_agg(relid::oid) FROM pg_partition_tree(parent) WHERE isleaf), ARRAY[parent::oid]);
BEGIN
    IF cardinality(queries) > 1 THEN
        before := format('WITH q AS MATERIALIZED (SELECT %L::%s[] AS a) ', queries, t.type_name);
    END IF;
    FOR leaf IN
        SELECT c.oid, s.oid AS server, s.srvname::text AS name, format('%I.%I', n.nspname, c.relname) AS here,
            format('%I.%I', coalesce((SELECT substring(o FROM 13) FROM unnest(f.ftoptions) o WHERE starts_with(o, 'schema_name=')), n.nspname),
                coalesce((SELECT substring(o FROM 12) FROM unnest(f.ftoptions) o WHERE starts_with(o, 'table_name=')), c.relname)) AS there,
            (SELECT count(*) > 0 FROM pg_attribute a WHERE a.attrelid = f.ftrelid AND a.attfdwoptions IS NOT NULL) AS is_renamed,
            s.srvoptions
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_foreign_table f ON f.ftrelid = c.oid
            -- A foreign table of another wrapper is read as a table of this server is.
            LEFT JOIN (pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw AND w.fdwname = 'postgres_fdw')
                ON s.oid = f.ftserver
        WHERE c.oid = ANY (leaves) AND (pruned IS NULL OR c.oid = ANY (pruned))
    LOOP
        branch := faiss_shards.branch(
            CASE WHEN leaf.server IS NULL THEN leaf.here WHEN leaf.is_renamed THEN faiss_shards.renamed(leaf.oid, leaf.there) ELSE leaf.there END,
            t, CASE WHEN cardinality(queries) = 1 THEN queries[1] END, k, filter);
        -- 0 stands for this server.
        i := array_position(servers, coalesce(leaf.server, 0));
        IF i IS NULL THEN
            servers := servers || coalesce(leaf.server, 0);
            shards := shards || ROW(leaf.server, leaf.name, leaf.here, before || branch,
                faiss_shards.connection_name(leaf.server, leaf.srvoptions, mappings), false, NULL, NULL, NULL, NULL)::faiss_shards.shard;
        ELSE
            shards[i].partitions := concat(shards[i].partitions, ', ', leaf.here);
            shards[i].statement := concat(shards[i].statement, ' UNION ALL ', branch);
        END IF;
    END LOOP;
    RETURN shards;
END $$;

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
RETURNS oid[] LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
BEGIN
    RETURN (SELECT coalesce(array_agg(c.oid), '{}')
        FROM jsonb_path_query(plan, 'strict $.** ? (exists (@."Relation Name"))') AS node
            JOIN pg_namespace n ON n.nspname = node->>'Schema'
            JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = node->>'Relation Name');
END $$;
