-- Connections to the servers, by the name of the server and the options that they were opened with. They are kept for the
-- session's next search, so that a search costs one message to each server.

-- The options of the server and of the caller's user mappings are part of the name: whoever changes one gets new connections.
CREATE FUNCTION faiss_shards.connection_name(server oid, options text[], mappings text)
RETURNS text LANGUAGE plpgsql STABLE PARALLEL UNSAFE AS $$
BEGIN
    RETURN format('faiss_%s_%s_%s', server, to_regrole(quote_ident(current_user))::oid, to_hex(hashtext(concat(options, mappings))));
END $$;

-- Opens a connection. A search that ends early closes it; the server there then notices within 0.1 s and stops.
CREATE FUNCTION faiss_shards.connect(connection text, server text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
BEGIN
    PERFORM dblink_connect(connection, server);
    PERFORM * FROM dblink(connection,
        'SELECT CASE WHEN version() LIKE ''%linux%'' THEN set_config(''client_connection_check_interval'', ''100'', false) END') AS t(x text);
    PERFORM faiss_shards.warn_of_options(connection, server);
END $$;

-- Settings faiss.* in the option "options" of a server that the server there has not taken: unknown names and wrong values. It
-- says so to nobody but its own client, which is dblink or postgres_fdw here.
CREATE FUNCTION faiss_shards.warn_of_options(connection text, server text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
DECLARE
    wanted text[];
    refused text;
BEGIN
    SELECT array_agg(m[1]) INTO wanted
    FROM pg_foreign_server s CROSS JOIN pg_options_to_table(s.srvoptions) o
        CROSS JOIN regexp_matches(o.option_value, '(?:-c\s*|--)(faiss\.\w+)=', 'gi') m
    WHERE s.srvname = server AND o.option_name = 'options';
    IF wanted IS NULL THEN
        RETURN;
    END IF;
    -- Any function of the library loads it, and with it the settings.
    PERFORM * FROM dblink(connection, 'SELECT faiss.optimal_nlist(1)') AS t(x integer);
    FOR refused IN SELECT name FROM dblink(connection, format(
        'SELECT n FROM unnest(%L::text[]) AS n LEFT JOIN pg_settings AS s ON lower(s.name) = lower(n) WHERE s.source IS DISTINCT FROM ''client''',
        wanted)) AS t(name text)
    LOOP
        RAISE WARNING 'server "%" has not taken setting "%"', server, refused
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'The name is unknown there, or the value out of range.',
                HINT = format('Correct it by ALTER SERVER %I OPTIONS (SET options …).', server);
    END LOOP;
END $$;

-- Sends a shard its statement over the connection of an earlier search, if there is one that will take it.
CREATE FUNCTION faiss_shards.ask_again(shard faiss_shards.shard, settings text)
RETURNS boolean LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
BEGIN
    -- To ask whether it is busy also notices that the server has closed it. One that is busy was left behind by a search that broke
    -- off, and so was one that has results.
    RETURN coalesce(shard.connection = ANY (dblink_get_connections()), false) AND dblink_is_busy(shard.connection) = 0
        AND dblink_send_query(shard.connection, concat(settings, shard.statement)) = 1;
END $$;

-- The same over a new connection.
CREATE FUNCTION faiss_shards.ask(shard faiss_shards.shard, settings text)
RETURNS faiss_shards.shard LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
BEGIN
    PERFORM faiss_shards.abandon(ARRAY[shard.connection]);
    PERFORM faiss_shards.connect(shard.connection, shard.name);
    IF dblink_send_query(shard.connection, concat(settings, shard.statement)) <> 1 THEN
        RAISE EXCEPTION '%', dblink_error_message(shard.connection) USING ERRCODE = 'connection_failure';
    END IF;
    RETURN shard;
END $$;

-- Waits until the shards have answered, or the time is over; returns those that have not.
CREATE FUNCTION faiss_shards.wait(connections text[], deadline timestamptz)
RETURNS text[] LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
DECLARE
    pause integer := 50;
    i integer := 1;
    n integer := coalesce(cardinality(connections), 0);
BEGIN
    WHILE i <= n LOOP
        IF NOT faiss_shards.is_busy(connections[i], 1 + pause / 150) THEN
            i := i + 1;
        ELSIF clock_timestamp() >= deadline THEN
            RETURN (SELECT array_agg(c) FROM unnest(connections[i:]) c WHERE faiss_shards.is_busy(c, 32));
        ELSE
            PERFORM faiss.pause(pause);
            pause := least(pause + pause / 4, 5000);
        END IF;
    END LOOP;
    RETURN '{}';
END $$;

-- Whether a shard has not answered yet. Each time dblink is asked it reads some kilobytes of the answer, and no more: so it is asked
-- several times after a long pause, when a long answer may have come.
CREATE FUNCTION faiss_shards.is_busy(connection text, times integer)
RETURNS boolean LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
BEGIN
    FOR i IN 1..times LOOP
        IF dblink_is_busy(connection) = 0 THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END $$;

-- What a shard has answered. An error of the shard is raised here, with its SQLSTATE. There may be a row of the settings before
-- the answer, and the connection takes the next statement when there has been no result: so three are asked for.
CREATE FUNCTION faiss_shards.collect(shard faiss_shards.shard)
RETURNS faiss_shards.shard LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
BEGIN
    SELECT array_agg(n), array_agg(k), array_agg(d) INTO shard.query_nos, shard.keys, shard.distances
    FROM (
        SELECT * FROM dblink_get_result(shard.connection) AS t(n integer, k text, d double precision)
        UNION ALL SELECT * FROM dblink_get_result(shard.connection) AS t(n integer, k text, d double precision)
        UNION ALL SELECT * FROM dblink_get_result(shard.connection) AS t(n integer, k text, d double precision)) t
    WHERE n IS NOT NULL;
    RETURN shard;
END $$;

-- Closes connections of a search that broke off.
CREATE FUNCTION faiss_shards.abandon(connections text[])
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
BEGIN
    PERFORM dblink_disconnect(c) FROM unnest(connections) c WHERE c = ANY (dblink_get_connections());
END $$;

CREATE FUNCTION faiss.disconnect_shards()
RETURNS integer LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path FROM CURRENT AS $$
    SELECT count(dblink_disconnect(c))::integer FROM unnest(dblink_get_connections()) c WHERE c ~ '^faiss_[0-9]+_[0-9]+_[0-9a-f]+$'
$$;
COMMENT ON FUNCTION faiss.disconnect_shards() IS
    'closes the connections that searches of shards have kept in this session, and returns how many';
