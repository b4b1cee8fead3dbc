-- FAISS files: models out and in again, indexes out, vectors in; who may, and what is refused.
CREATE ROLE "45_owner";
CREATE ROLE "45_reader";
CREATE ROLE "45_files" IN ROLE pg_read_server_files, pg_write_server_files;
GRANT CREATE ON SCHEMA public TO "45_owner", "45_files";
-- SQLSTATE, message, detail and hint of whatever a statement is refused with.
CREATE FUNCTION refusal(statement text, OUT state text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
SET ROLE "45_owner";
CREATE TABLE t (id int PRIMARY KEY, big bigint, small smallint, name text, v vector(8), h halfvec(8), b bit(8));
INSERT INTO t SELECT i, i * 10000000000, i, i, (SELECT array_agg(hashint4(i * 8 + j) % 100 ORDER BY j) FROM generate_series(0, 7) j)::vector,
    NULL, i::bit(8) FROM generate_series(1, 1200) i;
UPDATE t SET h = v;
VACUUM t;
-- A model goes out and comes back with the same bits, whatever it is made of.
CREATE TABLE kinds (no int, factory text, metric text);
INSERT INTO kinds SELECT row_number() OVER (), f, m FROM unnest('{IVF10\,Flat,IVF10\,SQ8,IVF10\,SQ4,IVF10\,SQfp16,IVF10\,PQ4x4,IVF10\,PQ2x5,
    IVF10\,PQ4x4fs,IVF10\,RaBitQ,IVF10\,RaBitQ3,RR\,IVF10\,SQ8,OPQ4\,IVF10\,PQ4x4,IVF10\,SQ4\,RFlat,IVF10\,SQ4\,Refine(SQfp16),SQ8,PQ4x4,PQ4x4fs,RaBitQ,RaBitQ8,RR\,RaBitQ\,RFlat}'::text[]) f,
    unnest('{l2,inner_product,cosine}'::text[]) m;
SELECT count(*) FROM kinds, faiss.train('k' || no, 't', 'v', factory, metric);
SELECT k.factory, k.metric, i.* FROM kinds k, faiss.import_model('i' || no, faiss.export_model('k' || no)) i
WHERE (i.imported_as, i.for_metric, i.ntotal) IS DISTINCT FROM (k.factory, k.metric, 0::bigint);
RESET ROLE;
-- What a file does not have differs: seed, rows and errors of the training, and what the rotation was trained for. Centroids and codebooks are there.
SELECT k.factory, k.metric FROM kinds k JOIN faiss.model_parameters a ON a.name = 'k' || no JOIN faiss.model_parameters b ON b.name = 'i' || no
WHERE substr(a.parameters, 56) <> substr(b.parameters, 56) OR octet_length(a.parameters) <> octet_length(b.parameters);
SELECT name, owner, method, factory, metric, dims, nlist, relation, column_name, element_type, total_rows, trained_rows, coarse_error FROM faiss.models WHERE name IN ('i1', 'i42');
SET ROLE "45_owner";
-- The same of an index: read again it is the model that it was built from, and the rows that it has.
CREATE INDEX t_v ON t USING faissivf (v) WITH (model = i1);
SELECT imported_as, for_metric, ntotal FROM faiss.import_model('of index', faiss.export('t_v', 'id'));
SELECT count(*), count(*) FILTER (WHERE t.v = f.vector) AS equal FROM faiss.read_file(faiss.export('t_v', 'big')) f JOIN t ON t.big = f.id;
SELECT count(*), count(*) FILTER (WHERE t.v = f.vector) AS equal FROM faiss.read_file(faiss.export('t_v', 'small')) f JOIN t ON t.small = f.id;
-- From one snapshot: what is deleted or not committed elsewhere is not in it, and a row moved by an update comes once.
BEGIN;
DELETE FROM t WHERE id <= 100;
UPDATE t SET v = '[1,1,1,1,1,1,1,1]' WHERE id BETWEEN 101 AND 110;
UPDATE t SET name = 'x' WHERE id BETWEEN 111 AND 120;
SELECT count(*), count(DISTINCT f.id), count(*) FILTER (WHERE t.v = f.vector) AS equal FROM faiss.read_file(faiss.export('t_v', 'id')) f JOIN t USING (id);
ROLLBACK;
-- Large objects.
CREATE TABLE los AS SELECT faiss.export_lo('t_v', 'id') AS index, faiss.export_model_lo('i2') AS model;
SELECT count(f.*) FROM los, faiss.read_file(index) f;
SELECT i.* FROM los, faiss.import_model('from lo', model) i;
SELECT lo_get(index) = faiss.export('t_v', 'id') AS index, lo_get(model) = faiss.export_model('i2') AS model FROM los;
-- A single list, other elements, expressions and predicates, graphs, lists too few for a graph, an empty index.
CREATE INDEX t_flat ON t USING faissflat (v vector_l1_ops);
CREATE INDEX t_h ON t USING faissflat (h halfvec_ip_ops) WITH (code = sq8);
CREATE INDEX t_part ON t USING faissivf (((v + v)::vector(8)) vector_cosine_ops) WITH (nlist = 4, code = sq4, refine = flat) WHERE id > 1000;
CREATE INDEX t_graph ON t USING faisshnsw (v) WITH (m = 4);
CREATE INDEX t_few ON t USING faisshnsw (v) WHERE id < 10;
CREATE INDEX t_none ON t USING faissivf (v) WHERE id < 0;
SELECT index, count(f.id), min(f.id), max(f.id), octet_length(faiss.export(index, 'id')) AS bytes
FROM unnest('{t_flat,t_part,t_graph,t_few,t_none}'::regclass[]) index LEFT JOIN LATERAL faiss.read_file(faiss.export(index, 'id'), true) f ON true GROUP BY index ORDER BY index::text;
SELECT count(*), max(l2_distance(f.vector, t.h::vector)) < 5 AS near FROM faiss.read_file(faiss.export('t_h', 'id'), true) f JOIN t USING (id);
SELECT octet_length(faiss.export('t_part', 'id', refine => false)) < octet_length(faiss.export('t_part', 'id')) AS smaller;
-- Files on the server: who may, and where.
SELECT * FROM refusal($$SELECT faiss.export_path('t_v', 'id', '/tmp/x')$$);
SELECT * FROM refusal($$SELECT faiss.export_model_path('i1', '/tmp/x')$$);
SELECT * FROM refusal($$SELECT * FROM faiss.read_file_path('/tmp/x')$$);
SELECT * FROM refusal($$SELECT * FROM faiss.import_model_path('x', '/tmp/x')$$);
GRANT SELECT ON t TO "45_files";
RESET ROLE;
SELECT format('%s/pgfaiss-45', current_setting('data_directory')) AS path \gset
SET ROLE "45_files";
SELECT faiss.export_path('t_v', 'id', :'path') = octet_length(faiss.export('t_v', 'id')) AS whole;
SELECT count(*) FROM faiss.read_file_path(:'path');
SELECT imported_as, for_metric, ntotal, bytes FROM faiss.import_model_path('from path', :'path');
SELECT * FROM refusal($$SELECT faiss.export_path('t_v', 'id', 'x')$$);
SELECT state, hint FROM refusal($$SELECT faiss.export_path('t_v', 'id', '/no/such/place')$$);
SELECT state FROM refusal($$SELECT * FROM faiss.read_file_path('/no/such/place')$$);
SELECT state FROM refusal($$SELECT * FROM faiss.read_file_path('/tmp')$$);
SELECT state, message FROM refusal(format($$SELECT faiss.export_path('t_v', 'name', %L)$$, :'path' || '2'));
RESET ROLE;
SELECT name FROM pg_ls_dir(current_setting('data_directory')) name WHERE name LIKE 'pgfaiss-45%';
-- Models of others, indexes of tables that one may not read, rows that one may not see.
SET ROLE "45_reader";
SELECT * FROM refusal($$SELECT faiss.export_model('i1')$$);
SELECT * FROM refusal($$SELECT faiss.export('t_v', 'id')$$);
SET ROLE "45_owner";
GRANT SELECT ON t TO "45_reader";
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON t USING (id < 10);
SET ROLE "45_reader";
SELECT * FROM refusal($$SELECT faiss.export('t_v', 'id')$$);
SELECT state FROM refusal(format('SELECT * FROM faiss.read_file(%s::oid)', (SELECT max(oid) FROM pg_largeobject_metadata)));
SET ROLE "45_owner";
ALTER TABLE t DISABLE ROW LEVEL SECURITY;
-- What is no model, no key, no index, no file.
SELECT * FROM refusal($$SELECT faiss.export_model('no such')$$);
SELECT * FROM refusal($$SELECT faiss.import_model('i1', faiss.export_model('i1'))$$);
SELECT * FROM refusal($$SELECT faiss.import_model('i3', NULL::bytea)$$);
SELECT * FROM refusal($$SELECT faiss.import_model('x', faiss.export_model('i1'), 'cosine')$$);
SELECT * FROM refusal($$SELECT faiss.import_model('x', faiss.export_model('i1'), 'hamming')$$);
SELECT imported_as, for_metric FROM faiss.import_model('as cosine', faiss.export_model('i21'), 'cosine');
SELECT * FROM refusal($$SELECT faiss.export('t_v', 'no such')$$);
SELECT * FROM refusal($$SELECT faiss.export('t_v', 'name')$$);
SELECT * FROM refusal($$SELECT faiss.export('t_v', NULL)$$);
SELECT * FROM refusal($$SELECT faiss.export('t_pkey', 'id')$$);
CREATE INDEX t_b ON t USING faissflat (b);
SELECT * FROM refusal($$SELECT faiss.export('t_b', 'id')$$);
UPDATE t SET big = NULL WHERE id = 7;
SELECT * FROM refusal($$SELECT faiss.export('t_v', 'big')$$);
SELECT * FROM refusal($$SELECT * FROM faiss.read_file('\x'::bytea)$$);
SELECT * FROM refusal($$SELECT * FROM faiss.read_file(decode('7f454c46', 'hex'))$$);
SELECT * FROM refusal($$SELECT * FROM faiss.read_file(convert_to('IxLa and so on', 'UTF8'))$$);
SELECT * FROM refusal($$SELECT * FROM faiss.read_file(faiss.export_model('i4'))$$);
-- A claim of a terabyte, dimensions beyond what a vector has, and a number that is none.
SELECT * FROM refusal($$SELECT * FROM faiss.read_file(decode('49784632' || '00040000' || '0000001000000000' || repeat('00', 16) || '01' || '01000000' || '0000000004000000', 'hex'))$$);
SELECT * FROM refusal($$SELECT * FROM faiss.read_file(decode('49784632' || '00000100' || repeat('00', 8) || repeat('00', 16) || '01' || '01000000' || repeat('00', 8), 'hex'))$$);
SELECT * FROM refusal($$SELECT * FROM faiss.read_file(decode('49784632' || '01000000' || '0100000000000000' || repeat('00', 16) || '01' || '01000000' || '0100000000000000' || '0000c07f', 'hex'))$$);
BEGIN READ ONLY;
SELECT faiss.import_model('x', '\x'::bytea);
ROLLBACK;
