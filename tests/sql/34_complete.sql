-- Whoever reads a table in order of distance gets every row, however it is asked for.
SELECT setseed(0.1);
CREATE TABLE t (id int PRIMARY KEY, v vector(16), h halfvec(16));
INSERT INTO t SELECT i, v, v::halfvec FROM (SELECT i, array(SELECT random() * 2 - 1 + 0 * i FROM generate_series(1, 16))::vector(16) AS v FROM generate_series(1, 6000) i) s;
ANALYZE t;
SELECT array_fill(0.1, ARRAY[16])::vector AS q \gset
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_incremental_sort = off;
-- Reads t by the index `made` in every way, and says in which one rows were missing or came twice.
CREATE FUNCTION ways(q vector) RETURNS TABLE (way text, n bigint, n_distinct bigint, expected bigint) LANGUAGE plpgsql AS $$
DECLARE
    k int;
    c refcursor;
    r record;
    ids int[] := '{}';
BEGIN
    RETURN QUERY SELECT 'no limit', count(*), count(DISTINCT id), 6000::bigint FROM (SELECT id FROM t ORDER BY v <-> q OFFSET 0) s;
    RETURN QUERY SELECT 'a filter and an offset', count(*), count(DISTINCT id), 5300::bigint FROM (SELECT id FROM t WHERE id % 10 < 9 ORDER BY v <-> q OFFSET 100) s;
    RETURN QUERY SELECT 'a window function', count(*), count(DISTINCT s.n), 6000::bigint FROM (SELECT row_number() OVER (ORDER BY v <-> q) AS n FROM t) s;
    RETURN QUERY SELECT 'a count beside the rows', max(s.n), count(DISTINCT id), 600::bigint FROM (SELECT id, count(*) OVER () AS n FROM t WHERE id % 10 = 3 ORDER BY v <-> q) s;
    CREATE TEMP TABLE copy AS SELECT id FROM t ORDER BY v <-> q;
    RETURN QUERY SELECT 'a new table', count(*), count(DISTINCT id), 6000::bigint FROM copy;
    DROP TABLE copy;
    FOREACH k IN ARRAY ARRAY[1, 100, 2999, 6000, 7000] LOOP
        RETURN QUERY SELECT format('limit %s', k), count(*), count(DISTINCT id), least(k, 6000)::bigint FROM (SELECT id FROM t ORDER BY v <-> q LIMIT k) s;
    END LOOP;
    OPEN c FOR SELECT id FROM t ORDER BY v <-> q;
    LOOP
        FETCH c INTO r;
        EXIT WHEN NOT FOUND;
        ids := ids || r.id;
    END LOOP;
    CLOSE c;
    RETURN QUERY SELECT 'a cursor', count(*), count(DISTINCT i), 6000::bigint FROM unnest(ids) i;
END $$;
CREATE FUNCTION missing(method text, options text, q vector) RETURNS TABLE (mode text, memory text, way text, n bigint, n_distinct bigint, expected bigint) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE INDEX made ON t USING %s (v vector_l2_ops) WITH (%s)', method, options);
    FOREACH mode IN ARRAY ARRAY['strict_order', 'relaxed_order'] LOOP
        PERFORM set_config('faiss.iterative_scan', mode, true);
        FOREACH memory IN ARRAY ARRAY['64kB', '4MB'] LOOP
            PERFORM set_config('work_mem', memory, true);
            RETURN QUERY SELECT mode, memory, w.* FROM ways(q) w WHERE w.n <> w.expected OR w.n_distinct <> w.expected;
        END LOOP;
    END LOOP;
    DROP INDEX made;
END $$;
CREATE INDEX made ON t USING faissivf (v vector_l2_ops) WITH (nlist = 40, nprobe = 2);
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> :'q';
EXPLAIN (COSTS OFF) SELECT row_number() OVER (ORDER BY v <-> :'q') FROM t;
SELECT way, n, n_distinct FROM ways(:'q');
DROP INDEX made;
SELECT * FROM missing('faissivf', 'nlist = 40, nprobe = 2', :'q');
SELECT * FROM missing('faissivf', 'nlist = 40, nprobe = 2, code = sq8', :'q');
SELECT * FROM missing('faissivf', 'nlist = 40, nprobe = 2, code = pqfs, m = 4', :'q');
SELECT * FROM missing('faissivf', 'nlist = 40, nprobe = 2, code = pqfs, m = 4, refine = flat', :'q');
SELECT * FROM missing('faissivf', 'nlist = 40, nprobe = 2, code = rabitq, refine = sq8', :'q');
SELECT * FROM missing('faissflat', 'code = flat', :'q');
SELECT * FROM missing('faissflat', 'code = pqfs, m = 8', :'q');
SELECT * FROM missing('faisshnsw', 'm = 8, efConstruction = 20', :'q');
SELECT * FROM missing('faisshnsw', 'm = 8, efConstruction = 20, code = sq8', :'q');
-- A bound that the user sets ends a scan, which says so once.
CREATE INDEX made ON t USING faissivf (v vector_l2_ops) WITH (nlist = 40, nprobe = 2);
SET faiss.max_scan_tuples = 1;
SELECT count(*) < 6000 AS fewer FROM (SELECT id FROM t ORDER BY v <-> :'q' LIMIT 5) s;
\set VERBOSITY terse
SELECT count(*) < 6000 AS fewer FROM (SELECT id FROM t ORDER BY v <-> :'q' OFFSET 0) s;
SELECT bool_and(s.n < 6000) AS fewer FROM generate_series(1, 3) i, LATERAL (SELECT count(*) AS n FROM (SELECT id FROM t ORDER BY v <-> ('[' || repeat(i || ',', 15) || '0]')::vector OFFSET 0) s) s;
SELECT count(*) < 12000 AS fewer FROM faiss.search('made', ARRAY[:'q', :'q']::vector[], 6000);
\set VERBOSITY default
RESET faiss.max_scan_tuples;
