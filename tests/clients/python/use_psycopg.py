"""pgvector-python with psycopg 3, synchronous and asynchronous."""

import asyncio

import numpy as np
import psycopg
from client import *
from pgvector import Bit, HalfVector, SparseVector
from pgvector.psycopg import register_vector, register_vector_async

versions("pgvector", "psycopg")

with step("extension and table"):
    conn = psycopg.connect(URL, autocommit=True)
    conn.execute("CREATE EXTENSION IF NOT EXISTS vector")
    register_vector(conn)
    conn.execute("CREATE TABLE items (id bigserial PRIMARY KEY, n int, kind text, embedding vector(16))")

with step("rows one by one"):
    for n in range(50):
        row = (n, kinds[n], np.array(embeddings[n]))
        conn.execute("INSERT INTO items (n, kind, embedding) VALUES (%s, %s, %s)", row)

with step("binary COPY"):
    with conn.cursor().copy("COPY items (n, kind, embedding) FROM STDIN WITH (FORMAT BINARY)") as copy:
        copy.set_types(["int4", "text", "vector"])
        for n in range(50, ROWS):
            copy.write_row([n, kinds[n], np.array(embeddings[n], dtype=np.float32)])

with step("values come back"):
    for binary in (False, True):
        value = conn.execute("SELECT embedding FROM items WHERE n = 7", binary=binary).fetchone()[0]
        close(value, embeddings[7])


def search(operator: str, where: str = "true", table: str = "items") -> list[int]:
    query = f"SELECT n FROM {table} WHERE {where} ORDER BY embedding {operator} %s LIMIT 5"
    return [row[0] for row in conn.execute(query, [np.array(question)])]


METRICS = {"l2": "<->", "ip": "<#>", "cosine": "<=>", "l1": "<+>"}
for metric, operator in METRICS.items():
    with step(f"{operator} without an index"):
        same(search(operator), nearest(metric))

for metric, operator in METRICS.items():
    with step(f"hnsw for {operator}"):
        conn.execute(f"CREATE INDEX by_{metric} ON items USING hnsw (embedding vector_{metric}_ops)")
        settle(f"by_{metric}")
    with step(f"search by {operator}", index=f"by_{metric}"):
        same(search(operator), nearest(metric))

with step("hnsw with options"):
    conn.execute("DROP INDEX by_l2, by_ip, by_cosine, by_l1")
    conn.execute(
        "CREATE INDEX graph ON items USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64)"
    )
    settle("graph")

with step("hnsw's settings", index="graph"):
    conn.execute("SET hnsw.ef_search = 100")
    conn.execute("SET hnsw.iterative_scan = strict_order")
    conn.execute("SET hnsw.max_scan_tuples = 20000")
    same(conn.execute("SHOW hnsw.ef_search").fetchone()[0], "100")
    same(search("<=>"), nearest())

with step("settings made before a session's first search"), psycopg.connect(URL, autocommit=True) as fresh:
    fresh.execute("SET hnsw.ef_search = 20")
    fresh.execute("SET hnsw.iterative_scan = off")
    fresh.execute("SET enable_seqscan = off")
    # Without a LIMIT: ours looks at as many rows as it asks for, at least.
    rows = fresh.execute("SELECT n FROM items ORDER BY embedding <=> %s::vector", [question]).fetchall()
    same(len(rows), 20)

with step("filter"):
    same(search("<=>", "kind = 'news'"), nearest(kind="news"))

with step("ivfflat with options"):
    conn.execute("CREATE INDEX lists ON items USING ivfflat (embedding vector_l2_ops) WITH (lists = 20)")
    settle("lists")

with step("ivfflat's settings", index="lists"):
    conn.execute("SET ivfflat.probes = 20")
    conn.execute("SET ivfflat.iterative_scan = relaxed_order")
    same(search("<->"), nearest("l2"))

with step("hnsw over an expression", index="halves"):
    conn.execute("CREATE INDEX halves ON items USING hnsw ((embedding::halfvec(16)) halfvec_l2_ops)")
    settle("halves")
    query = "SELECT n FROM items ORDER BY embedding::halfvec(16) <-> %s LIMIT 5"
    same([row[0] for row in conn.execute(query, [HalfVector(question)])], nearest("l2"))

with step("avg and sum"):
    mean, total = conn.execute("SELECT avg(embedding), sum(embedding) FROM items").fetchone()
    close(total, np.sum(embeddings, axis=0))
    close(mean, np.mean(embeddings, axis=0))

with step("subvector, l2_normalize, binary_quantize"):
    values = "subvector(embedding, 1, 3), l2_normalize(embedding), binary_quantize(embedding)"
    part, _, bits = conn.execute(f"SELECT {values} FROM items WHERE n = 1").fetchone()
    same(part.to_list(), embeddings[1][:3])
    same(str(bits.to_text() if isinstance(bits, Bit) else bits), "".join(str(int(x > 0)) for x in embeddings[1]))


async def asynchronous() -> None:
    async with await psycopg.AsyncConnection.connect(URL, autocommit=True) as session:
        await register_vector_async(session)
        query = "SELECT n, embedding FROM items ORDER BY embedding <=> %s LIMIT 5"
        rows = await (await session.execute(query, [np.array(question)])).fetchall()
        same([row[0] for row in rows], nearest())


with step("asynchronous", index="graph"):
    asyncio.run(asynchronous())

if offers("operator <~>", "EXISTS (SELECT FROM pg_operator WHERE oprname = '<~>')"):
    with step("<~> over binary_quantize"):
        query = "SELECT n FROM items ORDER BY binary_quantize(embedding)::bit(16) <~> binary_quantize(%s), n LIMIT 5"
        got = [row[0] for row in conn.execute(query, [np.array(question)])]
        bits = np.array(embeddings) > 0
        order = np.argsort((bits != (np.array(question) > 0)).sum(axis=1), kind="stable")
        same(got, order[:5].tolist())

if offers_class("bit_hamming_ops"):
    with step("hnsw for <~>", index="by_bits"):
        conn.execute("CREATE INDEX by_bits ON items USING hnsw ((binary_quantize(embedding)::bit(16)) bit_hamming_ops)")
        settle("by_bits")
        query = "SELECT n FROM items ORDER BY binary_quantize(embedding)::bit(16) <~> binary_quantize(%s) LIMIT 5"
        same(len(conn.execute(query, [np.array(question)]).fetchall()), 5)

if offers_type("sparsevec"):
    with step("sparsevec"):
        conn.execute("CREATE TABLE sparse (n int, embedding sparsevec(16))")
        with conn.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO sparse VALUES (%s, %s)", [(n, SparseVector(embeddings[n])) for n in range(ROWS)]
            )
        query = "SELECT n FROM sparse ORDER BY embedding <-> %s LIMIT 5"
        same([row[0] for row in conn.execute(query, [SparseVector(question)])], nearest("l2"))

if offers_class("sparsevec_l2_ops"):
    with step("hnsw for sparsevec", index="by_sparse"):
        conn.execute("CREATE INDEX by_sparse ON sparse USING hnsw (embedding sparsevec_l2_ops)")
        settle("by_sparse")
        query = "SELECT n FROM sparse ORDER BY embedding <-> %s LIMIT 5"
        same([row[0] for row in conn.execute(query, [SparseVector(question)])], nearest("l2"))
