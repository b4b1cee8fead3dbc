-- With faiss.nprobe = nlist an index gives what the sequential scan gives: the same rows in the same order, for every
-- metric, both types, and dimensions from the smallest to the largest.
\i include/answers.sql
CREATE TABLE query (q text);
-- Two thirds of the rows are there when the indexes are built and one third is inserted into them. Among them are NULL,
-- a zero vector and equal ones.
CREATE FUNCTION story(dims int, n int, nlist int, queries int)
RETURNS TABLE (type text, metric text, indexed bigint, queries_run int, top_10 int, all_rows int, problems bigint)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM setseed(0.25), set_config('faiss.nprobe', nlist::text, true);
    CREATE TEMP TABLE rows AS SELECT i AS id, random_vector(dims) AS v FROM generate_series(1, n) i;
    UPDATE rows SET v = (SELECT v FROM rows WHERE id = 7) WHERE id BETWEEN 8 AND 12;
    UPDATE rows SET v = array_fill(0, ARRAY[dims])::vector WHERE id IN (13, n);
    UPDATE rows SET v = NULL WHERE id IN (14, n - 1);
    INSERT INTO query SELECT random_vector(dims) FROM generate_series(1, story.queries - 1);
    INSERT INTO query SELECT v FROM rows WHERE id = 7;
    EXECUTE format('CREATE TABLE story (id int, v vector(%1$s), h halfvec(%1$s))', dims);
    INSERT INTO story SELECT id, v, v FROM rows WHERE id % 3 > 0 ORDER BY id;
    FOREACH type IN ARRAY '{vector,halfvec}'::text[] LOOP
        FOREACH metric IN ARRAY '{l2,ip,cosine}'::text[] LOOP
            EXECUTE format('CREATE INDEX %1$s_%2$s ON story USING faissivf (%3$s %1$s_%2$s_ops) WITH (code = flat, nlist = %4$s)',
                type, metric, left(type, 1), nlist);
        END LOOP;
    END LOOP;
    INSERT INTO story SELECT id, v, v FROM rows WHERE id % 3 = 0 ORDER BY id;
    FOREACH type IN ARRAY '{vector,halfvec}'::text[] LOOP
        FOREACH metric IN ARRAY '{l2,ip,cosine}'::text[] LOOP
            indexed := (SELECT ntotal FROM faiss.index_info((type || '_' || metric)::regclass));
            SELECT d.queries, d.top_10, d.all_rows INTO queries_run, top_10, all_rows
                FROM differences('story', left(type, 1), CASE metric WHEN 'l2' THEN '<->' WHEN 'ip' THEN '<#>' ELSE '<=>' END) d;
            problems := (SELECT count(*) FROM faiss.check((type || '_' || metric)::regclass));
            RETURN NEXT;
        END LOOP;
    END LOOP;
    DROP TABLE story, rows;
    DELETE FROM query;
END $$;
SELECT * FROM story(dims => 1, n => 1200, nlist => 15, queries => 10);
SELECT * FROM story(dims => 2, n => 1200, nlist => 15, queries => 10);
SELECT * FROM story(dims => 3, n => 1200, nlist => 20, queries => 10);
SELECT * FROM story(dims => 16, n => 1200, nlist => 20, queries => 10);
SELECT * FROM story(dims => 17, n => 1200, nlist => 20, queries => 10);
SELECT * FROM story(dims => 100, n => 1000, nlist => 16, queries => 5);
SELECT * FROM story(dims => 384, n => 600, nlist => 10, queries => 5);
SELECT * FROM story(dims => 1536, n => 300, nlist => 5, queries => 3);
SELECT * FROM story(dims => 2000, n => 240, nlist => 4, queries => 3);
SELECT * FROM story(dims => 4000, n => 180, nlist => 3, queries => 2);
SELECT * FROM story(dims => 16000, n => 63, nlist => 1, queries => 2);
SELECT * FROM story(dims => 16000, n => 126, nlist => 2, queries => 2);
