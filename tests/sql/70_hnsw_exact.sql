-- faisshnsw: a graph whose walk finds every row when it keeps all of them in sight, in the operator's order with any code.
-- Makes a graph, adds rows, and counts the queries that it answers otherwise than a sort does: all rows, when all are kept in sight. With
-- efSearch as it is it recalls nine of the ten nearest.
\i include/answers.sql
CREATE FUNCTION story(type text, metric text, options text)
RETURNS TABLE (factory text, is_trained boolean, ntotal bigint, code_size int, wrong int, recalled boolean, problems bigint) LANGUAGE plpgsql AS $$
DECLARE
    q text;
    tab text := format('%s_rows', type);
    near bigint := 0;
BEGIN
    EXECUTE format('CREATE TABLE %I AS SELECT id, v::%s(16) AS v FROM source WHERE id %% 3 > 0 ORDER BY id', tab, type);
    EXECUTE format('CREATE INDEX made ON %I USING faisshnsw (v %s_%s_ops) WITH (%s)', tab, type, metric, options);
    EXECUTE format('INSERT INTO %I SELECT id, v FROM source WHERE id %% 3 = 0 ORDER BY id', tab);
    SELECT i.factory, i.is_trained, i.ntotal, i.code_size, 0 INTO factory, is_trained, ntotal, code_size, wrong FROM faiss.index_info('made') i;
    FOR q IN SELECT query.q FROM query LOOP
        PERFORM set_config('faiss.efSearch', '10000', true);
        wrong := wrong + (answer(tab, 'v', operator_of(metric), q, 10000, true) IS DISTINCT FROM answer(tab, 'v', operator_of(metric), q, 10000, false))::int;
        PERFORM set_config('faiss.efSearch', '32', true);
        near := near + (SELECT count(*) FROM unnest((answer(tab, 'v', operator_of(metric), q, 10, true)).distances) d
            WHERE d <= (answer(tab, 'v', operator_of(metric), q, 10, false)).distances[10]);
    END LOOP;
    recalled := near >= 9 * (SELECT count(*) FROM query);
    problems := (SELECT count(*) FROM faiss.check('made'));
    EXECUTE format('DROP TABLE %I', tab);
    RETURN NEXT;
END $$;
-- Among the rows are NULL, a vector without direction, and equal ones.
SELECT setseed(0.25);
SET faiss.build_threads = 1;
CREATE TABLE source AS SELECT i AS id, random_vector(16) AS v FROM generate_series(1, 2400) i;
UPDATE source SET v = (SELECT v FROM source WHERE id = 7) WHERE id BETWEEN 8 AND 12;
UPDATE source SET v = array_fill(0, ARRAY[16])::vector WHERE id IN (13, 1200);
UPDATE source SET v = NULL WHERE id IN (14, 1199);
CREATE TABLE query AS SELECT random_vector(16)::text AS q FROM generate_series(1, 8) UNION ALL SELECT v::text FROM source WHERE id = 7;
SELECT type, metric, s.* FROM unnest('{vector,halfvec}'::text[]) type, unnest('{l2,ip,cosine,l1}'::text[]) metric, story(type, metric, 'm = 16') s;
SELECT type, metric, s.* FROM unnest('{vector,halfvec}'::text[]) type, unnest('{l2,ip,cosine,l1}'::text[]) metric, story(type, metric, 'code = sqfp16') s;
SELECT type, metric, s.* FROM unnest('{vector,halfvec}'::text[]) type, unnest('{l2,ip,cosine,l1}'::text[]) metric, story(type, metric, 'code = sq8, efConstruction = 64') s;
SELECT metric, s.* FROM unnest('{l2,cosine}'::text[]) metric, unnest('{HNSW,HNSW2_Flat,"HNSW100,SQfp16",HNSW8_SQ8}'::text[]) f,
    story('vector', metric, format('factory = %L', f)) s;
-- Of few rows it is a list, and exact.
DELETE FROM source WHERE id > 900;
SELECT metric, s.* FROM unnest('{l2,ip,cosine,l1}'::text[]) metric, story('vector', metric, 'code = sq8') s;
-- Any dimension: vectors over several pages, and codes that are folded.
CREATE TABLE wide (id int, v vector(16000), h halfvec(2000));
INSERT INTO wide SELECT i, v || v || v || v, subvector(v, 1, 2000)::halfvec FROM (SELECT i, v || v || v || v || v || v || v || v || v || v AS v
    FROM (SELECT i, array_agg(hashint4(i * 400 + j) % 1009 ORDER BY j)::vector AS v FROM generate_series(1, 1010) i, generate_series(1, 400) j GROUP BY i) a) b;
CREATE INDEX wide_v ON wide USING faisshnsw (v vector_cosine_ops) WITH (m = 8, efConstruction = 20);
CREATE INDEX wide_h ON wide USING faisshnsw (h halfvec_l2_ops) WITH (m = 8, efConstruction = 20, code = sq8);
INSERT INTO wide SELECT id + 2000, v, h FROM wide WHERE id <= 20;
SELECT relname, i.factory, i.ntotal, i.code_size FROM pg_class c, faiss.index_info(c.oid) i WHERE relname IN ('wide_v', 'wide_h') ORDER BY 1;
SET faiss.efSearch = 2000;
SELECT answer('wide', 'v', '<=>', v::text, 40, true) = answer('wide', 'v', '<=>', v::text, 40, false) AS nearest,
    answer('wide', 'h', '<->', h::text, 2000, true) = answer('wide', 'h', '<->', h::text, 2000, false) AS whole
FROM wide WHERE id IN (3, 2004);
SELECT count(*) FROM faiss.check('wide_v') UNION ALL SELECT count(*) FROM faiss.check('wide_h');
