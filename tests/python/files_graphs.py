"""Graphs as FAISS files, and from them."""

import faiss
import numpy as np
import psycopg

from files_shared import (
    DIMS, K, METRICS, ROWS, as_faiss, bytes_of, create, data, exact, load, near_enough, opened, real_distances, recall, search, unit,
)


def graphs(db):
    """Graphs go with their links: FAISS finds in them what the index finds."""
    x, q, ids = data()
    # One row in ten is there four times: duplicates are one node here, and several there.
    x[ROWS - 450:] = np.repeat(x[:150], 3, axis=0)
    load(db, x, ids)
    for code in ("flat", "sqfp16", "sq8"):
        for metric in METRICS:
            create(db, "faisshnsw", metric, f"m = 16, code = {code}")
            graph(db, x, q, ids, f"faisshnsw {code} {metric}", metric)
    db.execute("DELETE FROM t WHERE id % 7 = 3 AND id % 5 = 1")
    kept = db.execute("SELECT id FROM t ORDER BY id").fetchall()
    kept = np.array([i for i, in kept])
    at = np.searchsorted(ids, kept)
    create(db, "faisshnsw", "l2", "m = 16")
    db.execute("DELETE FROM t WHERE id IN (SELECT id FROM t ORDER BY id LIMIT 1000)")
    graph(db, x[at][1000:], q, ids[at][1000:], "faisshnsw with dead rows", "l2")
    db.execute("VACUUM t")
    graph(db, x[at][1000:], q, ids[at][1000:], "faisshnsw after VACUUM", "l2")


def graph(db, x, q, ids, what, metric):
    ours = opened(db.execute("SELECT faiss.export('i', 'id')").fetchone()[0])
    assert ours.ntotal == len(x), (what, ours.ntotal, len(x))
    truth_index = faiss.IndexFlat(DIMS, METRICS[metric][0])
    truth_index.add(unit(x) if metric == "cosine" else x)
    truth = truth_index.search(unit(q) if metric == "cosine" else q, K)[0]
    figures = []
    for ef in (16, 64, 256):
        inner = faiss.downcast_index(ours.index)
        if isinstance(inner, faiss.IndexPreTransform):
            inner = faiss.downcast_index(inner.index)
        inner.hnsw.efSearch = ef
        found, answers = ours.search(q, K), search(db, "i", q, ef=ef)
        real = real_distances(x, q, ids, found[1], metric)
        theirs = near_enough(real, truth, metric)
        in_sql = near_enough(as_faiss(answers[1], metric), truth, metric)
        slack = 0.03 if "sq8" in what else 0.02
        assert theirs >= in_sql - slack, f"{what} ef {ef}: {theirs} in FAISS, {in_sql} in SQL"
        if "sq" not in what:
            assert np.allclose(found[0], real, rtol=1e-5, atol=1e-5), what
        figures.append(f"{theirs:.3f}/{in_sql:.3f}")
    print(f"{what}: recall in FAISS / in SQL at ef 16, 64, 256: {' '.join(figures)}", flush=True)


def adoption(db):
    """Links of FAISS's graphs are taken over; what the file lacks is linked, and what it has too much is left out."""
    x, q, ids = data()
    for metric in METRICS:
        points = unit(x) if metric == "cosine" else x
        theirs = faiss.IndexIDMap2(faiss.IndexHNSWFlat(DIMS, 16, METRICS[metric][0]))
        inner = faiss.downcast_index(theirs.index)
        inner.hnsw.efConstruction = 64
        theirs.add_with_ids(points[:-100], ids[:-100])
        load(db, x[200:], ids[200:])
        create(db, "faisshnsw", metric, "m = 16")
        built = search(db, "i", q, ef=64)[0]
        got = db.execute("SELECT * FROM faiss.import_graph('i', 'id', %s::bytea)", (bytes_of(theirs),)).fetchone()
        assert got == (ROWS - 300, 100), got
        truth = exact(x[200:], q, ids[200:], metric)
        adopted = search(db, "i", q, ef=64)[0]
        inner.hnsw.efSearch = 64
        whole = exact(x[:-100], q, ids[:-100], metric)
        found = theirs.search(unit(q) if metric == "cosine" else q, K)[1]
        ours, fresh, faiss_own = recall(adopted, truth), recall(built, truth), recall(found, whole)
        assert ours >= min(fresh, faiss_own) - 0.02, (metric, ours, fresh, faiss_own)
        assert db.execute("SELECT count(*) FROM faiss.check('i')").fetchone()[0] == 0
        print(f"{metric}: {got} adopted and linked, recall {ours:.3f}, built here {fresh:.3f}, FAISS {faiss_own:.3f}", flush=True)
    # There and back again.
    x[ROWS - 450:] = np.repeat(x[:150], 3, axis=0)
    load(db, x, ids)
    create(db, "faisshnsw", "l2", "m = 16")
    before = search(db, "i", q, ef=32)[1]
    blob = db.execute("SELECT faiss.export('i', 'id')").fetchone()[0]
    got = db.execute("SELECT * FROM faiss.import_graph('i', 'id', %s::bytea)", (blob,)).fetchone()
    nodes = len(np.unique(x, axis=0))
    assert got == (nodes, 0), (got, nodes)
    after = search(db, "i", q, ef=32)[1]
    assert np.mean(np.isclose(before, after)) > 0.99, np.mean(np.isclose(before, after))
    wrong = {
        "does not fit": [("m = 8", "l2", blob, "id"), ("m = 16", "inner_product", blob, "id")],
        "not those of the table": [("m = 16", "l2", blob, "other")],
    }
    db.execute("ALTER TABLE t ADD COLUMN other bigint")
    # Each row gets the next one's key.
    db.execute("UPDATE t SET other = (id + 7 - 10000000000) % 42000 + 10000000000")
    db.execute("VACUUM FULL t")
    for words, cases in wrong.items():
        for options, metric, file, key in cases:
            create(db, "faisshnsw", metric, options)
            try:
                db.execute("SELECT * FROM faiss.import_graph('i', %s, %s::bytea)", (key, file))
                raise AssertionError(f"{options} {metric} {key}: taken")
            except psycopg.errors.InvalidParameterValue as e:
                assert words in e.diag.message_primary, e
                print(e.diag.message_primary, e.diag.message_detail, e.diag.message_hint or "", flush=True)
