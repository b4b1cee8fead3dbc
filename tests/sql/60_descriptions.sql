-- What psql's \df+, \d+ and \dconfig+ show of pgfaiss describes it: nothing is without a word.
CREATE VIEW members AS SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid AND d.refclassid = 'pg_extension'::regclass
WHERE e.extname = 'pgfaiss' AND d.deptype = 'e';
SELECT p.oid::regprocedure FROM members m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
WHERE p.pronamespace = 'faiss'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL ORDER BY 1;
SELECT c.oid::regclass, a.attname FROM members m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'v') AND (obj_description(c.oid, 'pg_class') IS NULL
    OR c.relname = 'models' AND col_description(c.oid, a.attnum) IS NULL) ORDER BY 1, 2;
SELECT amname FROM members m JOIN pg_am a ON m.classid = 'pg_am'::regclass AND m.objid = a.oid WHERE obj_description(a.oid, 'pg_am') IS NULL;
SELECT typname FROM members m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
WHERE t.typname IN ('vector', 'halfvec') AND obj_description(t.oid, 'pg_type') IS NULL;
SELECT o.oid::regoperator FROM members m JOIN pg_operator o ON m.classid = 'pg_operator'::regclass AND m.objid = o.oid
WHERE o.oprname IN ('<->', '<#>', '<=>', '<+>') AND obj_description(o.oid, 'pg_operator') IS NULL ORDER BY 1;
-- Descriptions say something: more than the name.
SELECT p.oid::regprocedure, obj_description(p.oid, 'pg_proc') AS description FROM members m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
WHERE p.pronamespace = 'faiss'::regnamespace AND length(obj_description(p.oid, 'pg_proc')) < 25 ORDER BY 1;
-- Settings say what they trade for what.
LOAD 'pgfaiss';
SELECT name FROM pg_settings WHERE name LIKE 'faiss.%' AND (length(short_desc) < 25 OR extra_desc IS NULL OR vartype = 'integer' AND max_val IS NULL) ORDER BY 1;
SELECT count(*) > 4 AS there_are_settings FROM pg_settings WHERE name LIKE 'faiss.%';
