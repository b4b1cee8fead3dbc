-- Row versions that nobody sees take no candidate away from the rows that are seen: recall stays what it was.
CREATE SEQUENCE drawn;
CREATE FUNCTION drawn(spread float8) RETURNS real LANGUAGE sql VOLATILE AS $$ SELECT (hashint8(nextval('drawn')) / 2147483648.0 * spread)::real $$;
CREATE FUNCTION near(center int, spread float8) RETURNS vector LANGUAGE sql VOLATILE AS $$
    SELECT array_agg((sin(center * 7 + j * j) * 1.5 + drawn(spread))::real ORDER BY j)::vector FROM generate_series(1, 32) j $$;
CREATE TABLE t (id int PRIMARY KEY, seen int DEFAULT 0, v vector(32)) WITH (autovacuum_enabled = off);
INSERT INTO t (id, v) SELECT i, near(i % 20, 1.2) FROM generate_series(1, 3000) i;
CREATE TABLE question AS SELECT i AS no, near(i % 20, 1.2) AS q FROM generate_series(1, 20) i;
ANALYZE t;
-- Of the ten nearest rows of every question, those that the index finds.
CREATE FUNCTION found() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint := 0;
    got bigint;
    q vector;
    worst float8;
BEGIN
    FOR q IN SELECT question.q FROM question ORDER BY no LOOP
        SELECT max(d) INTO worst FROM (SELECT (v <-> q) + 0 AS d FROM t ORDER BY 1 LIMIT 10) s;
        SELECT count(*) INTO got FROM (SELECT v <-> q AS d FROM t ORDER BY v <-> q LIMIT 10) s WHERE d <= worst;
        n := n + got;
    END LOOP;
    RETURN n;
END $$;
SET enable_seqscan = off;
CREATE FUNCTION churn(method text, options text) RETURNS TABLE (fresh boolean, twice boolean, five_times boolean) LANGUAGE plpgsql AS $$
DECLARE
    before bigint;
BEGIN
    EXECUTE format('CREATE INDEX made ON t USING %s (v vector_l2_ops) WITH (%s)', method, options);
    before := found();
    fresh := before >= 180;
    FOR i IN 1..5 LOOP
        UPDATE t SET seen = seen + 1;
        IF i = 2 THEN
            twice := found() >= before - 6;
        END IF;
    END LOOP;
    five_times := found() >= before - 6;
    RETURN NEXT;
    DROP INDEX made;
END $$;
SELECT fresh, twice, five_times FROM churn('faissivf', 'nlist = 16, nprobe = 16, code = pqfs, m = 16');
SELECT fresh, twice, five_times FROM churn('faissivf', 'nlist = 16, nprobe = 16, code = pqfs, m = 16, refine = sq8');
SELECT fresh, twice, five_times FROM churn('faissivf', 'nlist = 16, nprobe = 16, code = rabitq');
SELECT fresh, twice, five_times FROM churn('faissflat', 'code = pqfs, m = 16');
SELECT fresh, twice, five_times FROM churn('faisshnsw', 'm = 8, efConstruction = 40, code = sq8');
-- A region that was deleted and not vacuumed: its neighbours are found as if it were not there.
VACUUM FULL t;
CREATE INDEX made ON t USING faissivf (v vector_l2_ops) WITH (nlist = 16, nprobe = 16, code = pqfs, m = 16);
DELETE FROM t WHERE id % 20 < 10;
CREATE TABLE count AS SELECT found() AS before;
VACUUM t;
SELECT before >= found() - 10 AS as_after_vacuum FROM count;
