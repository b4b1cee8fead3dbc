"""agno's PgVector, which compares the options of its index with those it wants."""

import os

os.environ["AGNO_TELEMETRY"] = "false"

from agno.knowledge.document import Document
from agno.vectordb.pgvector import PgVector
from agno.vectordb.pgvector.index import HNSW, Ivfflat
from client import *
from sqlalchemy.exc import ProgrammingError

versions("agno", "pgvector")


class Model:
    dimensions, enable_batch = DIM, False

    def get_embedding(self, text: str) -> list[float]:
        return embed(text)

    def get_embedding_and_usage(self, text: str) -> tuple[list[float], None]:
        return embed(text), None


documents = [
    Document(id=str(n), name=str(n), content=text, meta_data={"n": n, "kind": kinds[n]}, embedding=embeddings[n])
    for n, text in enumerate(texts)
]


def numbers(db: PgVector, **options: object) -> list[int]:
    return [found.meta_data["n"] for found in db.search(QUESTION, limit=5, **options)]


def optimize(db: PgVector) -> None:
    """Makes the index, then one for words in which agno forgets the quotes; that fails on pgvector too."""
    try:
        db.optimize()
    except ProgrammingError as error:
        assert 'column "english" does not exist' in str(error), error


INDEXES = {
    "graph": HNSW(name="kb_graph", m=16, ef_construction=64, ef_search=100),
    "lists": Ivfflat(name="kb_lists", lists=10, probes=10, dynamic_lists=False),
}
for table, index in INDEXES.items():
    with step(f"{table}: table and documents"):
        db = PgVector(
            table_name=table,
            schema="public",
            db_url=URL.replace("postgresql://", "postgresql+psycopg2://"),
            embedder=Model(),
            vector_index=index,
        )
        db.create()
        db.insert("hash", documents)
    with step(f"{table}: index"):
        optimize(db)
        settle(index.name)
    with step(f"{table}: search", index=index.name):
        same(numbers(db), nearest())
    with step(f"{table}: filter"):
        same(numbers(db, filters={"kind": "news"}), nearest(kind="news"))
