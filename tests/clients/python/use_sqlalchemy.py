"""SQLAlchemy with pgvector-python's types, and the index that a model declares."""

from client import *
from pgvector.sqlalchemy import HALFVEC, VECTOR, avg
from sqlalchemy import Index, Integer, Text, create_engine, inspect, select, text
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column

versions("pgvector", "SQLAlchemy", "psycopg")

engine = create_engine(URL.replace("postgresql://", "postgresql+psycopg://"))


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    n = mapped_column(Integer, primary_key=True)
    kind = mapped_column(Text)
    embedding = mapped_column(VECTOR(16))
    half = mapped_column(HALFVEC(16))
    __table_args__ = (
        Index(
            "item_embedding",
            "embedding",
            postgresql_using="hnsw",
            postgresql_with={"m": 16, "ef_construction": 64},
            postgresql_ops={"embedding": "vector_l2_ops"},
        ),
    )


with step("extension, table and index"):
    with Session(engine) as session:
        session.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
        session.commit()
    Base.metadata.create_all(engine)

with step("rows"), Session(engine) as session:
    session.add_all(
        Item(n=n, kind=kinds[n], embedding=embeddings[n], half=embeddings[n]) for n in range(ROWS)
    )
    session.commit()

with step("more indexes"):
    cosine = {"embedding": "vector_cosine_ops"}
    Index(
        "item_lists", Item.embedding, postgresql_using="ivfflat", postgresql_with={"lists": 10}, postgresql_ops=cosine
    ).create(engine)
    halves = {"half": "halfvec_l2_ops"}
    Index("item_halves", Item.half, postgresql_using="hnsw", postgresql_ops=halves).create(engine)
    settle("item_embedding", "item_lists", "item_halves")


def numbers(order: object, *where: object) -> list[int]:
    with Session(engine) as session:
        return session.scalars(select(Item.n).where(*where).order_by(order).limit(5)).all()


with step("l2_distance", index="item_embedding"):
    same(numbers(Item.embedding.l2_distance(question)), nearest("l2"))
with step("cosine_distance, ivfflat.probes", index="item_lists"), Session(engine) as session:
    session.execute(text("SET LOCAL ivfflat.probes = 10"))
    query = select(Item.n).order_by(Item.embedding.cosine_distance(question)).limit(5)
    same(session.scalars(query).all(), nearest())
with step("l2_distance of halves", index="item_halves"):
    same(numbers(Item.half.l2_distance(question)), nearest("l2"))
with step("max_inner_product and l1_distance"):
    same(numbers(Item.embedding.max_inner_product(question)), nearest("ip"))
    same(numbers(Item.embedding.l1_distance(question)), nearest("l1"))
with step("filter"):
    same(numbers(Item.embedding.l2_distance(question), Item.kind == "news"), nearest("l2", "news"))
with step("within a distance"), Session(engine) as session:
    found = session.scalars(select(Item.n).where(Item.embedding.l2_distance(question) < 0.9)).all()
    same(sorted(found), sorted(nearest("l2", k=len(found))))
with step("avg"), Session(engine) as session:
    mean = session.scalars(select(avg(Item.embedding))).first()
    close(mean, np.mean(embeddings, axis=0))
with step("reflection"):
    methods = {i["name"]: i["dialect_options"]["postgresql_using"] for i in inspect(engine).get_indexes("item")}
    wanted = {"item_embedding": "hnsw", "item_lists": "ivfflat", "item_halves": "hnsw"}
    same(methods, {name: method.replace("hnsw", "faisshnsw").replace("ivfflat", "faissivf") if BESIDE else method for name, method in wanted.items()})
    types = {column["name"]: str(column["type"]) for column in inspect(engine).get_columns("item")}
    same(types["embedding"], "VECTOR(16)")
