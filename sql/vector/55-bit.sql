-- Distances of the server's bit strings.

CREATE FUNCTION hamming_distance(bit, bit) RETURNS double precision
    AS 'MODULE_PATHNAME', 'pgfaiss_hamming_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION hamming_distance(bit, bit) IS
    'number of bits that differ';

CREATE FUNCTION jaccard_distance(bit, bit) RETURNS double precision
    AS 'MODULE_PATHNAME', 'pgfaiss_jaccard_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION jaccard_distance(bit, bit) IS
    '1 less the bits that both have among those that either has';

CREATE OPERATOR <~> (
    LEFTARG = bit, RIGHTARG = bit, FUNCTION = hamming_distance,
    COMMUTATOR = <~>
);
COMMENT ON OPERATOR <~> (bit, bit) IS 'Hamming distance';

CREATE OPERATOR <%> (
    LEFTARG = bit, RIGHTARG = bit, FUNCTION = jaccard_distance,
    COMMUTATOR = <%>
);
COMMENT ON OPERATOR <%> (bit, bit) IS 'Jaccard distance';
