-- The access method faissivf and its operator classes.
--
-- Strategy 1 is the ordering operator. Support function 1 says which element type and which metric an operator class
-- has; the access method asks nothing else, so a class over another type of the same layout needs only its own operator
-- and one of these functions.

CREATE FUNCTION faiss.vector_l2_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_vector_l2_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.vector_l2_support(internal) IS
    'tells the access methods what an operator class is for: elements of vector, metric l2';
CREATE FUNCTION faiss.vector_ip_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_vector_ip_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.vector_ip_support(internal) IS
    'tells the access methods what an operator class is for: elements of vector, metric inner_product';
CREATE FUNCTION faiss.vector_cosine_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_vector_cosine_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.vector_cosine_support(internal) IS
    'tells the access methods what an operator class is for: elements of vector, metric cosine';
CREATE FUNCTION faiss.halfvec_l2_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_halfvec_l2_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.halfvec_l2_support(internal) IS
    'tells the access methods what an operator class is for: elements of halfvec, metric l2';
CREATE FUNCTION faiss.halfvec_ip_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_halfvec_ip_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.halfvec_ip_support(internal) IS
    'tells the access methods what an operator class is for: elements of halfvec, metric inner_product';
CREATE FUNCTION faiss.halfvec_cosine_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_halfvec_cosine_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.halfvec_cosine_support(internal) IS
    'tells the access methods what an operator class is for: elements of halfvec, metric cosine';

CREATE FUNCTION faiss.bit_hamming_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_bit_hamming_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.bit_hamming_support(internal) IS
    'tells the access methods what an operator class is for: elements of bit, metric hamming';

CREATE FUNCTION faiss.faissivf_handler(internal) RETURNS index_am_handler
    AS 'MODULE_PATHNAME', 'faissivf_handler' LANGUAGE C;
COMMENT ON FUNCTION faiss.faissivf_handler(internal) IS 'gives the server the callbacks of access method faissivf';

CREATE ACCESS METHOD faissivf TYPE INDEX HANDLER faiss.faissivf_handler;
COMMENT ON ACCESS METHOD faissivf IS 'FAISS IndexIVF: inverted lists around k-means centroids';

CREATE OPERATOR CLASS @extschema@.vector_l2_ops DEFAULT FOR TYPE vector USING faissivf AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.vector_l2_support(internal);
CREATE OPERATOR CLASS @extschema@.vector_ip_ops FOR TYPE vector USING faissivf AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.vector_ip_support(internal);
CREATE OPERATOR CLASS @extschema@.vector_cosine_ops FOR TYPE vector USING faissivf AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.vector_cosine_support(internal);
CREATE OPERATOR CLASS @extschema@.halfvec_l2_ops DEFAULT FOR TYPE halfvec USING faissivf AS
    OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.halfvec_l2_support(internal);
CREATE OPERATOR CLASS @extschema@.halfvec_ip_ops FOR TYPE halfvec USING faissivf AS
    OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.halfvec_ip_support(internal);
CREATE OPERATOR CLASS @extschema@.halfvec_cosine_ops FOR TYPE halfvec USING faissivf AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.halfvec_cosine_support(internal);
CREATE OPERATOR CLASS bit_hamming_ops DEFAULT FOR TYPE bit USING faissivf AS
    OPERATOR 1 <~> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.bit_hamming_support(internal);
