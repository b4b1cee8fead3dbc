-- Operator classes go to the schema of the extension vector: whoever finds the types finds them, too. Nothing here is looked
-- up elsewhere, so that nobody's type or operator of the same name is taken for vector's.

SELECT pg_catalog.set_config('search_path',
    (SELECT pg_catalog.quote_ident(n.nspname) || ', pg_temp'
     FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'vector'),
    true);
