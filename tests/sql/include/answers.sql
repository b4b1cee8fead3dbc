\set ECHO none
-- What the stories that compare an index with a sort have in common; psql does not show it.
CREATE FUNCTION random_vector(dims int) RETURNS vector LANGUAGE sql VOLATILE
AS 'SELECT array_agg((random() * 2 - 1)::real)::vector FROM generate_series(1, dims)';
CREATE FUNCTION operator_of(metric text) RETURNS text LANGUAGE sql
AS $$ SELECT CASE metric WHEN 'l2' THEN '<->' WHEN 'ip' THEN '<#>' WHEN 'cosine' THEN '<=>' ELSE '<+>' END $$;
-- From here to the end of the transaction the query goes through an index, or past all; otherwise an error.
CREATE FUNCTION go_by_index(query text, by_index boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    plan text := '';
    line text;
BEGIN
    PERFORM set_config('enable_seqscan', CASE WHEN by_index THEN 'off' ELSE 'on' END, true),
        set_config('enable_indexscan', CASE WHEN by_index THEN 'on' ELSE 'off' END, true);
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        plan := plan || line;
    END LOOP;
    IF (plan ~ 'Index Scan') IS DISTINCT FROM by_index THEN
        RAISE EXCEPTION 'not the plan to compare: %', plan;
    END IF;
END $$;
-- A query's distances in order of return, how many rows they belong to, and the sum of these.
CREATE FUNCTION answer(tab regclass, col name, op text, q text, k int, by_index boolean, OUT distances float8[], OUT ids bigint, OUT sum numeric)
LANGUAGE plpgsql AS $$
DECLARE
    distance text := format('%I %s %L', col, op, q);
    filter text := CASE WHEN by_index THEN '' ELSE format($f$WHERE %s < 'NaN'$f$, distance) END;
    query text := format('SELECT id, %1$s AS d FROM %2$s %3$s ORDER BY %1$s LIMIT %4$s', distance, tab, filter, k);
BEGIN
    PERFORM go_by_index(query, by_index);
    EXECUTE format('SELECT array_agg(d), (SELECT count(DISTINCT i) FROM unnest(array_agg(id)) i), sum(id) FROM (%s) s', query) INTO distances, ids, sum;
END $$;
-- A query's distances in order of return, and its rows in order of distance; of the rows that pass a filter.
CREATE FUNCTION ranking(tab regclass, col name, op text, q text, filter text, k int, by_index boolean, OUT distances float8[], OUT ids int[])
LANGUAGE plpgsql AS $$
DECLARE
    distance text := format('%I %s %L', col, op, q);
    nan_free text := CASE WHEN by_index THEN '' ELSE format($f$AND %s < 'NaN'$f$, distance) END;
    query text := format('SELECT id, %1$s AS d FROM %2$s WHERE %3$s %4$s ORDER BY %1$s LIMIT %5$s', distance, tab, filter, nan_free, k);
BEGIN
    PERFORM go_by_index(query, by_index);
    EXECUTE format('SELECT array_agg(d ORDER BY n), array_agg(id ORDER BY d, id) FROM (SELECT id, d, row_number() OVER () AS n FROM (%s) s) s', query)
        INTO distances, ids;
END $$;
-- In how many queries of the table query an index differs from a sort: in the first 10 rows, and in all rows.
CREATE FUNCTION differences(tab regclass, col name, op text, OUT queries int, OUT top_10 int, OUT all_rows int)
LANGUAGE plpgsql AS $$
DECLARE
    q text;
    found record;
    expected record;
BEGIN
    queries := 0;
    top_10 := 0;
    all_rows := 0;
    FOR q IN SELECT query.q FROM query LOOP
        queries := queries + 1;
        found := answer(tab, col, op, q, 10, true);
        expected := answer(tab, col, op, q, 10, false);
        top_10 := top_10 + (found.distances IS DISTINCT FROM expected.distances OR found.ids <> expected.ids)::int;
        found := answer(tab, col, op, q, 1000000, true);
        expected := answer(tab, col, op, q, 1000000, false);
        all_rows := all_rows + (found IS DISTINCT FROM expected OR expected.ids <> coalesce(cardinality(expected.distances), 0))::int;
    END LOOP;
END $$;
\set ECHO all
