-- What the extension pgfaiss_shards needs here. Anybody may call them.

CREATE FUNCTION faiss.explicit_settings()
RETURNS TABLE (name text, setting text)
AS 'MODULE_PATHNAME', 'pgfaiss_explicit_settings' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 3;
COMMENT ON FUNCTION faiss.explicit_settings() IS
    'the settings of searches that were set for this database, role, session or transaction, and so win over the options of indexes';

CREATE FUNCTION faiss.pause(microseconds integer) RETURNS integer
    AS 'MODULE_PATHNAME', 'pgfaiss_pause' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION faiss.pause(integer) IS
    'waits so many microseconds, at most 10,000, and can be cancelled';
