"""FAISS files in and out of a server, against FAISS itself.

files.py CONNINFO PART. Parts: models, exports, graphs, adoption, rows, refused, timed with a number of rows, and older with the folder of files that older_files.py has
made. What is wrong raises; figures are printed.
"""

import os
import subprocess
import sys
import time

import faiss
import numpy as np
import psycopg

DIMS, ROWS, QUERIES, K, NLIST = 32, 6000, 1000, 10, 32
METRICS = {
    "l2": (faiss.METRIC_L2, "vector_l2_ops", "<->"),
    "inner_product": (faiss.METRIC_INNER_PRODUCT, "vector_ip_ops", "<#>"),
    "cosine": (faiss.METRIC_INNER_PRODUCT, "vector_cosine_ops", "<=>"),
}
# Codes whose bytes follow from the vector and the file. Of RaBitQ with more than one bit FAISS chooses magnitudes by a search
# that rounds on its way.
KINDS = ["Flat", "SQ8", "SQ4", "SQfp16", "PQ8x4np", "PQ8np", "PQ16x4fs", "PQ16x4fsr", "RaBitQ", "RaBitQ4"]


def data():
    """Rows in clumps, and queries like them. Ids are no row numbers."""
    rng = np.random.default_rng(5)
    centres = rng.standard_normal((200, DIMS))
    def some(n):
        x = centres[rng.integers(0, 200, n)] + 0.35 * rng.standard_normal((n, DIMS))
        return (x * rng.uniform(0.5, 2, (n, 1))).astype("float32")
    return some(ROWS), some(QUERIES), np.arange(ROWS, dtype="int64") * 7 + 10**10


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def text(x):
    return "[" + ",".join(repr(float(v)) for v in x) + "]"


def load(db, x, ids):
    db.execute("DROP TABLE IF EXISTS t")
    db.execute(f"CREATE TABLE t (id bigint PRIMARY KEY, v vector({DIMS}))")
    with db.cursor().copy("COPY t FROM STDIN") as copy:
        for row, i in zip(x, ids):
            copy.write_row((int(i), text(row)))


def made(factory, metric, x, ids):
    """A trained FAISS index of these rows, and its part with the lists."""
    index = faiss.index_factory(DIMS, factory, METRICS[metric][0])
    index.train(x)
    if factory.startswith("IDMap") or "IVF" in factory and "Refine" not in factory and "RFlat" not in factory:
        index.add_with_ids(x, ids)
    else:
        index.add(x)
    return index


def ivf_of(index):
    return faiss.extract_index_ivf(index)


def bytes_of(index):
    return faiss.serialize_index(index).tobytes()


def opened(blob):
    return faiss.deserialize_index(np.frombuffer(blob, dtype="uint8"))


def entries(index):
    """The list of every id, and its code."""
    ivf = ivf_of(index)
    lists, found = faiss.downcast_InvertedLists(ivf.invlists), {}
    blocks = isinstance(lists, faiss.BlockInvertedLists)
    for number in range(ivf.nlist):
        n = lists.list_size(number)
        ids = faiss.rev_swig_ptr(lists.get_ids(number), n) if n else []
        size = 1 if blocks else lists.code_size
        if blocks:
            bbs, whole = lists.n_per_block, lists.block_size
            raw = faiss.rev_swig_ptr(lists.get_codes(number), -(-n // bbs) * whole) if n else []
            raw = bytes(raw)
        else:
            raw = bytes(faiss.rev_swig_ptr(lists.get_codes(number), n * size)) if n else b""
        for at, i in enumerate(ids):
            code = lane(raw, at, lists) if blocks else raw[at * size:(at + 1) * size]
            found[int(i)] = (number, code)
    return found


def lane(raw, at, lists):
    """The code of one vector of fast-scan blocks."""
    block, v = divmod(at, 32)
    half, w = v // 16, v % 16
    place = 2 * w if w < 8 else 2 * (w - 8) + 1
    code = []
    for unit_at in range(block * lists.block_size, (block + 1) * lists.block_size, 32):
        low = raw[unit_at + place] >> 4 * half & 15
        high = raw[unit_at + 16 + place] >> 4 * half & 15
        code.append(low | high << 4)
    return bytes(code)


def differing(ours, theirs, factory):
    """How many ids are in other lists, and how many in the same have other codes."""
    assert ours.keys() == theirs.keys(), "other ids"
    lists = sum(ours[i][0] != theirs[i][0] for i in ours)
    same = [i for i in ours if ours[i][0] == theirs[i][0]]
    if factory.endswith("Flat") and not factory.startswith("IVF"):
        # A rotation is not needed where vectors are kept as they are.
        return lists, 0
    if "RaBitQ" in factory:
        signs = DIMS // 8
        codes = sum(ours[i][1][:signs] != theirs[i][1][:signs] for i in same)
        for i in same:
            a, b = (np.frombuffer(e[i][1][signs:signs + 8], "float32") for e in (ours, theirs))
            assert np.allclose(a, b, rtol=1e-4, atol=1e-4), (i, a, b)
    else:
        codes = sum(ours[i][1] != theirs[i][1] for i in same)
    return lists, codes


def recall(found, exact):
    return np.mean([len(set(a) & set(b)) / K for a, b in zip(found, exact)])


def search(db, index, q, nprobe=None, ef=None):
    """Ids and distances of the server's answer."""
    array = "{" + ",".join('"' + text(x) + '"' for x in q) + "}"
    rows = db.execute(
        "SELECT query_no, id, distance FROM faiss.search(%s, %s::text::vector[], %s, %s, NULL, %s) JOIN t ON t.ctid = tid"
        " ORDER BY query_no, distance, id",
        (index, array, K, nprobe, ef)).fetchall()
    ids, distances = np.full((len(q), K), -1), np.full((len(q), K), np.nan)
    at = [0] * len(q)
    for number, i, distance in rows:
        ids[number - 1, at[number - 1]] = i
        distances[number - 1, at[number - 1]] = distance
        at[number - 1] += 1
    return ids, distances


def as_faiss(distances, metric):
    """The operator's distances as FAISS says them."""
    return {"l2": distances**2, "inner_product": -distances, "cosine": 1 - distances}[metric]


def exact(x, q, ids, metric):
    index = faiss.IndexFlat(DIMS, METRICS[metric][0])
    index.add(unit(x) if metric == "cosine" else x)
    return ids[index.search(unit(q) if metric == "cosine" else q, K)[1]]


def probing(index, nprobe):
    ivf = ivf_of(index)
    ivf.nprobe = nprobe
    if hasattr(ivf, "qb") and not isinstance(ivf, faiss.IndexIVFPQFastScan):
        ivf.qb = 0
    return index


def same_answers(a, b, what, rounds=False, slack=1e-5):
    """Ids and distances to 1e-5; equal distances may come in either order. rounds: vectors were turned or divided before they were
    coded, so that one component in many thousands falls on the other side of a step."""
    (da, ia), (db, ib) = a, b
    # RaBitQ's distance is the difference of terms that are as large as the largest distances of a query.
    scale = np.maximum(1, np.abs(db).max(axis=1, keepdims=True))
    differ = np.mean(np.abs(da - db) > slack * scale)
    assert differ <= (0.01 if rounds else 0), f"{what}: {differ} of the distances differ, by {np.max(np.abs(da - db) / scale)}"
    assert np.mean(ia == ib) > (0.99 if rounds else 0.999), f"{what}: {np.mean(ia != ib)} of ids differ"


def create(db, method, metric, options):
    db.execute("DROP INDEX IF EXISTS i")
    db.execute(f"CREATE INDEX i ON t USING {method} (v {METRICS[metric][1]}) WITH ({options})")


def forget(db):
    db.execute("DROP INDEX IF EXISTS i")
    db.execute("SELECT faiss.drop_model(name) FROM faiss.models")


def imported(db, blob, metric=None):
    forget(db)
    return db.execute("SELECT imported_as, for_metric, ntotal FROM faiss.import_model('m', %s::bytea, %s)",
                      (blob, metric)).fetchone()


def models(db):
    """Imported models build the lists and codes of the file, and find as much at every nprobe."""
    x, q, ids = data()
    load(db, x, ids)
    cases = [("", kind, metric) for kind in KINDS for metric in ("l2", "inner_product")]
    cases += [("RR,", kind, "l2") for kind in ("Flat", "SQ8", "RaBitQ", "RaBitQ4")]
    cases += [("OPQ8,", "PQ8np", metric) for metric in METRICS if metric != "cosine"]
    cases += [(f"PCA{DIMS},", kind, "l2") for kind in ("Flat", "SQ4", "PQ16x4fs", "RaBitQ")]
    cases += [("L2norm,", kind, "cosine") for kind in ("Flat", "SQ8", "PQ16x4fs", "RaBitQ")]
    cases += [("L2norm,RR,", "PQ8x4np", "cosine"), ("L2norm,", "PQ8x4np", "l2")]
    for before, kind, metric in cases:
        adopted(db, x, q, ids, before + f"IVF{NLIST}," + kind, metric)
    adopted(db, x, q, ids, f"IVF{NLIST}_HNSW16,SQ8", "l2")


def adopted(db, x, q, ids, factory, metric):
    theirs = made(factory, metric, x, ids)
    name, for_metric, ntotal = imported(db, bytes_of(theirs))
    assert (for_metric, ntotal) == (metric, ROWS), (factory, for_metric, ntotal)
    create(db, "faissivf", metric, "model = m")
    blob = db.execute("SELECT faiss.export('i', 'id')").fetchone()[0]
    ours = opened(blob)
    lists, codes = differing(entries(ours), entries(theirs), factory)
    # Two centroids as near as each other but for the rounding of sums: either is right. A graph's search may miss the nearest.
    bound = ROWS // 500
    assert max(lists, codes) <= (ROWS // 20 if "HNSW" in factory else bound), f"{factory}: {lists} lists, {codes} codes differ"
    truth = exact(x, q, ids, metric)
    # FAISS's own index with the vectors beside it finds what ours must find.
    places = {int(i): at for at, i in enumerate(ids)}
    figures = []
    for nprobe in (1, 2, 4, 8, 16, NLIST):
        answer = search(db, "i", q, nprobe)[0]
        k_base = 10 * K if kind_is_lossy(factory) else K
        candidates = probing(theirs, nprobe).search(q, k_base)[1]
        refined = reranked(candidates, x, q, places, metric)
        got, wanted = recall(answer, truth), recall(refined, truth)
        assert got >= wanted - 0.02, f"{factory} {metric} nprobe {nprobe}: recall {got}, FAISS {wanted}"
        figures.append(f"{got:.3f}/{wanted:.3f}")
    print(f"{factory} {metric}: as {name}, {lists} lists and {codes} codes differ, recall {' '.join(figures)}", flush=True)


def kind_is_lossy(factory):
    return not factory.endswith("Flat")


def reranked(candidates, x, q, places, metric):
    """The nearest of candidates by their real distances."""
    found = []
    for ids, query in zip(candidates, q):
        ids = [int(i) for i in ids if i >= 0]
        rows = x[[places[i] for i in ids]]
        if metric == "l2":
            keys = ((rows - query) ** 2).sum(1)
        else:
            keys = -(unit(rows) if metric == "cosine" else rows) @ query
        found.append([ids[at] for at in np.argsort(keys)[:K]])
    return found


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
        answer, found = ours.search(q, K), search(db, "i", q, nprobe if method == "faissivf" else None)
        a, b = recall(answer[1], truth), recall(found[0], truth)
        assert abs(a - b) <= 0.02, (factory, metric, a, b)
        both = answer[1] == found[0]
        distances = as_faiss(found[1], metric)
        assert np.allclose(answer[0][both], distances[both], rtol=1e-5, atol=1e-5), (factory, metric)
        small = opened(db.execute("SELECT faiss.export('i', 'id', refine => false)").fetchone()[0])
        assert small.ntotal == ROWS and small.search(q[:5], K)[1].min() >= 0
        print(f"{method} {factory} {metric}: recall {a:.3f}, in SQL {b:.3f}", flush=True)


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


def near_enough(distances, truth, metric):
    """Of rows equally far any counts: recall by distances."""
    last = truth[:, -1:]
    slack = 1e-4 * np.abs(last) + 1e-4
    good = distances <= last + slack if metric == "l2" else distances >= last - slack
    return np.mean(good)


def real_distances(x, q, ids, found, metric):
    at = {int(i): n for n, i in enumerate(ids)}
    rows = np.array([[x[at[int(i)]] for i in row] for row in found])
    if metric == "l2":
        return ((rows - q[:, None]) ** 2).sum(2)
    if metric == "cosine":
        rows, q = rows / np.linalg.norm(rows, axis=2, keepdims=True), unit(q)
    return (rows * q[:, None]).sum(2)


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


def timed(db):
    """Seconds and peak memory: a model from a file, an index built from it, that index as a file, and the file in FAISS."""
    n, d = int(sys.argv[3]), 128
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((1000, d)).astype("float32")
    def some(n):
        return centres[rng.integers(0, 1000, n)] + 0.5 * rng.standard_normal((n, d), dtype="float32")
    nlist = max(16, int(4 * n**.5) // 16 * 16) if n < 10**6 else 4096
    sample = some(min(n, 64 * nlist))
    db.execute("DROP TABLE IF EXISTS big")
    db.execute(f"CREATE UNLOGGED TABLE big (id bigint, v vector({d}))")
    for start in range(0, n, 50000):
        x = some(min(50000, n - start))
        with db.cursor().copy("COPY big FROM STDIN (FORMAT binary)") as copy:
            copy.write(binary(x, start))
    db.execute("ALTER TABLE big ADD PRIMARY KEY (id)")
    db.execute("ANALYZE big")
    for factory in (f"IVF{nlist},Flat", f"IVF{nlist},PQ16np", f"IVF{nlist},PQ64x4fs", f"IVF{nlist},RaBitQ"):
        index = faiss.index_factory(d, factory)
        index.cp.niter = 4
        index.train(sample)
        blob = bytes_of(index)
        del index
        one_step("import_model", factory, "SELECT faiss.import_model('big', %s::bytea)", (blob,))
        one_step("CREATE INDEX", factory, "CREATE INDEX big_v ON big USING faissivf (v) WITH (model = big)")
        path = db.execute("SELECT current_setting('data_directory') || '/export.faiss'").fetchone()[0]
        one_step("export_path", factory, "SELECT faiss.export_path('big_v', 'id', %s)", (path,))
        size = db.execute("SELECT (pg_stat_file(%s)).size", (path,)).fetchone()[0]
        code = ("import faiss,resource,sys,time; t=time.time(); i=faiss.read_index(sys.argv[1]); "
                "print(i.ntotal, time.time()-t, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024)")
        out = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True).stdout.split()
        assert int(out[0]) == n, out
        print(f"{factory}: faiss.read_index of {size} bytes {float(out[1]):.1f} s, peak {float(out[2]):.0f} MB", flush=True)
        one_step("read_file_path", factory, "SELECT count(*) FROM faiss.read_file_path(%s, true)", (path,), "fs" in factory)
        db.execute("DROP INDEX big_v")
        db.execute("SELECT faiss.drop_model('big')")
    if n <= 10**5 or len(sys.argv) > 4:
        one_step("CREATE INDEX", "HNSW16", "CREATE INDEX big_v ON big USING faisshnsw (v) WITH (m = 16)")
        one_step("export_path", "HNSW16", "SELECT faiss.export_path('big_v', 'id', %s)", (path,))
        one_step("import_graph_path", "HNSW16", "SELECT faiss.import_graph_path('big_v', 'id', %s)", (path,))


def one_step(what, factory, statement, arguments=None, is_refused=False):
    """In a session of its own, whose memory counts from nothing; what it shares with others is left out."""
    with psycopg.connect(sys.argv[1], autocommit=True) as db:
        db.execute(f"SET maintenance_work_mem = '{2048 if factory == 'HNSW16' else 256}MB'")
        begin = time.time()
        try:
            db.execute(statement, arguments)
        except psycopg.errors.InvalidParameterValue:
            assert is_refused
            return
        took = time.time() - begin
        pid = db.execute("SELECT pg_backend_pid()").fetchone()[0]
        peak = peak_memory(pid)
    print(f"{factory}: {what} {took:.1f} s, peak {peak}", flush=True)


def peak_memory(pid):
    """Megabytes of a process at most, those of shared buffers that it has looked at among them."""
    with open(f"/proc/{pid}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    kb = {name: int(fields[name].split()[0]) // 1024 for name in ("VmHWM", "RssShmem", "RssFile")}
    return f"{kb['VmHWM']} MB (of it shared {kb['RssShmem'] + kb['RssFile']})"


def binary(x, start):
    """Rows as COPY has them in binary form."""
    n, d = x.shape
    row = np.dtype([("n", ">i2"), ("l1", ">i4"), ("id", ">i8"), ("l2", ">i4"), ("d", ">i2"), ("z", ">i2"), ("x", ">f4", (d,))])
    rows = np.zeros(n, row)
    rows["n"], rows["l1"], rows["id"] = 2, 8, np.arange(start, start + n)
    rows["l2"], rows["d"], rows["x"] = 4 + 4 * d, d, x
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff"


with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    {"models": models, "exports": exports, "graphs": graphs, "rows": rows, "refused": refused, "older": older, "timed": timed, "adoption": adoption}[sys.argv[2]](connection)
