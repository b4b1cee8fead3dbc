"""FAISS's graphs of the rows of one test, one for each seed: what they find at each efSearch, one line per query.

Arguments: file of rows, file of queries (float32, little-endian), dimensions, l2 or cosine, k, efSearch,…, M, efConstruction,
seed …
Prints "efSearch query id id …".
"""

import sys

import faiss
import numpy as np


def main() -> None:
    base, queries, dims, metric, k, widths, m, ef_construction, *seeds = sys.argv[1:]
    rows = np.fromfile(base, dtype="<f4").reshape(-1, int(dims))
    asked = np.fromfile(queries, dtype="<f4").reshape(-1, int(dims))
    if metric == "cosine":
        faiss.normalize_L2(rows)
        faiss.normalize_L2(asked)
    for seed in seeds:
        index = faiss.IndexHNSWFlat(int(dims), int(m))
        index.hnsw.efConstruction = int(ef_construction)
        index.hnsw.rng = faiss.RandomGenerator(int(seed))
        index.add(rows)
        for width in widths.split(","):
            index.hnsw.efSearch = int(width)
            _, found = index.search(asked, int(k))
            for number, ids in enumerate(found):
                print(width, number, *ids)


if __name__ == "__main__":
    main()
