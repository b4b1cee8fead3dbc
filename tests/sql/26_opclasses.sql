-- Access method, operator classes, and what psql shows of an index.
SELECT amname, amtype, obj_description(oid, 'pg_am') FROM pg_am WHERE amname LIKE 'faiss%';
\dA faissivf
\dA faissflat
SELECT a.amname, c.opcname, t.typname, c.opcdefault, f.opfname, amvalidate(c.oid)
FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod JOIN pg_type t ON t.oid = c.opcintype JOIN pg_opfamily f ON f.oid = c.opcfamily
WHERE a.amname LIKE 'faiss%' ORDER BY 1, 2, 3;
\dAo faissivf
\dAo faissflat
\dAp faissivf
\dAp faissflat
SELECT amvalidate(c.oid), count(*) FROM pg_opclass c JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_opclass'::regclass AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid WHERE e.extname = 'pgfaiss' GROUP BY 1;
-- What the method can do.
SELECT amname, p, pg_indexam_has_property(a.oid, p) FROM pg_am a, unnest(ARRAY['can_order', 'can_unique', 'can_multi_col', 'can_exclude', 'can_include']) p
WHERE amname LIKE 'faiss%' ORDER BY 1, 2;
CREATE TABLE t (id int, v vector(3), h halfvec(3), note text);
INSERT INTO t SELECT i, ARRAY[i, 1, 0]::vector, ARRAY[i, 1, 0]::halfvec FROM generate_series(1, 100) i;
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 2, nprobe = 2, seed = 7);
CREATE INDEX t_h ON t USING faissivf (h halfvec_cosine_ops) WITH (factory = 'IVF2,Flat') WHERE id > 10;
CREATE INDEX t_e ON t USING faissivf ((v::halfvec(3)) halfvec_ip_ops);
\d t
\d t_v
\d+ t_h
SELECT p, pg_index_has_property('t_v'::regclass, p) FROM unnest(ARRAY['clusterable', 'index_scan', 'bitmap_scan', 'backward_scan']) p;
SELECT p, pg_index_column_has_property('t_v'::regclass, 1, p) FROM unnest(ARRAY['orderable', 'distance_orderable', 'returnable', 'search_array', 'search_nulls']) p;
-- What it cannot.
CREATE UNIQUE INDEX ON t USING faissivf (v);
CREATE INDEX ON t USING faissivf (v, h);
CREATE INDEX ON t USING faissivf (v) INCLUDE (id);
CREATE INDEX ON t USING faissivf (v DESC);
CREATE INDEX ON t USING faissivf (v NULLS FIRST);
CREATE INDEX ON t USING faissivf (id);
CREATE INDEX ON t USING faissivf (note);
CREATE INDEX ON t USING faissivf (v halfvec_l2_ops);
CREATE INDEX ON t USING faissivf (v vector_l1_ops);
CLUSTER t USING t_v;
-- The words of these two differ between the majors.
\set VERBOSITY sqlstate
CREATE INDEX ON t USING faissivf (v vector_l2_ops (lists = 3));
ALTER TABLE t ADD EXCLUDE USING faissivf (v WITH <->);
\set VERBOSITY default
-- Operator classes that are wrong: amvalidate says what.
CREATE FUNCTION validate(members text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    valid boolean;
BEGIN
    EXECUTE 'CREATE OPERATOR CLASS broken FOR TYPE vector USING faissivf AS ' || members;
    valid := (SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'broken');
    DROP OPERATOR FAMILY broken USING faissivf;
    RETURN valid;
END $$;
SELECT validate('OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 faiss.vector_l2_support(internal)');
SELECT validate('OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops');
SELECT validate('FUNCTION 1 faiss.vector_l2_support(internal)');
SELECT validate('OPERATOR 1 = (vector, vector), FUNCTION 1 faiss.vector_l2_support(internal)');
SELECT validate('OPERATOR 1 <-> (vector, vector) FOR ORDER BY text_ops, FUNCTION 1 faiss.vector_l2_support(internal)');
SELECT validate('OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 vector_dims(vector)');
SELECT validate('OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops, FUNCTION 1 faiss.vector_l2_support(internal)');
SELECT validate('OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 (halfvec, vector) faiss.vector_l2_support(internal)');
SELECT validate('OPERATOR 2 <-> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 faiss.vector_l2_support(internal)');
SELECT validate('OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, FUNCTION 2 faiss.vector_l2_support(internal)');
-- An operator class of one's own.
CREATE OPERATOR CLASS my_ops FOR TYPE vector USING faissivf AS OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 faiss.vector_ip_support(internal);
CREATE INDEX t_my ON t USING faissivf (v my_ops) WITH (nlist = 2);
SELECT metric, ntotal FROM faiss.index_info('t_my');
SET enable_seqscan = off;
SELECT id FROM t ORDER BY v <#> '[1,1,1]' LIMIT 2;
-- What an index stands on cannot go without it.
DROP OPERATOR CLASS my_ops USING faissivf;
DROP EXTENSION pgfaiss;
DROP EXTENSION pgfaiss CASCADE;
\d t
SELECT count(*) FROM pg_am WHERE amname LIKE 'faiss%';
SELECT count(*) FROM pg_namespace WHERE nspname = 'faiss';
CREATE EXTENSION pgfaiss;
SELECT count(*) FROM pg_opclass WHERE opcname = 'vector_l2_ops';
SELECT count(*) FROM pg_opclass WHERE opcname = 'vector_l1_ops';
-- The types may move to another schema; the operator classes stay where a dump will look for them.
CREATE SCHEMA other;
ALTER EXTENSION vector SET SCHEMA other;
CREATE INDEX t_moved ON t USING faissivf (v public.vector_l2_ops) WITH (nlist = 2);
SELECT indexdef FROM pg_indexes WHERE indexname = 't_moved';
SELECT extname, nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname IN ('pgfaiss', 'vector') ORDER BY 1;
ALTER EXTENSION vector SET SCHEMA public;
DROP SCHEMA other;
-- A pgvector from before 0.7 is told of.
DROP EXTENSION pgfaiss CASCADE;
ALTER TYPE halfvec RENAME TO of_later_versions;
CREATE EXTENSION pgfaiss;
ALTER TYPE of_later_versions RENAME TO halfvec;
CREATE EXTENSION pgfaiss;
