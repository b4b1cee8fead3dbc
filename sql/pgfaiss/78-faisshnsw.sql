-- The access method faisshnsw and its operator classes: those of faissflat.

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
