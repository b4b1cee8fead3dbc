"""Indexes of lists as FAISS files."""

import faiss
import numpy as np

from files_shared import (
    DIMS, K, METRICS, NLIST, ROWS, as_faiss, create, data, exact, forget, load, opened, probing, recall, same_answers, search,
)


def exports(db):
    """Exported files answer as FAISS's own index of the exported model and the same rows."""
    x, q, ids = data()
    load(db, x, ids)
    for kind in ("Flat", "SQ8", "SQ4", "SQfp16", "PQ8x4", "PQ8", "PQ16x4fs", "RaBitQ", "RaBitQ4"):
        for metric in METRICS:
            exported(db, x, q, ids, "faissivf", f"IVF{NLIST},{kind}", metric)
            exported(db, x, q, ids, "faissflat", kind, metric)
    for factory in ("RR,IVF32,SQ8", "OPQ8,IVF32,PQ8", "RR,IVF32,RaBitQ", "L2norm,IVF32,PQ16x4fs"):
        exported(db, x, q, ids, "faissivf", factory, "l2")
    for metric in METRICS:
        refined(db, x, q, metric)
    taxicab(db, x, q, ids)


def exported(db, x, q, ids, method, factory, metric):
    forget(db)
    options = f"factory = '{factory}'"
    has_model = not (method == "faissflat" and factory == "Flat")
    if has_model:
        db.execute("SELECT faiss.train('m', 't', 'v', %s, %s)", (factory, metric))
        options = "model = m"
    create(db, method, metric, options)
    blob = db.execute("SELECT faiss.export('i', 'id')").fetchone()[0]
    ours = opened(blob)
    assert ours.ntotal == ROWS and ours.d == DIMS
    if has_model:
        theirs = opened(db.execute("SELECT faiss.export_model('m')").fetchone()[0])
        assert theirs.ntotal == 0 and theirs.is_trained
        if method == "faissflat":
            theirs = faiss.IndexIDMap2(theirs)
        theirs.add_with_ids(x, ids)
        found = db.execute("SELECT for_metric, ntotal FROM faiss.import_model('n', %s::bytea)", (blob,)).fetchone()
        assert found == (metric, ROWS), (factory, found)
    else:
        theirs = faiss.index_factory(DIMS, "IDMap,L2norm,Flat" if metric == "cosine" else "IDMap,Flat", METRICS[metric][0])
        theirs.add_with_ids(x, ids)
    for nprobe in (1, 4, NLIST) if method == "faissivf" else (1,):
        if method == "faissivf":
            probing(ours, nprobe), probing(theirs, nprobe)
        a, b = ours.search(q, K), theirs.search(q, K)
        if factory.endswith("RaBitQ4"):
            truth = exact(x, q, ids, metric)
            assert recall(a[1], truth) >= recall(b[1], truth) - 0.01, (factory, metric, nprobe)
        else:
            # FAISS adds up RaBitQ's factors in 32-bit floats.
            slack = 5e-5 if "RaBitQ" in factory else 1e-5
            rounds = metric == "cosine" or factory.startswith(("RR", "OPQ", "L2norm"))
            same_answers(a, b, f"{method} {factory} {metric} nprobe {nprobe}", rounds, slack)
        if factory.endswith("Flat"):
            found = search(db, "i", q, nprobe if method == "faissivf" else None)
            same_answers((as_faiss(found[1], metric), found[0]), a, f"{method} {factory} {metric} in SQL")
    print(f"{method} {factory} {metric}: {len(blob)} bytes, equal", flush=True)


def k_factor_of(index):
    while not hasattr(index, "k_factor"):
        index = faiss.downcast_index(index.index)
    return index.k_factor


def refined(db, x, q, metric):
    """With its vectors a file of lossy codes has the answers of the index, with real distances."""
    for method, factory in (("faissivf", f"IVF{NLIST},PQ16x4fs,RFlat"), ("faissivf", f"RR,IVF{NLIST},RaBitQ,Refine(SQ8)"),
                            ("faissflat", "SQ4,RFlat")):
        create(db, method, metric, f"factory = '{factory}'")
        ours = opened(db.execute("SELECT faiss.export('i', 'id')").fetchone()[0])
        truth = exact(x, q, data()[2], metric)
        nprobe = 8 if method == "faissivf" else 1
        if method == "faissivf":
            probing(ours, nprobe)
        # As many candidates as the file asks for: with nothing set a search has those that the build measured.
        db.execute(f"SET faiss.k_factor = {k_factor_of(ours)}")
        answer, found = ours.search(q, K), search(db, "i", q, nprobe if method == "faissivf" else None)
        db.execute("RESET faiss.k_factor")
        a, b = recall(answer[1], truth), recall(found[0], truth)
        assert abs(a - b) <= 0.02, (factory, metric, a, b)
        both = answer[1] == found[0]
        distances = as_faiss(found[1], metric)
        assert np.allclose(answer[0][both], distances[both], rtol=1e-5, atol=1e-5), (factory, metric)
        small = opened(db.execute("SELECT faiss.export('i', 'id', refine => false)").fetchone()[0])
        assert small.ntotal == ROWS and small.search(q[:5], K)[1].min() >= 0
        print(f"{method} {factory} {metric}: recall {a:.3f}, in SQL {b:.3f}", flush=True)


def taxicab(db, x, q, ids):
    """The distance that has no codes: every row compared, and a graph."""
    truth = faiss.IndexFlat(DIMS, faiss.METRIC_L1)
    truth.add(x)
    distances, places = truth.search(q, K)
    for method in ("faissflat", "faisshnsw"):
        db.execute("DROP INDEX IF EXISTS i")
        db.execute(f"CREATE INDEX i ON t USING {method} (v vector_l1_ops)")
        ours = opened(db.execute("SELECT faiss.export('i', 'id')").fetchone()[0])
        if method == "faisshnsw":
            faiss.downcast_index(ours.index).hnsw.efSearch = 256
        same_answers(ours.search(q, K), (distances, ids[places]), f"{method} l1", method == "faisshnsw")
        print(f"{method} l1: equal", flush=True)
