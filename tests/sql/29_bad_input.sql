-- Every refusal in one place: what was done, SQLSTATE, message, detail, hint. The session goes on after each.
SET client_min_messages = warning;
\pset format unaligned
\pset tuples_only on
\pset recordsep '\n\n'
\pset fieldsep '\n  '
\pset null '-'
CREATE FUNCTION refuse(statement text) RETURNS TABLE (did text, state text, message text, detail text, hint text) LANGUAGE plpgsql AS $$
BEGIN
    did := CASE WHEN length(statement) > 150 THEN left(statement, 70) || ' … ' || right(statement, 60) ELSE statement END;
    EXECUTE statement;
    message := 'NOT REFUSED';
    RETURN NEXT;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    message := CASE WHEN length(message) > 300 THEN left(message, 100) || ' … ' || right(message, 60) ELSE message END;
    detail := coalesce('DETAIL: ' || nullif(detail, ''), '(no detail)');
    hint := coalesce('HINT: ' || nullif(hint, ''), '(no hint)');
    RETURN NEXT;
END $$;
CREATE TABLE t (id int, v vector(3), h halfvec(3), free vector);
INSERT INTO t SELECT i, ARRAY[i % 10, i % 7, 1]::vector, ARRAY[i % 10, i % 7, 1]::halfvec, '[1,2]' FROM generate_series(1, 200) i;
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 4);
CREATE INDEX t_h ON t USING faissivf (h halfvec_cosine_ops) WITH (nlist = 4);
SET enable_seqscan = off;
-- Wrong number of dimensions.
SELECT r.* FROM unnest(ARRAY[
    $$INSERT INTO t (v) VALUES ('[1,2]')$$,
    $$INSERT INTO t (h) VALUES ('[1,2,3,4]')$$,
    $$UPDATE t SET v = '[1,2]' WHERE id = 1$$,
    $$SELECT id FROM t ORDER BY v <-> '[1,2]' LIMIT 1$$,
    $$SELECT id FROM t ORDER BY v <-> ARRAY[1,2]::vector LIMIT 1$$,
    $$SELECT id FROM t ORDER BY h <=> '[1,2,3,4]' LIMIT 1$$,
    $$SELECT id FROM t ORDER BY free <-> '[1,2,3]' LIMIT 1$$,
    $$SELECT '[1,2]'::vector <#> '[1,2,3]'$$,
    $$SELECT '[1,2]'::halfvec + '[1,2,3]'$$,
    $$SELECT avg(x) FROM (VALUES ('[1,2]'::vector), ('[1]')) s (x)$$]) s, refuse(s) r;
-- Not a number, infinite, too large.
SELECT r.* FROM unnest(ARRAY[
    $$INSERT INTO t (v) VALUES ('[1,NaN,3]')$$,
    $$INSERT INTO t (v) VALUES ('[1,-Infinity,3]')$$,
    $$INSERT INTO t (v) VALUES ('[1,1e40,3]')$$,
    $$INSERT INTO t (h) VALUES ('[1,65520,3]')$$,
    $$INSERT INTO t (v) VALUES (ARRAY['NaN',1,2]::float8[])$$,
    $$INSERT INTO t (h) VALUES (ARRAY['inf',1,2]::real[])$$,
    $$INSERT INTO t (h) VALUES ('[1,2,70000]'::vector)$$,
    $$SELECT id FROM t ORDER BY v <-> '[NaN,0,0]' LIMIT 1$$,
    $$SELECT '[3e38]'::vector + '[3e38]'$$,
    $$SELECT '[1e-30]'::vector * '[1e-30]'$$]) s, refuse(s) r;
-- No dimension, or more than 16,000.
SELECT r.* FROM unnest(ARRAY[
    $$SELECT '[]'::vector$$,
    $$SELECT '{}'::real[]::vector$$,
    $$SELECT ('[' || repeat('1,', 16000) || '1]')::vector$$,
    $$SELECT ('[' || repeat('1,', 16000) || '1]')::halfvec$$,
    $$SELECT array_fill(1, ARRAY[16001])::vector$$,
    $$SELECT array_fill(1, ARRAY[16000])::vector || '[1]'$$,
    $$CREATE TABLE x (v vector(16001))$$,
    $$CREATE TABLE x (v vector(0))$$,
    $$CREATE TABLE x (v vector(1, 2))$$]) s, refuse(s) r;
-- Text that is no vector, arrays that are none.
SELECT r.* FROM unnest(ARRAY[
    $$SELECT '1,2,3'::vector$$,
    $$SELECT '[1,2'::vector$$,
    $$SELECT '[1,2]]'::halfvec$$,
    $$SELECT '[1,,2]'::vector$$,
    $$SELECT '[one]'::vector$$,
    $$SELECT ''::halfvec$$,
    $$SELECT ARRAY[1, NULL]::vector$$,
    $$SELECT ARRAY[[1,2],[3,4]]::vector$$,
    $$SELECT subvector('[1,2,3]'::vector, 4, 1)$$]) s, refuse(s) r;
-- Binary that is no vector.
\set copied 'printf ''PGCOPY\\n\\377\\r\\n\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\001\\000\\000\\000'
\set done '\\377\\377'' '
\set short :copied '\\010\\000\\002\\000\\000\\077\\200\\000\\000' :done
\set long :copied '\\012\\000\\001\\000\\000\\077\\200\\000\\000\\000\\000' :done
\set reserved :copied '\\010\\000\\001\\000\\007\\077\\200\\000\\000' :done
\set none :copied '\\004\\000\\000\\000\\000' :done
\set nan :copied '\\010\\000\\001\\000\\000\\177\\300\\000\\000' :done
\set three :copied '\\010\\000\\001\\000\\000\\077\\200\\000\\000' :done
SELECT 'malformed', state, message, detail, hint FROM refuse(format('COPY t (free) FROM PROGRAM %L (FORMAT binary)', :'short'));
SELECT 'too long', state, message, detail, hint FROM refuse(format('COPY t (free) FROM PROGRAM %L (FORMAT binary)', :'long'));
SELECT 'reserved bytes set', state, message, detail, hint FROM refuse(format('COPY t (free) FROM PROGRAM %L (FORMAT binary)', :'reserved'));
SELECT 'no dimension', state, message, detail, hint FROM refuse(format('COPY t (free) FROM PROGRAM %L (FORMAT binary)', :'none'));
SELECT 'NaN', state, message, detail, hint FROM refuse(format('COPY t (free) FROM PROGRAM %L (FORMAT binary)', :'nan'));
SELECT 'one dimension into vector(3)', state, message, detail, hint FROM refuse(format('COPY t (v) FROM PROGRAM %L (FORMAT binary)', :'three'));
-- Options of an index: unknown, outside of the range, not to be had together, a factory string that is not understood.
SELECT r.* FROM unnest(ARRAY[
    'lists = 0', 'nlist = 10, lists = 10', 'efconstruction = 10', 'fillfactor = 90',
    'nlist = -1', 'nlist = 4194305', 'nlist = many', 'nprobe = 0', 'nprobe = 4194305', 'seed = -1', 'seed = 2147483648',
    'k_factor = 0', 'k_factor = 1025', 'm = 0', 'm = 4097', 'nbits = 0', 'nbits = 13',
    'code = bogus', 'code = ''''', 'opq = maybe', 'refine = table',
    'm = 8', 'code = sq8, m = 8', 'code = rabitq, m = 8', 'code = flat, nbits = 8', 'code = sq8, nbits = 8', 'code = pq, nbits = 3',
    'code = pqfs, nbits = 8', 'code = rabitq, nbits = 9', 'code = flat, opq = on', 'code = sq4, opq = on', 'code = flat, refine = heap',
    'code = pq', 'code = pq, m = 2', 'code = pqfs, m = 4', 'factory = ''OPQ2,IVF100,PQ3''',
    'factory = ''IVF100,Flat'', nlist = 100', 'factory = ''IVF100,Flat'', code = flat', 'factory = ''IVF100,Flat'', code = flat, nlist = 100',
    'factory = ''IVF100,PQ3'', m = 3, nbits = 8, opq = off, refine = heap',
    'factory = ''''', 'factory = ''Flat''', 'factory = ''HNSW32''', 'factory = ''IVF100''', 'factory = ''IVF100,PQ16''', 'factory = ''IVF100,Flat,RFlat''',
    'factory = ''OPQ16,IVF100,Flat''', 'factory = ''IVF0,Flat''', 'factory = ''IVF4194305,Flat''', 'factory = ''ivf100,Flat''', 'factory = ''IVF100, Flat''']) s, refuse('CREATE INDEX ON t USING faissivf (v) WITH (' || s || ')') r;
SELECT r.* FROM unnest(ARRAY[
    $$ALTER INDEX t_v SET (nprobe = 0)$$,
    $$ALTER INDEX t_v SET (probes = 1)$$,
    $$ALTER INDEX t_v SET (k_factor = 0)$$,
    $$ALTER INDEX t_v SET (m = 8)$$,
    $$ALTER INDEX t_v SET (factory = 'IVF100,Flat')$$]) s, refuse(s) r;
-- Settings.
SELECT r.* FROM unnest(ARRAY[
    $$SET faiss.nprobe = 0$$,
    $$SET faiss.nprobe = 4194305$$,
    $$SET faiss.k_factor = -1$$,
    $$SET faiss.k_factor = 1025$$,
    $$SET faiss.iterative_scan = maybe$$,
    $$SET faiss.max_scan_tuples = -1$$,
    $$SET faiss.build_threads = 1025$$]) s, refuse(s) r;
-- Columns and operator classes.
SELECT r.* FROM unnest(ARRAY[
    $$CREATE INDEX ON t USING faissivf (free)$$,
    $$CREATE INDEX ON t USING faissivf (subvector(v, 1, 2))$$,
    $$CREATE INDEX ON t USING faissivf ((free::vector(3)))$$,
    $$CREATE INDEX ON t USING faissivf (id)$$,
    $$CREATE INDEX ON t USING faissivf (v halfvec_l2_ops)$$,
    $$CREATE INDEX ON t USING faissivf (v vector_l1_ops)$$,
    $$CREATE INDEX ON t USING faissivf (v, h)$$,
    $$CREATE UNIQUE INDEX ON t USING faissivf (v)$$]) s, refuse(s) r;
-- Memory.
CREATE TABLE wide (v vector(2000));
INSERT INTO wide SELECT array_fill(i::real, ARRAY[2000])::vector FROM generate_series(1, 1000) i;
SET maintenance_work_mem = '1MB';
SELECT r.* FROM unnest(ARRAY[
    $$CREATE INDEX ON wide USING faissivf (v) WITH (nlist = 525)$$,
    $$CREATE INDEX ON wide USING faissivf (v) WITH (nlist = 65536)$$,
    $$CREATE INDEX ON wide USING faissivf (v) WITH (factory = 'IVF1024,Flat')$$]) s, refuse(s) r;
RESET maintenance_work_mem;
-- Looking inside.
CREATE TABLE p (id int, v vector(3)) PARTITION BY LIST (id);
CREATE INDEX p_v ON p USING faissivf (v);
CREATE INDEX t_id ON t (id);
CREATE ROLE "29_nobody";
SELECT r.* FROM unnest(ARRAY[
    $$SELECT * FROM faiss.index_info('t')$$,
    $$SELECT * FROM faiss.index_info('t_id')$$,
    $$SELECT * FROM faiss.list_info('p_v')$$,
    $$SELECT * FROM faiss.check('p_v')$$,
    $$SELECT * FROM faiss.check('t')$$,
    $$SELECT * FROM faiss.check('pg_class')$$,
    $$SELECT * FROM faiss.check(0)$$,
    $$SELECT * FROM faiss.check('missing')$$,
    $$SET LOCAL ROLE "29_nobody"; SELECT * FROM faiss.index_info('t_v')$$,
    $$SET LOCAL ROLE "29_nobody"; SELECT * FROM faiss.check('t_v')$$]) s, refuse(s) r;
DROP ROLE "29_nobody";
-- Arguments.
SELECT r.* FROM unnest(ARRAY[
    $$SELECT faiss.optimal_nlist(-1)$$,
    $$SELECT faiss.similarity(-0.5)$$,
    $$SELECT faiss.l2_to_cosine(3)$$]) s, refuse(s) r;
-- Nothing was lost or changed by all this.
SELECT count(*), count(v), count(h) FROM t;
SELECT ntotal FROM faiss.index_info('t_v');
SELECT count(*) FROM faiss.check('t_v');
SELECT count(*) FROM pg_indexes WHERE tablename = 't';
