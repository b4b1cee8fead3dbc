"""FAISS's IndexIVFFlat on the rows of one test: what it finds at each nprobe, one line per query.

Arguments: file of rows, file of queries (float32, little-endian), dimensions, l2 or cosine, nlist, k, nprobe,…
Prints "nprobe query id id …" with -1 for nothing found.
"""

import sys

import faiss
import numpy as np


def main() -> None:
    base, queries, dims, metric, nlist, k, nprobes = sys.argv[1:]
    rows = np.fromfile(base, dtype="<f4").reshape(-1, int(dims))
    asked = np.fromfile(queries, dtype="<f4").reshape(-1, int(dims))
    if metric == "cosine":
        faiss.normalize_L2(rows)
        faiss.normalize_L2(asked)
    kind = faiss.METRIC_INNER_PRODUCT if metric == "cosine" else faiss.METRIC_L2
    index = faiss.index_factory(int(dims), f"IVF{nlist},Flat", kind)
    index.train(rows)
    index.add(rows)
    for nprobe in nprobes.split(","):
        index.nprobe = int(nprobe)
        _, found = index.search(asked, int(k))
        for number, ids in enumerate(found):
            print(nprobe, number, *ids)


if __name__ == "__main__":
    main()
