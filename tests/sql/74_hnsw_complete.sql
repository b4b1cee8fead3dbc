-- A graph returns as many rows as are asked for: also where distances are few, and where a filter's rows lie far away.
CREATE TABLE t (id int PRIMARY KEY, v vector(40));
INSERT INTO t SELECT i, array(SELECT CASE WHEN j = 1 + abs(hashint4(i)) % 40 THEN 1 ELSE 0 END FROM generate_series(1, 40) j)::vector(40) FROM generate_series(1, 3000) i;
CREATE INDEX t_v ON t USING faisshnsw (v vector_l2_ops) WITH (m = 16, efConstruction = 64);
ANALYZE t;
SET enable_seqscan = off;
SET enable_sort = off;
SELECT v AS q FROM t WHERE id = 10 \gset
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> :'q' LIMIT 1000) s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> :'q' OFFSET 0) s;
SET faiss.iterative_scan = relaxed_order;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> :'q' LIMIT 1000) s;
RESET faiss.iterative_scan;
DROP TABLE t;
-- The rows of a filter lie where the walk comes last.
CREATE SEQUENCE drawn;
CREATE FUNCTION near(center int, spread float8) RETURNS vector LANGUAGE sql VOLATILE AS $$
    SELECT array_agg((center * 10 + hashint8(nextval('drawn')) / 2147483648.0 * spread)::real ORDER BY j)::vector FROM generate_series(1, 12) j $$;
CREATE TABLE t AS SELECT i AS id, CASE WHEN i <= 30 THEN 7 ELSE 0 END AS kind, near(CASE WHEN i <= 30 THEN 5 ELSE 0 END, 1) AS v FROM generate_series(1, 6000) i;
ALTER TABLE t ALTER v TYPE vector(12);
ANALYZE t;
CREATE FUNCTION rows_of(mode text, k int) RETURNS TABLE (n bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('faiss.iterative_scan', mode, true);
    RETURN QUERY SELECT count(*) FROM (SELECT id FROM t WHERE kind = 7 ORDER BY v <-> array_fill(0, ARRAY[12])::vector LIMIT k) a;
END $$;
CREATE INDEX made ON t USING faisshnsw (v vector_l2_ops) WITH (m = 8, efConstruction = 40);
SELECT mode, k, n FROM unnest('{strict_order,relaxed_order}'::text[]) mode, unnest('{10,20,30,40}'::int[]) k, LATERAL rows_of(mode, k) r;
DROP INDEX made;
CREATE INDEX made ON t USING faissivf (v vector_l2_ops) WITH (nlist = 32, code = pqfs, m = 6);
SELECT mode, k, n FROM unnest('{strict_order,relaxed_order}'::text[]) mode, unnest('{10,20,30,40}'::int[]) k, LATERAL rows_of(mode, k) r;
