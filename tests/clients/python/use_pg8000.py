"""pgvector-python with pg8000."""

import numpy as np
import pg8000.native
from client import *
from pgvector.pg8000 import register_vector

versions("pgvector", "pg8000")

with step("extension and table"):
    conn = pg8000.native.Connection(USER, host=HOST, port=PORT, database=DATABASE, password=PASSWORD)
    conn.run("CREATE EXTENSION IF NOT EXISTS vector")
    register_vector(conn)
    conn.run("CREATE TABLE items (n int, kind text, embedding vector(16))")

with step("rows"):
    for n in range(ROWS):
        conn.run("INSERT INTO items VALUES (:n, :k, :e)", n=n, k=kinds[n], e=np.array(embeddings[n]))

with step("hnsw"):
    conn.run("CREATE INDEX graph ON items USING hnsw (embedding vector_cosine_ops)")
    settle("graph")

with step("search", index="graph"):
    rows = conn.run("SELECT n, embedding FROM items ORDER BY embedding <=> :q LIMIT 5", q=np.array(question))
    same([row[0] for row in rows], nearest())
