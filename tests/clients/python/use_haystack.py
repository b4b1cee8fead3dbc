"""Haystack's PgvectorDocumentStore, exact and with an index."""

from client import *
from haystack import Document
from haystack.utils import Secret
from haystack_integrations.components.retrievers.pgvector import (
    PgvectorEmbeddingRetriever,
    PgvectorKeywordRetriever,
)
from haystack_integrations.document_stores.pgvector import PgvectorDocumentStore

versions("pgvector-haystack", "haystack-ai", "pgvector")

documents = [
    Document(id=str(n), content=text, meta={"n": n, "kind": kinds[n]}, embedding=embeddings[n])
    for n, text in enumerate(texts)
]
NEWS = {"field": "meta.kind", "operator": "==", "value": "news"}


def open_store(table: str, **options: object) -> PgvectorDocumentStore:
    return PgvectorDocumentStore(
        connection_string=Secret.from_token(URL),
        table_name=table,
        embedding_dimension=16,
        vector_function="cosine_similarity",
        keyword_index_name=f"{table}_words",
        **options,
    )


def numbers(store: PgvectorDocumentStore, filters: dict | None = None) -> list[int]:
    retriever = PgvectorEmbeddingRetriever(document_store=store, top_k=5)
    return [document.meta["n"] for document in retriever.run(question, filters=filters)["documents"]]


with step("exact: documents, search, filter, words"):
    exact = open_store("exact_docs")
    exact.write_documents(documents)
    same(numbers(exact), nearest())
    same(numbers(exact, NEWS), nearest(kind="news"))
    words = PgvectorKeywordRetriever(document_store=exact, top_k=3).run(query="document")["documents"]
    same(len(words), 3)

graph = {
    "search_strategy": "hnsw",
    "hnsw_index_name": "docs_graph",
    "hnsw_index_creation_kwargs": {"m": 16, "ef_construction": 64},
    "hnsw_ef_search": 100,
}
with step("hnsw: documents"):
    store = open_store("docs", **graph)
    store.write_documents(documents)
    settle("docs_graph")
    store = open_store("docs", **graph)
with step("hnsw: search", index="docs_graph"):
    same(numbers(store), nearest())
with step("hnsw: filter"):
    same(numbers(store, NEWS), nearest(kind="news"))

halves = {"search_strategy": "hnsw", "hnsw_index_name": "halves_graph", "vector_type": "halfvec"}
with step("halfvec: documents"):
    store = open_store("halves", **halves)
    store.write_documents(documents)
    settle("halves_graph")
with step("halfvec: search", index="halves_graph"):
    same(numbers(store), nearest())
