-- What an index holds, from psql. All of it needs SELECT on the table.

CREATE FUNCTION faiss.index_info(index regclass)
RETURNS TABLE (
    method text, factory text, metric text, dims int, element_type text,
    is_trained boolean, trained_rows bigint, ntotal bigint, ndead bigint,
    code_size int, bytes bigint, bytes_per_vector double precision,
    nlist int, imbalance_factor double precision, model text, seed bigint, format_version int, is_valid boolean,
    recall_target double precision, search text)
LANGUAGE c STRICT VOLATILE PARALLEL RESTRICTED ROWS 1
AS 'MODULE_PATHNAME', 'index_info_wrapper';

COMMENT ON FUNCTION faiss.index_info(regclass) IS
    'one row about an index; imbalance_factor 1 = all lists equally long, 2 = queries scan twice as much as with equal lists';

CREATE FUNCTION faiss.recall_curve(index regclass)
RETURNS TABLE (k int, recall double precision, nprobe int, k_factor real, efsearch int)
LANGUAGE c STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'recall_curve_wrapper';

COMMENT ON FUNCTION faiss.recall_curve(regclass) IS
    'what recall costs, as the build measured it on rows of the table: the search settings that reach each recall for k rows';

CREATE FUNCTION faiss.last_scan()
RETURNS TABLE (
    index regclass, lists_probed bigint, lists bigint, pages bigint, scored bigint, reranked bigint, rows bigint, stopped text)
LANGUAGE c STRICT VOLATILE PARALLEL RESTRICTED ROWS 1
AS 'MODULE_PATHNAME', 'last_scan_wrapper';

COMMENT ON FUNCTION faiss.last_scan() IS
    'what the last index scan of this session did, once it has ended: lists searched of how many, pages of the index read, vectors scored, candidates re-ranked, rows returned, why it stopped; no row before the first';

CREATE FUNCTION faiss.list_info(index regclass)
RETURNS TABLE (list_no int, ntotal bigint, ndead bigint, pages bigint, radius double precision)
LANGUAGE c STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'list_info_wrapper';

COMMENT ON FUNCTION faiss.list_info(regclass) IS
    'a row per inverted list; radius: the largest distance of a member to the centroid (cosine distance under cosine, else Euclidean)';

CREATE FUNCTION faiss.check(index regclass)
RETURNS TABLE (blkno bigint, problem text)
LANGUAGE c STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'check_wrapper';

COMMENT ON FUNCTION faiss.check(regclass) IS
    'a row per broken invariant of the pages, none if the index is sound; writers wait while it runs';
