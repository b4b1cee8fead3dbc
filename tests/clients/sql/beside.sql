CREATE INDEX CONCURRENTLY fresh ON data_docs USING faisshnsw (embedding vector_cosine_ops);
DROP INDEX data_docs_embedding_idx;
ALTER INDEX fresh RENAME TO data_docs_embedding_idx;

ALTER INDEX data_docs_embedding_idx SET (efSearch = 100);
ALTER ROLE client SET faiss."efSearch" = 100;
