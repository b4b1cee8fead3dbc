"""Models from FAISS files: the lists, codes and answers that follow from them."""

import faiss
import numpy as np

from files_shared import (
    DIMS, K, KINDS, METRICS, NLIST, ROWS, bytes_of, create, data, exact, imported, ivf_of, load, made, opened, probing, recall, search, unit,
)


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
