"""SQLModel with pgvector-python's types."""

from typing import Any

from client import *
from pgvector.sqlalchemy import VECTOR
from sqlalchemy import Index, text
from sqlmodel import Field, Session, SQLModel, create_engine, select

versions("pgvector", "sqlmodel")

engine = create_engine(URL.replace("postgresql://", "postgresql+psycopg://"))


class Item(SQLModel, table=True):
    n: int = Field(primary_key=True)
    kind: str
    embedding: Any = Field(sa_type=VECTOR(16))


with step("extension, table and index"):
    with Session(engine) as session:
        session.exec(text("CREATE EXTENSION IF NOT EXISTS vector"))
        session.commit()
    operators = {"embedding": "vector_l2_ops"}
    Index("item_embedding", Item.embedding, postgresql_using="hnsw", postgresql_ops=operators)
    SQLModel.metadata.create_all(engine)

with step("rows"), Session(engine) as session:
    session.add_all(Item(n=n, kind=kinds[n], embedding=embeddings[n]) for n in range(ROWS))
    session.commit()
    settle("item_embedding")

with step("search", index="item_embedding"), Session(engine) as session:
    found = session.exec(select(Item.n).order_by(Item.embedding.l2_distance(question)).limit(5))
    same(found.all(), nearest("l2"))

with step("filter"), Session(engine) as session:
    query = select(Item.n).where(Item.kind == "news").order_by(Item.embedding.l2_distance(question)).limit(5)
    same(session.exec(query).all(), nearest("l2", "news"))
