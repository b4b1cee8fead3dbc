-- Who may install, own and remove what: a trusted extension, roles that go, rows that a policy hides.
CREATE ROLE "53_owner";
CREATE ROLE "53_heir";
CREATE ROLE "53_guest";
CREATE FUNCTION refusal(statement text, OUT state text, OUT message text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
END $$;
DROP EXTENSION pgfaiss;
DROP EXTENSION vector;
-- Both are trusted: CREATE on the database is enough, and without it nothing is.
SET ROLE "53_guest";
SELECT state FROM refusal('CREATE EXTENSION vector');
SELECT state FROM refusal('CREATE EXTENSION pgfaiss');
SELECT state FROM refusal('CREATE EXTENSION pgfaiss CASCADE');
RESET ROLE;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO "53_owner"', current_database()); END $$;
CREATE SCHEMA types AUTHORIZATION "53_owner";
-- A schema of the name that the extension wants is not taken over.
CREATE SCHEMA faiss;
SET ROLE "53_owner";
SELECT state, message FROM refusal('CREATE EXTENSION pgfaiss SCHEMA types CASCADE');
RESET ROLE;
SELECT count(*) FROM pg_extension WHERE extname = 'vector';
DROP SCHEMA faiss;
-- Nor is a function or a type of the names it wants.
SET ROLE "53_owner";
CREATE FUNCTION types.array_to_vector(integer[], integer, boolean) RETURNS integer LANGUAGE sql AS 'SELECT 1';
SELECT state, message FROM refusal('CREATE EXTENSION vector SCHEMA types');
DROP FUNCTION types.array_to_vector;
CREATE TYPE types.vector AS (x real);
SELECT state, message FROM refusal('CREATE EXTENSION vector SCHEMA types');
DROP TYPE types.vector;
CREATE EXTENSION vector SCHEMA types;
-- Operator classes go to the schema named for them, whatever schema the types are in.
CREATE EXTENSION pgfaiss SCHEMA types;
SELECT DISTINCT opcnamespace::regnamespace FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod WHERE a.amname LIKE 'faiss%';
RESET ROLE;
-- The extension is its installer's; what it made belongs to the superuser, so that it cannot be changed.
SELECT extname, extowner::regrole FROM pg_extension WHERE extname IN ('pgfaiss', 'vector') ORDER BY 1;
SELECT count(*) AS "functions of the installer" FROM pg_proc WHERE proowner = '"53_owner"'::regrole;
SELECT nspowner = 10 AS "superuser's schema" FROM pg_namespace WHERE nspname = 'faiss';
SET ROLE "53_owner";
SELECT state, message FROM refusal('CREATE FUNCTION faiss.mine() RETURNS int LANGUAGE sql AS ''SELECT 1''');
SELECT state, message FROM refusal('CREATE OR REPLACE FUNCTION faiss.similarity(distance double precision) RETURNS double precision LANGUAGE sql AS ''SELECT 1.0''');
SELECT state, message FROM refusal('DELETE FROM faiss.model_parameters');
SELECT state, message FROM refusal('CREATE TRIGGER t BEFORE INSERT ON faiss.model_parameters EXECUTE FUNCTION suppress_redundant_updates_trigger()');
SELECT state IN ('42501', '0A000') AS refused FROM refusal('ALTER EXTENSION pgfaiss SET SCHEMA public');
-- Nobody else may remove or update it.
SET ROLE "53_guest";
SELECT state, message FROM refusal('DROP EXTENSION pgfaiss CASCADE');
SELECT state, message FROM refusal('ALTER EXTENSION pgfaiss UPDATE');
-- Owners come and go; models go by the name of their role.
RESET ROLE;
GRANT ALL ON SCHEMA public TO "53_owner", "53_heir";
GRANT USAGE ON SCHEMA types TO PUBLIC;
SET search_path = public, types;
SET ROLE "53_owner";
CREATE TABLE t (id int PRIMARY KEY, v vector(4));
INSERT INTO t SELECT i, (SELECT array_agg(hashint4(i * 4 + j) % 100 ORDER BY j) FROM generate_series(0, 3) j)::vector FROM generate_series(1, 500) i;
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 8, code = sq8);
CREATE INDEX t_g ON t USING faisshnsw (v vector_ip_ops);
SELECT trained_as FROM faiss.train('53', 't', 'v', 'IVF8,SQ8');
RESET ROLE;
REASSIGN OWNED BY "53_owner" TO "53_heir";
SELECT extname, extowner::regrole FROM pg_extension WHERE extname IN ('pgfaiss', 'vector') ORDER BY 1;
SELECT relname, relowner::regrole FROM pg_class WHERE relname IN ('t', 't_v', 't_g') ORDER BY 1;
SET ROLE "53_heir";
INSERT INTO t SELECT id + 1000, v FROM t WHERE id < 100;
REINDEX INDEX t_v;
SELECT * FROM faiss.check('t_v');
SELECT * FROM faiss.check('t_g');
-- The model is still the other role's.
SELECT state, message FROM refusal('CREATE INDEX t_m ON t USING faissivf (v) WITH (model = ''53'')');
RESET ROLE;
-- Policies: a guest sees some rows, and no function tells of the others.
GRANT SELECT ON t TO "53_guest";
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON t TO "53_guest" USING (id < 10);
SET ROLE "53_guest";
SELECT state, message FROM refusal($$SELECT FROM faiss.search('t_v', ARRAY['[1,2,3,4]']::vector[], 3)$$);
SELECT state, message FROM refusal($$SELECT FROM faiss.search('t_g', ARRAY['[1,2,3,4]']::vector[], 3)$$);
SELECT state, message FROM refusal($$SELECT FROM faiss.recall('t_v')$$);
SELECT state, message FROM refusal($$SELECT FROM faiss.tune('t_g')$$);
SELECT sampled_rows FROM faiss.health('t_v');
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*), max(id) FROM (SELECT id FROM t ORDER BY v <-> '[1,2,3,4]' LIMIT 1000) s;
SELECT count(*), max(id) FROM (SELECT id FROM t ORDER BY v <#> '[1,2,3,4]' LIMIT 1000) s;
-- A model of the rows it sees.
SELECT trained_rows FROM faiss.train('53_few', 't', 'v', 'IVF2,Flat');
SELECT faiss.drop_model('53_few');
RESET enable_seqscan;
RESET enable_sort;
RESET ROLE;
-- With the role goes what it owns, with the extension's owner the extension.
SELECT state, message FROM refusal('DROP ROLE "53_heir"');
DROP OWNED BY "53_owner";
DROP ROLE "53_owner";
SELECT state, message FROM refusal('DROP OWNED BY "53_heir"');
SET client_min_messages = error;
DROP OWNED BY "53_heir" CASCADE;
SELECT count(*) FROM pg_extension WHERE extname IN ('pgfaiss', 'vector');
SELECT count(*) FROM pg_class WHERE relname IN ('t', 't_v', 't_g');
SELECT count(*) FROM pg_am WHERE amname ~ 'faiss';
DROP ROLE "53_heir", "53_guest";
