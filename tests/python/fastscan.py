"""What FAISS makes of given rows with 4-bit fast-scan and RaBitQ codes, as files of plain numbers.

fastscan.py ROWS QUERIES DIMS M NLIST METRIC OUT BITS…: rows and queries are little-endian float32.
"""

import sys
from pathlib import Path

import faiss
import numpy as np


def main(rows, queries, dims, m, nlist, metric, out, *bits):
    faiss.omp_set_num_threads(1)
    dims, out = int(dims), Path(out)
    x = np.fromfile(rows, "<f4").reshape(-1, dims)
    q = np.fromfile(queries, "<f4").reshape(-1, dims)
    metric = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
    fast_scan(x, q, int(m), metric, out)
    rabitq(x, q, f"IVF{nlist},RaBitQ", metric, out)
    for nbits in bits:
        levels(x, q, f"IVF{nlist},RaBitQ{nbits}", metric, out, f"rabitq{nbits}_")


def save(path, values, kind):
    np.ascontiguousarray(values).astype(kind).tofile(path)


def by_row(distances, ids):
    """Distances in the order of the rows."""
    assert (ids >= 0).all()
    return np.take_along_axis(distances, np.argsort(ids, axis=1), axis=1)


def fast_scan(x, q, m, metric, out):
    index = faiss.IndexPQFastScan(x.shape[1], m, 4, metric)
    index.train(x)
    index.add(x)
    save(out / "codebooks", faiss.vector_to_array(index.pq.centroids), "<f4")
    save(out / "codes", index.pq.compute_codes(x), "u1")
    save(out / "blocks", faiss.vector_to_array(index.codes), "u1")
    save(out / "distances", by_row(*index.search(q, len(x))), "<f4")


def rabitq(x, q, factory, metric, out):
    index = faiss.index_factory(x.shape[1], factory, metric)
    index.train(x)
    index.add(x)
    codes, assigned, order = by_list(index, len(x))
    packed = faiss.index_factory(x.shape[1], factory + "fs", metric)
    packed.train(x)
    packed.add(x)
    blocks = faiss.downcast_InvertedLists(packed.invlists)
    units = []
    for no in range(index.nlist):
        n_blocks = -(-int((assigned == no).sum()) // 32)
        held = faiss.rev_swig_ptr(blocks.get_codes(no), n_blocks * blocks.block_size)
        # What follows the signs are the factors of the rows.
        signs = blocks.block_size - 32 * 8
        units.append(held.reshape(n_blocks, -1)[:, :signs].copy())
    save(out / "centroids", index.quantizer.reconstruct_n(0, index.nlist), "<f4")
    save(out / "rabitq_codes", codes, "u1")
    save(out / "assigned", assigned, "<i4")
    save(out / "order", order, "<i4")
    save(out / "rabitq_blocks", np.concatenate(units), "u1")
    save(out / "rabitq_distances", distances(index, q), "<f4")


def levels(x, q, factory, metric, out, name):
    """More than one bit. The lists are those of one bit: the same seed trains them."""
    index = faiss.index_factory(x.shape[1], factory, metric)
    index.train(x)
    index.add(x)
    codes, assigned, _ = by_list(index, len(x))
    assert (assigned == np.fromfile(out / "assigned", "<i4")).all()
    save(out / (name + "codes"), codes, "u1")
    save(out / (name + "distances"), distances(index, q), "<f4")


def by_list(index, n):
    """Codes and list numbers in the order of the rows, and the rows in the order of the lists."""
    lists = faiss.downcast_InvertedLists(index.invlists)
    codes, assigned = np.zeros((n, index.code_size), "u1"), np.zeros(n, "<i4")
    order = []
    for no in range(index.nlist):
        size = lists.list_size(no)
        ids = faiss.rev_swig_ptr(lists.get_ids(no), size)
        held = faiss.rev_swig_ptr(lists.get_codes(no), size * index.code_size)
        codes[ids], assigned[ids] = held.reshape(size, -1), no
        order.append(ids.copy())
    return codes, assigned, np.concatenate(order)


def distances(index, q):
    """With the query as floats: what FAISS itself rounds per list, ours rounds in other ways."""
    parameters = faiss.IVFRaBitQSearchParameters()
    parameters.qb, parameters.nprobe = 0, index.nlist
    return by_row(*index.search(q, index.ntotal, params=parameters))


main(*sys.argv[1:])
