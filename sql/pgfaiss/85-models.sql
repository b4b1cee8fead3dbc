-- Trained models: what CREATE INDEX … WITH (model = name) takes in place of training.
--
-- A model is one row of one table, because a parallel restore loads tables in any order: it is there whole or not at all.
-- Only the functions below write the table for ordinary roles. The extension's owner may read and fill it, because that is
-- what pg_dump and a restore do. The parameters tell about the rows they were trained on, so nobody else reads them: the
-- view shows the rest.

CREATE TABLE faiss.model_parameters (
    name text PRIMARY KEY,
    owner name NOT NULL,
    method text NOT NULL,
    factory text NOT NULL,
    metric text NOT NULL,
    dims integer NOT NULL,
    nlist integer,
    relation text,
    column_name text,
    element_type text,
    total_rows bigint,
    trained_rows bigint NOT NULL,
    seed bigint NOT NULL,
    coarse_error double precision,
    code_error double precision,
    trained_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    parameters bytea NOT NULL
);
-- Floats hardly compress.
ALTER TABLE faiss.model_parameters ALTER COLUMN parameters SET STORAGE EXTERNAL;
COMMENT ON TABLE faiss.model_parameters IS
    'trained models, each whole in one row; readable only by who dumps the database, all but the parameters by everybody in faiss.models';
COMMENT ON COLUMN faiss.model_parameters.parameters IS
    'rotation, centroids and codebooks, with a checksum';

CREATE VIEW faiss.models AS
SELECT name, owner, method, factory, metric, dims, nlist, relation, column_name, element_type, total_rows, trained_rows,
    seed, coarse_error, code_error, pg_catalog.octet_length(parameters)::bigint AS bytes, trained_at
FROM faiss.model_parameters;
COMMENT ON VIEW faiss.models IS
    'trained models for CREATE INDEX … WITH (model = name); faiss.train makes them, faiss.import_model takes them from FAISS files, faiss.drop_model removes them';
COMMENT ON COLUMN faiss.models.name IS 'what option model says';
COMMENT ON COLUMN faiss.models.owner IS
    'the role that trained it: its members may use and drop the model. By name, so that a dump can be restored without the role';
COMMENT ON COLUMN faiss.models.method IS 'the access method of its indexes';
COMMENT ON COLUMN faiss.models.factory IS 'what its indexes are made of, as a FAISS factory string';
COMMENT ON COLUMN faiss.models.metric IS 'the metric of their operator class: l2, inner_product or cosine';
COMMENT ON COLUMN faiss.models.dims IS 'the dimensions of their column';
COMMENT ON COLUMN faiss.models.nlist IS 'inverted lists; null of faissflat';
COMMENT ON COLUMN faiss.models.relation IS 'the relation it was trained on; null, as the next three, if it came from a FAISS file';
COMMENT ON COLUMN faiss.models.column_name IS 'the column it was trained on';
COMMENT ON COLUMN faiss.models.element_type IS
    'the type of that column; the model serves columns of either type';
COMMENT ON COLUMN faiss.models.total_rows IS 'vectors that the relation had';
COMMENT ON COLUMN faiss.models.trained_rows IS 'rows of the sample it was trained on; of a FAISS file, which does not say it, 39 for each list, or the vectors in it if these are more';
COMMENT ON COLUMN faiss.models.seed IS 'seed of all randomness; of a model from a FAISS file the default';
COMMENT ON COLUMN faiss.models.coarse_error IS
    'mean error of rows of the sample against their centroid: squared distance under l2, else what their norm exceeds their product with it by; null of faissflat';
COMMENT ON COLUMN faiss.models.code_error IS
    'mean squared distance of rows of the sample to what their codes stand for; null where the code is not trained';
COMMENT ON COLUMN faiss.models.bytes IS 'bytes of its parameters';
COMMENT ON COLUMN faiss.models.trained_at IS 'when it was trained';

-- A restore may make indexes before it loads their models. Such an index is untrained, and is built again by the statement that
-- brings its model. One that cannot be built stays as it is, and is no reason not to load the model.
CREATE FUNCTION faiss.build_awaiting_indexes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    awaiting regclass;
BEGIN
    -- Off in every restore, as where the build let the model be missing.
    IF current_setting('check_function_bodies')::boolean THEN
        RETURN NULL;
    END IF;
    FOR awaiting IN
        SELECT c.oid FROM pg_class c JOIN pg_am a ON a.oid = c.relam
        WHERE a.amname IN ('faissivf', 'faissflat') AND c.relkind = 'i' AND concat('model=', NEW.name) = ANY (c.reloptions)
        ORDER BY c.oid
    LOOP
        BEGIN
            IF (SELECT i.is_valid AND NOT i.is_trained AND i.model IS NULL FROM faiss.index_info(awaiting) i) THEN
                EXECUTE format('REINDEX INDEX %s', awaiting);
            END IF;
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'index % cannot be built from model "%": %', awaiting, NEW.name, SQLERRM
                USING ERRCODE = SQLSTATE, HINT = format('When that is mended, run: REINDEX INDEX %s;', awaiting);
        END;
    END LOOP;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION faiss.build_awaiting_indexes() FROM PUBLIC;
COMMENT ON FUNCTION faiss.build_awaiting_indexes() IS
    'trigger: a restore that brings a model builds the indexes that it has made before';
CREATE TRIGGER build_awaiting_indexes AFTER INSERT ON faiss.model_parameters
    FOR EACH ROW EXECUTE FUNCTION faiss.build_awaiting_indexes();

GRANT SELECT ON faiss.models TO PUBLIC;
GRANT SELECT, INSERT ON faiss.model_parameters TO @extowner@;

SELECT pg_catalog.pg_extension_config_dump('faiss.model_parameters', '');

CREATE FUNCTION faiss.train(
    name text, relation regclass, "column" text, factory text DEFAULT NULL, metric text DEFAULT 'l2',
    seed integer DEFAULT 1234, sample_rows bigint DEFAULT NULL)
RETURNS TABLE (trained_as text, trained_rows bigint, coarse_error double precision, code_error double precision, bytes bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'train_wrapper';
COMMENT ON FUNCTION faiss.train(text, regclass, text, text, text, integer, bigint) IS
    'trains a model on a sample of a column and stores it in faiss.models, for CREATE INDEX … WITH (model = name); factory null: inverted lists by the row count';

CREATE FUNCTION faiss.drop_model(name text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'drop_model_wrapper';
COMMENT ON FUNCTION faiss.drop_model(text) IS
    'removes a model that no index names; indexes that were built with it stay as they are';
