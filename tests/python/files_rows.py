"""Vectors out of FAISS files, files of older releases, and what is refused."""

import os
import sys

import faiss
import numpy as np
import psycopg

from files_shared import DIMS, NLIST, ROWS, bytes_of, data, imported, ivf_of, made


def rows(db):
    """Vectors come out of files with their ids, exact or as what codes stand for."""
    x, q, ids = data()
    plain = np.arange(ROWS)
    cases = [("Flat", plain), ("IDMap,Flat", ids), ("IDMap2,Flat", ids), (f"IVF{NLIST},Flat", ids), ("HNSW8", plain),
             ("IDMap,HNSW8", ids), (f"IVF{NLIST},PQ8x4np,RFlat", plain), (f"IDMap,IVF{NLIST},SQ4,RFlat", ids)]
    for factory, expected in cases:
        read_back(db, made(factory, "l2", x, ids), x, expected, factory, 0)
    # What codes of RaBitQ stand for has no length of its own in FAISS: here it is that of the residual.
    lossy = [(f"IVF{NLIST},SQ8", 0), ("SQ4", 0), ("SQfp16", 0), ("HNSW8,SQ8", 0), (f"RR,IVF{NLIST},SQ8", 0), ("RR,Flat", 0),
             (f"IVF{NLIST},PQ16np", 0), ("PQ8x4np", 0), (f"IVF{NLIST},RaBitQ", .6), (f"IVF{NLIST},RaBitQ4", .01), ("RaBitQ8", .001)]
    for factory, bound in lossy:
        index = made(factory, "l2", x, ids)
        has_ids = factory.startswith(("IVF", "RR,IVF"))
        try:
            db.execute("SELECT * FROM faiss.read_file(%s::bytea)", (bytes_of(index),))
            raise AssertionError(f"{factory}: read without decode")
        except psycopg.errors.InvalidParameterValue as e:
            assert "decode => true" in e.diag.message_hint, e
        labels = ids if has_ids else plain
        read_back(db, index, x if bound else rebuilt(index, labels), labels, factory, bound, ", true")


def rebuilt(index, ids):
    """What FAISS says that codes stand for."""
    if ids[0]:
        ivf_of(index).set_direct_map_type(faiss.DirectMap.Hashtable)
    return np.array([index.reconstruct(int(i)) for i in ids])


def read_back(db, index, x, ids, factory, bound, decode=""):
    blob = bytes_of(index)
    oid = db.execute("SELECT lo_from_bytea(0, %s)", (blob,)).fetchone()[0]
    for file, value in (("%s::bytea", blob), ("%s::oid", oid)):
        db.execute("DROP TABLE IF EXISTS back")
        db.execute(f"CREATE TABLE back AS SELECT * FROM faiss.read_file({file}{decode})", (value,))
        found = db.execute("SELECT id, vector::real[] FROM back ORDER BY id").fetchall()
        assert [i for i, _ in found] == sorted(int(i) for i in ids), factory
        difference = np.array([v for _, v in found], "float32") - x[np.argsort(ids)]
        # Of what is lost on purpose the share that is lost.
        error = np.mean(difference**2) / np.mean(x**2) if bound else np.abs(difference).max()
        assert error <= (bound or 1e-4), f"{factory}: off by {error}"
    db.execute("SELECT lo_unlink(%s)", (oid,))
    print(f"{factory}: {len(blob)} bytes read, off by {error:.4f}", flush=True)


def refused(db):
    """What has no counterpart is refused in words, and nothing is left behind."""
    x, q, ids = data()
    def index(factory, change=lambda index: None, metric=faiss.METRIC_L2):
        made = faiss.index_factory(DIMS, factory, metric)
        change(made)
        made.train(x)
        return bytes_of(made)
    def no_residual(index):
        index.by_residual = False
    untrained = bytes_of(faiss.index_factory(DIMS, "IVF16,Flat"))
    cases = {
        "not trained": untrained, "IwSq": index("IVF16,SQ8", no_residual), "IwPQ": index("IVF16,PQ8np", no_residual),
        "the dimension": index("PCA16,IVF16,Flat"), "changes the lengths": index(f"PCAW{DIMS},IVF16,Flat"),
        "kind 6": index("IVF16,SQ6"), "graph": index("HNSW8"), "Imiq": index("IMI2x4,SQ8"), "IxHe": index("LSH"),
        "9 bits": index("IVF16,RaBitQ9"), "HRot": index("HR,IVF16,RaBitQ"),
        "metric has number 2": index("IVF16,Flat", metric=faiss.METRIC_L1),
    }
    for words, blob in cases.items():
        try:
            imported(db, blob)
            raise AssertionError(f"{words}: imported")
        except psycopg.errors.InvalidParameterValue as e:
            said = f"{e.diag.message_primary} {e.diag.message_detail}"
            if words not in said:
                raise AssertionError(f"{words}: {said}") from e
            print(f"{said} {e.diag.message_hint}", flush=True)
    whole = index("IVF16,SQ8")
    for cut in range(0, len(whole), 97):
        try:
            imported(db, whole[:cut])
            raise AssertionError(f"{cut} bytes: imported")
        except psycopg.errors.InvalidBinaryRepresentation as e:
            assert "byte" in e.diag.message_primary
    assert db.execute("SELECT count(*) FROM faiss.models").fetchone()[0] == 0


def older(db):
    """Files of older releases are read: what they were trained to, and what they hold."""
    for path in sorted(os.listdir(sys.argv[3])):
        if not path.endswith(".faiss"):
            continue
        name = path.removesuffix(".faiss")
        with open(os.path.join(sys.argv[3], path), "rb") as file:
            blob = file.read()
        x = np.load(os.path.join(sys.argv[3], "x.npy"))
        if "HNSW32" not in name:
            found = imported(db, blob)
            assert found[2] == len(x), (name, found)
            print(f"{name}: as {found[0]}, {found[1]}", flush=True)
        if "Flat" in name or "HNSW32" in name:
            rows = db.execute("SELECT id, vector::real[] FROM faiss.read_file(%s::bytea, true) ORDER BY id", (blob,)).fetchall()
            assert [i for i, _ in rows] == list(range(len(x))), name
            assert np.abs(np.array([v for _, v in rows]) - x).max() < 1e-4, name
