-- The access methods ivfflat and hnsw: faissivf and faisshnsw under pgvector's names, with pgvector's operator classes.
--
-- Strategy 1 is the ordering operator. Support function 1 says which element type and which metric an operator class has.

CREATE FUNCTION ivfflathandler(internal) RETURNS index_am_handler
    AS 'MODULE_PATHNAME', 'pgfaiss_ivfflat_handler' LANGUAGE C;
COMMENT ON FUNCTION ivfflathandler(internal) IS 'gives the server the callbacks of access method ivfflat';
CREATE ACCESS METHOD ivfflat TYPE INDEX HANDLER ivfflathandler;
COMMENT ON ACCESS METHOD ivfflat IS 'inverted lists around k-means centroids, as in FAISS IndexIVF';

CREATE FUNCTION hnswhandler(internal) RETURNS index_am_handler
    AS 'MODULE_PATHNAME', 'pgfaiss_hnsw_handler' LANGUAGE C;
COMMENT ON FUNCTION hnswhandler(internal) IS 'gives the server the callbacks of access method hnsw';
CREATE ACCESS METHOD hnsw TYPE INDEX HANDLER hnswhandler;
COMMENT ON ACCESS METHOD hnsw IS 'a graph of near neighbours, as in FAISS IndexHNSW';

CREATE FUNCTION faiss_vector_l2_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_vector_l2_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss_vector_l2_support(internal) IS
    'tells the access methods what an operator class is for: elements of vector, metric l2';
CREATE FUNCTION faiss_vector_ip_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_vector_ip_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss_vector_ip_support(internal) IS
    'tells the access methods what an operator class is for: elements of vector, metric inner_product';
CREATE FUNCTION faiss_vector_cosine_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_vector_cosine_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss_vector_cosine_support(internal) IS
    'tells the access methods what an operator class is for: elements of vector, metric cosine';
CREATE FUNCTION faiss_vector_l1_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_vector_l1_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss_vector_l1_support(internal) IS
    'tells the access methods what an operator class is for: elements of vector, metric l1';
CREATE FUNCTION faiss_halfvec_l2_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_halfvec_l2_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss_halfvec_l2_support(internal) IS
    'tells the access methods what an operator class is for: elements of halfvec, metric l2';
CREATE FUNCTION faiss_halfvec_ip_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_halfvec_ip_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss_halfvec_ip_support(internal) IS
    'tells the access methods what an operator class is for: elements of halfvec, metric inner_product';
CREATE FUNCTION faiss_halfvec_cosine_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_halfvec_cosine_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss_halfvec_cosine_support(internal) IS
    'tells the access methods what an operator class is for: elements of halfvec, metric cosine';
CREATE FUNCTION faiss_halfvec_l1_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_halfvec_l1_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss_halfvec_l1_support(internal) IS
    'tells the access methods what an operator class is for: elements of halfvec, metric l1';
CREATE FUNCTION faiss_bit_hamming_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_bit_hamming_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss_bit_hamming_support(internal) IS
    'tells the access methods what an operator class is for: elements of bit, metric hamming';
CREATE FUNCTION faiss_bit_jaccard_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_bit_jaccard_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss_bit_jaccard_support(internal) IS
    'tells the access methods what an operator class is for: elements of bit, metric jaccard';
CREATE FUNCTION faiss_sparsevec_l2_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_sparsevec_l2_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss_sparsevec_l2_support(internal) IS
    'tells the access methods what an operator class is for: elements of sparsevec, metric l2';
CREATE FUNCTION faiss_sparsevec_ip_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_sparsevec_ip_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss_sparsevec_ip_support(internal) IS
    'tells the access methods what an operator class is for: elements of sparsevec, metric inner_product';
CREATE FUNCTION faiss_sparsevec_cosine_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_sparsevec_cosine_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss_sparsevec_cosine_support(internal) IS
    'tells the access methods what an operator class is for: elements of sparsevec, metric cosine';
CREATE FUNCTION faiss_sparsevec_l1_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_sparsevec_l1_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss_sparsevec_l1_support(internal) IS
    'tells the access methods what an operator class is for: elements of sparsevec, metric l1';

CREATE OPERATOR CLASS vector_l2_ops DEFAULT FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_vector_l2_support(internal);
CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_vector_ip_support(internal);
CREATE OPERATOR CLASS vector_cosine_ops FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_vector_cosine_support(internal);
CREATE OPERATOR CLASS halfvec_l2_ops FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_halfvec_l2_support(internal);
CREATE OPERATOR CLASS halfvec_ip_ops FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_halfvec_ip_support(internal);
CREATE OPERATOR CLASS halfvec_cosine_ops FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_halfvec_cosine_support(internal);
CREATE OPERATOR CLASS bit_hamming_ops FOR TYPE bit USING ivfflat AS
    OPERATOR 1 <~> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_bit_hamming_support(internal);

CREATE OPERATOR CLASS vector_l2_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_vector_l2_support(internal);
CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_vector_ip_support(internal);
CREATE OPERATOR CLASS vector_cosine_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_vector_cosine_support(internal);
CREATE OPERATOR CLASS vector_l1_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <+> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_vector_l1_support(internal);
CREATE OPERATOR CLASS halfvec_l2_ops FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_halfvec_l2_support(internal);
CREATE OPERATOR CLASS halfvec_ip_ops FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_halfvec_ip_support(internal);
CREATE OPERATOR CLASS halfvec_cosine_ops FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_halfvec_cosine_support(internal);
CREATE OPERATOR CLASS halfvec_l1_ops FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <+> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_halfvec_l1_support(internal);
CREATE OPERATOR CLASS bit_hamming_ops FOR TYPE bit USING hnsw AS
    OPERATOR 1 <~> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_bit_hamming_support(internal);
CREATE OPERATOR CLASS bit_jaccard_ops FOR TYPE bit USING hnsw AS
    OPERATOR 1 <%> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_bit_jaccard_support(internal);
CREATE OPERATOR CLASS sparsevec_l2_ops FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <-> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_sparsevec_l2_support(internal);
CREATE OPERATOR CLASS sparsevec_ip_ops FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <#> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_sparsevec_ip_support(internal);
CREATE OPERATOR CLASS sparsevec_cosine_ops FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <=> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_sparsevec_cosine_support(internal);
CREATE OPERATOR CLASS sparsevec_l1_ops FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <+> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss_sparsevec_l1_support(internal);
