-- How many of the true nearest rows an index finds, and with which settings it finds enough. All of it needs SELECT on the table.

CREATE FUNCTION faiss.recall(index regclass, k int DEFAULT 10, queries int DEFAULT 200, exclude_self boolean DEFAULT true, seed int DEFAULT 1234)
RETURNS TABLE (recall double precision, recall_low double precision, recall_high double precision, n_queries int,
    ms double precision, exact_ms double precision, settings text)
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'pgfaiss_recall';
COMMENT ON FUNCTION faiss.recall(regclass, int, int, boolean, int) IS
    'recall of LIMIT k with the present settings, by rows drawn at random as queries: the part of the true k nearest rows found, its 95 % confidence interval, mean CPU time of a query in ms and of an exact one; a drawn row does not count as its own neighbour unless exclude_self is false';

CREATE FUNCTION faiss.recall(index regclass, queries anyarray, k int DEFAULT 10)
RETURNS TABLE (recall double precision, recall_low double precision, recall_high double precision, n_queries int,
    ms double precision, exact_ms double precision, settings text)
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'pgfaiss_recall_of';
COMMENT ON FUNCTION faiss.recall(regclass, anyarray, int) IS
    'recall of LIMIT k with the present settings, by queries of your own, an array of the column''s type: the most honest measure';

CREATE FUNCTION faiss.tune(index regclass, target_recall double precision DEFAULT 0.95, k int DEFAULT 10, apply boolean DEFAULT false,
    queries int DEFAULT 1000, exclude_self boolean DEFAULT true, seed int DEFAULT 1234)
RETURNS TABLE (settings text, nprobe int, k_factor int, ef_search int, recall double precision, recall_low double precision,
    recall_high double precision, n_queries int, ms double precision, is_optimal boolean, is_chosen boolean)
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE ROWS 15
AS 'MODULE_PATHNAME', 'pgfaiss_tune';
COMMENT ON FUNCTION faiss.tune(regclass, double precision, int, boolean, int, boolean, int) IS
    'measures search settings, by rows drawn at random as queries, until the fastest is known that reaches target_recall in LIMIT k (is_chosen); apply stores it in the index by ALTER INDEX, for its owner; ms: mean CPU time of a query';

CREATE FUNCTION faiss.tune(index regclass, queries anyarray, target_recall double precision DEFAULT 0.95, k int DEFAULT 10, apply boolean DEFAULT false)
RETURNS TABLE (settings text, nprobe int, k_factor int, ef_search int, recall double precision, recall_low double precision,
    recall_high double precision, n_queries int, ms double precision, is_optimal boolean, is_chosen boolean)
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE ROWS 15
AS 'MODULE_PATHNAME', 'pgfaiss_tune_of';
COMMENT ON FUNCTION faiss.tune(regclass, anyarray, double precision, int, boolean) IS
    'as faiss.tune without queries, by queries of your own, an array of the column''s type: what reaches the target for them will reach it for others like them';
