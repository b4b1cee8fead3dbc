-- A page about an index: faiss.report.
\set VERBOSITY terse
CREATE TABLE t (id int, v vector(8));
INSERT INTO t SELECT i, ARRAY(SELECT sin(i * (j + 1)) FROM generate_series(1, 8) AS j)::vector FROM generate_series(1, 4000) AS i;
CREATE INDEX "t <v>" ON t USING faissivf (v) WITH (nlist = 32, nprobe = 4);
CREATE INDEX t_graph ON t USING faisshnsw (v) WITH (m = 8, efConstruction = 40);
CREATE INDEX t_code ON t USING faissflat (v) WITH (code = sq8);
CREATE FUNCTION parts(page text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(part, ', ' ORDER BY n) FROM unnest(ARRAY['<!doctype html>', '<h2>Recall against time', 'class="chosen"', '<h2>Lists by length',
        '<h2>Since the build', '<h2>Options and settings', 'Not measured']) WITH ORDINALITY AS p (part, n) WHERE position(part IN page) > 0 $$;
SELECT parts(faiss.report('"t <v>"', 0.9));
SELECT parts(faiss.report('"t <v>"', measure => false));
SELECT parts(faiss.report('t_graph', 0.9));
SELECT parts(faiss.report('t_code', 0.9));
-- Names are text, and it needs nothing from elsewhere.
SELECT page LIKE '%Index t &lt;v&gt; of table t%' AS named, page !~ '<script|src=|href=|url\(|@import|t <v>' AS alone, page LIKE '%<td>nprobe</td><td>4</td>%' AS options
FROM faiss.report('"t <v>"', measure => false) AS page;
-- It holds no row of the table.
CREATE TABLE secret (id int, v vector(3));
INSERT INTO secret VALUES (1, '[12345.5,2,3]'), (2, '[12345.5,3,4]');
CREATE INDEX secret_v ON secret USING faissivf (v);
SELECT faiss.report('secret_v') LIKE '%12345%' AS told;
-- Nothing to measure.
CREATE TABLE none (v vector(3));
CREATE INDEX none_v ON none USING faissivf (v);
SELECT parts(faiss.report('none_v')), faiss.report('none_v') LIKE '%The index holds fewer than two rows.%' AS said;
-- What cannot be.
SELECT faiss.report('"t <v>"', 0);
SELECT faiss.report('"t <v>"', 'NaN');
SELECT faiss.report('t');
SELECT faiss.report(NULL) IS NULL AS nothing;
SELECT faiss.report(12345678) IS NULL AS nothing;
-- Whoever may not read the table gets no page.
CREATE ROLE "61_reader";
SET ROLE "61_reader";
SELECT faiss.report('"t <v>"', measure => false);
RESET ROLE;
GRANT SELECT ON t TO "61_reader";
SET ROLE "61_reader";
SELECT parts(faiss.report('"t <v>"', 0.9));
RESET ROLE;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
SET ROLE "61_reader";
SELECT faiss.report('"t <v>"');
SELECT parts(faiss.report('"t <v>"', measure => false));
RESET ROLE;
DROP TABLE t;
DROP ROLE "61_reader";
