-- Filter columns: what faissivf and faissflat may have beside the vector, by operator classes that are the default ones of their
-- types.
--
-- Strategies 1 to 5 are those of a B-tree (<, <=, =, >=, >), 6 is &&, 7 is @>. Support function 1 says how a value becomes
-- the number that an entry of the index keeps; the access method asks nothing else. A family with several types has a
-- support function for each, so that a column of one can be compared with a value of another.

CREATE FUNCTION faiss.bool_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_bool_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.bool_support(internal) IS
    'tells the access methods what a filter column has: values of boolean';
CREATE FUNCTION faiss.int2_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_int2_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.int2_support(internal) IS
    'tells the access methods what a filter column has: integers of 16 bits';
CREATE FUNCTION faiss.int4_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_int4_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.int4_support(internal) IS
    'tells the access methods what a filter column has: integers of 32 bits, or days';
CREATE FUNCTION faiss.int8_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_int8_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.int8_support(internal) IS
    'tells the access methods what a filter column has: integers of 64 bits, or microseconds';
CREATE FUNCTION faiss.float4_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_float4_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.float4_support(internal) IS
    'tells the access methods what a filter column has: floats of 32 bits';
CREATE FUNCTION faiss.float8_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_float8_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.float8_support(internal) IS
    'tells the access methods what a filter column has: floats of 64 bits';
CREATE FUNCTION faiss.oid_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_oid_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.oid_support(internal) IS
    'tells the access methods what a filter column has: numbers of 32 bits without a sign, as oid and enums have them';
CREATE FUNCTION faiss.uuid_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_uuid_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.uuid_support(internal) IS
    'tells the access methods what a filter column has: 16 bytes that compare as they lie';
CREATE FUNCTION faiss.numeric_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_numeric_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.numeric_support(internal) IS
    'tells the access methods what a filter column has: values of numeric, by the nearest float of 64 bits';
CREATE FUNCTION faiss.hash_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_hash_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.hash_support(internal) IS
    'tells the access methods what a filter column has: values of any type with a hash function, by their hash';
CREATE FUNCTION faiss.array_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'faiss_array_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.array_support(internal) IS
    'tells the access methods what a filter column has: arrays, by a bit for each element';

CREATE OPERATOR FAMILY @extschema@.integer_ops USING faissivf;
CREATE OPERATOR FAMILY @extschema@.float_ops USING faissivf;
CREATE OPERATOR CLASS @extschema@.bool_ops DEFAULT FOR TYPE boolean USING faissivf AS
    OPERATOR 1 < (boolean, boolean),
    OPERATOR 2 <= (boolean, boolean),
    OPERATOR 3 = (boolean, boolean),
    OPERATOR 4 >= (boolean, boolean),
    OPERATOR 5 > (boolean, boolean),
    FUNCTION 1 faiss.bool_support(internal);
CREATE OPERATOR CLASS @extschema@.int2_ops DEFAULT FOR TYPE int2 USING faissivf FAMILY @extschema@.integer_ops AS
    OPERATOR 1 < (int2, int2),
    OPERATOR 2 <= (int2, int2),
    OPERATOR 3 = (int2, int2),
    OPERATOR 4 >= (int2, int2),
    OPERATOR 5 > (int2, int2),
    FUNCTION 1 faiss.int2_support(internal);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faissivf ADD
    OPERATOR 1 < (int2, int4),
    OPERATOR 2 <= (int2, int4),
    OPERATOR 3 = (int2, int4),
    OPERATOR 4 >= (int2, int4),
    OPERATOR 5 > (int2, int4);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faissivf ADD
    OPERATOR 1 < (int2, int8),
    OPERATOR 2 <= (int2, int8),
    OPERATOR 3 = (int2, int8),
    OPERATOR 4 >= (int2, int8),
    OPERATOR 5 > (int2, int8);
CREATE OPERATOR CLASS @extschema@.int4_ops DEFAULT FOR TYPE int4 USING faissivf FAMILY @extschema@.integer_ops AS
    OPERATOR 1 < (int4, int4),
    OPERATOR 2 <= (int4, int4),
    OPERATOR 3 = (int4, int4),
    OPERATOR 4 >= (int4, int4),
    OPERATOR 5 > (int4, int4),
    FUNCTION 1 faiss.int4_support(internal);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faissivf ADD
    OPERATOR 1 < (int4, int2),
    OPERATOR 2 <= (int4, int2),
    OPERATOR 3 = (int4, int2),
    OPERATOR 4 >= (int4, int2),
    OPERATOR 5 > (int4, int2);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faissivf ADD
    OPERATOR 1 < (int4, int8),
    OPERATOR 2 <= (int4, int8),
    OPERATOR 3 = (int4, int8),
    OPERATOR 4 >= (int4, int8),
    OPERATOR 5 > (int4, int8);
CREATE OPERATOR CLASS @extschema@.int8_ops DEFAULT FOR TYPE int8 USING faissivf FAMILY @extschema@.integer_ops AS
    OPERATOR 1 < (int8, int8),
    OPERATOR 2 <= (int8, int8),
    OPERATOR 3 = (int8, int8),
    OPERATOR 4 >= (int8, int8),
    OPERATOR 5 > (int8, int8),
    FUNCTION 1 faiss.int8_support(internal);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faissivf ADD
    OPERATOR 1 < (int8, int2),
    OPERATOR 2 <= (int8, int2),
    OPERATOR 3 = (int8, int2),
    OPERATOR 4 >= (int8, int2),
    OPERATOR 5 > (int8, int2);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faissivf ADD
    OPERATOR 1 < (int8, int4),
    OPERATOR 2 <= (int8, int4),
    OPERATOR 3 = (int8, int4),
    OPERATOR 4 >= (int8, int4),
    OPERATOR 5 > (int8, int4);
CREATE OPERATOR CLASS @extschema@.float4_ops DEFAULT FOR TYPE float4 USING faissivf FAMILY @extschema@.float_ops AS
    OPERATOR 1 < (float4, float4),
    OPERATOR 2 <= (float4, float4),
    OPERATOR 3 = (float4, float4),
    OPERATOR 4 >= (float4, float4),
    OPERATOR 5 > (float4, float4),
    FUNCTION 1 faiss.float4_support(internal);
ALTER OPERATOR FAMILY @extschema@.float_ops USING faissivf ADD
    OPERATOR 1 < (float4, float8),
    OPERATOR 2 <= (float4, float8),
    OPERATOR 3 = (float4, float8),
    OPERATOR 4 >= (float4, float8),
    OPERATOR 5 > (float4, float8);
CREATE OPERATOR CLASS @extschema@.float8_ops DEFAULT FOR TYPE float8 USING faissivf FAMILY @extschema@.float_ops AS
    OPERATOR 1 < (float8, float8),
    OPERATOR 2 <= (float8, float8),
    OPERATOR 3 = (float8, float8),
    OPERATOR 4 >= (float8, float8),
    OPERATOR 5 > (float8, float8),
    FUNCTION 1 faiss.float8_support(internal);
ALTER OPERATOR FAMILY @extschema@.float_ops USING faissivf ADD
    OPERATOR 1 < (float8, float4),
    OPERATOR 2 <= (float8, float4),
    OPERATOR 3 = (float8, float4),
    OPERATOR 4 >= (float8, float4),
    OPERATOR 5 > (float8, float4);
CREATE OPERATOR CLASS @extschema@.numeric_ops DEFAULT FOR TYPE numeric USING faissivf AS
    OPERATOR 1 < (numeric, numeric),
    OPERATOR 2 <= (numeric, numeric),
    OPERATOR 3 = (numeric, numeric),
    OPERATOR 4 >= (numeric, numeric),
    OPERATOR 5 > (numeric, numeric),
    FUNCTION 1 faiss.numeric_support(internal);
CREATE OPERATOR CLASS @extschema@.oid_ops DEFAULT FOR TYPE oid USING faissivf AS
    OPERATOR 1 < (oid, oid),
    OPERATOR 2 <= (oid, oid),
    OPERATOR 3 = (oid, oid),
    OPERATOR 4 >= (oid, oid),
    OPERATOR 5 > (oid, oid),
    FUNCTION 1 faiss.oid_support(internal);
CREATE OPERATOR CLASS @extschema@.date_ops DEFAULT FOR TYPE date USING faissivf AS
    OPERATOR 1 < (date, date),
    OPERATOR 2 <= (date, date),
    OPERATOR 3 = (date, date),
    OPERATOR 4 >= (date, date),
    OPERATOR 5 > (date, date),
    FUNCTION 1 faiss.int4_support(internal);
CREATE OPERATOR CLASS @extschema@.timestamp_ops DEFAULT FOR TYPE timestamp USING faissivf AS
    OPERATOR 1 < (timestamp, timestamp),
    OPERATOR 2 <= (timestamp, timestamp),
    OPERATOR 3 = (timestamp, timestamp),
    OPERATOR 4 >= (timestamp, timestamp),
    OPERATOR 5 > (timestamp, timestamp),
    FUNCTION 1 faiss.int8_support(internal);
CREATE OPERATOR CLASS @extschema@.timestamptz_ops DEFAULT FOR TYPE timestamptz USING faissivf AS
    OPERATOR 1 < (timestamptz, timestamptz),
    OPERATOR 2 <= (timestamptz, timestamptz),
    OPERATOR 3 = (timestamptz, timestamptz),
    OPERATOR 4 >= (timestamptz, timestamptz),
    OPERATOR 5 > (timestamptz, timestamptz),
    FUNCTION 1 faiss.int8_support(internal);
CREATE OPERATOR CLASS @extschema@.time_ops DEFAULT FOR TYPE time USING faissivf AS
    OPERATOR 1 < (time, time),
    OPERATOR 2 <= (time, time),
    OPERATOR 3 = (time, time),
    OPERATOR 4 >= (time, time),
    OPERATOR 5 > (time, time),
    FUNCTION 1 faiss.int8_support(internal);
CREATE OPERATOR CLASS @extschema@.uuid_ops DEFAULT FOR TYPE uuid USING faissivf AS
    OPERATOR 1 < (uuid, uuid),
    OPERATOR 2 <= (uuid, uuid),
    OPERATOR 3 = (uuid, uuid),
    OPERATOR 4 >= (uuid, uuid),
    OPERATOR 5 > (uuid, uuid),
    FUNCTION 1 faiss.uuid_support(internal);
CREATE OPERATOR CLASS @extschema@.text_ops DEFAULT FOR TYPE text USING faissivf AS
    OPERATOR 3 = (text, text),
    FUNCTION 1 faiss.hash_support(internal);
CREATE OPERATOR CLASS @extschema@.bpchar_ops DEFAULT FOR TYPE bpchar USING faissivf AS
    OPERATOR 3 = (bpchar, bpchar),
    FUNCTION 1 faiss.hash_support(internal);
CREATE OPERATOR CLASS @extschema@.inet_ops DEFAULT FOR TYPE inet USING faissivf AS
    OPERATOR 3 = (inet, inet),
    FUNCTION 1 faiss.hash_support(internal);
CREATE OPERATOR CLASS @extschema@.enum_ops DEFAULT FOR TYPE anyenum USING faissivf AS
    OPERATOR 3 = (anyenum, anyenum),
    FUNCTION 1 faiss.oid_support(internal);
CREATE OPERATOR CLASS @extschema@.array_ops DEFAULT FOR TYPE anyarray USING faissivf AS
    OPERATOR 6 && (anyarray, anyarray),
    OPERATOR 7 @> (anyarray, anyarray),
    FUNCTION 1 faiss.array_support(internal);

CREATE OPERATOR FAMILY @extschema@.integer_ops USING faissflat;
CREATE OPERATOR FAMILY @extschema@.float_ops USING faissflat;
CREATE OPERATOR CLASS @extschema@.bool_ops DEFAULT FOR TYPE boolean USING faissflat AS
    OPERATOR 1 < (boolean, boolean),
    OPERATOR 2 <= (boolean, boolean),
    OPERATOR 3 = (boolean, boolean),
    OPERATOR 4 >= (boolean, boolean),
    OPERATOR 5 > (boolean, boolean),
    FUNCTION 1 faiss.bool_support(internal);
CREATE OPERATOR CLASS @extschema@.int2_ops DEFAULT FOR TYPE int2 USING faissflat FAMILY @extschema@.integer_ops AS
    OPERATOR 1 < (int2, int2),
    OPERATOR 2 <= (int2, int2),
    OPERATOR 3 = (int2, int2),
    OPERATOR 4 >= (int2, int2),
    OPERATOR 5 > (int2, int2),
    FUNCTION 1 faiss.int2_support(internal);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faissflat ADD
    OPERATOR 1 < (int2, int4),
    OPERATOR 2 <= (int2, int4),
    OPERATOR 3 = (int2, int4),
    OPERATOR 4 >= (int2, int4),
    OPERATOR 5 > (int2, int4);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faissflat ADD
    OPERATOR 1 < (int2, int8),
    OPERATOR 2 <= (int2, int8),
    OPERATOR 3 = (int2, int8),
    OPERATOR 4 >= (int2, int8),
    OPERATOR 5 > (int2, int8);
CREATE OPERATOR CLASS @extschema@.int4_ops DEFAULT FOR TYPE int4 USING faissflat FAMILY @extschema@.integer_ops AS
    OPERATOR 1 < (int4, int4),
    OPERATOR 2 <= (int4, int4),
    OPERATOR 3 = (int4, int4),
    OPERATOR 4 >= (int4, int4),
    OPERATOR 5 > (int4, int4),
    FUNCTION 1 faiss.int4_support(internal);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faissflat ADD
    OPERATOR 1 < (int4, int2),
    OPERATOR 2 <= (int4, int2),
    OPERATOR 3 = (int4, int2),
    OPERATOR 4 >= (int4, int2),
    OPERATOR 5 > (int4, int2);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faissflat ADD
    OPERATOR 1 < (int4, int8),
    OPERATOR 2 <= (int4, int8),
    OPERATOR 3 = (int4, int8),
    OPERATOR 4 >= (int4, int8),
    OPERATOR 5 > (int4, int8);
CREATE OPERATOR CLASS @extschema@.int8_ops DEFAULT FOR TYPE int8 USING faissflat FAMILY @extschema@.integer_ops AS
    OPERATOR 1 < (int8, int8),
    OPERATOR 2 <= (int8, int8),
    OPERATOR 3 = (int8, int8),
    OPERATOR 4 >= (int8, int8),
    OPERATOR 5 > (int8, int8),
    FUNCTION 1 faiss.int8_support(internal);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faissflat ADD
    OPERATOR 1 < (int8, int2),
    OPERATOR 2 <= (int8, int2),
    OPERATOR 3 = (int8, int2),
    OPERATOR 4 >= (int8, int2),
    OPERATOR 5 > (int8, int2);
ALTER OPERATOR FAMILY @extschema@.integer_ops USING faissflat ADD
    OPERATOR 1 < (int8, int4),
    OPERATOR 2 <= (int8, int4),
    OPERATOR 3 = (int8, int4),
    OPERATOR 4 >= (int8, int4),
    OPERATOR 5 > (int8, int4);
CREATE OPERATOR CLASS @extschema@.float4_ops DEFAULT FOR TYPE float4 USING faissflat FAMILY @extschema@.float_ops AS
    OPERATOR 1 < (float4, float4),
    OPERATOR 2 <= (float4, float4),
    OPERATOR 3 = (float4, float4),
    OPERATOR 4 >= (float4, float4),
    OPERATOR 5 > (float4, float4),
    FUNCTION 1 faiss.float4_support(internal);
ALTER OPERATOR FAMILY @extschema@.float_ops USING faissflat ADD
    OPERATOR 1 < (float4, float8),
    OPERATOR 2 <= (float4, float8),
    OPERATOR 3 = (float4, float8),
    OPERATOR 4 >= (float4, float8),
    OPERATOR 5 > (float4, float8);
CREATE OPERATOR CLASS @extschema@.float8_ops DEFAULT FOR TYPE float8 USING faissflat FAMILY @extschema@.float_ops AS
    OPERATOR 1 < (float8, float8),
    OPERATOR 2 <= (float8, float8),
    OPERATOR 3 = (float8, float8),
    OPERATOR 4 >= (float8, float8),
    OPERATOR 5 > (float8, float8),
    FUNCTION 1 faiss.float8_support(internal);
ALTER OPERATOR FAMILY @extschema@.float_ops USING faissflat ADD
    OPERATOR 1 < (float8, float4),
    OPERATOR 2 <= (float8, float4),
    OPERATOR 3 = (float8, float4),
    OPERATOR 4 >= (float8, float4),
    OPERATOR 5 > (float8, float4);
CREATE OPERATOR CLASS @extschema@.numeric_ops DEFAULT FOR TYPE numeric USING faissflat AS
    OPERATOR 1 < (numeric, numeric),
    OPERATOR 2 <= (numeric, numeric),
    OPERATOR 3 = (numeric, numeric),
    OPERATOR 4 >= (numeric, numeric),
    OPERATOR 5 > (numeric, numeric),
    FUNCTION 1 faiss.numeric_support(internal);
CREATE OPERATOR CLASS @extschema@.oid_ops DEFAULT FOR TYPE oid USING faissflat AS
    OPERATOR 1 < (oid, oid),
    OPERATOR 2 <= (oid, oid),
    OPERATOR 3 = (oid, oid),
    OPERATOR 4 >= (oid, oid),
    OPERATOR 5 > (oid, oid),
    FUNCTION 1 faiss.oid_support(internal);
CREATE OPERATOR CLASS @extschema@.date_ops DEFAULT FOR TYPE date USING faissflat AS
    OPERATOR 1 < (date, date),
    OPERATOR 2 <= (date, date),
    OPERATOR 3 = (date, date),
    OPERATOR 4 >= (date, date),
    OPERATOR 5 > (date, date),
    FUNCTION 1 faiss.int4_support(internal);
CREATE OPERATOR CLASS @extschema@.timestamp_ops DEFAULT FOR TYPE timestamp USING faissflat AS
    OPERATOR 1 < (timestamp, timestamp),
    OPERATOR 2 <= (timestamp, timestamp),
    OPERATOR 3 = (timestamp, timestamp),
    OPERATOR 4 >= (timestamp, timestamp),
    OPERATOR 5 > (timestamp, timestamp),
    FUNCTION 1 faiss.int8_support(internal);
CREATE OPERATOR CLASS @extschema@.timestamptz_ops DEFAULT FOR TYPE timestamptz USING faissflat AS
    OPERATOR 1 < (timestamptz, timestamptz),
    OPERATOR 2 <= (timestamptz, timestamptz),
    OPERATOR 3 = (timestamptz, timestamptz),
    OPERATOR 4 >= (timestamptz, timestamptz),
    OPERATOR 5 > (timestamptz, timestamptz),
    FUNCTION 1 faiss.int8_support(internal);
CREATE OPERATOR CLASS @extschema@.time_ops DEFAULT FOR TYPE time USING faissflat AS
    OPERATOR 1 < (time, time),
    OPERATOR 2 <= (time, time),
    OPERATOR 3 = (time, time),
    OPERATOR 4 >= (time, time),
    OPERATOR 5 > (time, time),
    FUNCTION 1 faiss.int8_support(internal);
CREATE OPERATOR CLASS @extschema@.uuid_ops DEFAULT FOR TYPE uuid USING faissflat AS
    OPERATOR 1 < (uuid, uuid),
    OPERATOR 2 <= (uuid, uuid),
    OPERATOR 3 = (uuid, uuid),
    OPERATOR 4 >= (uuid, uuid),
    OPERATOR 5 > (uuid, uuid),
    FUNCTION 1 faiss.uuid_support(internal);
CREATE OPERATOR CLASS @extschema@.text_ops DEFAULT FOR TYPE text USING faissflat AS
    OPERATOR 3 = (text, text),
    FUNCTION 1 faiss.hash_support(internal);
CREATE OPERATOR CLASS @extschema@.bpchar_ops DEFAULT FOR TYPE bpchar USING faissflat AS
    OPERATOR 3 = (bpchar, bpchar),
    FUNCTION 1 faiss.hash_support(internal);
CREATE OPERATOR CLASS @extschema@.inet_ops DEFAULT FOR TYPE inet USING faissflat AS
    OPERATOR 3 = (inet, inet),
    FUNCTION 1 faiss.hash_support(internal);
CREATE OPERATOR CLASS @extschema@.enum_ops DEFAULT FOR TYPE anyenum USING faissflat AS
    OPERATOR 3 = (anyenum, anyenum),
    FUNCTION 1 faiss.oid_support(internal);
CREATE OPERATOR CLASS @extschema@.array_ops DEFAULT FOR TYPE anyarray USING faissflat AS
    OPERATOR 6 && (anyarray, anyarray),
    OPERATOR 7 @> (anyarray, anyarray),
    FUNCTION 1 faiss.array_support(internal);
