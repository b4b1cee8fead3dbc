-- What is searched: the column, its operator, its key.

-- A column of vectors: its name, its type as a statement writes it, and the operator that orders by distance.
CREATE TYPE faiss_shards.target AS (column_name text, type_name text, operator text, signature text, key text);

CREATE FUNCTION faiss_shards.target(
    parent regclass, element regtype, column_name text, key text, metric text)
RETURNS faiss_shards.target LANGUAGE plpgsql STABLE PARALLEL UNSAFE AS $$
DECLARE
    columns text[];
    has_key boolean;
    has_index boolean;
    vectors text;
    sign text;
    result faiss_shards.target;
BEGIN
    result.key := coalesce(key, 'id');
    SELECT (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
            WHERE a.attrelid = parent AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = element
              AND (column_name IS NULL OR a.attname = column_name)),
        (SELECT count(*) > 0 FROM pg_attribute a
            WHERE a.attrelid = parent AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = result.key),
        (SELECT count(*) > 0 FROM pg_index i WHERE i.indrelid = parent),
        (SELECT m.nspname FROM pg_extension e JOIN pg_namespace m ON m.oid = e.extnamespace WHERE e.extname = 'vector'),
        format('%I.%I', n.nspname, t.typname)
    INTO columns, has_key, has_index, vectors, result.type_name
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = element;
    IF columns IS NULL THEN
        RAISE EXCEPTION 'table "%" has no column%of type %', parent, coalesce(' "' || column_name || '" ', ' '), element
            USING ERRCODE = 'undefined_column', HINT = 'Cast the queries to an array of the column''s type.';
    ELSIF cardinality(columns) > 1 THEN
        RAISE EXCEPTION 'table "%" has % columns of type %', parent, cardinality(columns), element
            USING ERRCODE = 'ambiguous_column', DETAIL = format('They are %s.', array_to_string(columns, ', ')),
                HINT = 'Name one by the argument "column".';
    ELSIF NOT has_key THEN
        RAISE EXCEPTION 'table "%" has no column "%"', parent, result.key
            USING ERRCODE = 'undefined_column', HINT = 'Name the column that identifies a row by the argument "key_column".';
    END IF;
    result.column_name := columns[1];
    sign := CASE WHEN metric IS NOT NULL THEN faiss_shards.operator_of_metric(metric)
        WHEN has_index THEN faiss_shards.operator_of_index(parent, columns[1])
        ELSE '<->' END;
    result.operator := format('OPERATOR(%I.%s)', vectors, sign);
    result.signature := format('%I.%s(%s,%s)', vectors, sign, result.type_name, result.type_name);
    IF to_regoperator(result.signature) IS NULL THEN
        RAISE EXCEPTION 'operator % does not exist for type %', sign, element
            USING ERRCODE = 'undefined_function', HINT = 'Name another by the argument "metric".';
    END IF;
    RETURN result;
END $$;

CREATE FUNCTION faiss_shards.operator_of_metric(metric text)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    sign text := CASE metric WHEN 'l2' THEN '<->' WHEN 'inner_product' THEN '<#>' WHEN 'cosine' THEN '<=>'
        WHEN 'l1' THEN '<+>' WHEN 'hamming' THEN '<~>' WHEN 'jaccard' THEN '<%>' END;
BEGIN
    IF sign IS NULL THEN
        RAISE EXCEPTION 'metric "%" does not exist', metric USING ERRCODE = 'invalid_parameter_value',
            HINT = 'There are l2, inner_product, cosine and l1, and for bit hamming and jaccard.';
    END IF;
    RETURN sign;
END $$;

-- That of an index which the table has here, else that of Euclidean distance. An index on a partitioned table of foreign
-- tables holds nothing, but says which distance is meant.
CREATE FUNCTION faiss_shards.operator_of_index(parent regclass, column_name text)
RETURNS text LANGUAGE plpgsql STABLE PARALLEL UNSAFE AS $$
BEGIN
    RETURN coalesce((
        SELECT o.oprname::text FROM pg_index i
            JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = column_name
            CROSS JOIN generate_series(0, i.indnkeyatts - 1) p
            JOIN pg_opclass k ON k.oid = i.indclass[p]
            JOIN pg_amop f ON f.amopfamily = k.opcfamily AND f.amoppurpose = 'o' AND f.amoplefttype = k.opcintype
            JOIN pg_operator o ON o.oid = f.amopopr
        WHERE i.indrelid = parent AND i.indkey[p] = a.attnum
          AND m.amname IN ('faissflat', 'faissivf', 'faisshnsw', 'hnsw', 'ivfflat')
        ORDER BY i.indexrelid LIMIT 1), '<->');
END $$;
