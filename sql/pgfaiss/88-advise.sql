-- Which index to build, and when to build it anew. Both need SELECT.

CREATE FUNCTION faiss.recommend(
    relation regclass, "column" text, target_recall double precision DEFAULT 0.95, memory_mb integer DEFAULT NULL,
    metric text DEFAULT NULL, rows bigint DEFAULT NULL)
RETURNS TABLE (factory text, create_index text, bytes bigint, why text)
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 1
AS 'MODULE_PATHNAME', 'recommend_wrapper';

COMMENT ON FUNCTION faiss.recommend(regclass, text, double precision, integer, text, bigint) IS
    'the index to build on a column, as a CREATE INDEX that runs as it stands, its size and why; memory_mb null: shared_buffers, metric null: l2 or that of an index there is, rows: plan for so many';

CREATE FUNCTION faiss.health(index regclass)
RETURNS TABLE (
    retrain boolean, advice text, ntotal bigint, build_rows bigint, growth double precision, dead_share double precision,
    imbalance_factor double precision, imbalance_at_build double precision,
    coarse_error double precision, coarse_error_at_build double precision,
    code_error double precision, code_error_at_build double precision,
    sampled_rows bigint, new_share double precision)
LANGUAGE c STRICT VOLATILE PARALLEL RESTRICTED ROWS 1
AS 'MODULE_PATHNAME', 'health_wrapper';

COMMENT ON FUNCTION faiss.health(regclass) IS
    'whether the lists of an index should be built anew (retrain), why and how (advice), and the numbers that say so, from some of its lists and rows';

-- Needs the ownership of the index.
CREATE FUNCTION faiss.maintain(index regclass)
RETURNS TABLE (rebuilt boolean, reason text, lists_before integer, lists integer, ntotal bigint, pages_freed bigint)
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'maintain_wrapper';

COMMENT ON FUNCTION faiss.maintain(regclass) IS
    'does at once what VACUUM does to the lists of an index: builds them anew if they no longer fit the table, and frees the pages of builds that no query reads any more';
