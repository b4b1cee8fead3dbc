-- Lossy codes: what is returned comes in the true order of distance, whatever the code, the place the real distances come
-- from, the metric and the type. With every list probed and every candidate re-ranked the answer is that of a sort.
\i include/answers.sql
CREATE TABLE query (q text);
CREATE FUNCTION near(center int, dims int, spread float8) RETURNS vector LANGUAGE sql VOLATILE AS $$
    SELECT array_agg((sin(center * 7 + j * j) * 2 + (random() - 0.5) * spread)::real ORDER BY j)::vector FROM generate_series(1, dims) j $$;
CREATE FUNCTION ascends(distances float8[]) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(bool_and(d >= before), true) FROM (SELECT d, lag(d) OVER (ORDER BY n) AS before FROM unnest(distances) WITH ORDINALITY u (d, n)) s $$;
-- In how many queries of one index which promise is broken.
CREATE FUNCTION broken(col name, op text, OUT asked int, OUT sort int, OUT limited int, OUT unlimited int, OUT relaxed int, OUT filtered int)
LANGUAGE plpgsql AS $$
DECLARE
    q text;
    e record;
    f record;
    g record;
BEGIN
    asked := 0; sort := 0; limited := 0; unlimited := 0; relaxed := 0; filtered := 0;
    FOR q IN SELECT query.q FROM query LOOP
        asked := asked + 1;
        PERFORM set_config('faiss.iterative_scan', 'strict_order', true), set_config('faiss.k_factor', '1024', true);
        -- Everything is re-ranked: the sort itself, with and without a filter that few rows pass.
        e := ranking('story', col, op, q, 'true', 10000, false);
        f := ranking('story', col, op, q, 'true', 10000, true);
        sort := sort + (f IS DISTINCT FROM e)::int;
        f := ranking('story', col, op, q, 'true', 10, true);
        sort := sort + (f.distances IS DISTINCT FROM e.distances[:10])::int;
        f := ranking('story', col, op, q, 'id % 20 = 1', 10, true);
        g := ranking('story', col, op, q, 'id % 20 = 1', 10, false);
        filtered := filtered + (f.distances IS DISTINCT FROM g.distances)::int;
        -- As many candidates as the code asks for by itself: in tranches. In order, nothing twice.
        PERFORM set_config('faiss.k_factor', '0', true);
        f := ranking('story', col, op, q, 'true', 500, true);
        limited := limited + (cardinality(f.ids) <> 500 OR NOT ascends(f.distances) OR (SELECT count(DISTINCT i) FROM unnest(f.ids) i) <> 500)::int;
        f := ranking('story', col, op, q, 'true', 10000, true);
        unlimited := unlimited + (NOT ascends(f.distances) OR NOT f.ids <@ e.ids OR (SELECT count(DISTINCT i) FROM unnest(f.ids) i) <> cardinality(f.ids))::int;
        -- One candidate a row: rows come late, but all come.
        PERFORM set_config('faiss.iterative_scan', 'relaxed_order', true), set_config('faiss.k_factor', '1', true);
        f := ranking('story', col, op, q, 'true', 10000, true);
        relaxed := relaxed + (f.ids IS DISTINCT FROM e.ids)::int;
        f := ranking('story', col, op, q, 'id % 20 = 1', 10000, true);
        g := ranking('story', col, op, q, 'id % 20 = 1', 10000, false);
        filtered := filtered + (f.ids IS DISTINCT FROM g.ids)::int;
    END LOOP;
END $$;
-- For each place of real distances six indexes, for each type and metric; two thirds of the rows are there when they are built. Among the rows are NULL, a zero
-- vector and equal ones.
CREATE TABLE rows AS SELECT setseed(0.25)::text AS seed, 0 AS id, NULL::vector AS v;
TRUNCATE rows;
INSERT INTO rows SELECT '', i, near(i % 40, 16, 2) FROM generate_series(1, 1800) i;
UPDATE rows SET v = (SELECT v FROM rows WHERE id = 7) WHERE id BETWEEN 8 AND 12 OR id BETWEEN 1000 AND 1060;
UPDATE rows SET v = array_fill(0, ARRAY[16])::vector WHERE id IN (13, 1800);
UPDATE rows SET v = NULL WHERE id IN (14, 1799);
INSERT INTO query SELECT near(3, 16, 1) UNION ALL SELECT v FROM rows WHERE id = 7 UNION ALL SELECT near(100, 16, 1);
CREATE FUNCTION story(options text) RETURNS TABLE (code text, refine text, indexes int, queries bigint, sort bigint, limited bigint, unlimited bigint, relaxed bigint, filtered bigint, problems bigint)
LANGUAGE plpgsql AS $$
DECLARE
    metrics CONSTANT text[] := '{l2,ip,cosine}';
    ops CONSTANT text[] := '{<->,<#>,<=>}';
BEGIN
    code := options;
    PERFORM set_config('faiss.nprobe', '100', true);
    FOREACH refine IN ARRAY '{heap,flat,sqfp16,sq8}'::text[] LOOP
        CREATE TABLE story (id int, v vector(16), h halfvec(16));
        INSERT INTO story SELECT id, v, v FROM rows WHERE id % 3 > 0 ORDER BY id;
        FOR i IN 1..3 LOOP
            EXECUTE format('CREATE INDEX v_%1$s ON story USING faissivf (v vector_%1$s_ops) WITH (nlist = 9, refine = %2$s, code = %3$s)', metrics[i], refine, options);
            EXECUTE format('CREATE INDEX h_%1$s ON story USING faissivf (h halfvec_%1$s_ops) WITH (nlist = 9, refine = %2$s, code = %3$s)', metrics[i], refine, options);
        END LOOP;
        INSERT INTO story SELECT id, v, v FROM rows WHERE id % 3 = 0 ORDER BY id;
        SELECT count(*), sum(b.asked), sum(b.sort), sum(b.limited), sum(b.unlimited), sum(b.relaxed), sum(b.filtered),
            sum((SELECT count(*) FROM faiss.check((col || '_' || metrics[i])::regclass)) + (SELECT (NOT is_trained)::int FROM faiss.index_info((col || '_' || metrics[i])::regclass)))
            INTO indexes, queries, story.sort, limited, unlimited, relaxed, filtered, problems
            FROM generate_series(1, 3) i, (VALUES ('v'), ('h')) c (col), LATERAL broken(col, ops[i]) b;
        RETURN NEXT;
        DROP TABLE story;
    END LOOP;
END $$;
SELECT * FROM story('sqfp16');
SELECT * FROM story('sq8');
SELECT * FROM story('sq4');
SELECT * FROM story('pq, m = 4');
SELECT * FROM story('pq, m = 8, nbits = 5');
SELECT * FROM story('pq, m = 2, nbits = 10');
SELECT * FROM story('pqfs, m = 8');
SELECT * FROM story('pqfs, m = 8, opq = on');
SELECT * FROM story('rabitq');
SELECT * FROM story('rabitq, nbits = 4');
-- Of the ten nearest, the default k_factor finds more than nine in ten here, with every code. Without vectors of its own an index
-- is smaller than the vectors.
CREATE TABLE r (id int, v vector(32));
INSERT INTO r SELECT i, near(i % 60, 32, 4) FROM generate_series(1, 4000) i;
CREATE FUNCTION recall(options text, OUT share float8, OUT smaller boolean) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE INDEX r_v ON r USING faissivf (v) WITH (nprobe = 16, %s)', options);
    SET LOCAL enable_seqscan = off;
    -- The inner order is that of the index, the outer one a sort's.
    SELECT count(*) / 500.0 INTO share FROM r q,
        LATERAL (SELECT id FROM r ORDER BY v <-> q.v LIMIT 10) i,
        LATERAL (SELECT id FROM r ORDER BY (v <-> q.v) + 0 LIMIT 10) e
    WHERE q.id % 80 = 0 AND i.id = e.id;
    smaller := (SELECT bytes_per_vector < 4 * 32 FROM faiss.index_info('r_v'));
    DROP INDEX r_v;
END $$;
SELECT o, r.share >= 0.9 AS found, r.smaller FROM unnest(ARRAY['nlist = 16, code = sqfp16', 'nlist = 16, code = sq8', 'nlist = 16, code = sq4',
    'nlist = 16, code = pq, m = 8', 'nlist = 16, code = pq, m = 16, nbits = 5', 'nlist = 16, code = pq, m = 8, nbits = 10', 'nlist = 16, code = pqfs, m = 16',
    'nlist = 16, code = pqfs, m = 16, opq = on', 'nlist = 16, code = rabitq', 'nlist = 16, code = rabitq, refine = flat',
    'nlist = 16, code = rabitq, nbits = 2', $$factory = 'RR,IVF16,RaBitQ4'$$, $$factory = 'IVF16,RaBitQ8'$$,
    $$factory = 'RR,IVF16,RaBitQ,RFlat'$$, $$factory = 'OPQ8,IVF16,PQ8'$$]) o, recall(o) r;
