-- Administration lives in the schema faiss, wherever the types are.

CREATE SCHEMA faiss;
COMMENT ON SCHEMA faiss IS 'administration of FAISS indexes';
GRANT USAGE ON SCHEMA faiss TO PUBLIC;

CREATE FUNCTION faiss.optimal_nlist(n bigint) RETURNS integer
    AS 'MODULE_PATHNAME', 'pgfaiss_optimal_nlist' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.optimal_nlist(n bigint) IS
    'number of inverted lists that fits n rows: 4 * sqrt(n), to a power of two';

CREATE FUNCTION faiss.similarity(distance double precision) RETURNS double precision
    AS 'MODULE_PATHNAME', 'pgfaiss_similarity' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.similarity(distance double precision) IS
    'similarity of a distance: 1 / (1 + distance)';

CREATE FUNCTION faiss.l2_to_cosine(distance double precision) RETURNS double precision
    AS 'MODULE_PATHNAME', 'pgfaiss_l2_to_cosine' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.l2_to_cosine(distance double precision) IS
    'cosine of two normalized vectors from their Euclidean distance: 1 - distance^2 / 2';
