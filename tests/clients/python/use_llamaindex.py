"""LlamaIndex's PGVectorStore, which only logs when it cannot make its index: so the index is looked for."""

import asyncio

from client import *
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, VectorStoreQuery
from llama_index.vector_stores.postgres import PGVectorStore

versions("llama-index-vector-stores-postgres", "llama-index-core", "pgvector")


SQL = Path(__file__).parent.parent / "sql"


def open_store(table: str, **options: object) -> PGVectorStore:
    """Makes what is missing of table and index when it is first used."""
    return PGVectorStore.from_params(
        host=HOST, port=str(PORT), user=USER, password=PASSWORD, database=DATABASE,
        table_name=table,
        embed_dim=16,
        hnsw_kwargs={
            "hnsw_m": 16,
            "hnsw_ef_construction": 64,
            "hnsw_ef_search": 100,
            "hnsw_dist_method": "halfvec_cosine_ops" if "use_halfvec" in options else "vector_cosine_ops",
        },
        **options,
    )


nodes = [
    TextNode(id_=str(n), text=text, metadata={"n": n, "kind": kinds[n]}, embedding=embeddings[n])
    for n, text in enumerate(texts)
]


def search(kind: str | None = None) -> VectorStoreQuery:
    filters = MetadataFilters(filters=[MetadataFilter(key="kind", value=kind)]) if kind else None
    return VectorStoreQuery(query_embedding=question, similarity_top_k=5, filters=filters)


def numbers(result: object) -> list[int]:
    return [node.metadata["n"] for node in result.nodes]


with step("nodes and index"):
    store = open_store("docs")
    store.add(nodes)
    settle("data_docs_embedding_idx")
    store = open_store("docs")
with step("search", index="data_docs_embedding_idx"):
    same(numbers(store.query(search())), nearest())
with step("filter"):
    same(numbers(store.query(search(kind="news"))), nearest(kind="news"))

if BESIDE:
    with step("what the documentation tells an administrator"):
        execute(SQL.joinpath("beside.sql").read_text())
    with step("search after that", index="data_docs_embedding_idx"):
        store = open_store("docs")
        same(numbers(store.query(search())), nearest())
        execute("ALTER ROLE client RESET ALL")
    with step("the way back"):
        execute(SQL.joinpath("back.sql").read_text())
        same(numbers(open_store("docs").query(search())), nearest())
    with step("ours again", index="data_docs_embedding_idx"):
        settle("data_docs_embedding_idx")
        same(numbers(open_store("docs").query(search())), nearest())

with step("halfvec"):
    halves = open_store("halves", use_halfvec=True)
    halves.add(nodes)
    settle("data_halves_embedding_idx")
with step("search halves", index="data_halves_embedding_idx"):
    same(numbers(halves.query(search())), nearest())


async def asynchronous() -> list[int]:
    again = open_store("docs")
    return numbers(await again.aquery(search()))


with step("asynchronous", index="data_docs_embedding_idx"):
    same(asyncio.run(asynchronous()), nearest())
with step("delete"):
    store.delete_nodes([str(nearest()[0])])
    same(numbers(store.query(search())), nearest(k=6)[1:])
