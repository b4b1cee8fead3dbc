CREATE INDEX CONCURRENTLY fresh ON data_docs USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64);
DROP INDEX data_docs_embedding_idx;
ALTER INDEX fresh RENAME TO data_docs_embedding_idx;
