-- A page about an index, to look at in a browser.

CREATE FUNCTION faiss.report(index regclass, target_recall double precision DEFAULT 0.95, measure boolean DEFAULT true) RETURNS text
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pgfaiss_report';

COMMENT ON FUNCTION faiss.report(regclass, double precision, boolean) IS
    'one HTML page about an index, which needs no network: recall against time with the setting that reaches target_recall, lengths of lists, how well it still fits its table, options and settings; measure false: without recall';
