-- The access method faissflat and its operator classes: those of faissivf, and taxicab and Jaccard distance, which have no
-- centroids.

CREATE FUNCTION faiss.vector_l1_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_vector_l1_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.vector_l1_support(internal) IS
    'tells the access methods what an operator class is for: elements of vector, metric l1';
CREATE FUNCTION faiss.halfvec_l1_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_halfvec_l1_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.halfvec_l1_support(internal) IS
    'tells the access methods what an operator class is for: elements of halfvec, metric l1';
CREATE FUNCTION faiss.bit_jaccard_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_bit_jaccard_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.bit_jaccard_support(internal) IS
    'tells the access methods what an operator class is for: elements of bit, metric jaccard';

CREATE FUNCTION faiss.faissflat_handler(internal) RETURNS index_am_handler
    AS 'MODULE_PATHNAME', 'faissflat_handler' LANGUAGE C;
COMMENT ON FUNCTION faiss.faissflat_handler(internal) IS 'gives the server the callbacks of access method faissflat';

CREATE ACCESS METHOD faissflat TYPE INDEX HANDLER faiss.faissflat_handler;
COMMENT ON ACCESS METHOD faissflat IS 'FAISS IndexFlat and its compressed kin: every vector is compared';

CREATE OPERATOR CLASS @extschema@.vector_l2_ops DEFAULT FOR TYPE vector USING faissflat AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.vector_l2_support(internal);
CREATE OPERATOR CLASS @extschema@.vector_ip_ops FOR TYPE vector USING faissflat AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.vector_ip_support(internal);
CREATE OPERATOR CLASS @extschema@.vector_cosine_ops FOR TYPE vector USING faissflat AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.vector_cosine_support(internal);
CREATE OPERATOR CLASS @extschema@.vector_l1_ops FOR TYPE vector USING faissflat AS
    OPERATOR 1 <+> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.vector_l1_support(internal);
CREATE OPERATOR CLASS @extschema@.halfvec_l2_ops DEFAULT FOR TYPE halfvec USING faissflat AS
    OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.halfvec_l2_support(internal);
CREATE OPERATOR CLASS @extschema@.halfvec_ip_ops FOR TYPE halfvec USING faissflat AS
    OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.halfvec_ip_support(internal);
CREATE OPERATOR CLASS @extschema@.halfvec_cosine_ops FOR TYPE halfvec USING faissflat AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.halfvec_cosine_support(internal);
CREATE OPERATOR CLASS @extschema@.halfvec_l1_ops FOR TYPE halfvec USING faissflat AS
    OPERATOR 1 <+> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.halfvec_l1_support(internal);
CREATE OPERATOR CLASS bit_hamming_ops DEFAULT FOR TYPE bit USING faissflat AS
    OPERATOR 1 <~> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.bit_hamming_support(internal);
CREATE OPERATOR CLASS bit_jaccard_ops FOR TYPE bit USING faissflat AS
    OPERATOR 1 <%> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.bit_jaccard_support(internal);
