"""pgvector-python with psycopg 2."""

import numpy as np
import psycopg2
from client import *
from pgvector.psycopg2 import register_vector
from psycopg2.extras import execute_values

versions("pgvector", "psycopg2-binary")

with step("extension and table"):
    conn = psycopg2.connect(URL)
    conn.autocommit = True
    cursor = conn.cursor()
    cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
    register_vector(conn)
    cursor.execute("CREATE TABLE items (n int, kind text, embedding vector(16), half halfvec(16))")

with step("rows"):
    rows = [(n, kinds[n], np.array(embeddings[n]), embeddings[n]) for n in range(ROWS)]
    execute_values(cursor, "INSERT INTO items VALUES %s", rows)

with step("hnsw"):
    cursor.execute("CREATE INDEX graph ON items USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64)")
    cursor.execute("SET hnsw.ef_search = 100")
    settle("graph")


def search(where: str = "true") -> list[int]:
    cursor.execute(f"SELECT n FROM items WHERE {where} ORDER BY embedding <=> %s LIMIT 5", [np.array(question)])
    return [row[0] for row in cursor.fetchall()]


with step("search", index="graph"):
    same(search(), nearest())

with step("filter"):
    same(search("kind = 'news'"), nearest(kind="news"))

with step("values and arrays come back"):
    cursor.execute("SELECT embedding, half, ARRAY[embedding] FROM items WHERE n = 7")
    vector, half, array = cursor.fetchone()
    close(vector, embeddings[7])
    close(half, embeddings[7])
    same(len(array), 1)
