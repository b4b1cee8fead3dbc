-- FAISS files, in and out. A file is a bytea, a large object, or a path on the server, for which the privileges of COPY are needed.

CREATE FUNCTION faiss.import_model(name text, file bytea, metric text DEFAULT NULL)
RETURNS TABLE (imported_as text, for_metric text, ntotal bigint, bytes bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'pgfaiss_import_model';
COMMENT ON FUNCTION faiss.import_model(text, bytea, text) IS
    'stores what the FAISS index in a file was trained to as a model, for CREATE INDEX … WITH (model = name); vectors in it are left where they are. metric: cosine, if an index under inner product is to serve cosine distance';

CREATE FUNCTION faiss.import_model(name text, file oid, metric text DEFAULT NULL)
RETURNS TABLE (imported_as text, for_metric text, ntotal bigint, bytes bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'pgfaiss_import_model_lo';
COMMENT ON FUNCTION faiss.import_model(text, oid, text) IS
    'the same of a large object';

CREATE FUNCTION faiss.import_model_path(name text, path text, metric text DEFAULT NULL)
RETURNS TABLE (imported_as text, for_metric text, ntotal bigint, bytes bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'pgfaiss_import_model_path';
COMMENT ON FUNCTION faiss.import_model_path(text, text, text) IS
    'the same of a file on the server, for members of pg_read_server_files';

CREATE FUNCTION faiss.export_model(name text)
RETURNS bytea
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pgfaiss_export_model';
COMMENT ON FUNCTION faiss.export_model(text) IS
    'a model as a trained FAISS index without vectors';

CREATE FUNCTION faiss.export_model_lo(name text)
RETURNS oid
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pgfaiss_export_model_lo';
COMMENT ON FUNCTION faiss.export_model_lo(text) IS
    'the same as a new large object';

CREATE FUNCTION faiss.export_model_path(name text, path text)
RETURNS bigint
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pgfaiss_export_model_path';
COMMENT ON FUNCTION faiss.export_model_path(text, text) IS
    'the same as a file on the server, for members of pg_write_server_files; returns its bytes';

CREATE FUNCTION faiss.read_file(file bytea, decode boolean DEFAULT false)
RETURNS TABLE (id bigint, vector vector)
LANGUAGE c STRICT STABLE PARALLEL RESTRICTED ROWS 1000
AS 'MODULE_PATHNAME', 'pgfaiss_read_file';
COMMENT ON FUNCTION faiss.read_file(bytea, boolean) IS
    'the vectors of a FAISS index with their ids, to fill a table from; decode: also those that it has as lossy codes only, or turned';

CREATE FUNCTION faiss.read_file(file oid, decode boolean DEFAULT false)
RETURNS TABLE (id bigint, vector vector)
LANGUAGE c STRICT STABLE PARALLEL RESTRICTED ROWS 1000
AS 'MODULE_PATHNAME', 'pgfaiss_read_file_lo';
COMMENT ON FUNCTION faiss.read_file(oid, boolean) IS
    'the same of a large object';

CREATE FUNCTION faiss.read_file_path(path text, decode boolean DEFAULT false)
RETURNS TABLE (id bigint, vector vector)
LANGUAGE c STRICT STABLE PARALLEL RESTRICTED ROWS 1000
AS 'MODULE_PATHNAME', 'pgfaiss_read_file_path';
COMMENT ON FUNCTION faiss.read_file_path(text, boolean) IS
    'the same of a file on the server, for members of pg_read_server_files';

CREATE FUNCTION faiss.export(index regclass, key text, refine boolean DEFAULT NULL)
RETURNS bytea
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pgfaiss_export';
COMMENT ON FUNCTION faiss.export(regclass, text, boolean) IS
    'an index as a FAISS index, of the rows that the statement sees, with an integer column of the table as the ids; refine: whether the vectors go with lossy codes (null: if the index has them)';

CREATE FUNCTION faiss.export_lo(index regclass, key text, refine boolean DEFAULT NULL)
RETURNS oid
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pgfaiss_export_lo';
COMMENT ON FUNCTION faiss.export_lo(regclass, text, boolean) IS
    'the same as a new large object';

CREATE FUNCTION faiss.export_path(index regclass, key text, path text, refine boolean DEFAULT NULL)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pgfaiss_export_path';
COMMENT ON FUNCTION faiss.export_path(regclass, text, text, boolean) IS
    'the same as a file on the server, for members of pg_write_server_files; returns its bytes';

CREATE FUNCTION faiss.import_graph(index regclass, key text, file bytea)
RETURNS TABLE (adopted bigint, linked bigint)
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'pgfaiss_import_graph';
COMMENT ON FUNCTION faiss.import_graph(regclass, text, bytea) IS
    'rebuilds a faisshnsw index with the links of the FAISS graph in a file whose ids are values of the column named key; rows that the file lacks are linked as in a build (linked: how many). For the owner';

CREATE FUNCTION faiss.import_graph(index regclass, key text, file oid)
RETURNS TABLE (adopted bigint, linked bigint)
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'pgfaiss_import_graph_lo';
COMMENT ON FUNCTION faiss.import_graph(regclass, text, oid) IS
    'the same of a large object';

CREATE FUNCTION faiss.import_graph_path(index regclass, key text, path text)
RETURNS TABLE (adopted bigint, linked bigint)
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'pgfaiss_import_graph_path';
COMMENT ON FUNCTION faiss.import_graph_path(regclass, text, text) IS
    'the same of a file on the server, for members of pg_read_server_files';
