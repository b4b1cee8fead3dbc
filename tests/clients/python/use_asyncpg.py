"""pgvector-python with asyncpg."""

import asyncio

import asyncpg
import numpy as np
from client import *
from pgvector.asyncpg import register_vector

versions("pgvector", "asyncpg")


async def main() -> None:
    conn = await asyncpg.connect(URL)
    with step("extension and table"):
        await conn.execute("CREATE EXTENSION IF NOT EXISTS vector")
        await register_vector(conn)
        await conn.execute("CREATE TABLE items (n int, kind text, embedding vector(16), half halfvec(16))")
    with step("rows by INSERT and by binary COPY"):
        rows = [(n, kinds[n], embeddings[n], embeddings[n]) for n in range(ROWS)]
        await conn.executemany("INSERT INTO items VALUES ($1, $2, $3, $4)", rows[:10])
        await conn.copy_records_to_table("items", records=rows[10:])
    with step("ivfflat, and hnsw over halfvec"):
        await conn.execute("CREATE INDEX lists ON items USING ivfflat (embedding vector_l2_ops) WITH (lists = 20)")
        await conn.execute("CREATE INDEX halves ON items USING hnsw (half halfvec_l2_ops)")
        settle("lists", "halves")
    with step("SET LOCAL ivfflat.probes", index="lists"):
        async with conn.transaction():
            await conn.execute("SET LOCAL ivfflat.probes = 20")
            rows = await conn.fetch("SELECT n FROM items ORDER BY embedding <-> $1 LIMIT 5", question)
        same([row["n"] for row in rows], nearest("l2"))
    with step("filter"):
        query = "SELECT n FROM items WHERE kind = 'news' ORDER BY embedding <-> $1 LIMIT 5"
        same([row["n"] for row in await conn.fetch(query, question)], nearest("l2", "news"))
    with step("search halves", index="halves"):
        rows = await conn.fetch("SELECT n, half FROM items ORDER BY half <-> $1 LIMIT 5", question)
        same([row["n"] for row in rows], nearest("l2"))
        close(rows[0]["half"], embeddings[rows[0]["n"]])
    with step("a pool that registers the types"):
        async with asyncpg.create_pool(URL, init=register_vector, min_size=1, max_size=2) as pool:
            value = await pool.fetchval("SELECT embedding FROM items WHERE n = 7")
        close(value, embeddings[7])
    await conn.close()


asyncio.run(main())
