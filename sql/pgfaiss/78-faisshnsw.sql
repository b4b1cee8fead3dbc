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

-- Filter columns, as those of faissivf and faissflat.
CREATE OPERATOR FAMILY @extschema@.integer_ops USING faisshnsw;
CREATE OPERATOR FAMILY @extschema@.float_ops USING faisshnsw;
CREATE OPERATOR CLASS @extschema@.bool_ops DEFAULT FOR TYPE boolean USING faisshnsw AS
    OPERATOR 1 < (boolean, boolean),
    OPERATOR 2 <= (boolean, boolean),
    OPERATOR 3 = (boolean, boolean),
    OPERATOR 4 >= (boolean, boolean),
    OPERATOR 5 > (boolean, boolean),
    FUNCTION 1 faiss.bool_support(internal);
CREATE OPERATOR CLASS @extschema@.int2_ops DEFAULT FOR TYPE int2 USING faisshnsw FAMILY @extschema@.integer_ops AS
    OPERATOR 1 < (int2, int2),
    OPERATOR 2 <= (int2, int2),
    OPERATOR 3 = (int2, int2),
    OPERATOR 4 >= (int2, int2),
    OPERATOR 5 > (int2, int2),
    FUNCTION 1 faiss.int2_support(internal);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faisshnsw ADD
    OPERATOR 1 < (int2, int4),
    OPERATOR 2 <= (int2, int4),
    OPERATOR 3 = (int2, int4),
    OPERATOR 4 >= (int2, int4),
    OPERATOR 5 > (int2, int4);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faisshnsw ADD
    OPERATOR 1 < (int2, int8),
    OPERATOR 2 <= (int2, int8),
    OPERATOR 3 = (int2, int8),
    OPERATOR 4 >= (int2, int8),
    OPERATOR 5 > (int2, int8);
CREATE OPERATOR CLASS @extschema@.int4_ops DEFAULT FOR TYPE int4 USING faisshnsw FAMILY @extschema@.integer_ops AS
    OPERATOR 1 < (int4, int4),
    OPERATOR 2 <= (int4, int4),
    OPERATOR 3 = (int4, int4),
    OPERATOR 4 >= (int4, int4),
    OPERATOR 5 > (int4, int4),
    FUNCTION 1 faiss.int4_support(internal);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faisshnsw ADD
    OPERATOR 1 < (int4, int2),
    OPERATOR 2 <= (int4, int2),
    OPERATOR 3 = (int4, int2),
    OPERATOR 4 >= (int4, int2),
    OPERATOR 5 > (int4, int2);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faisshnsw ADD
    OPERATOR 1 < (int4, int8),
    OPERATOR 2 <= (int4, int8),
    OPERATOR 3 = (int4, int8),
    OPERATOR 4 >= (int4, int8),
    OPERATOR 5 > (int4, int8);
CREATE OPERATOR CLASS @extschema@.int8_ops DEFAULT FOR TYPE int8 USING faisshnsw FAMILY @extschema@.integer_ops AS
    OPERATOR 1 < (int8, int8),
    OPERATOR 2 <= (int8, int8),
    OPERATOR 3 = (int8, int8),
    OPERATOR 4 >= (int8, int8),
    OPERATOR 5 > (int8, int8),
    FUNCTION 1 faiss.int8_support(internal);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faisshnsw ADD
    OPERATOR 1 < (int8, int2),
    OPERATOR 2 <= (int8, int2),
    OPERATOR 3 = (int8, int2),
    OPERATOR 4 >= (int8, int2),
    OPERATOR 5 > (int8, int2);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faisshnsw ADD
    OPERATOR 1 < (int8, int4),
    OPERATOR 2 <= (int8, int4),
    OPERATOR 3 = (int8, int4),
    OPERATOR 4 >= (int8, int4),
    OPERATOR 5 > (int8, int4);
CREATE OPERATOR CLASS @extschema@.float4_ops DEFAULT FOR TYPE float4 USING faisshnsw FAMILY @extschema@.float_ops AS
    OPERATOR 1 < (float4, float4),
    OPERATOR 2 <= (float4, float4),
    OPERATOR 3 = (float4, float4),
    OPERATOR 4 >= (float4, float4),
    OPERATOR 5 > (float4, float4),
    FUNCTION 1 faiss.float4_support(internal);
ALTER OPERATOR FAMILY @extschema@.float_ops USING faisshnsw ADD
    OPERATOR 1 < (float4, float8),
    OPERATOR 2 <= (float4, float8),
    OPERATOR 3 = (float4, float8),
    OPERATOR 4 >= (float4, float8),
    OPERATOR 5 > (float4, float8);
CREATE OPERATOR CLASS @extschema@.float8_ops DEFAULT FOR TYPE float8 USING faisshnsw FAMILY @extschema@.float_ops AS
    OPERATOR 1 < (float8, float8),
    OPERATOR 2 <= (float8, float8),
    OPERATOR 3 = (float8, float8),
    OPERATOR 4 >= (float8, float8),
    OPERATOR 5 > (float8, float8),
    FUNCTION 1 faiss.float8_support(internal);
ALTER OPERATOR FAMILY @extschema@.float_ops USING faisshnsw ADD
    OPERATOR 1 < (float8, float4),
    OPERATOR 2 <= (float8, float4),
    OPERATOR 3 = (float8, float4),
    OPERATOR 4 >= (float8, float4),
    OPERATOR 5 > (float8, float4);
CREATE OPERATOR CLASS @extschema@.numeric_ops DEFAULT FOR TYPE numeric USING faisshnsw AS
    OPERATOR 1 < (numeric, numeric),
    OPERATOR 2 <= (numeric, numeric),
    OPERATOR 3 = (numeric, numeric),
    OPERATOR 4 >= (numeric, numeric),
    OPERATOR 5 > (numeric, numeric),
    FUNCTION 1 faiss.numeric_support(internal);
CREATE OPERATOR CLASS @extschema@.oid_ops DEFAULT FOR TYPE oid USING faisshnsw AS
    OPERATOR 1 < (oid, oid),
    OPERATOR 2 <= (oid, oid),
    OPERATOR 3 = (oid, oid),
    OPERATOR 4 >= (oid, oid),
    OPERATOR 5 > (oid, oid),
    FUNCTION 1 faiss.oid_support(internal);
CREATE OPERATOR CLASS @extschema@.date_ops DEFAULT FOR TYPE date USING faisshnsw AS
    OPERATOR 1 < (date, date),
    OPERATOR 2 <= (date, date),
    OPERATOR 3 = (date, date),
    OPERATOR 4 >= (date, date),
    OPERATOR 5 > (date, date),
    FUNCTION 1 faiss.int4_support(internal);
CREATE OPERATOR CLASS @extschema@.timestamp_ops DEFAULT FOR TYPE timestamp USING faisshnsw AS
    OPERATOR 1 < (timestamp, timestamp),
    OPERATOR 2 <= (timestamp, timestamp),
    OPERATOR 3 = (timestamp, timestamp),
    OPERATOR 4 >= (timestamp, timestamp),
    OPERATOR 5 > (timestamp, timestamp),
    FUNCTION 1 faiss.int8_support(internal);
CREATE OPERATOR CLASS @extschema@.timestamptz_ops DEFAULT FOR TYPE timestamptz USING faisshnsw AS
    OPERATOR 1 < (timestamptz, timestamptz),
    OPERATOR 2 <= (timestamptz, timestamptz),
    OPERATOR 3 = (timestamptz, timestamptz),
    OPERATOR 4 >= (timestamptz, timestamptz),
    OPERATOR 5 > (timestamptz, timestamptz),
    FUNCTION 1 faiss.int8_support(internal);
CREATE OPERATOR CLASS @extschema@.time_ops DEFAULT FOR TYPE time USING faisshnsw AS
    OPERATOR 1 < (time, time),
    OPERATOR 2 <= (time, time),
    OPERATOR 3 = (time, time),
    OPERATOR 4 >= (time, time),
    OPERATOR 5 > (time, time),
    FUNCTION 1 faiss.int8_support(internal);
CREATE OPERATOR CLASS @extschema@.uuid_ops DEFAULT FOR TYPE uuid USING faisshnsw AS
    OPERATOR 1 < (uuid, uuid),
    OPERATOR 2 <= (uuid, uuid),
    OPERATOR 3 = (uuid, uuid),
    OPERATOR 4 >= (uuid, uuid),
    OPERATOR 5 > (uuid, uuid),
    FUNCTION 1 faiss.uuid_support(internal);
CREATE OPERATOR CLASS @extschema@.text_ops DEFAULT FOR TYPE text USING faisshnsw AS
    OPERATOR 3 = (text, text),
    FUNCTION 1 faiss.hash_support(internal);
CREATE OPERATOR CLASS @extschema@.bpchar_ops DEFAULT FOR TYPE bpchar USING faisshnsw AS
    OPERATOR 3 = (bpchar, bpchar),
    FUNCTION 1 faiss.hash_support(internal);
CREATE OPERATOR CLASS @extschema@.inet_ops DEFAULT FOR TYPE inet USING faisshnsw AS
    OPERATOR 3 = (inet, inet),
    FUNCTION 1 faiss.hash_support(internal);
CREATE OPERATOR CLASS @extschema@.enum_ops DEFAULT FOR TYPE anyenum USING faisshnsw AS
    OPERATOR 3 = (anyenum, anyenum),
    FUNCTION 1 faiss.oid_support(internal);
CREATE OPERATOR CLASS @extschema@.array_ops DEFAULT FOR TYPE anyarray USING faisshnsw AS
    OPERATOR 6 && (anyarray, anyarray),
    OPERATOR 7 @> (anyarray, anyarray),
    FUNCTION 1 faiss.array_support(internal);
