-- Graphs of rows that their codes were not made for: as right as the vectors, built and grown.
SET client_min_messages = warning;
SELECT setseed(0.5);

-- Whether queries near 20 rows find so many of their 200 nearest rows at efSearch 40.
SET faiss.efSearch = 40;
CREATE FUNCTION is_found(tab regclass, first int, step int, wanted int DEFAULT 190) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE q vector; worst float8; hit int := 0; got int;
BEGIN
  FOR i IN 0..19 LOOP
    EXECUTE format('SELECT v FROM %s WHERE id = %s', tab, first + i * step) INTO q;
    q := q * array(SELECT (1 + (random() - 0.5) * 0.02)::real FROM generate_series(1, vector_dims(q)))::vector;
    PERFORM set_config('enable_indexscan', 'off', true), set_config('enable_seqscan', 'on', true);
    EXECUTE format('SELECT max(d) FROM (SELECT v <-> $1 d FROM %s ORDER BY 1 LIMIT 10) x', tab) INTO worst USING q;
    PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_seqscan', 'off', true);
    EXECUTE format('SELECT count(*) FROM (SELECT v <-> $1 d FROM %s ORDER BY v <-> $1 LIMIT 10) x WHERE d <= $2', tab) INTO got USING q, worst;
    hit := hit + got;
  END LOOP;
  IF hit < wanted THEN RAISE WARNING '% of 200', hit; END IF;
  RETURN hit >= wanted;
END $$;
CREATE TABLE topic AS SELECT t, l2_normalize(array(SELECT random() - 0.5 + 0 * t FROM generate_series(1, 64))::vector(64)) v FROM generate_series(0, 29) t;

-- The index first; placeholders until the embeddings are computed; then those.
CREATE TABLE grown (id int PRIMARY KEY, v vector(64));
CREATE INDEX ON grown USING faisshnsw (v vector_l2_ops) WITH (m = 16, efConstruction = 64);
INSERT INTO grown SELECT i, array_fill(0, ARRAY[64])::vector FROM generate_series(1, 1200) i;
INSERT INTO grown SELECT 10000 + i, l2_normalize(t.v + array(SELECT (random() - 0.5) * 0.3 + 0 * i FROM generate_series(1, 64))::vector(64))
  FROM generate_series(1, 3000) i JOIN topic t ON t.t = i % 30;
SELECT is_found('grown', 10100, 100) AS "after placeholders";
DELETE FROM grown WHERE id < 10000;
VACUUM grown;
SELECT is_found('grown', 10100, 100) AS "placeholders deleted";

-- Sorted by topic: the codes are made around the first. The second table's rows lie too close together for 8 bits. Some
-- topics are islands in a graph that grew in this order, also in FAISS's when it adds row after row (.79 to .95).
CREATE TABLE sorted (id int PRIMARY KEY, v vector(64));
CREATE INDEX ON sorted USING faisshnsw (v vector_l2_ops) WITH (m = 16, efConstruction = 64);
INSERT INTO sorted SELECT row_number() OVER (ORDER BY t, i), t.v + array(SELECT ((random() - 0.5) * 0.043 + 0 * i)::real FROM generate_series(1, 64))::vector(64)
  FROM topic t, generate_series(1, 1100) i WHERE t = 0 OR i <= 100 ORDER BY t, i;
SELECT is_found('sorted', 1200, 140, 150) AS "topic after topic";
CREATE TABLE dense (id int PRIMARY KEY, v vector(64));
CREATE INDEX ON dense USING faisshnsw (v vector_l2_ops) WITH (m = 16, efConstruction = 64);
INSERT INTO dense SELECT row_number() OVER (ORDER BY t, i), t.v + array(SELECT ((random() - 0.5) * 0.004 + 0 * i)::real FROM generate_series(1, 64))::vector(64)
  FROM topic t, generate_series(1, 1100) i WHERE t = 0 OR i <= 100 ORDER BY t, i;
SELECT is_found('dense', 1200, 140, 150) AS "dense topics";
REINDEX TABLE dense;
SELECT is_found('dense', 1200, 140) AS "dense topics, built";

-- Two rows of another magnitude; rows whose distances overflow.
INSERT INTO sorted SELECT -i, array_fill(100 * (-1) ^ i, ARRAY[64])::vector(64) FROM generate_series(1, 2) i;
INSERT INTO sorted SELECT -2 - i, array_fill((ARRAY[1e20, -1e20, 3e38, -3e38, 1e-38, -1e-44])[i], ARRAY[64])::vector(64) FROM generate_series(1, 6) i;
SELECT is_found('sorted', 1200, 140, 150) AS "two far rows";
REINDEX TABLE sorted;
SELECT is_found('sorted', 1200, 140) AS "built with them";
SELECT * FROM faiss.check('sorted_v_idx');
INSERT INTO sorted SELECT 20000 + i, t.v FROM generate_series(1, 20) i JOIN topic t ON t.t = i;
SELECT count(*) AS "all rows" FROM (SELECT id FROM sorted ORDER BY v <-> (SELECT v FROM topic WHERE t = 3) LIMIT 5000) x;

-- One dimension in another unit; counts with heavy tails.
CREATE TABLE wide (id int PRIMARY KEY, v vector(32));
INSERT INTO wide SELECT i, (ARRAY[random() * 6000 - 3000] || array(SELECT random() * 6 - 3 + 0 * i FROM generate_series(1, 31)))::vector(32) FROM generate_series(1, 3000) i;
CREATE INDEX ON wide USING faisshnsw (v vector_l2_ops) WITH (m = 16, efConstruction = 64);
SELECT is_found('wide', 100, 100) AS "a wide dimension";
CREATE TABLE counts (id int PRIMARY KEY, v vector(32));
INSERT INTO counts SELECT i, array(SELECT least(floor(1 / (1 - random())) - 1, 1e5) + 0 * i FROM generate_series(1, 32))::vector(32) FROM generate_series(1, 3000) i;
CREATE INDEX ON counts USING faisshnsw (v vector_l2_ops) WITH (m = 16, efConstruction = 64);
SELECT is_found('counts', 100, 100) AS "counts";

-- A code that cannot tell rows apart gives way, and says so.
RESET client_min_messages;
CREATE INDEX dense_sq8 ON dense USING faisshnsw (v vector_l2_ops) WITH (m = 16, efConstruction = 64, code = sq8);
