-- The extension vector as the catalogue shows it. This file, run where pgvector 0.8.6 is the extension vector, gives the same
-- answers; its access methods, and what belongs to them alone, are left out: story 80 has ours.
CREATE TEMP VIEW members AS
  SELECT classid, objid FROM pg_depend
  WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'vector');
\pset format unaligned
-- The version, and whether its objects may be moved. (Ours is trusted besides: who may create in the database may install it.)
SELECT e.extversion, e.extrelocatable, v.requires
  FROM pg_extension e JOIN pg_available_extension_versions v ON v.name = e.extname AND v.version = e.extversion
  WHERE e.extname = 'vector';
-- Types, with their arrays.
SELECT t.typname, t.typlen, t.typbyval, t.typtype, t.typcategory, t.typispreferred, t.typisdefined, t.typdelim, t.typalign,
    t.typstorage, t.typnotnull, t.typndims, t.typcollation, t.typdefault
  FROM pg_type t WHERE t.oid IN (SELECT objid FROM members WHERE classid = 'pg_type'::regclass)
    OR t.typelem IN (SELECT objid FROM members WHERE classid = 'pg_type'::regclass)
  ORDER BY t.typname COLLATE "C";
SELECT t.typname, t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout, t.typanalyze, t.typsubscript,
    t.typarray::regtype
  FROM pg_type t JOIN members ON classid = 'pg_type'::regclass AND objid = t.oid
  ORDER BY t.typname COLLATE "C";
-- Functions: signature, result, kind, volatility, strictness, parallel safety, cost, rows.
SELECT p.oid::regprocedure AS function, p.prorettype::regtype AS returns, p.prokind AS kind, l.lanname AS lang,
    p.provolatile AS volatile, p.proisstrict AS strict, p.proparallel AS parallel, p.proleakproof AS leakproof,
    p.prosecdef AS definer, p.procost AS cost, p.prorows AS rows, p.proretset AS set, p.prosupport AS support,
    p.proconfig AS config, p.proargnames AS names, p.pronargdefaults AS defaults
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    JOIN members ON classid = 'pg_proc'::regclass AND objid = p.oid
  WHERE p.proname !~ '^(hnsw|ivfflat|faiss)'
  ORDER BY p.oid::regprocedure::text COLLATE "C";
-- Aggregates.
SELECT a.aggfnoid::regprocedure AS aggregate, a.aggkind, a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn,
    a.aggmtransfn, a.aggtranstype::regtype, a.aggtransspace, a.agginitval, a.aggfinalextra, a.aggfinalmodify, a.aggsortop
  FROM pg_aggregate a JOIN members ON classid = 'pg_proc'::regclass AND objid = a.aggfnoid
  ORDER BY a.aggfnoid::regprocedure::text COLLATE "C";
-- Casts.
SELECT c.castsource::regtype AS source, c.casttarget::regtype AS target, c.castfunc::regprocedure AS function, c.castcontext,
    c.castmethod
  FROM pg_cast c JOIN members ON classid = 'pg_cast'::regclass AND objid = c.oid
  ORDER BY c.castsource::regtype::text COLLATE "C", c.casttarget::regtype::text COLLATE "C";
-- Operators.
SELECT o.oid::regoperator AS operator, o.oprkind, o.oprcanmerge, o.oprcanhash, o.oprresult::regtype AS result,
    o.oprcom::regoperator AS commutator, o.oprnegate::regoperator AS negator, o.oprcode, o.oprrest, o.oprjoin
  FROM pg_operator o JOIN members ON classid = 'pg_operator'::regclass AND objid = o.oid
  ORDER BY o.oid::regoperator::text COLLATE "C";
-- Operator classes and families of the server's own access methods.
SELECT m.amname, c.opcname, c.opcdefault, c.opcintype::regtype AS type, c.opckeytype, f.opfname AS family
  FROM pg_opclass c JOIN pg_am m ON m.oid = c.opcmethod JOIN pg_opfamily f ON f.oid = c.opcfamily
    JOIN members ON classid = 'pg_opclass'::regclass AND objid = c.oid
  WHERE m.amname NOT IN ('hnsw', 'ivfflat')
  ORDER BY m.amname COLLATE "C", c.opcname COLLATE "C";
SELECT f.opfname AS family, o.amopstrategy AS number, o.amopopr::regoperator AS operator, o.amoppurpose AS purpose
  FROM pg_amop o JOIN pg_opfamily f ON f.oid = o.amopfamily JOIN pg_am m ON m.oid = f.opfmethod
    JOIN members ON classid = 'pg_opfamily'::regclass AND objid = f.oid
  WHERE m.amname NOT IN ('hnsw', 'ivfflat')
  ORDER BY f.opfname COLLATE "C", o.amopstrategy;
SELECT f.opfname AS family, p.amprocnum AS number, p.amproc::regprocedure AS function
  FROM pg_amproc p JOIN pg_opfamily f ON f.oid = p.amprocfamily JOIN pg_am m ON m.oid = f.opfmethod
    JOIN members ON classid = 'pg_opfamily'::regclass AND objid = f.oid
  WHERE m.amname NOT IN ('hnsw', 'ivfflat')
  ORDER BY f.opfname COLLATE "C", p.amprocnum;
-- Nothing else belongs to it.
SELECT classid::regclass AS catalogue, count(*) FROM members
  WHERE classid NOT IN ('pg_type'::regclass, 'pg_proc'::regclass, 'pg_cast'::regclass, 'pg_operator'::regclass,
    'pg_opclass'::regclass, 'pg_opfamily'::regclass, 'pg_am'::regclass)
  GROUP BY classid ORDER BY classid::regclass::text COLLATE "C";
