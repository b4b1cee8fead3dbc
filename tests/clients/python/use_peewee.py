"""Peewee with pgvector-python's field."""

from client import *
from peewee import IntegerField, Model, PostgresqlDatabase, TextField
from pgvector.peewee import VectorField

versions("pgvector", "peewee")

db = PostgresqlDatabase(DATABASE, host=HOST, port=PORT, user=USER, password=PASSWORD)


class Item(Model):
    n = IntegerField()
    kind = TextField()
    embedding = VectorField(dimensions=16)

    class Meta:
        database = db


Item.add_index("embedding vector_l2_ops", using="hnsw")

with step("extension, table and index"):
    db.execute_sql("CREATE EXTENSION IF NOT EXISTS vector")
    db.create_tables([Item])

with step("rows"), db.atomic():
    rows = [{"n": n, "kind": kinds[n], "embedding": embeddings[n]} for n in range(ROWS)]
    Item.insert_many(rows).execute()

with step("our index"):
    settle("item_embedding")


def numbers(*where: object) -> list[int]:
    query = Item.select(Item.n).order_by(Item.embedding.l2_distance(question)).limit(5)
    return [item.n for item in (query.where(*where) if where else query)]


with step("search", index="item_embedding"):
    same(numbers(), nearest("l2"))

with step("filter"):
    same(numbers(Item.kind == "news"), nearest("l2", "news"))
