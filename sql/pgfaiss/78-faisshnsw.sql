-- The access method faisshnsw and its operator classes: those of faissflat, and of sparse vectors.

CREATE FUNCTION faiss.sparsevec_l2_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_sparsevec_l2_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.sparsevec_l2_support(internal) IS
    'tells the access methods what an operator class is for: elements of sparsevec, metric l2';
CREATE FUNCTION faiss.sparsevec_ip_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_sparsevec_ip_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.sparsevec_ip_support(internal) IS
    'tells the access methods what an operator class is for: elements of sparsevec, metric inner_product';
CREATE FUNCTION faiss.sparsevec_cosine_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_sparsevec_cosine_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.sparsevec_cosine_support(internal) IS
    'tells the access methods what an operator class is for: elements of sparsevec, metric cosine';
CREATE FUNCTION faiss.sparsevec_l1_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_sparsevec_l1_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.sparsevec_l1_support(internal) IS
    'tells the access methods what an operator class is for: elements of sparsevec, metric l1';

CREATE FUNCTION faiss.faisshnsw_handler(internal) RETURNS index_am_handler
    AS 'MODULE_PATHNAME', 'faisshnsw_handler' LANGUAGE C;
COMMENT ON FUNCTION faiss.faisshnsw_handler(internal) IS 'gives the server the callbacks of access method faisshnsw';

CREATE ACCESS METHOD faisshnsw TYPE INDEX HANDLER faiss.faisshnsw_handler;
COMMENT ON ACCESS METHOD faisshnsw IS 'FAISS IndexHNSW: a graph of near neighbours';

CREATE OPERATOR CLASS @extschema@.vector_l2_ops DEFAULT FOR TYPE vector USING faisshnsw AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.vector_l2_support(internal);
CREATE OPERATOR CLASS @extschema@.vector_ip_ops FOR TYPE vector USING faisshnsw AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.vector_ip_support(internal);
CREATE OPERATOR CLASS @extschema@.vector_cosine_ops FOR TYPE vector USING faisshnsw AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.vector_cosine_support(internal);
CREATE OPERATOR CLASS @extschema@.vector_l1_ops FOR TYPE vector USING faisshnsw AS
    OPERATOR 1 <+> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.vector_l1_support(internal);
CREATE OPERATOR CLASS @extschema@.halfvec_l2_ops DEFAULT FOR TYPE halfvec USING faisshnsw AS
    OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.halfvec_l2_support(internal);
CREATE OPERATOR CLASS @extschema@.halfvec_ip_ops FOR TYPE halfvec USING faisshnsw AS
    OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.halfvec_ip_support(internal);
CREATE OPERATOR CLASS @extschema@.halfvec_cosine_ops FOR TYPE halfvec USING faisshnsw AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.halfvec_cosine_support(internal);
CREATE OPERATOR CLASS @extschema@.halfvec_l1_ops FOR TYPE halfvec USING faisshnsw AS
    OPERATOR 1 <+> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.halfvec_l1_support(internal);
CREATE OPERATOR CLASS bit_hamming_ops DEFAULT FOR TYPE bit USING faisshnsw AS
    OPERATOR 1 <~> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.bit_hamming_support(internal);
CREATE OPERATOR CLASS bit_jaccard_ops FOR TYPE bit USING faisshnsw AS
    OPERATOR 1 <%> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.bit_jaccard_support(internal);
CREATE OPERATOR CLASS @extschema@.sparsevec_l2_ops DEFAULT FOR TYPE sparsevec USING faisshnsw AS
    OPERATOR 1 <-> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.sparsevec_l2_support(internal);
CREATE OPERATOR CLASS @extschema@.sparsevec_ip_ops FOR TYPE sparsevec USING faisshnsw AS
    OPERATOR 1 <#> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.sparsevec_ip_support(internal);
CREATE OPERATOR CLASS @extschema@.sparsevec_cosine_ops FOR TYPE sparsevec USING faisshnsw AS
    OPERATOR 1 <=> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.sparsevec_cosine_support(internal);
CREATE OPERATOR CLASS @extschema@.sparsevec_l1_ops FOR TYPE sparsevec USING faisshnsw AS
    OPERATOR 1 <+> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 faiss.sparsevec_l1_support(internal);
