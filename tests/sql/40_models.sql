-- Models: trained once, under a name, for any number of indexes.
CREATE TABLE t (id int PRIMARY KEY, v vector(8));
CREATE FUNCTION made(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS
'SELECT array_agg(round((sin(i * 1.7 * k) + cos(i % 13 * k))::numeric, 3)::real ORDER BY k)::vector FROM generate_series(1, 8) k';
INSERT INTO t SELECT i, made(i) FROM generate_series(1, 3000) i;
SELECT trained_as, trained_rows, coarse_error BETWEEN 0.1 AND 10 AS coarse, code_error, bytes FROM faiss.train('lists', 't', 'v', 'IVF16,Flat');
SELECT trained_as, trained_rows, coarse_error, code_error BETWEEN 0.001 AND 1 AS code, bytes > 0 AS bytes FROM faiss.train(name => 'codes', relation => 't', "column" => 'v', factory => 'PQ4x4', metric => 'cosine', seed => 7);
SELECT trained_as, trained_rows FROM faiss.train('automatic', 't', 'v');
SELECT trained_as, trained_rows FROM faiss.train('few rows', 't', 'v', 'IVF8,SQ8', sample_rows => 500);
SELECT name, owner = current_user AS own, method, factory, metric, dims, nlist, relation, column_name, element_type, total_rows, trained_rows, seed, bytes > 0 AS bytes
FROM faiss.models ORDER BY name;
-- CREATE INDEX trains the same: every page of centroids and parameters has the same bytes.
CREATE FUNCTION trained_pages(index regclass, OUT pages bigint, OUT digest text) LANGUAGE plpgsql AS $$
BEGIN
    CHECKPOINT;
    -- Parameters are on MODEL pages (9); centroids on the DATA pages (5) before the first CODES page of the coarse quantizer.
    SELECT count(*), md5(string_agg(substr(page, 25, 8152), NULL ORDER BY no)) INTO pages, digest
    FROM (SELECT no, substr(file, no * 8192 + 1, 8192) AS page, get_byte(file, 24 + 156) + 256 * get_byte(file, 24 + 157) AS codes_first
          FROM pg_read_binary_file(pg_relation_filepath(index)) file, generate_series(0, length(file) / 8192 - 1) no) p
    WHERE get_byte(page, 8176) = 9 OR get_byte(page, 8176) = 5 AND no < codes_first;
END $$;
CREATE INDEX by_model ON t USING faissivf (v) WITH (model = lists);
CREATE INDEX by_itself ON t USING faissivf (v) WITH (nlist = 16);
SELECT model, factory, metric, is_trained, trained_rows, ntotal, nlist, seed, format_version FROM faiss.index_info('by_model');
SELECT model, factory FROM faiss.index_info('by_itself');
SELECT m.pages, m = i AS same FROM trained_pages('by_model') m, trained_pages('by_itself') i;
-- So it is with every code, rotation and metric.
CREATE FUNCTION compared(method text, factory text, metric text, OUT built text, OUT model text, OUT pages bigint, OUT same boolean, OUT problems bigint) LANGUAGE plpgsql AS $$
DECLARE
    class text := CASE metric WHEN 'l2' THEN 'vector_l2_ops' WHEN 'cosine' THEN 'vector_cosine_ops' ELSE 'vector_ip_ops' END;
BEGIN
    PERFORM faiss.train('one', 't', 'v', factory, metric);
    EXECUTE format('CREATE INDEX c_model ON t USING %I (v %I) WITH (model = one)', method, class);
    EXECUTE format('CREATE INDEX c_plain ON t USING %I (v %I) WITH (factory = %L)', method, class, factory);
    SELECT i.factory, i.model INTO built, compared.model FROM faiss.index_info('c_model') i;
    SELECT m.pages, m = p INTO pages, same FROM trained_pages('c_model') m, trained_pages('c_plain') p;
    SELECT count(*) INTO problems FROM faiss.check('c_model');
    DROP INDEX c_model, c_plain;
    PERFORM faiss.drop_model('one');
END $$;
SELECT c.* FROM (VALUES
    ('faissivf', 'IVF4,Flat', 'inner_product'), ('faissivf', 'IVF4,SQ8,RFlat', 'l2'), ('faissivf', 'RR,IVF4,RaBitQ,Refine(SQ8)', 'cosine'),
    ('faissivf', 'OPQ4,IVF4,PQ4x4fs', 'l2'), ('faissivf', 'L2norm,IVF4,PQ2x5,Refine(SQfp16)', 'inner_product'), ('faissivf', 'IVF4,SQ4', 'cosine'),
    ('faissflat', 'SQfp16', 'l2'), ('faissflat', 'RR,RaBitQ,RFlat', 'l2'), ('faissflat', 'SQ8,Refine(SQ8)', 'cosine'), ('faissflat', 'OPQ2,PQ4x4', 'inner_product')
) k, compared(k.column1, k.column2, k.column3) c;
-- Partitions with one model have one set of centroids, whatever rows they hold; also those that are empty.
CREATE TABLE p (id int, v vector(8)) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (3000);
INSERT INTO p SELECT id, v FROM t WHERE id < 3000;
CREATE INDEX p_v ON p USING faissivf (v) WITH (model = lists);
CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (3000) TO (9000);
INSERT INTO p VALUES (3000, made(3000));
SELECT i.relname, info.model, info.is_trained, info.nlist, info.ntotal, pages.digest = (trained_pages('by_model')).digest AS same, (SELECT count(*) FROM faiss.check(i.oid)) AS problems
FROM pg_class i, faiss.index_info(i.oid) info, trained_pages(i.oid) pages WHERE i.relname LIKE 'p__v_idx' ORDER BY 1;
-- A model may be trained on a partitioned table, on a view, on 16-bit floats, and serves columns of either type.
CREATE VIEW w AS SELECT * FROM t WHERE id % 2 = 0;
CREATE TABLE h AS SELECT id, v::halfvec(8) AS v FROM t;
SELECT trained_as, trained_rows FROM faiss.train('of p', 'p', 'v', 'IVF16,Flat');
SELECT trained_as, trained_rows FROM faiss.train('of w', 'w', 'v', 'IVF4,Flat');
SELECT trained_as, trained_rows FROM faiss.train('of h', 'h', 'v', 'IVF4,SQ8');
CREATE INDEX h_v ON h USING faissivf (v) WITH (model = 'of w');
SELECT model, element_type, factory, ntotal FROM faiss.index_info('h_v');
SELECT relation, element_type, total_rows, trained_rows FROM faiss.models WHERE name LIKE 'of _' ORDER BY name;
-- Half of the rows at the build, half inserted: the same lists, codes and answers as all rows at once.
SELECT trained_as FROM faiss.train('half', 't', 'v', 'IVF16,PQ4x4fs', 'inner_product');
CREATE TABLE a AS SELECT * FROM t WHERE id <= 1500;
CREATE TABLE b AS SELECT * FROM t;
CREATE INDEX a_v ON a USING faissivf (v) WITH (model = lists);
CREATE INDEX b_v ON b USING faissivf (v) WITH (model = lists);
CREATE INDEX a_ip ON a USING faissivf (v vector_ip_ops) WITH (model = half);
CREATE INDEX b_ip ON b USING faissivf (v vector_ip_ops) WITH (model = half);
INSERT INTO a SELECT * FROM t WHERE id > 1500;
SELECT count(*) AS lists, bool_and(x.ntotal = y.ntotal) AS same FROM faiss.list_info('a_v') x JOIN faiss.list_info('b_v') y USING (list_no);
SELECT count(*) AS lists, bool_and(x.ntotal = y.ntotal) AS same FROM faiss.list_info('a_ip') x JOIN faiss.list_info('b_ip') y USING (list_no);
SET enable_seqscan = off;
SET faiss.iterative_scan = off;
CREATE FUNCTION answers(tab regclass, op text) RETURNS SETOF int[] LANGUAGE plpgsql AS $$
DECLARE
    q vector;
BEGIN
    FOR q IN SELECT made(i) FROM generate_series(4001, 4060) i LOOP
        RETURN QUERY EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM %s ORDER BY v %s %L, id LIMIT 10) s', tab, op, q);
    END LOOP;
END $$;
CREATE FUNCTION same_answers(op text, OUT queries bigint, OUT same bigint) LANGUAGE sql AS $$
    SELECT count(*), count(*) FILTER (WHERE x = y) FROM ROWS FROM (answers('a', op), answers('b', op)) r (x, y)
$$;
SET faiss.nprobe = 1;
SELECT * FROM same_answers('<->');
SELECT * FROM same_answers('<#>');
SET faiss.nprobe = 4;
SELECT * FROM same_answers('<->');
SELECT * FROM same_answers('<#>');
RESET ALL;
-- With a model an index of an empty table is trained from the beginning, and stays so.
CREATE TABLE e (id int, v vector(8));
CREATE INDEX e_v ON e USING faissivf (v) WITH (model = lists);
CREATE INDEX e_codes ON e USING faissflat (v vector_cosine_ops) WITH (model = codes);
INSERT INTO e SELECT * FROM t;
SELECT i.model, i.factory, i.is_trained, i.trained_rows, i.ntotal, (SELECT count(*) FROM faiss.list_info(x) WHERE ntotal > 0) AS filled, (SELECT count(*) FROM faiss.check(x)) AS problems
FROM unnest('{e_v,e_codes}'::regclass[]) x, faiss.index_info(x) i;
TRUNCATE e;
SELECT i.model, i.is_trained, i.ntotal FROM unnest('{e_v,e_codes}'::regclass[]) x, faiss.index_info(x) i;
CREATE UNLOGGED TABLE u AS SELECT * FROM t;
CREATE INDEX u_v ON u USING faissivf (v) WITH (model = lists);
CREATE INDEX u_codes ON u USING faissflat (v vector_cosine_ops) WITH (model = codes);
SELECT i.model, i.ntotal FROM unnest('{u_v,u_codes}'::regclass[]) x, faiss.index_info(x) i;
-- At the end of a transaction the server empties such a table, and builds its index again.
CREATE TEMP TABLE c (v vector(8)) ON COMMIT DELETE ROWS;
CREATE INDEX c_v ON c USING faissivf (v) WITH (model = lists);
BEGIN;
INSERT INTO c SELECT v FROM t;
SELECT model, ntotal FROM faiss.index_info('c_v');
COMMIT;
SELECT model, ntotal FROM faiss.index_info('c_v');
-- Built again in every way.
REINDEX INDEX CONCURRENTLY by_model;
VACUUM FULL t;
CREATE INDEX CONCURRENTLY again ON t USING faissivf (v) WITH (model = lists, nprobe = 3);
SELECT a = b AS same, (SELECT model FROM faiss.index_info('again')) FROM trained_pages('again') a, trained_pages('by_model') b;
-- What was said at the build stands, whatever ALTER INDEX says until the next one.
ALTER INDEX again SET (model = automatic);
SELECT model, nlist FROM faiss.index_info('again');
REINDEX INDEX again;
SELECT model, nlist FROM faiss.index_info('again');
ALTER INDEX again RESET (model);
SELECT model, nlist FROM faiss.index_info('again');
REINDEX INDEX again;
SELECT model, nlist FROM faiss.index_info('again');
-- What is refused, and with which words.
CREATE FUNCTION refusal(statement text, OUT state text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
CREATE TABLE n (id int, v vector(4), undeclared vector);
\x
SELECT r.* FROM unnest(ARRAY[
    'CREATE INDEX ON t USING faissivf (v) WITH (model = missing)',
    'CREATE INDEX ON n USING faissivf (v) WITH (model = lists)',
    'CREATE INDEX ON t USING faissivf (v vector_cosine_ops) WITH (model = lists)',
    'CREATE INDEX ON t USING faissflat (v) WITH (model = lists)',
    'CREATE INDEX ON t USING faissflat (v vector_l1_ops) WITH (model = codes)',
    'CREATE INDEX ON t USING faissivf (v vector_cosine_ops) WITH (model = codes)',
    'CREATE INDEX ON t USING faissivf (v) WITH (model = '''')',
    'CREATE INDEX ON t USING faissivf (v) WITH (model = lists, nlist = 16)',
    'CREATE INDEX ON t USING faissivf (v) WITH (model = lists, factory = ''IVF16,Flat'', code = sq8)',
    'CREATE INDEX ON t USING faissflat (v) WITH (model = codes, refine = flat)',
    'ALTER INDEX by_itself SET (model = lists)',
    'SELECT faiss.drop_model(''lists'')',
    'SELECT faiss.drop_model(''missing'')',
    'SELECT faiss.drop_model(NULL)']) s, refusal(s) r;
SELECT r.* FROM unnest(ARRAY[
    '''lists'', ''t'', ''v''',
    '''new'', ''t'', ''missing''',
    '''new'', ''t'', ''id''',
    '''new'', ''t'', ''ctid''',
    '''new'', ''missing'', ''v''',
    '''new'', 12345678, ''v''',
    '''new'', ''n'', ''undeclared''',
    '''new'', ''n'', ''v'', ''IVF4,Flat''',
    '''new'', ''t'', ''v'', ''Flat''',
    '''new'', ''t'', ''v'', ''IVF4,PQ3''',
    '''new'', ''t'', ''v'', ''HNSW32''',
    '''new'', ''t'', ''v'', ''IVF4,Flat'', ''l1''',
    '''new'', ''t'', ''v'', ''IVF4,Flat'', ''l2'', -1',
    '''new'', ''t'', ''v'', ''IVF4,Flat'', sample_rows => 0',
    '''new'', ''t'', ''v'', ''IVF4,PQ4'', sample_rows => 200',
    'repeat(''x'', 64), ''t'', ''v''',
    '''new'', NULL, ''v''',
    '''new'', ''t'', NULL']) s, refusal(format('SELECT faiss.train(%s)', s)) r;
\x
SELECT count(*) FROM faiss.models WHERE name = 'new';
-- Fewer rows than lists; too few rows to train well.
SELECT trained_as, trained_rows FROM faiss.train('small', 't', 'v', 'IVF50,Flat', sample_rows => 20);
-- A model belongs to a transaction like everything else.
BEGIN;
SELECT trained_as FROM faiss.train('undone', 't', 'v', 'IVF4,Flat');
CREATE INDEX undone_v ON t USING faissivf (v) WITH (model = undone);
SELECT model FROM faiss.index_info('undone_v');
ROLLBACK;
SELECT count(*) FROM faiss.models WHERE name = 'undone';
BEGIN READ ONLY;
SELECT faiss.train('undone', 't', 'v', 'IVF4,Flat');
ROLLBACK;
-- Who may do what: everybody sees what models there are, owners and members of their roles use and drop them.
CREATE ROLE "40_owner";
CREATE ROLE "40_member" IN ROLE "40_owner";
CREATE ROLE "40_other";
GRANT CREATE ON SCHEMA public TO "40_owner", "40_member", "40_other";
SET ROLE "40_owner";
SELECT r.* FROM refusal($$SELECT faiss.train('theirs', 't', 'v', 'IVF4,Flat')$$) r;
RESET ROLE;
GRANT SELECT (v) ON t TO "40_owner";
SET ROLE "40_owner";
SELECT trained_as FROM faiss.train('theirs', 't', 'v', 'IVF4,Flat');
SELECT owner, factory FROM faiss.models WHERE name = 'theirs';
SELECT r.state, r.message FROM unnest(ARRAY[
    'SELECT * FROM faiss.model_parameters', 'INSERT INTO faiss.model_parameters (name) VALUES (''mine'')', 'UPDATE faiss.models SET owner = current_user',
    'DELETE FROM faiss.models', 'SELECT faiss.drop_model(''lists'')']) s, refusal(s) r;
SET ROLE "40_member";
CREATE TABLE their_table (v vector(8));
CREATE INDEX their_index ON their_table USING faissivf (v) WITH (model = theirs);
SELECT model, is_trained FROM faiss.index_info('their_index');
SET ROLE "40_other";
CREATE TABLE other_table (v vector(8));
SELECT r.* FROM unnest(ARRAY['CREATE INDEX ON other_table USING faissivf (v) WITH (model = theirs)', 'SELECT faiss.drop_model(''theirs'')']) s, refusal(s) r;
RESET ROLE;
-- A build runs as the owner of the table, whoever asks for it.
SELECT r.state, r.detail FROM refusal('CREATE INDEX ON other_table USING faissivf (v) WITH (model = theirs)') r;
-- Row-level security counts as in any query.
CREATE POLICY even ON t FOR SELECT TO "40_owner" USING (id % 2 = 0);
GRANT SELECT ON t TO "40_owner";
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
SET ROLE "40_owner";
SELECT trained_as, trained_rows FROM faiss.train('even', 't', 'v', 'IVF16,Flat');
-- Nobody's search_path leads these functions astray.
RESET ROLE;
CREATE SCHEMA trap;
CREATE FUNCTION trap.wrong(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped as %', current_user; END $$;
CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.wrong);
CREATE FUNCTION trap.concat(VARIADIC "any") RETURNS text LANGUAGE internal AS 'text_concat';
CREATE TABLE trap.models (name text);
SET search_path = trap, faiss, pg_catalog, public;
SELECT trained_as FROM faiss.train('trapped', 't', 'v', 'IVF4,Flat');
CREATE INDEX trapped_v ON public.t USING faissivf (v) WITH (model = trapped);
DROP INDEX trapped_v;
SELECT faiss.drop_model('trapped');
RESET search_path;
-- An owner that is gone leaves the model to the superusers.
DROP TABLE their_table, other_table;
UPDATE faiss.models SET owner = '40_gone' WHERE name = 'even';
SET ROLE "40_owner";
SELECT r.state, r.detail FROM refusal('SELECT faiss.drop_model(''even'')') r;
RESET ROLE;
SELECT faiss.drop_model('even');
SELECT faiss.drop_model('theirs');
-- Damaged parameters are found out; indexes go on without their model.
UPDATE faiss.model_parameters SET parameters = set_byte(parameters, length(parameters) - 9, 255 - get_byte(parameters, length(parameters) - 9)) WHERE name = 'of w';
UPDATE faiss.model_parameters SET parameters = substr(parameters, 1, 99) WHERE name = 'of h';
UPDATE faiss.model_parameters SET parameters = set_byte(parameters, 4, 9) WHERE name = 'of p';
SELECT r.* FROM unnest('{of w,of h,of p}'::text[]) m, refusal(format('CREATE INDEX ON t USING faissivf (v) WITH (model = %L)', m)) r;
SELECT r.state, r.message FROM refusal('REINDEX INDEX h_v') r;
INSERT INTO h SELECT * FROM h LIMIT 10;
SELECT ntotal, (SELECT count(*) FROM faiss.check('h_v')) AS problems FROM faiss.index_info('h_v');
-- Dropped once no index names it; what was built from it stays until it is built again.
ALTER INDEX h_v RESET (model);
SELECT faiss.drop_model('of w');
SELECT model FROM faiss.index_info('h_v');
REINDEX INDEX h_v;
SELECT model, is_trained FROM faiss.index_info('h_v');
ALTER INDEX h_v SET (model = 'of w');
SELECT r.* FROM refusal('REINDEX INDEX h_v') r;
DROP TABLE a, b, c, h, e, u, p;
DROP INDEX by_model;
SELECT count(faiss.drop_model(name)) FROM faiss.models;
SELECT (SELECT count(*) FROM faiss.models) AS models, (SELECT count(*) FROM faiss.model_parameters) AS parameters;
DROP SCHEMA trap CASCADE;
DROP OWNED BY "40_owner", "40_member", "40_other";
DROP ROLE "40_owner", "40_member", "40_other";
