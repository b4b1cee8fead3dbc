-- Types and operators are looked up in the schema of the extension vector and nowhere else, so that nobody's type or operator of
-- the same name is taken for vector's. Operator classes go to the schema named in CREATE EXTENSION pgfaiss: the extension vector
-- may be moved to another one later, and a dump must find them where it says.

SELECT pg_catalog.set_config('search_path',
    (SELECT pg_catalog.quote_ident(n.nspname) || ', pg_temp'
     FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'vector'),
    true);

-- pgvector has halfvec and the operators of bit from 0.7 on.
DO $$
BEGIN
    IF pg_catalog.to_regtype('halfvec') IS NULL THEN
        RAISE EXCEPTION 'extension "vector" is too old for pgfaiss'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                DETAIL = (SELECT pg_catalog.format('It is of version %s and has no type halfvec.', e.extversion)
                    FROM pg_catalog.pg_extension e WHERE e.extname = 'vector'),
                HINT = 'Install pgvector 0.7 or newer, and run ALTER EXTENSION vector UPDATE.';
    END IF;
END $$;
