"""Stores, reads and searches vectors through pgvector-python's psycopg adapter.

The one argument is the connection string of a database that has the extension.
"""

import sys

import numpy as np
import psycopg
from pgvector import Bit, HalfVector, SparseVector, Vector
from pgvector.psycopg import register_vector

ROWS, DIMS = 500, 16


def main() -> None:
    with psycopg.connect(sys.argv[1]) as conn:
        register_vector(conn)
        rng = np.random.default_rng(7)
        data = rng.standard_normal((ROWS, DIMS)).astype(np.float32)
        conn.execute(f"CREATE TABLE items (id int, v vector({DIMS}), h halfvec({DIMS}))")
        store(conn, data)
        read_back(conn, data)
        search(conn, data)
        sparse_and_bits(conn, data)


def store(conn: psycopg.Connection, data: np.ndarray) -> None:
    """The first half by INSERT (text or binary parameters), the rest by binary COPY."""
    half = ROWS // 2
    for i, row in enumerate(data[:half]):
        conn.execute("INSERT INTO items VALUES (%s, %s, %s)", (i, row, HalfVector(row)))
    cursor = conn.cursor()
    with cursor.copy("COPY items FROM STDIN WITH (FORMAT BINARY)") as copy:
        copy.set_types(["int4", "vector", "halfvec"])
        for i, row in enumerate(data[half:], start=half):
            copy.write_row((i, Vector(row), HalfVector(row)))


def read_back(conn: psycopg.Connection, data: np.ndarray) -> None:
    """Both wire formats give the numbers that went in."""
    for binary in (False, True):
        rows = conn.execute("SELECT id, v, h FROM items ORDER BY id", binary=binary).fetchall()
        assert [r[0] for r in rows] == list(range(ROWS))
        assert np.array_equal(np.stack([as_array(r[1]) for r in rows]), data)
        halves = np.stack([as_array(r[2]) for r in rows])
        assert np.array_equal(halves.astype(np.float16), data.astype(np.float16))


def search(conn: psycopg.Connection, data: np.ndarray) -> None:
    """Every operator orders as numpy does."""
    query = np.random.default_rng(8).standard_normal(DIMS).astype(np.float32)
    wide, q = data.astype(np.float64), query.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1) * np.linalg.norm(q)
    answers = {
        "<->": np.linalg.norm(wide - q, axis=1),
        "<#>": -(wide @ q),
        "<=>": 1 - (wide @ q) / norms,
        "<+>": np.abs(wide - q).sum(axis=1),
    }
    for operator, distances in answers.items():
        rows = conn.execute(
            f"SELECT id, v {operator} %s FROM items ORDER BY v {operator} %s LIMIT 10", (query, query)
        ).fetchall()
        assert [r[0] for r in rows] == list(np.argsort(distances)[:10]), operator
        assert np.allclose([r[1] for r in rows], np.sort(distances)[:10], rtol=1e-5), operator


def sparse_and_bits(conn: psycopg.Connection, data: np.ndarray) -> None:
    """The same of sparsevec and bit."""
    few = np.where(np.abs(data) > 1, data, 0)
    signs = data > 0
    conn.execute(f"CREATE TABLE others (id int, s sparsevec({DIMS}), b bit({DIMS}))")
    cursor = conn.cursor()
    with cursor.copy("COPY others FROM STDIN WITH (FORMAT BINARY)") as copy:
        copy.set_types(["int4", "sparsevec", "bit"])
        for i, row in enumerate(few):
            copy.write_row((i, SparseVector(row), Bit(signs[i])))
    conn.execute("INSERT INTO others VALUES (%s, %s, %s)", (ROWS, SparseVector(few[0]), Bit(signs[0])))
    for binary in (False, True):
        rows = conn.execute("SELECT s FROM others WHERE id < %s ORDER BY id", (ROWS,), binary=binary).fetchall()
        assert np.array_equal(np.stack([r[0].to_numpy() for r in rows]), few)
    nearest = "SELECT s <-> %s, b <~> %s FROM others WHERE id < %s ORDER BY id"
    query = SparseVector(few[7]), Bit(signs[7])
    rows = conn.execute(nearest, (*query, ROWS)).fetchall()
    assert np.allclose([r[0] for r in rows], np.linalg.norm(few - few[7], axis=1), rtol=1e-5)
    assert [r[1] for r in rows] == [float(x) for x in (signs != signs[7]).sum(axis=1)]


def as_array(value: object) -> np.ndarray:
    """Adapter versions differ in what they return for vectors."""
    return value if isinstance(value, np.ndarray) else value.to_numpy()


if __name__ == "__main__":
    main()
