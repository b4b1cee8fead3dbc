-- The search itself.

-- What the shard did, where that is a reason to go on without it: it cannot be reached, it is shutting down, out of memory or of
-- connections, or it cancelled the statement. Whatever else went wrong is the statement's own fault.
CREATE FUNCTION faiss_shards.is_missing(state text)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT left(state, 2) IN ('08', '53', '57')
$$;

-- Sends the statement of one shard over a new connection, or reads its answer. What keeps the shard away is noted in it; other errors are raised.
CREATE FUNCTION faiss_shards.attempt(shard faiss_shards.shard, settings text, is_answer boolean)
RETURNS faiss_shards.shard LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
DECLARE
    state text; said text; detail text; context text;
BEGIN
    RETURN CASE WHEN is_answer THEN faiss_shards.collect(shard) ELSE faiss_shards.ask(shard, settings) END;
EXCEPTION WHEN query_canceled OR OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, said = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
        context = PG_EXCEPTION_CONTEXT;
    IF state = '42703' AND said LIKE '%t.ctid%' THEN
        RAISE EXCEPTION 'many queries at once need a table, and server "%" has a view in its place', shard.name
            USING ERRCODE = 'wrong_object_type', HINT = 'With filter => ''true'' they are answered one after the other.';
    END IF;
    -- A cancel of the caller's own statement names no connection.
    IF NOT faiss_shards.is_missing(state) OR state = '57014' AND context NOT LIKE '%dblink connection%' THEN
        RAISE;
    END IF;
    PERFORM faiss_shards.abandon(ARRAY[shard.connection]);
    shard.problem := concat_ws(': ', rtrim(said, E'\n'), nullif(rtrim(detail, E'\n'), ''));
    RETURN shard;
END $$;

-- Reports a shard that is missing.
CREATE FUNCTION faiss_shards.report(shard faiss_shards.shard, missing text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
DECLARE
    said text := format('server "%s" has not answered: %s', shard.name, shard.problem);
BEGIN
    IF missing = 'error' THEN
        RAISE EXCEPTION '%', said USING ERRCODE = 'connection_failure', DETAIL = format('It has the rows of %s.', shard.partitions),
            HINT = 'To have the rows of the others, search with missing => ''warn''.';
    END IF;
    RAISE WARNING '%', said USING ERRCODE = 'connection_failure', DETAIL = format('The rows of %s are left out.', shard.partitions);
END $$;

-- Asks all shards, and reads what they answer.
CREATE FUNCTION faiss_shards.run(shards faiss_shards.shard[], settings text, missing text, deadline timestamptz)
RETURNS faiss_shards.shard[] LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
DECLARE
    shard faiss_shards.shard;
    waiting text[] := '{}';
    late text[];
    asked faiss_shards.shard[] := '{}';
    answered faiss_shards.shard[] := '{}';
BEGIN
    FOREACH shard IN ARRAY shards LOOP
        IF shard.server IS NOT NULL THEN
            shard.is_kept := faiss_shards.ask_again(shard, settings);
            IF NOT shard.is_kept THEN
                shard := faiss_shards.attempt(shard, settings, false);
            END IF;
            asked := asked || shard;
            IF shard.problem IS NULL THEN
                waiting := waiting || shard.connection;
            END IF;
        END IF;
    END LOOP;
    -- The partitions that are here, while the others are at work.
    FOREACH shard IN ARRAY shards LOOP
        IF shard.server IS NULL THEN
            EXECUTE format('SELECT array_agg(n), array_agg(k), array_agg(d) FROM (%s) AS t(n, k, d)', shard.statement)
                INTO shard.query_nos, shard.keys, shard.distances;
            answered := answered || shard;
        END IF;
    END LOOP;
    late := faiss_shards.wait(waiting, deadline);
    FOREACH shard IN ARRAY asked LOOP
        IF shard.connection = ANY (late) THEN
            PERFORM faiss_shards.abandon(ARRAY[shard.connection]);
            shard.problem := 'the time given is over';
        ELSIF shard.problem IS NULL THEN
            shard := faiss_shards.attempt(shard, settings, true);
            IF shard.problem IS NOT NULL AND shard.is_kept THEN
                -- The connection of an earlier search had ended, perhaps long ago: once more, over a new one.
                shard := faiss_shards.once_more(shard, settings, deadline);
            END IF;
        END IF;
        IF shard.problem IS NOT NULL THEN
            PERFORM faiss_shards.report(shard, missing);
        END IF;
        answered := answered || shard;
    END LOOP;
    RETURN answered;
EXCEPTION WHEN query_canceled OR OTHERS THEN
    PERFORM faiss_shards.abandon(ARRAY(SELECT s.connection FROM unnest(shards) s));
    RAISE;
END $$;

-- Asks one shard and waits for it alone.
CREATE FUNCTION faiss_shards.once_more(shard faiss_shards.shard, settings text, deadline timestamptz)
RETURNS faiss_shards.shard LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
BEGIN
    shard.problem := NULL;
    shard := faiss_shards.attempt(shard, settings, false);
    IF shard.problem IS NULL THEN
        IF shard.connection = ANY (faiss_shards.wait(ARRAY[shard.connection], deadline)) THEN
            PERFORM faiss_shards.abandon(ARRAY[shard.connection]);
            shard.problem := 'the time given is over';
        ELSE
            shard := faiss_shards.attempt(shard, settings, true);
        END IF;
    END IF;
    RETURN shard;
END $$;

-- The statement that gives the sessions of the shards the caller's settings, for one transaction, and a row without a number; empty
-- where there are none.
CREATE FUNCTION faiss_shards.settings(timeout interval)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
BEGIN
    RETURN (SELECT coalesce('SELECT NULL::integer, concat(' || string_agg(format('set_config(%L, %L, true)', name, setting), ', ') || '), NULL::double precision;', '')
    FROM (SELECT name, setting FROM faiss.explicit_settings()
        UNION ALL
        -- A little later than here, where the message says whose time is over.
        SELECT 'statement_timeout', (1000 + ceil(extract(epoch FROM timeout) * 1000))::bigint::text WHERE timeout IS NOT NULL) s);
END $$;

-- What is wrong with the arguments, and with the caller's rights.
CREATE FUNCTION faiss_shards.check_arguments(parent regclass, queries text[], k integer, missing text, timeout interval)
RETURNS void LANGUAGE plpgsql STABLE PARALLEL UNSAFE AS $$
DECLARE
    absent text := CASE WHEN parent IS NULL THEN 'parent' WHEN k IS NULL THEN 'k' WHEN missing IS NULL THEN 'missing' END;
BEGIN
    IF absent IS NOT NULL THEN
        RAISE EXCEPTION 'argument "%" is null', absent USING ERRCODE = 'null_value_not_allowed';
    ELSIF k NOT BETWEEN 1 AND 65536 THEN
        RAISE EXCEPTION 'argument "k" is %', k USING ERRCODE = 'invalid_parameter_value', HINT = 'It must be 1 to 65536.';
    ELSIF missing NOT IN ('error', 'warn') THEN
        RAISE EXCEPTION 'argument "missing" is "%"', missing USING ERRCODE = 'invalid_parameter_value',
            HINT = 'It must be error or warn.';
    ELSIF timeout <= interval '0' THEN
        RAISE EXCEPTION 'argument "timeout" is %', timeout USING ERRCODE = 'invalid_parameter_value', HINT = 'It must be more than 0.';
    ELSIF array_position(queries, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'query % is null', array_position(queries, NULL) USING ERRCODE = 'null_value_not_allowed';
    ELSIF NOT has_table_privilege(parent, 'SELECT') THEN
        RAISE EXCEPTION 'permission denied for table %', parent USING ERRCODE = 'insufficient_privilege';
    ELSIF row_security_active(parent) THEN
        RAISE EXCEPTION 'row-level security of table % applies to the caller', parent USING ERRCODE = 'insufficient_privilege',
            DETAIL = 'The shards are asked directly, and do not know its policies.',
            HINT = 'Search with ORDER BY and LIMIT, which respect the policies, or put policies on the tables of the shards.';
    END IF;
END $$;

CREATE FUNCTION faiss_shards.search(
    parent regclass, queries anyarray, k integer, filter text, missing text, timeout interval, key text, column_name text, metric text, pruned oid[])
RETURNS TABLE (query_no integer, found_key text, distance double precision)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path FROM CURRENT
-- To plan the queries of the catalogs for each search would take longer than all the rest.
SET plan_cache_mode = 'force_generic_plan' AS $$
#variable_conflict use_column
DECLARE
    texts text[] := queries::text[];
    started timestamptz := clock_timestamp();
    shards faiss_shards.shard[];
BEGIN
    PERFORM faiss_shards.check_arguments(parent, texts, k, missing, timeout);
    IF cardinality(texts) > 0 THEN
        shards := faiss_shards.plan(parent,
            faiss_shards.target(parent, pg_typeof(queries[1]), column_name, key, metric),
            texts, k, filter, pruned);
    END IF;
    -- No queries, or no partition that can have a row.
    IF coalesce(cardinality(shards), 0) = 0 THEN
        RETURN;
    END IF;
    shards := faiss_shards.run(shards, faiss_shards.settings(timeout), missing, started + timeout);
    -- A role that is not the session's own leaves nothing behind that others in the session could use.
    IF current_user <> session_user THEN
        PERFORM faiss_shards.abandon(ARRAY(SELECT s.connection FROM unnest(shards) s));
    END IF;
    RETURN QUERY SELECT m.n, m.found, m.d
        FROM (SELECT r.n, r.found, r.d, row_number() OVER (PARTITION BY r.n ORDER BY r.d, r.found) AS rank
            FROM unnest(shards) s CROSS JOIN unnest(s.query_nos, s.keys, s.distances) r(n, found, d)) m
        WHERE m.rank <= k ORDER BY m.n, m.rank;
END $$;

CREATE FUNCTION faiss.search_shards(
    parent regclass, queries anyarray, k integer, filter text DEFAULT NULL, missing text DEFAULT 'error', timeout interval DEFAULT NULL,
    key_column text DEFAULT 'id', "column" text DEFAULT NULL, metric text DEFAULT NULL)
RETURNS TABLE (query_no integer, key text, distance double precision)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE ROWS 1000 COST 10000 AS $$
DECLARE
    -- Found here, where the caller's search_path is in force: the filter may name what is in it.
    pruned pg_catalog.oid[];
BEGIN
    IF filter IS NOT NULL AND parent IS NOT NULL THEN
        pruned := faiss_shards.pruned(parent, filter);
    END IF;
    RETURN QUERY SELECT * FROM faiss_shards.search(parent, queries, k, filter, missing, timeout, key_column, "column", metric, pruned);
END $$;
COMMENT ON FUNCTION faiss.search_shards(regclass, anyarray, integer, text, text, interval, text, text, text) IS
    'the k nearest rows of each query (numbered from 1) in a table whose partitions are foreign tables, nearest first: one statement to each server, all at once. filter: a condition on columns, as text; missing: error or warn, if a server does not answer within timeout; key_column: the column that is returned as key';
