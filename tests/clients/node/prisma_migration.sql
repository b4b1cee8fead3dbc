-- What `prisma migrate diff` makes of the schema with `extensions = [vector]`, and the index, which is written by hand.
CREATE EXTENSION IF NOT EXISTS "vector";

CREATE TABLE "Item" (
    "n" INTEGER NOT NULL,
    "kind" TEXT NOT NULL,
    "embedding" vector(16) NOT NULL,

    CONSTRAINT "Item_pkey" PRIMARY KEY ("n")
);

CREATE INDEX item_graph ON "Item" USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64);
