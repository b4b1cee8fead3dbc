"""mem0's vector store for PostgreSQL, with its index and without."""

import os
import uuid

os.environ["MEM0_TELEMETRY"] = "False"

from client import *
from mem0.configs.vector_stores.pgvector import PGVectorConfig
from mem0.vector_stores.pgvector import PGVector

versions("mem0ai", "psycopg")


def open_store(collection: str, hnsw: bool) -> PGVector:
    """What `Memory.from_config` makes of this configuration."""
    config = PGVectorConfig(
        host=HOST,
        port=PORT,
        user=USER,
        password=PASSWORD,
        dbname=DATABASE,
        collection_name=collection,
        embedding_model_dims=16,
        hnsw=hnsw,
    )
    return PGVector(**config.model_dump())


def fill(store: PGVector) -> None:
    payloads = [{"n": n, "kind": kinds[n], "text_lemmatized": text} for n, text in enumerate(texts)]
    ids = [str(uuid.uuid5(uuid.NAMESPACE_OID, str(n))) for n in range(ROWS)]
    store.insert(embeddings, payloads=payloads, ids=ids)


def numbers(store: PGVector, **options: object) -> list[int]:
    return [found.payload["n"] for found in store.search(QUESTION, question, top_k=5, **options)]


with step("memories with an index"):
    store = open_store("memories", hnsw=True)
    fill(store)
    settle("memories_hnsw_idx")
    store = open_store("memories", hnsw=True)
with step("search", index="memories_hnsw_idx"):
    same(numbers(store), nearest())
with step("filter"):
    same(numbers(store, filters={"kind": "news"}), nearest(kind="news"))

with step("without an index"):
    plain = open_store("plain_memories", hnsw=False)
    fill(plain)
    same(numbers(plain), nearest())
with step("list of collections"):
    assert {"memories", "plain_memories"} <= set(store.list_cols())
