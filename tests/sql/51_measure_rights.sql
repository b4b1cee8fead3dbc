-- Who may measure and tune, what is refused, and with whose rights a measurement runs.
CREATE ROLE "51_owner";
CREATE ROLE "51_reader";
CREATE ROLE "51_other";
GRANT CREATE ON SCHEMA public TO "51_owner";
-- SQLSTATE, message, detail and hint of whatever a statement is refused with.
CREATE FUNCTION refusal(statement text, OUT state text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
SET ROLE "51_owner";
CREATE TABLE t (id int PRIMARY KEY, v vector(4), secret text);
INSERT INTO t SELECT i, (SELECT array_agg(hashint4(i * 4 + j) % 100 ORDER BY j) FROM generate_series(0, 3) j)::vector, 'x' FROM generate_series(1, 500) i;
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 8);
GRANT SELECT ON t TO "51_reader";
GRANT SELECT (v) ON t TO "51_other";
-- Readers measure, owners also apply; who may not read all of the table learns nothing.
SET ROLE "51_reader";
SELECT n_queries FROM faiss.recall('t_v');
SELECT count(*) FILTER (WHERE is_chosen) AS chosen FROM faiss.tune('t_v');
SELECT * FROM refusal($$SELECT * FROM faiss.tune('t_v', apply => true)$$);
SET ROLE "51_other";
SELECT * FROM refusal($$SELECT * FROM faiss.recall('t_v')$$);
SELECT * FROM refusal($$SELECT * FROM faiss.recall('t_v', ARRAY['[1,2,3,4]']::vector[])$$);
SELECT * FROM refusal($$SELECT * FROM faiss.tune('t_v')$$);
SELECT * FROM refusal($$SELECT * FROM faiss.tune('t_v', ARRAY['[1,2,3,4]']::vector[])$$);
SELECT * FROM refusal($$SELECT * FROM faiss.tune('t_v', ARRAY['[1,2,3,4]']::halfvec[])$$);
-- Policies that hide rows: what holds for all rows is not told. The owner is not subject to them, unless forced.
SET ROLE "51_owner";
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON t USING (id < 10);
SELECT n_queries FROM faiss.recall('t_v');
SET ROLE "51_reader";
SELECT * FROM refusal($$SELECT * FROM faiss.recall('t_v')$$);
SELECT * FROM refusal($$SELECT * FROM faiss.tune('t_v')$$);
SET row_security = off;
SELECT state, message FROM refusal($$SELECT * FROM faiss.recall('t_v')$$);
RESET row_security;
SET ROLE "51_owner";
ALTER TABLE t FORCE ROW LEVEL SECURITY;
SELECT state FROM refusal($$SELECT * FROM faiss.recall('t_v')$$);
ALTER TABLE t DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
-- The index's expressions run with the rights of the table's owner, whoever measures, and look for nothing where a reader wants them to.
CREATE FUNCTION half_of(vector) RETURNS vector(2) LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_user <> '51_owner' THEN
        RAISE EXCEPTION 'run as %', current_user;
    END IF;
    IF current_setting('search_path') ~ 'Trap' THEN
        RAISE EXCEPTION 'run with %', current_setting('search_path');
    END IF;
    RETURN public.subvector($1, 1, 2);
END $$;
CREATE INDEX t_half ON t USING faissivf ((half_of(v)::vector(2))) WITH (nlist = 4) WHERE public.vector_dims(half_of(v)) = 2;
RESET ROLE;
SET faiss.nprobe = 4;
SELECT recall, n_queries FROM faiss.recall('t_half', queries => 50);
RESET faiss.nprobe;
SELECT current_user = session_user AS still_myself;
SET search_path = "51 Trap", public;
SELECT n_queries FROM faiss.recall('t_half', queries => 50);
SHOW search_path;
RESET search_path;
SELECT count(*) FILTER (WHERE is_chosen) AS chosen FROM faiss.tune('t_half', 0.9, queries => 50);
SELECT current_user = session_user AS still_myself;
-- Also after an error in the middle of it, which leaves no setting behind.
CREATE FUNCTION fails(vector) RETURNS vector(4) LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_setting('faiss.nprobe') = '2' THEN
        RAISE EXCEPTION 'two lists';
    END IF;
    RETURN $1;
END $$;
CREATE INDEX t_fails ON t USING faissivf ((fails(v)::vector(4))) WITH (nlist = 8, code = sq8);
SELECT state, message FROM refusal($$SELECT * FROM faiss.tune('t_fails', 0.95)$$);
SHOW faiss.nprobe;
SHOW faiss.k_factor;
SELECT current_user = session_user AS still_myself;
DROP INDEX t_fails;
-- Names that need quotes; an index of the same name further ahead in the search_path.
CREATE SCHEMA "51 Ahead";
CREATE TABLE "51 Ahead"."T; DROP" AS SELECT * FROM t;
CREATE INDEX "t_v" ON "51 Ahead"."T; DROP" USING faissivf (v) WITH (nlist = 8);
CREATE INDEX "a""b; --" ON "51 Ahead"."T; DROP" USING faissivf (v) WITH (nlist = 8);
SET search_path = "51 Ahead", public;
SELECT count(*) > 0 AS tuned FROM faiss.tune('public.t_v', apply => true);
SELECT count(*) > 0 AS tuned FROM faiss.tune('"a""b; --"', apply => true);
RESET search_path;
SELECT relnamespace::regnamespace, relname, array_length(reloptions, 1) AS options FROM pg_class WHERE relname IN ('t_v', 'a"b; --') ORDER BY 1, 2;
-- Where nothing may be written.
BEGIN READ ONLY;
SELECT n_queries FROM faiss.recall('t_v');
SELECT count(*) > 0 AS tuned FROM faiss.tune('t_v');
SELECT count(*) > 0 AS tuned FROM faiss.tune('t_v', apply => true);
ROLLBACK;
-- Arguments out of range, and queries that are none.
SELECT * FROM refusal($$SELECT * FROM faiss.recall('t_v', 0)$$);
SELECT * FROM refusal($$SELECT * FROM faiss.recall('t_v', 1001)$$);
SELECT * FROM refusal($$SELECT * FROM faiss.recall('t_v', queries => 0)$$);
SELECT * FROM refusal($$SELECT * FROM faiss.recall('t_v', queries => 100001)$$);
SELECT * FROM refusal($$SELECT * FROM faiss.tune('t_v', 0)$$);
SELECT * FROM refusal($$SELECT * FROM faiss.tune('t_v', 1.01)$$);
SELECT * FROM refusal($$SELECT * FROM faiss.tune('t_v', 'NaN')$$);
SELECT * FROM refusal($$SELECT * FROM faiss.recall('t_v', '{}'::vector[])$$);
SELECT * FROM refusal($$SELECT * FROM faiss.recall('t_v', ARRAY['[1,2,3]']::vector[])$$);
SELECT * FROM refusal($$SELECT * FROM faiss.recall('t_v', ARRAY['[1,2,3,4]', NULL]::vector[])$$);
SELECT * FROM refusal($$SELECT * FROM faiss.recall('t_v', ARRAY[ARRAY['[1,2,3,4]'], ARRAY['[1,2,3,4]']]::vector[])$$);
SELECT * FROM refusal($$SELECT * FROM faiss.recall('t_pkey')$$);
SELECT * FROM refusal($$SELECT * FROM faiss.tune('t')$$);
SELECT count(*) FROM faiss.recall(NULL);
SELECT count(*) FROM faiss.tune('t_v', NULL::float8);
-- Too much for the memory there is.
SET maintenance_work_mem = '1MB';
SELECT * FROM refusal($$SELECT * FROM faiss.recall('t_v', 1000, 1000)$$);
SELECT n_queries FROM faiss.recall('t_v', 10, 300);
RESET maintenance_work_mem;
-- A number that halfvec cannot hold; nothing to measure by; one row.
CREATE TABLE h (v halfvec(2));
CREATE INDEX h_v ON h USING faissflat (v);
SELECT * FROM refusal($$SELECT * FROM faiss.recall('h_v', ARRAY['[1,70000]']::vector[])$$);
SELECT * FROM refusal($$SELECT * FROM faiss.recall('h_v')$$);
SELECT * FROM refusal($$SELECT * FROM faiss.tune('h_v', ARRAY['[1,2]']::halfvec[])$$);
INSERT INTO h VALUES ('[1,2]');
SELECT state FROM refusal($$SELECT * FROM faiss.recall('h_v')$$);
SELECT recall, n_queries FROM faiss.recall('h_v', exclude_self => false);
SELECT recall, n_queries FROM faiss.recall('h_v', ARRAY['[3,4]']::halfvec[]);
INSERT INTO h VALUES ('[1,2]');
SELECT recall, n_queries FROM faiss.recall('h_v');
-- A target out of reach: said, not applied. Two bits tell a row, and thousands share them.
CREATE TABLE far AS SELECT i AS id, ARRAY[1000 + hashint4(i) % 100, 1000 + hashint4(-i) % 100]::vector(2) AS v FROM generate_series(1, 20000) i;
CREATE INDEX far_v ON far USING faissflat (v) WITH (code = rabitq);
\set VERBOSITY terse
SELECT count(*) FILTER (WHERE is_chosen) AS chosen, count(*) > 5 AS tried FROM faiss.tune('far_v', 1, apply => true, queries => 50);
\set VERBOSITY default
SELECT reloptions FROM pg_class WHERE relname = 'far_v';
-- An index that a failed CREATE INDEX CONCURRENTLY left.
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'far_v'::regclass;
SELECT * FROM refusal($$SELECT * FROM faiss.recall('far_v')$$);
DROP TABLE far, h, t CASCADE;
DROP SCHEMA "51 Ahead" CASCADE;
DROP FUNCTION half_of, fails;
REVOKE CREATE ON SCHEMA public FROM "51_owner";
DROP ROLE "51_owner", "51_reader", "51_other";
