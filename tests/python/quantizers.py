"""What FAISS makes of given rows with scalar and product quantizers, as files of plain numbers.

quantizers.py ROWS DIMS OUT FACTORY…: rows are little-endian float32. A folder per factory string, without its comma.
"""

import sys
from pathlib import Path

import faiss
import numpy as np


def main(rows, dims, out, *factories):
    faiss.omp_set_num_threads(1)
    x = np.fromfile(rows, "<f4").reshape(-1, int(dims))
    for factory in factories:
        index = faiss.index_factory(x.shape[1], factory)
        index.train(x)
        index.add(x)
        folder = Path(out) / factory.replace(",", "")
        folder.mkdir()
        trained = index.sq.trained if "SQ" in factory else index.pq.centroids
        save(folder / "params", faiss.vector_to_array(trained), "<f4")
        if factory.startswith("IVF"):
            lists(index, len(x), folder)
        else:
            save(folder / "codes", faiss.vector_to_array(index.codes), "u1")


def lists(index, n, folder):
    """Codes and list numbers in the order of the rows."""
    assert index.by_residual
    held = faiss.downcast_InvertedLists(index.invlists)
    codes, assigned = np.zeros((n, index.code_size), "u1"), np.zeros(n, "<i4")
    for no in range(index.nlist):
        size = held.list_size(no)
        ids = faiss.rev_swig_ptr(held.get_ids(no), size)
        flat = faiss.rev_swig_ptr(held.get_codes(no), size * index.code_size)
        codes[ids], assigned[ids] = flat.reshape(size, -1), no
    save(folder / "codes", codes, "u1")
    save(folder / "assigned", assigned, "<i4")
    save(folder / "centroids", index.quantizer.reconstruct_n(0, index.nlist), "<f4")


def save(path, values, kind):
    np.ascontiguousarray(values).astype(kind).tofile(path)


main(*sys.argv[1:])
