"""What the checks of FAISS files have in common: rows, queries, indexes of FAISS and answers of the server."""

import faiss
import numpy as np

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
