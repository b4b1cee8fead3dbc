-- Indexes made before their rows look after themselves: trained by INSERT, built anew by VACUUM, whatever they are on.
SET faiss.training_rows = 500;
CREATE FUNCTION points(first int, last int) RETURNS TABLE (id int, v vector) LANGUAGE sql AS $$
    SELECT i, array_agg((hashint8(i::bigint * 1000 + j) % 1000) / 100.0 + i % 20 * j ORDER BY j)::vector
    FROM generate_series(first, last) i, generate_series(1, 8) j GROUP BY i ORDER BY i $$;
CREATE FUNCTION shift(v vector) RETURNS vector LANGUAGE sql IMMUTABLE AS $$ SELECT v + '[1,1,1,1,1,1,1,1]'::vector $$;
CREATE TABLE t (id int, v vector(8)) WITH (autovacuum_enabled = off);
CREATE INDEX flat ON t USING faissivf (v);
CREATE INDEX fixed ON t USING faissivf (v) WITH (nlist = 30, code = sq8);
CREATE INDEX whole ON t USING faissflat (v) WITH (code = pqfs, m = 8);
CREATE INDEX nothing ON t USING faissflat (v);
CREATE INDEX cosine ON t USING faissivf (v vector_cosine_ops) WITH (code = rabitq, refine = flat);
CREATE INDEX casted ON t USING faissivf ((v::halfvec(8)) halfvec_l2_ops) WITH (code = sq4);
CREATE INDEX partial ON t USING faissivf (v) WHERE id % 2 = 0;
CREATE INDEX computed ON t USING faissivf ((shift(v)::vector(8)));
CREATE INDEX graph ON t USING faisshnsw (v);
CREATE INDEX filtered ON t USING faissivf (id, v vector_ip_ops, (id % 7)) WITH (code = sq8);
CREATE VIEW state AS SELECT c.relname AS index, i.is_trained, i.nlist, i.ntotal, (SELECT count(*) FROM faiss.check(c.oid)) AS problems
    FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid, faiss.index_info(c.oid) i WHERE x.indrelid = 't'::regclass ORDER BY 1;
SELECT * FROM state;
INSERT INTO t SELECT * FROM points(1, 450);
SELECT * FROM state;
-- Enough for all but the index on half of the rows, and not before.
INSERT INTO t SELECT * FROM points(451, 900);
SELECT * FROM state;
-- Users' functions are not called by INSERT and VACUUM, but by who asks.
VACUUM t;
SELECT rebuilt, reason, lists, ntotal FROM faiss.maintain('computed');
SELECT rebuilt FROM faiss.maintain('graph');
INSERT INTO t SELECT * FROM points(901, 4000);
VACUUM t;
SELECT * FROM state;
SELECT index, h.retrain, h.advice FROM (SELECT index FROM state) s, faiss.health(index::regclass) h WHERE h.retrain;
-- All rows are found by all of them, in the order of distance.
CREATE FUNCTION found(op text, col text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; BEGIN
    EXECUTE format('SELECT count(DISTINCT id) FROM (SELECT id FROM t ORDER BY %s %s %L) s', col, op, '[1,2,3,4,5,6,7,8]') INTO n;
    RETURN n;
END $$;
CREATE FUNCTION filtered() RETURNS TABLE (by_index boolean, ids bigint, sum bigint) LANGUAGE plpgsql AS $$
DECLARE line text; BEGIN
    by_index := false;
    FOR line IN EXPLAIN SELECT id FROM t WHERE id % 7 = 3 AND id > 100 ORDER BY v <#> '[1,2,3,4,5,6,7,8]' LOOP
        by_index := by_index OR line ~ 'Index Cond';
    END LOOP;
    SELECT count(*), sum(id) INTO ids, sum FROM (SELECT id FROM t WHERE id % 7 = 3 AND id > 100 ORDER BY v <#> '[1,2,3,4,5,6,7,8]') s;
    RETURN NEXT;
END $$;
SET enable_seqscan = off; SET enable_sort = off;
SELECT found('<->', 'v'), found('<=>', 'v'), found('<->', 'v::halfvec(8)'), found('<->', 'shift(v)::vector(8)');
SELECT f.*, n, s FROM filtered() f, LATERAL (SELECT count(*) AS n, sum(id) AS s FROM t WHERE id % 7 = 3 AND id > 100 AND v IS NOT NULL) w;
-- Half of the rows leave, others come, and lists shrink.
DELETE FROM t WHERE id > 600;
VACUUM (INDEX_CLEANUP on) t;
SELECT * FROM state;
SELECT found('<->', 'v'), found('<=>', 'v'), found('<->', 'v::halfvec(8)'), found('<->', 'shift(v)::vector(8)');
SELECT f.*, n, s FROM filtered() f, LATERAL (SELECT count(*) AS n, sum(id) AS s FROM t WHERE id % 7 = 3 AND id > 100 AND v IS NOT NULL) w;
-- Pages of replaced lists are free once nobody can read them any more.
SELECT rebuilt, pages_freed >= 0 AS freed FROM faiss.maintain('flat');
VACUUM t;
VACUUM t;
SELECT rebuilt FROM faiss.maintain('flat');
SELECT * FROM state;
DROP TABLE t CASCADE;
-- Tables made in the same transaction, temporary and unlogged ones, and a rollback half way.
CREATE FUNCTION grow(what text) RETURNS TABLE (is_trained boolean, ntotal bigint, problems bigint) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'CREATE ' || what || ' TABLE g (id int, v vector(8))';
    CREATE INDEX g_v ON g USING faissivf (v);
    INSERT INTO g SELECT * FROM points(1, 700);
    RETURN QUERY SELECT i.is_trained, i.ntotal, (SELECT count(*) FROM faiss.check('g_v')) FROM faiss.index_info('g_v') i;
END $$;
BEGIN; SELECT * FROM grow(''); ROLLBACK;
SELECT * FROM grow('TEMP');
VACUUM g;
DROP TABLE g;
SELECT * FROM grow('UNLOGGED');
BEGIN;
SAVEPOINT s;
INSERT INTO g SELECT * FROM points(701, 3000);
ROLLBACK TO s;
INSERT INTO g SELECT * FROM points(701, 800);
COMMIT;
VACUUM g;
SELECT ntotal, is_trained, (SELECT count(*) FROM faiss.check('g_v')) FROM faiss.index_info('g_v');
SELECT count(*) FROM (SELECT FROM g ORDER BY v <-> '[1,2,3,4,5,6,7,8]') s;
DROP TABLE g;
-- pgvector's names.
CREATE TABLE p (v vector(8)) WITH (autovacuum_enabled = off);
CREATE INDEX p_v ON p USING ivfflat (v vector_l2_ops) WITH (lists = 10);
INSERT INTO p SELECT v FROM points(1, 600);
SELECT nlist, ntotal FROM faiss.index_info('p_v');
