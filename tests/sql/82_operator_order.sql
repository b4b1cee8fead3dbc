-- An operator that computes distances by other code than ours, as pgvector's do: rows come out in its order, which differs from
-- ours in the last bits. Here a function stands for it whose distances differ by a ten-millionth, by a component too small to
-- count in ours.
CREATE FUNCTION apart(a vector, b vector) RETURNS double precision LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS
    'BEGIN RETURN l2_distance(a, b) * (1 + 1e-7 * ((a::real[])[3] * 1e20)); END';
CREATE OPERATOR <~~> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = apart, COMMUTATOR = <~~>);
CREATE TABLE t (id int, v vector(3));
-- Forty rows at each distance.
INSERT INTO t SELECT i, ARRAY[i % 50 + 1, 0, (hashint4(i) & 7) * 1e-20]::real[]::vector FROM generate_series(1, 2000) i;
DO $$
DECLARE
    method text;
BEGIN
    FOREACH method IN ARRAY ARRAY['faissflat', 'faissivf', 'faisshnsw'] LOOP
        EXECUTE format('CREATE OPERATOR CLASS apart_ops FOR TYPE vector USING %s AS
            OPERATOR 1 <~~> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 faiss.vector_l2_support(internal)', method);
    END LOOP;
END $$;
-- Rows out of order, of those that a LIMIT gives, or all.
CREATE FUNCTION misplaced(most int, filter text DEFAULT 'true', OUT n_rows bigint, OUT n_misplaced bigint) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT count(*), count(*) FILTER (WHERE d < before) FROM (SELECT d, lag(d) OVER () AS before
        FROM (SELECT v <~~> ''[0,0,0]'' AS d FROM t WHERE %s ORDER BY v <~~> ''[0,0,0]'' LIMIT %L) s) r', filter, most)
    INTO n_rows, n_misplaced;
END $$;
SET enable_seqscan = off;
SET enable_sort = off;
DO $$
DECLARE
    definition text;
    r record;
    most int;
BEGIN
    FOREACH definition IN ARRAY ARRAY['faissflat (v apart_ops)', 'faissivf (v apart_ops) WITH (nlist = 5)', 'faisshnsw (v apart_ops)',
        'faissflat (v apart_ops) WITH (code = sqfp16)', 'faissivf (v apart_ops) WITH (nlist = 5, code = sq8, refine = flat)',
        'faisshnsw (v apart_ops) WITH (code = sqfp16)'] LOOP
        EXECUTE 'CREATE INDEX i ON t USING ' || definition;
        FOREACH most IN ARRAY ARRAY[1, 37, 100, 500, NULL] LOOP
            SELECT * INTO r FROM misplaced(most);
            RAISE NOTICE '%: % rows, % misplaced', definition, r.n_rows, r.n_misplaced;
        END LOOP;
        SELECT * INTO r FROM misplaced(190, 'id % 3 = 0');
        RAISE NOTICE '%: % rows behind a filter, % misplaced', definition, r.n_rows, r.n_misplaced;
        DROP INDEX i;
    END LOOP;
END $$;
-- By our own order rows would be misplaced.
CREATE INDEX i ON t USING faissflat (v);
SELECT count(*) FILTER (WHERE d < before) > 0 AS misplaced
FROM (SELECT d, lag(d) OVER () AS before FROM (SELECT v <~~> '[0,0,0]' AS d FROM t ORDER BY v <-> '[0,0,0]' LIMIT 500) s) r;
DROP INDEX i;
-- Dead rows and a query without a value.
CREATE INDEX i ON t USING faissivf (v apart_ops) WITH (nlist = 5);
DELETE FROM t WHERE id % 2 = 0;
SELECT * FROM misplaced(300);
UPDATE t SET id = -id WHERE id % 4 = 1;
SELECT * FROM misplaced(NULL);
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <~~> NULL LIMIT 20) s;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <~~> '[0,0,0]' LIMIT 20;
-- A cursor, and a scan that is begun again with another query.
BEGIN;
DECLARE c CURSOR FOR SELECT round((v <~~> '[0,0,0]')::numeric, 3) AS d FROM t ORDER BY v <~~> '[0,0,0]';
FETCH 3 FROM c;
MOVE 200 FROM c;
FETCH 2 FROM c;
COMMIT;
SELECT q, count(*), count(*) FILTER (WHERE d < before) AS misplaced
FROM (SELECT q, d, lag(d) OVER (PARTITION BY q) AS before FROM unnest(ARRAY['[0,0,0]', '[25,0,0]', '[60,0,0]']::vector[]) q,
    LATERAL (SELECT v <~~> q AS d FROM t ORDER BY v <~~> q LIMIT 150) s) r
GROUP BY q ORDER BY q;
-- Under inner product the distances lose a part of what is added up, which may be far more than they are: rows across the query.
CREATE FUNCTION across(a vector, b vector) RETURNS double precision LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS
    'BEGIN RETURN (a <#> b) + 1e-3 * ((a::real[])[3] * 1e20); END';
CREATE OPERATOR <##> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = across, COMMUTATOR = <##>);
CREATE OPERATOR CLASS across_ops FOR TYPE vector USING faissflat AS
    OPERATOR 1 <##> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 faiss.vector_ip_support(internal);
CREATE TABLE far (v vector(3));
INSERT INTO far SELECT ARRAY[1000 + i * 1e-3, -1000, (hashint4(i) & 7) * 1e-20]::real[]::vector FROM generate_series(1, 500) i;
CREATE INDEX ON far USING faissflat (v across_ops);
SELECT count(*), count(*) FILTER (WHERE d < before) AS misplaced
FROM (SELECT d, lag(d) OVER () AS before FROM (SELECT v <##> '[1,1,0]' AS d FROM far ORDER BY v <##> '[1,1,0]' LIMIT 300) s) r;
-- Distances that are none come last, as the server sorts them.
CREATE FUNCTION odd(a vector, b vector) RETURNS double precision LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS
    'BEGIN RETURN CASE WHEN (a::real[])[1] = 1010 THEN ''NaN'' WHEN (a::real[])[1] = 1020 THEN ''-Infinity'' ELSE a <-> b END; END';
CREATE OPERATOR <??> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = odd, COMMUTATOR = <??>);
CREATE OPERATOR CLASS odd_ops FOR TYPE vector USING faissflat AS
    OPERATOR 1 <??> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 faiss.vector_l2_support(internal);
TRUNCATE far;
INSERT INTO far SELECT ARRAY[1000 + i, 0, 0]::vector FROM generate_series(1, 30) i;
CREATE INDEX ON far USING faissflat (v odd_ops);
SELECT count(*) FROM (SELECT v FROM far ORDER BY v <??> '[0,0,0]') s;
DROP TABLE far;
DROP OPERATOR <##> (vector, vector) CASCADE;
DROP OPERATOR <??> (vector, vector) CASCADE;
DROP FUNCTION across, odd;
DROP TABLE t;
DROP OPERATOR <~~> (vector, vector) CASCADE;
DROP FUNCTION apart, misplaced;
