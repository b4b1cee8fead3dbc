-- Trained models: what CREATE INDEX … WITH (model = name) takes in place of training. pg_dump carries both tables.
--
-- Only the functions below write them for ordinary roles. The extension's owner may read and fill both, because that is
-- what pg_dump and a restore do. The parameters tell about the rows they were trained on, so nobody else reads them.

CREATE TABLE faiss.models (
    name text PRIMARY KEY,
    owner name NOT NULL,
    method text NOT NULL,
    factory text NOT NULL,
    metric text NOT NULL,
    dims integer NOT NULL,
    nlist integer,
    relation text NOT NULL,
    column_name text NOT NULL,
    element_type text NOT NULL,
    total_rows bigint NOT NULL,
    trained_rows bigint NOT NULL,
    seed bigint NOT NULL,
    coarse_error double precision,
    code_error double precision,
    bytes bigint NOT NULL,
    trained_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE faiss.models IS
    'trained models for CREATE INDEX … WITH (model = name); faiss.train makes them, faiss.drop_model removes them';
COMMENT ON COLUMN faiss.models.name IS 'what option model says';
COMMENT ON COLUMN faiss.models.owner IS
    'the role that trained it: its members may use and drop the model. By name, so that a dump can be restored without the role';
COMMENT ON COLUMN faiss.models.method IS 'the access method of its indexes';
COMMENT ON COLUMN faiss.models.factory IS 'what its indexes are made of, as a FAISS factory string';
COMMENT ON COLUMN faiss.models.metric IS 'the metric of their operator class: l2, inner_product or cosine';
COMMENT ON COLUMN faiss.models.dims IS 'the dimensions of their column';
COMMENT ON COLUMN faiss.models.nlist IS 'inverted lists; null of faissflat';
COMMENT ON COLUMN faiss.models.relation IS 'the relation it was trained on';
COMMENT ON COLUMN faiss.models.column_name IS 'the column it was trained on';
COMMENT ON COLUMN faiss.models.element_type IS
    'the type of that column; the model serves columns of either type';
COMMENT ON COLUMN faiss.models.total_rows IS 'vectors that the relation had';
COMMENT ON COLUMN faiss.models.trained_rows IS 'rows of the sample it was trained on';
COMMENT ON COLUMN faiss.models.seed IS 'seed of all randomness';
COMMENT ON COLUMN faiss.models.coarse_error IS
    'mean error of rows of the sample against their centroid: squared distance under l2, else what their norm exceeds their product with it by; null of faissflat';
COMMENT ON COLUMN faiss.models.code_error IS
    'mean squared distance of rows of the sample to what their codes stand for; null where the code is not trained';
COMMENT ON COLUMN faiss.models.bytes IS 'bytes of its parameters';
COMMENT ON COLUMN faiss.models.trained_at IS 'when it was trained';

CREATE TABLE faiss.model_parameters (
    name text PRIMARY KEY REFERENCES faiss.models ON DELETE CASCADE,
    parameters bytea NOT NULL
);
-- Floats hardly compress.
ALTER TABLE faiss.model_parameters ALTER COLUMN parameters SET STORAGE EXTERNAL;
COMMENT ON TABLE faiss.model_parameters IS
    'rotation, centroids and codebooks of faiss.models, with a checksum; readable only by who dumps the database';

GRANT SELECT ON faiss.models TO PUBLIC;
GRANT SELECT, INSERT ON faiss.models, faiss.model_parameters TO @extowner@;

SELECT pg_catalog.pg_extension_config_dump('faiss.models', '');
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
