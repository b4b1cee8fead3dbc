-- What is searched: the column, its operator, its key.

-- A column of vectors: its name, its type as a statement writes it, and the operator that orders by distance.
CREATE TYPE faiss_shards.target AS (column_name text, type_name text, operator text, key text);

CREATE FUNCTION faiss_shards.target(
    parent regclass, element regtype, column_name text, key text, metric text)
RETURNS faiss_shards.target LANGUAGE plpgsql STABLE PARALLEL UNSAFE AS $$
DECLARE
    columns text[];
    sign text;
    result faiss_shards.target;
BEGIN
    SELECT array_agg(a.attname::text ORDER BY a.attnum) INTO columns FROM pg_attribute a
    WHERE a.attrelid = parent AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = element
      AND (column_name IS NULL OR a.attname = column_name);
    IF columns IS NULL AND column_name IS NOT NULL THEN
        RAISE EXCEPTION 'table "%" has no column "%" of type %', parent, column_name, element
            USING ERRCODE = 'undefined_column', HINT = 'Cast the queries to an array of the column''s type.';
    ELSIF columns IS NULL THEN
        RAISE EXCEPTION 'table "%" has no column of type %', parent, element
            USING ERRCODE = 'undefined_column', HINT = 'Cast the queries to an array of the column''s type.';
    ELSIF cardinality(columns) > 1 THEN
        RAISE EXCEPTION 'table "%" has % columns of type %', parent, cardinality(columns), element
            USING ERRCODE = 'ambiguous_column', DETAIL = format('They are %s.', array_to_string(columns, ', ')),
                HINT = 'Name one by the argument "column".';
    END IF;
    result.column_name := columns[1];
    result.key := coalesce(key, 'id');
    PERFORM FROM pg_attribute a WHERE a.attrelid = parent AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = result.key;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table "%" has no column "%"', parent, result.key
            USING ERRCODE = 'undefined_column', HINT = 'Name the column that identifies a row by the argument "key_column".';
    END IF;
    sign := CASE WHEN metric IS NULL THEN faiss_shards.operator_of_index(parent, columns[1])
        ELSE faiss_shards.operator_of_metric(metric) END;
    SELECT format('%I.%I', n.nspname, t.typname), format('OPERATOR(%I.%s)', m.nspname, sign) INTO result.type_name, result.operator
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace,
        pg_extension e JOIN pg_namespace m ON m.oid = e.extnamespace
    WHERE t.oid = element AND e.extname = 'vector';
    IF to_regoperator(format('%s(%s,%s)', substring(result.operator FROM '^OPERATOR\((.*)\)$'), result.type_name, result.type_name)) IS NULL THEN
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
    -- The usual case, and much the cheaper one.
    IF NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = parent) THEN
        RETURN '<->';
    END IF;
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
