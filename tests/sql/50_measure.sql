-- How many of the true nearest rows an index finds, and which settings find enough. Times vary and are never shown.
CREATE TABLE t (id int PRIMARY KEY, v vector(8), kind int);
INSERT INTO t SELECT i, (SELECT array_agg(hashint4(i * 8 + j) % 1000 ORDER BY j) FROM generate_series(0, 7) j)::vector, i % 10 FROM generate_series(1, 4000) i;
CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 64);
-- All lists: everything is found. The interval says how sure that is.
SET faiss.nprobe = 64;
SELECT recall, recall_low > 0.97, recall_high, n_queries, ms > 0, exact_ms > 0, settings FROM faiss.recall('t_v');
-- The same rows and seed, the same recall; fewer lists, less of it.
SET faiss.nprobe = 2;
SELECT a.recall = b.recall AS repeats, a.recall BETWEEN 0.2 AND 0.9 AS is_lossy, a.recall BETWEEN a.recall_low AND a.recall_high AS within, a.settings
FROM faiss.recall('t_v') a, faiss.recall('t_v') b;
SELECT a.recall <> b.recall AS other_rows FROM faiss.recall('t_v', seed => 1) a, faiss.recall('t_v', seed => 2) b;
-- A row is its own nearest neighbour: to count it flatters.
SELECT a.recall < b.recall AS flatters FROM faiss.recall('t_v', exclude_self => true) a, faiss.recall('t_v', exclude_self => false) b;
SELECT recall FROM faiss.recall('t_v', k => 1, exclude_self => false);
SHOW faiss.nprobe;
-- More queries than rows, one query, one row asked for, many.
SELECT n_queries FROM faiss.recall('t_v', queries => 5000);
SELECT n_queries FROM faiss.recall('t_v', queries => 1);
SELECT n_queries FROM faiss.recall('t_v', k => 1);
SELECT recall FROM faiss.recall('t_v', k => 1000, queries => 3) WHERE recall BETWEEN 0 AND 1;
-- Queries of one's own, held against the operator's own answer.
SET faiss.nprobe = 3;
WITH q AS (SELECT i AS no, (SELECT array_agg(hashint4(-i * 8 - j) % 1000 ORDER BY j) FROM generate_series(0, 7) j)::vector AS v FROM generate_series(1, 40) i),
found AS (SELECT no, id FROM q, LATERAL (SELECT id FROM t ORDER BY t.v <-> q.v LIMIT 10) s),
exact AS (SELECT no, id FROM q, LATERAL (SELECT id FROM t ORDER BY (t.v <-> q.v) + 0 LIMIT 10) s)
SELECT (SELECT count(*) FROM found JOIN exact USING (no, id)) / 400.0 = (SELECT recall FROM faiss.recall('t_v', (SELECT array_agg(v) FROM q)))::numeric AS agrees,
    (SELECT n_queries FROM faiss.recall('t_v', (SELECT array_agg(v) FROM q)));
SELECT recall IN (0, 1) AS all_or_nothing, n_queries FROM faiss.recall('t_v', ARRAY['[1,2,3,4,5,6,7,8]']::vector[], k => 1);
RESET faiss.nprobe;
-- The index's own option, which a SET hides.
ALTER INDEX t_v SET (nprobe = 7);
SELECT settings FROM faiss.recall('t_v', queries => 1);
SET faiss.nprobe = 8;
SELECT settings FROM faiss.recall('t_v', queries => 1);
RESET faiss.nprobe;
ALTER INDEX t_v RESET (nprobe);
-- The operating points, cheapest first; every number of lists may be the one.
CREATE TEMP TABLE tuned AS SELECT * FROM faiss.tune('t_v', 0.9);
SELECT count(*) BETWEEN 5 AND 20 AS is_short, count(*) FILTER (WHERE is_chosen) AS chosen, bool_and(settings = 'nprobe=' || nprobe) AS named,
    bool_and(k_factor IS NULL AND ef_search IS NULL) AS no_others, min(nprobe) AS least FROM tuned;
SELECT recall >= 0.9 AS reaches, recall < 0.94 AS is_tight, recall_low < recall AND recall < recall_high AS is_unsure FROM tuned WHERE is_chosen;
SELECT count(*) AS cheaper_that_reach FROM tuned a, tuned b WHERE b.is_chosen AND a.recall >= 0.9 AND a.nprobe < b.nprobe;
SELECT bool_and(a.recall <= b.recall + 0.05) AS more_lists_more_recall FROM tuned a JOIN tuned b ON a.nprobe < b.nprobe;
-- Nothing was changed, neither in the index nor in the session.
SHOW faiss.nprobe;
SELECT reloptions FROM pg_class WHERE relname = 't_v';
-- Applied: the index's own default from now on.
SELECT count(*) FROM faiss.tune('t_v', 0.9, apply => true);
SELECT reloptions[2] = 'nprobe=' || nprobe AS stored FROM pg_class, tuned WHERE relname = 't_v' AND is_chosen;
SELECT r.settings = t.settings AS in_use, r.recall > 0.88 AS reaches FROM tuned t, faiss.recall('t_v', queries => 500, seed => 99) r WHERE is_chosen;
-- A setting that hides it is named.
SET faiss.nprobe = 5;
SELECT count(*) > 0 AS tuned FROM faiss.tune('t_v', 0.9, apply => true);
SHOW faiss.nprobe;
RESET faiss.nprobe;
-- By queries of one's own.
SELECT recall >= 0.8 AS reaches, n_queries FROM faiss.tune('t_v', (SELECT array_agg(v) FROM t WHERE id <= 50), 0.8) WHERE is_chosen;
-- A target of 1 takes all lists, or at least enough for every query drawn.
SELECT recall, nprobe > 10 AS many FROM faiss.tune('t_v', 1, queries => 200) WHERE is_chosen;
-- Lossy codes: two settings. What is chosen reaches the target, and nothing that does is lower in both.
CREATE INDEX t_pq ON t USING faissivf (v) WITH (nlist = 16, code = pq, m = 2, nbits = 4);
CREATE TEMP TABLE tuned_pq AS SELECT * FROM faiss.tune('t_pq', 0.9);
SELECT count(*) FILTER (WHERE is_chosen) AS chosen, min(recall) FILTER (WHERE is_chosen) >= 0.9 AS reaches,
    bool_and(settings = format('nprobe=%s,k_factor=%s', nprobe, k_factor)) AS named FROM tuned_pq;
SELECT count(*) AS lower_that_reach FROM tuned_pq a, tuned_pq b WHERE b.is_chosen AND a.recall >= 0.9 AND a.nprobe <= b.nprobe AND a.k_factor <= b.k_factor AND NOT a.is_chosen;
SELECT settings FROM faiss.recall('t_pq', queries => 1);
SELECT count(*) > 0 AS tuned FROM faiss.tune('t_pq', 0.9, apply => true);
SELECT count(*) FROM pg_class, unnest(reloptions) o WHERE relname = 't_pq' AND o ~ '^(nprobe|k_factor)=\d+$';
DROP INDEX t_pq;
-- A graph: how many nodes are kept in sight.
CREATE INDEX t_graph ON t USING faisshnsw (v) WITH (m = 4, efconstruction = 8);
SELECT count(*) FILTER (WHERE is_chosen) AS chosen, min(recall) FILTER (WHERE is_chosen) >= 0.9 AS reaches, bool_and(settings = 'efsearch=' || ef_search AND nprobe IS NULL) AS named,
    min(ef_search) < max(ef_search) AS climbed FROM faiss.tune('t_graph', 0.9, apply => true);
SELECT reloptions[3] ~ '^efsearch=\d+$' AS stored FROM pg_class WHERE relname = 't_graph';
SELECT recall > 0.85 AS reaches FROM faiss.recall('t_graph', queries => 500, seed => 99);
DROP INDEX t_graph;
-- No lists: candidates only; no code: nothing to choose.
CREATE INDEX t_flat ON t USING faissflat (v) WITH (code = rabitq);
SELECT bool_or(is_chosen) AS chosen, bool_and(settings = 'k_factor=' || k_factor AND nprobe IS NULL) AS named FROM faiss.tune('t_flat', 0.9);
DROP INDEX t_flat;
CREATE INDEX t_flat ON t USING faissflat (v);
SELECT settings, nprobe, k_factor, recall, is_optimal, is_chosen FROM faiss.tune('t_flat', 0.99, apply => true);
SELECT reloptions FROM pg_class WHERE relname = 't_flat';
SELECT recall, settings FROM faiss.recall('t_flat');
DROP INDEX t_flat;
CREATE TABLE same AS SELECT i AS id, ARRAY[i % 7, (i * 31) % 11, i % 3, (i * 17) % 5]::halfvec(4) AS v FROM generate_series(1, 700) i;
CREATE INDEX same_v ON same USING faissivf (v halfvec_cosine_ops) WITH (nlist = 4);
-- Of rows equally far any will do: duplicates do not look like losses.
SET faiss.nprobe = 4;
SELECT recall, n_queries <= 200 AS drawn FROM faiss.recall('same_v');
RESET faiss.nprobe;
-- Rows without direction are not indexed, and not asked for.
INSERT INTO same SELECT 1000 + i, '[0,0,0,0]' FROM generate_series(1, 700) i;
INSERT INTO same SELECT 2000 + i, NULL FROM generate_series(1, 700) i;
SET faiss.nprobe = 4;
SELECT recall, n_queries FROM faiss.recall('same_v', queries => 1000) WHERE n_queries <= 700;
SELECT recall FROM faiss.recall('same_v', ARRAY['[0,0,0,0]', '[1,2,3,4]']::halfvec[]);
RESET faiss.nprobe;
-- What a snapshot sees is the truth: deleted, updated, uncommitted rows.
BEGIN;
DELETE FROM t WHERE id % 2 = 0;
UPDATE t SET kind = kind + 1 WHERE id % 5 = 1;
UPDATE t SET v = (v * '[2,2,2,2,2,2,2,2]') WHERE id % 5 = 3;
SET LOCAL faiss.nprobe = 64;
SELECT recall, n_queries FROM faiss.recall('t_v', queries => 300);
ROLLBACK;
-- A timeout ends it anywhere, and no setting stays behind.
SET statement_timeout = '20ms';
SELECT count(*) FROM faiss.tune('t_v', 1, 100, queries => 4000);
RESET statement_timeout;
SHOW faiss.nprobe;
-- The rows of the predicate, the values of the expression.
CREATE INDEX t_part ON t USING faissivf (v) WITH (nlist = 8) WHERE kind = 3;
CREATE INDEX t_expr ON t USING faissivf ((subvector(v, 1, 3)::vector(3)) vector_ip_ops) WITH (nlist = 8);
SET faiss.nprobe = 8;
SELECT recall, n_queries FROM faiss.recall('t_part', queries => 1000);
SELECT recall, n_queries FROM faiss.recall('t_expr', queries => 100);
RESET faiss.nprobe;
DROP TABLE t, same;
