-- The nearest rows of many queries at once. Needs SELECT on the table, and that no row-level security applies.

CREATE FUNCTION faiss.search(
    index regclass, queries anyarray, k integer, nprobe integer DEFAULT NULL, k_factor integer DEFAULT NULL, efsearch integer DEFAULT NULL,
    tids tid[] DEFAULT NULL)
RETURNS TABLE (query_no integer, tid tid, distance double precision)
AS 'MODULE_PATHNAME', 'pgfaiss_search' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000 COST 10000;
COMMENT ON FUNCTION faiss.search(regclass, anyarray, integer, integer, integer, integer, tid[]) IS
    'the k nearest rows of each query, of an array of the column''s type (numbered from 1), nearest first, reading each list once for all queries, on several threads; join tid with the table''s ctid in the same statement; nprobe, k_factor, efsearch (of a graph): instead of the settings; tids: only among the rows that have these ctids';
