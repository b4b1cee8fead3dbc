"""vecs, Supabase's client: it makes the extension itself and looks for its version."""

import vecs
from client import *

versions("vecs", "pgvector")


def ids(collection: object, **options: object) -> list[int]:
    return [int(found) for found in collection.query(data=question, limit=5, **options)]


def index_of(collection: object) -> str:
    """vecs gives an index a name with a random part."""
    collection._index = None
    return collection.index


with step("collection and records"):
    client = vecs.create_client(URL)
    docs = client.get_or_create_collection(name="docs", dimension=16)
    docs.upsert((str(n), embeddings[n], {"kind": kinds[n]}) for n in range(ROWS))
with step("index of vecs's choice"):
    docs.create_index()
    settle(index_of(docs))
with step("search", index=index_of(docs)):
    same(ids(docs), nearest())
with step("filter"):
    same(ids(docs, filters={"kind": {"$eq": "news"}}), nearest(kind="news"))
with step("hnsw by l2"):
    options = vecs.IndexArgsHNSW(m=8, ef_construction=32)
    docs.create_index(vecs.IndexMeasure.l2_distance, vecs.IndexMethod.hnsw, options)
    settle(index_of(docs))
with step("search by l2", index=index_of(docs)):
    same(ids(docs, measure="l2_distance", ef_search=100), nearest("l2"))
with step("ivfflat"):
    options = vecs.IndexArgsIVFFlat(n_lists=10)
    docs.create_index(vecs.IndexMeasure.cosine_distance, vecs.IndexMethod.ivfflat, options)
    settle(index_of(docs))
with step("search with probes", index=index_of(docs)):
    same(ids(docs, probes=10), nearest())
