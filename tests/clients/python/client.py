"""What the scripts share: where the server is, texts with embeddings, exact answers, and steps.

A script uses one client the way its documentation says, unmodified, as the owner of an empty database who is no
superuser. It prints a line for each step and fails if a step failed.
"""

import atexit
import hashlib
import os
import re
import sys
import time
import traceback
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import numpy as np
import psycopg

HOST, PORT = os.environ["PGHOST"], int(os.environ["PGPORT"])
USER, PASSWORD = os.environ["PGUSER"], os.environ["PGPASSWORD"]
DATABASE = os.environ["PGDATABASE"]
URL = f"postgresql://{USER}:{PASSWORD}@{HOST}:{PORT}/{DATABASE}"
# Whether the server has pgvector, and our access methods beside it.
BESIDE = os.environ["PGFAISS_CLIENT"] == "beside"
LOG = os.environ["PGFAISS_CLIENT_LOG"]

ROWS, DIM = 1000, 16
QUESTION = "a question"


def embed(text: str) -> list[float]:
    """Stands for a model: the same text always gives the same unit vector."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    vector = np.random.default_rng(seed).standard_normal(DIM)
    return (vector / np.linalg.norm(vector)).astype(np.float32).tolist()


texts = [f"document number {i}" for i in range(ROWS)]
embeddings = [embed(text) for text in texts]
kinds = ["news" if i % 2 else "blog" for i in range(ROWS)]
question = embed(QUESTION)


def nearest(metric: str = "cosine", kind: str | None = None, k: int = 5) -> list[int]:
    """The numbers of the rows that are exactly nearest to the question."""
    rows, q = np.asarray(embeddings, dtype=np.float64), np.asarray(question, dtype=np.float64)
    distances = {
        "cosine": 1 - rows @ q / np.linalg.norm(rows, axis=1) / np.linalg.norm(q),
        "l2": np.linalg.norm(rows - q, axis=1),
        "ip": -(rows @ q),
        "l1": np.abs(rows - q).sum(axis=1),
    }[metric]
    order = np.argsort(distances, kind="stable")
    return [int(i) for i in order if kind in (None, kinds[i])][:k]


def close(got: object, wanted: object) -> None:
    """The same for vectors, of whatever class, that went through arithmetic or fewer bits."""
    got = got.to_list() if hasattr(got, "to_list") else got
    assert np.allclose(got, wanted, atol=1e-3), f"{got} instead of {wanted}"


def same(got: object, wanted: object) -> None:
    """Fails unless both are equal."""
    got = list(got) if isinstance(wanted, list) else got
    assert got == wanted, f"{got} instead of {wanted}"


def versions(*packages: str) -> None:
    print(*(f"{package} {metadata.version(package)}" for package in packages), sep=", ")


_passed, _failed, _left_out = [], [], []


@contextmanager
def step(name: str, index: str | None = None):
    """One thing a user does. With `index`, the server must have answered by a scan of that index."""
    before = os.path.getsize(LOG)
    try:
        yield
        if index:
            _await_scan(index, before)
    except Exception as error:
        _failed.append(name)
        print(f"FAIL {name}: {type(error).__name__}: {str(error).strip()[:500]}", flush=True)
        traceback.print_exc()
    else:
        _passed.append(name)
        print(f"OK   {name}" + (f" (by {index})" if index else ""), flush=True)


def _await_scan(index: str, before: int) -> None:
    """The server writes a plan when the portal ends, which can be a moment after the answer."""
    deadline = time.monotonic() + 5
    while True:
        with open(LOG, "rb") as log:
            log.seek(before)
            entries = re.split(r"\n(?!\t)", log.read().decode(errors="replace"))
        ours = [entry for entry in entries if entry.startswith(f"db={DATABASE} ")]
        if any(f"Index Scan using {index} on " in entry for entry in ours):
            return
        assert time.monotonic() < deadline, f"no scan of {index} among:\n" + "\n".join(ours)
        time.sleep(0.05)


def offers(name: str, question: str) -> bool:
    """Whether the server has what some steps need; these are left out else, and it is said."""
    with administrator() as session:
        found = session.execute(f"SELECT {question}").fetchone()[0]
    if not found:
        _left_out.append(name)
        print(f"left out: {name}: not in this server", flush=True)
    return bool(found)


def offers_type(name: str) -> bool:
    return offers(f"type {name}", f"to_regtype('{name}') IS NOT NULL")


def offers_class(name: str) -> bool:
    return offers(f"operator class {name}", f"EXISTS (SELECT FROM pg_opclass WHERE opcname = '{name}')")


def administrator() -> psycopg.Connection:
    """A session of its own, as the owner of the database would open one in psql."""
    return psycopg.connect(URL, autocommit=True, options="-c lock_timeout=20s")


def execute(text: str) -> None:
    """Runs statements one by one, as an administrator does in psql."""
    with administrator() as session:
        for statement in text.split(";"):
            if statement.strip():
                session.execute(statement)


def settle(*indexes: str) -> None:
    """What happens between loading and searching: tables are analyzed, as autovacuum would. Beside pgvector, ours takes
    the place of each of the client's indexes, under the same name; elsewhere it must be one of ours already."""
    with administrator() as session:
        for index in indexes:
            if BESIDE:
                _replace(session, index)
            method, library = session.execute(_METHOD_OF, [index]).fetchone()
            print(f"{index} is of method {method}", flush=True)
            assert "pgfaiss" in library, f"{index} is of {method}, by {library}"
        session.execute("ANALYZE")


_METHOD_OF = """SELECT amname, probin FROM pg_class c JOIN pg_am a ON a.oid = c.relam
    JOIN pg_proc p ON p.oid = a.amhandler WHERE relname = %s"""


def _replace(session: psycopg.Connection, index: str) -> None:
    found = session.execute("SELECT schemaname, indexdef FROM pg_indexes WHERE indexname = %s", [index])
    schema, definition = found.fetchone()
    # The options stay as they are: pgvector's names for them are understood.
    ours = definition.replace("USING hnsw", "USING faisshnsw").replace("USING ivfflat", "USING faissivf")
    assert ours != definition, definition
    session.execute(f'DROP INDEX "{schema}"."{index}"')
    session.execute(ours)


@atexit.register
def _finish() -> None:
    print(f"{len(_passed)} steps passed, {len(_failed)} failed, {len(_left_out)} left out", flush=True)
    if _failed or not _passed:
        sys.stderr.flush()
        os._exit(1)
