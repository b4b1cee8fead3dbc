-- When the lists of an index should be built anew, and what does it: faiss.health, faiss.maintain, VACUUM.
SET maintenance_work_mem = '64MB';
SET faiss.training_rows = 1000;
-- Points around 40 places; a shift makes strangers of them.
CREATE FUNCTION uniform(a int, b int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT (hashint8(a::bigint * 1000 + b) & 1048575) / 1048576.0 $$;
CREATE FUNCTION points(first int, last int, shift float8) RETURNS TABLE (id int, v vector) LANGUAGE sql AS $$
    SELECT i, array_agg(shift + 10 * uniform(-(hashint4(i) & 1073741823) % 40 - 1, j) + uniform(i, j) ORDER BY j)::vector
    FROM generate_series(first, last) i, generate_series(1, 8) j GROUP BY i ORDER BY i $$;
CREATE FUNCTION few(x float8) RETURNS numeric LANGUAGE sql AS $$ SELECT CASE WHEN x < 9 THEN round(x::numeric, 1) WHEN x >= 9 THEN 9 END $$;
CREATE FUNCTION show(index regclass) RETURNS TABLE (retrain boolean, reasons text, growth numeric, imbalance numeric, at_build numeric, coarse numeric, code numeric, "new" boolean)
LANGUAGE sql AS $$
    SELECT retrain, regexp_replace(advice, '(is|has|the) [0-9.]+( times)?|[0-9]+( % of)', '\1 #\2\3', 'g'), round(growth::numeric, 1), round(imbalance_factor::numeric, 1), round(imbalance_at_build::numeric, 1),
        few(coarse_error / coarse_error_at_build), few(code_error / code_error_at_build), new_share >= 0.1
    FROM faiss.health(index) $$;
CREATE TABLE t (id int, v vector(8));
ALTER TABLE t SET (autovacuum_enabled = off);
CREATE INDEX empty ON t USING faissivf (v);
SELECT * FROM show('empty');
INSERT INTO t SELECT * FROM points(1, 4000, 0);
SELECT * FROM show('empty');
DROP INDEX empty;
CREATE INDEX flat ON t USING faissivf (v) WITH (nlist = 40);
CREATE INDEX sq8 ON t USING faissivf (v) WITH (nlist = 40, code = sq8);
CREATE INDEX pq ON t USING faissivf (v vector_cosine_ops) WITH (nlist = 40, code = pq, m = 4, nbits = 6);
CREATE INDEX pqfs ON t USING faissflat (v) WITH (code = pqfs, m = 8);
CREATE INDEX rabitq ON t USING faissivf (v vector_ip_ops) WITH (factory = 'RR,IVF40,RaBitQ');
CREATE INDEX whole ON t USING faissflat (v);
CREATE VIEW healths AS SELECT i AS index, s.* FROM unnest('{flat,sq8,pq,pqfs,rabitq,whole}'::text[]) i, show(i::regclass) s;
-- As built: sound.
SELECT * FROM healths;
-- More of the same: on pages that are not full.
INSERT INTO t SELECT * FROM points(4001, 6000, 0);
SELECT * FROM healths;
-- Strangers: the indexes do not fit them.
BEGIN;
INSERT INTO t SELECT * FROM points(6001, 8000, 6.5);
SELECT * FROM healths;
-- What the advice says helps.
SELECT substring(advice FROM 'VACUUM.*') FROM faiss.health('flat');
SELECT rebuilt, reason ~ 'error|imbalance|entries' AS has_a_reason, lists_before, lists, ntotal FROM unnest('{flat,pq,pqfs,rabitq,whole}'::regclass[]) i, faiss.maintain(i);
REINDEX INDEX sq8;
SELECT * FROM healths;
SELECT i, count(problem) FROM unnest('{flat,pq,pqfs,rabitq,whole}'::regclass[]) i LEFT JOIN faiss.check(i) ON true GROUP BY i ORDER BY i::text;
ROLLBACK;
VACUUM t;
SELECT * FROM healths;
-- Few of many kinds of rows at the build: their lists are uneven now.
CREATE TABLE s (v vector(8));
ALTER TABLE s SET (autovacuum_enabled = off);
INSERT INTO s SELECT v FROM points(1, 2000, 0);
CREATE INDEX s_v ON s USING faissivf (v) WITH (nlist = 40);
INSERT INTO s SELECT p.v FROM points(1, 2000, 0) p WHERE id <= 3;
INSERT INTO s SELECT p.v FROM points(1, 2000, 0) p, generate_series(1, 500) WHERE id <= 3;
SELECT * FROM show('s_v');
VACUUM s;
SELECT * FROM show('s_v');
TRUNCATE s;
-- Growth, and a training on too few rows.
INSERT INTO s SELECT v FROM points(1, 1000, 0);
SET client_min_messages = error;
REINDEX INDEX s_v;
RESET client_min_messages;
SELECT * FROM show('s_v');
INSERT INTO s SELECT p.v FROM points(1, 1000, 0) p, generate_series(1, 4);
SELECT * FROM show('s_v');
SELECT reason FROM faiss.maintain('s_v');
SELECT * FROM show('s_v');
-- Dead entries are a reason to give their space back.
CREATE TABLE d (id int, v vector(8));
INSERT INTO d SELECT * FROM points(1, 2000, 0);
CREATE INDEX d_v ON d USING faissivf (v) WITH (nlist = 10);
INSERT INTO d SELECT * FROM points(2001, 6000, 0);
DELETE FROM d WHERE id % 10 > 2;
SELECT count(*) FROM d;
VACUUM (INDEX_CLEANUP on) d;
SELECT retrain, advice, round(dead_share::numeric, 2) FROM faiss.health('d_v');
-- Expressions and predicates, halfvec, out of line, many lists.
CREATE INDEX partial ON t USING faissivf ((v::halfvec(8))) WITH (nlist = 20, code = sq4) WHERE id % 2 = 0;
SELECT * FROM show('partial');
CREATE TABLE wide (v vector(1000));
INSERT INTO wide SELECT (SELECT array_agg(((i * 7919 + j * 104729 + i * j * 31) % 1009) / 1009.0)::vector FROM generate_series(1, 1000) j) FROM generate_series(1, 400) i;
CREATE INDEX wide_v ON wide USING faissivf (v) WITH (nlist = 4, code = sq8);
SELECT * FROM show('wide_v');
SET client_min_messages = error;
CREATE INDEX many ON t USING faissivf (v) WITH (nlist = 1000);
RESET client_min_messages;
SELECT ntotal BETWEEN 5000 AND 7000 AS about_6000, sampled_rows FROM faiss.health('many');
-- What was built from a model needs another model.
CREATE TABLE modelled (v vector(8));
SELECT trained_rows FROM faiss.train('m59', 's', 'v', 'IVF8,SQ8');
INSERT INTO modelled SELECT v FROM points(1, 2000, 0);
CREATE INDEX modelled_v ON modelled USING faissivf (v) WITH (model = m59);
INSERT INTO modelled SELECT v FROM points(1, 2000, 7);
SELECT retrain, advice ~ 'REINDEX alone takes model "m59" again' AS another_model FROM faiss.health('modelled_v');
SELECT * FROM faiss.maintain('modelled_v');
DROP TABLE modelled;
SELECT faiss.drop_model('m59');
-- Who may ask, and of what.
SELECT * FROM faiss.health('t');
SELECT * FROM faiss.health(NULL);
CREATE ROLE "59_reader";
SET ROLE "59_reader";
SELECT * FROM faiss.health('flat');
RESET ROLE;
GRANT SELECT ON t TO "59_reader";
SET ROLE "59_reader";
SELECT retrain FROM faiss.health('flat');
SELECT retrain FROM faiss.health('partial');
SELECT rebuilt FROM faiss.maintain('partial');
RESET ROLE;
BEGIN READ ONLY;
SELECT rebuilt FROM faiss.maintain('partial');
ROLLBACK;
SELECT rebuilt FROM faiss.maintain('t');
SELECT rebuilt FROM faiss.maintain(NULL);
DROP OWNED BY "59_reader";
DROP ROLE "59_reader";
