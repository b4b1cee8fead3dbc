"""langchain-postgres: PGVectorStore with an index, and the older PGVector, which makes none."""

from client import *
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_postgres import Column, PGEngine, PGVector, PGVectorStore
from langchain_postgres.v2.indexes import DistanceStrategy, HNSWIndex, HNSWQueryOptions, IVFFlatIndex, IVFFlatQueryOptions

versions("langchain-postgres", "pgvector", "psycopg")


class Model(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [embed(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return embed(text)


model = Model()
connection = URL.replace("postgresql://", "postgresql+psycopg://")
documents = [
    Document(text, metadata={"n": n, "kind": kinds[n]}) for n, text in enumerate(texts)
]


def numbers(store: object, **options: object) -> list[int]:
    return [document.metadata["n"] for document in store.similarity_search(QUESTION, k=5, **options)]


with step("PGVectorStore: table and documents"):
    engine = PGEngine.from_connection_string(connection)
    columns = [Column("kind", "text"), Column("n", "int")]
    engine.init_vectorstore_table("docs", vector_size=16, metadata_columns=columns)
    store = PGVectorStore.create_sync(engine, model, "docs", metadata_columns=["kind", "n"])
    store.add_documents(documents)
with step("PGVectorStore: HNSWIndex"):
    store.apply_vector_index(HNSWIndex(name="docs_graph", m=16, ef_construction=64))
    assert store.is_valid_index("docs_graph")
with step("PGVectorStore: IVFFlatIndex, concurrently"):
    lists = IVFFlatIndex(name="docs_lists", lists=10, distance_strategy=DistanceStrategy.EUCLIDEAN)
    store.apply_vector_index(lists, concurrently=True)
    settle("docs_graph", "docs_lists")
with step("PGVectorStore: search", index="docs_graph"):
    same(numbers(store), nearest())
with step("PGVectorStore: search with ef_search", index="docs_graph"):
    options = HNSWQueryOptions(ef_search=100)
    wide = PGVectorStore.create_sync(
        engine, model, "docs", metadata_columns=["kind", "n"], index_query_options=options
    )
    same(numbers(wide), nearest())
with step("PGVectorStore: search with probes", index="docs_lists"):
    probing = PGVectorStore.create_sync(
        engine,
        model,
        "docs",
        metadata_columns=["kind", "n"],
        distance_strategy=DistanceStrategy.EUCLIDEAN,
        index_query_options=IVFFlatQueryOptions(probes=10),
    )
    same(numbers(probing), nearest("l2"))
with step("PGVectorStore: filter"):
    same(numbers(wide, filter={"kind": "news"}), nearest(kind="news"))
with step("PGVectorStore: reindex and drop"):
    store.reindex("docs_graph")
    store.drop_vector_index("docs_graph")
    assert not store.is_valid_index("docs_graph")

with step("PGVector: documents"):
    older = PGVector(model, connection=connection, collection_name="old", embedding_length=16, use_jsonb=True)
    older.add_documents(documents, ids=[str(n) for n in range(ROWS)])
with step("PGVector: search and filter"):
    same(numbers(older), nearest())
    same(numbers(older, filter={"kind": {"$eq": "news"}}), nearest(kind="news"))
with step("PGVector: an index of one's own", index="old_graph"):
    with administrator() as session:
        session.execute("CREATE INDEX old_graph ON langchain_pg_embedding USING hnsw (embedding vector_cosine_ops)")
    settle("old_graph")
    same(numbers(older), nearest())
