-- Nobody's functions run with the rights of somebody else: traps for every name that a statement of the extension could use.
CREATE ROLE "52_reader";
CREATE ROLE "52_owner";
CREATE FUNCTION refusal(statement text) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
-- A schema with an operator, a function, an aggregate, a type and a table for each of pg_catalog's; all of them say who was caught.
CREATE SCHEMA evil;
CREATE FUNCTION evil."the trap"() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'trapped as %', current_user;
END $$;
DO $do$
DECLARE
    x record;
BEGIN
    FOR x IN SELECT p.oid, o.oprname, o.oprleft::regtype::text AS l, o.oprright::regtype::text AS r, o.oprresult::regtype::text AS result
        FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode WHERE o.oprleft <> 0 AND o.oprnamespace = 'pg_catalog'::regnamespace
    LOOP
        BEGIN
            EXECUTE format('CREATE FUNCTION evil.%I(l %s, r %s) RETURNS %s LANGUAGE plpgsql AS $$ BEGIN PERFORM evil."the trap"(); END $$', 'op' || x.oid, x.l, x.r, x.result);
            EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = evil.%I)', x.oprname, x.l, x.r, 'op' || x.oid);
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
    FOR x IN SELECT p.oid, p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result
        FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT 'internal'::regtype = ANY (p.proargtypes)
    LOOP
        BEGIN
            EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS $$ BEGIN PERFORM evil."the trap"(); END $$', x.proname, x.arguments, x.result);
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
    FOR x IN SELECT proname, pg_get_function_identity_arguments(oid) AS arguments FROM pg_proc WHERE proname IN ('count', 'sum', 'bool_and', 'max', 'min', 'array_agg')
        AND prokind = 'a' AND pronamespace = 'pg_catalog'::regnamespace
    LOOP
        BEGIN
            EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS int8 LANGUAGE plpgsql AS $$ BEGIN PERFORM evil."the trap"(); END $$', x.proname, x.arguments);
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
    FOR x IN SELECT relname FROM pg_class WHERE relnamespace IN ('pg_catalog'::regnamespace, 'faiss'::regnamespace) AND relkind IN ('r', 'v') LOOP
        EXECUTE format('CREATE VIEW evil.%I AS SELECT evil."the trap"() AS oid', x.relname);
    END LOOP;
    FOR x IN SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typelem = 0 LOOP
        BEGIN
            EXECUTE format('CREATE DOMAIN evil.%I AS pg_catalog.%I CHECK (evil."the trap"() IS NULL)', x.typname, x.typname);
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
END $do$;
SELECT count(*) > 500 AS operators FROM pg_operator WHERE oprnamespace = 'evil'::regnamespace;
SELECT count(*) > 1500 AS functions FROM pg_proc WHERE pronamespace = 'evil'::regnamespace;
SELECT count(*) > 40 AS types FROM pg_type WHERE typnamespace = 'evil'::regnamespace AND typtype = 'd';
-- They work.
GRANT USAGE ON SCHEMA evil TO PUBLIC;
SET search_path = evil, pg_catalog, public;
SELECT 1 = 1;
SELECT '1'::int8;
RESET search_path;
-- A table, an index on an expression, a partial one, a graph, a model; and a reader.
GRANT CREATE ON SCHEMA public TO "52_owner";
SET ROLE "52_owner";
CREATE TABLE t (id int PRIMARY KEY, v vector(4));
INSERT INTO t SELECT i, (SELECT array_agg(hashint4(i * 4 + j) % 100 ORDER BY j) FROM generate_series(0, 3) j)::vector FROM generate_series(1, 500) i;
-- As careless as functions are: it finds its operators by the search_path.
CREATE FUNCTION near(vector) RETURNS vector(2) LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF 1 + 1 > 3 THEN
        RETURN NULL;
    END IF;
    IF current_user <> '52_owner' THEN
        RAISE EXCEPTION 'run as %', current_user;
    END IF;
    RETURN public.subvector($1, 1, 2);
END $$;
CREATE INDEX t_flat ON t USING faissflat (v);
CREATE INDEX t_ivf ON t USING faissivf (v) WITH (nlist = 8);
CREATE INDEX t_coded ON t USING faissivf (v vector_ip_ops) WITH (nlist = 8, code = sq8) WHERE id > 0;
CREATE INDEX t_graph ON t USING faisshnsw (v);
CREATE INDEX t_near ON t USING faissivf ((near(v)::vector(2))) WITH (nlist = 4, code = sq8) WHERE public.vector_dims(near(v)) = 2;
CREATE INDEX t_near_graph ON t USING faisshnsw ((near(v)::vector(2)));
INSERT INTO t SELECT id + 1000, v FROM t WHERE id <= 400;
GRANT SELECT ON t TO "52_reader";
RESET ROLE;
-- What a statement with this search_path ends in; the trap would tell.
CREATE FUNCTION lured(VARIADIC statements text[]) RETURNS TABLE (statement text, outcome text) LANGUAGE plpgsql AS $$
BEGIN
    FOREACH statement IN ARRAY statements LOOP
        outcome := 'done';
        PERFORM pg_catalog.set_config('search_path', 'evil, pg_catalog, public', false);
        BEGIN
            EXECUTE statement;
        EXCEPTION WHEN OTHERS THEN
            outcome := SQLERRM;
        END;
        PERFORM pg_catalog.set_config('search_path', 'public', false);
        RETURN NEXT;
    END LOOP;
END $$;
CREATE VIEW every_function AS SELECT * FROM lured(
    $$SELECT FROM faiss.index_info('public.t_ivf')$$, $$SELECT FROM faiss.list_info('public.t_coded')$$,
    $$SELECT FROM faiss.check('public.t_flat')$$, $$SELECT FROM faiss.check('public.t_coded')$$, $$SELECT FROM faiss.check('public.t_graph')$$,
    $$SELECT FROM faiss.recall('public.t_ivf')$$, $$SELECT FROM faiss.recall('public.t_near')$$, $$SELECT FROM faiss.recall('public.t_near_graph')$$,
    $$SELECT FROM faiss.tune('public.t_coded')$$, $$SELECT FROM faiss.tune('public.t_near', queries => 50)$$,
    $$SELECT FROM faiss.search('public.t_ivf', ARRAY['[1,2,3,4]']::public.vector[], 3)$$,
    $$SELECT FROM faiss.search('public.t_coded', ARRAY['[1,2,3,4]']::public.vector[], 3)$$,
    $$SELECT FROM faiss.search('public.t_near', ARRAY['[1,2]']::public.vector[], 3)$$,
    $$SELECT FROM faiss.search('public.t_near_graph', ARRAY['[1,2]']::public.vector[], 3)$$,
    $$SELECT FROM faiss.health('public.t_ivf')$$, $$SELECT FROM faiss.health('public.t_coded')$$, $$SELECT FROM faiss.health('public.t_near')$$,
    $$SELECT FROM faiss.health('public.t_graph')$$,
    $$SELECT FROM faiss.report('public.t_ivf')$$, $$SELECT FROM faiss.report('public.t_near', measure => false)$$,
    $$SELECT FROM faiss.recommend('public.t', 'v')$$, $$SELECT FROM faiss.recommend('public.t', 'v', metric => 'l1')$$);
-- The reader's search_path lends nothing of the owner's, a superuser's nothing of its own.
GRANT SELECT ON every_function TO PUBLIC;
SET ROLE "52_reader";
SELECT outcome, statement FROM every_function;
SELECT * FROM lured($$SELECT FROM faiss.train('52', 'public.t', 'v', 'IVF8,Flat')$$, $$SELECT FROM faiss.drop_model('52')$$);
RESET ROLE;
SELECT outcome, statement FROM every_function;
CREATE TABLE mine AS SELECT * FROM t;
SELECT * FROM lured(
    $$SELECT FROM faiss.tune('public.t_coded', apply => true)$$,
    $$SELECT FROM faiss.train('52', 'public.t', 'v', 'IVF8,Flat')$$,
    $$CREATE INDEX mine_model ON public.mine USING faissivf (v) WITH (model = '52')$$,
    $$INSERT INTO public.mine VALUES (0, '[1,2,3,4]')$$,
    $$ANALYZE public.mine$$,
    $$REINDEX INDEX public.t_coded$$,
    $$SELECT FROM faiss.drop_model('52')$$,
    $$ALTER INDEX public.t_ivf SET (nprobe = 3)$$,
    $$CREATE EXTENSION pgfaiss SCHEMA evil$$);
DROP TABLE mine;
SELECT faiss.drop_model('52');
-- Types of the session's own come first unless pg_temp is named last.
CREATE FUNCTION pg_temp.trap() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE DOMAIN pg_temp.int8 AS pg_catalog.int8 CHECK (pg_temp.trap());
CREATE DOMAIN pg_temp.float8 AS pg_catalog.float8 CHECK (pg_temp.trap());
CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (pg_temp.trap());
CREATE DOMAIN pg_temp.name AS pg_catalog.name CHECK (pg_temp.trap());
CREATE DOMAIN pg_temp.regclass AS pg_catalog.regclass CHECK (pg_temp.trap());
CREATE TEMP TABLE models (name pg_catalog.text, owner pg_catalog.text);
CREATE TEMP TABLE pg_class (oid oid);
\set VERBOSITY terse
SELECT '1'::int8;
SELECT factory FROM faiss.recommend('t', 'v');
SELECT retrain FROM faiss.health('t_near');
-- As a restore does: an index comes first, then its model, which builds it.
SET check_function_bodies = off;
SET ROLE "52_owner";
SET client_min_messages = error;
CREATE INDEX t_awaits ON t USING faissivf (v) WITH (model = '52');
RESET client_min_messages;
SELECT is_trained FROM faiss.index_info('t_awaits');
SELECT trained_as FROM faiss.train('52', 't', 'v', 'IVF8,Flat');
RESET ROLE;
SELECT is_trained FROM faiss.index_info('t_awaits');
RESET check_function_bodies;
DROP INDEX t_awaits;
SELECT faiss.drop_model('52');
DISCARD TEMP;
-- Nothing runs with other rights than the caller's but what is said above, and nothing of the extension is defined in SQL, but the trigger
-- that a restore of models fires: it has a path of its own, and nobody may call it.
SELECT p.oid::regproc AS definer, p.prosecdef, p.proconfig, has_function_privilege('public', p.oid, 'EXECUTE') AS callable
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid JOIN pg_extension e ON e.oid = d.refobjid
WHERE d.classid = 'pg_proc'::regclass AND e.extname = 'pgfaiss' AND (p.prosecdef OR p.prolang NOT IN (SELECT oid FROM pg_language WHERE lanname IN ('c', 'internal')));
DROP VIEW every_function;
DROP FUNCTION lured;
DROP TABLE t;
SET client_min_messages = error;
DROP FUNCTION near;
REVOKE CREATE ON SCHEMA public FROM "52_owner";
DROP ROLE "52_reader", "52_owner";
