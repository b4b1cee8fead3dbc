"""FAISS's graph on the rows of one test: what it finds at each efSearch, one line per query.

Arguments: file of rows, file of queries (float32, little-endian), dimensions, l2 or cosine, k, efConstruction, efSearch,…, and
factory strings. Prints "number-of-factory-string efSearch query id id …" with -1 for nothing found.
"""

import sys

import faiss
import numpy as np


def main() -> None:
    base, queries, dims, metric, k, ef_construction, ef_searches, *factories = sys.argv[1:]
    rows = np.fromfile(base, dtype="<f4").reshape(-1, int(dims))
    asked = np.fromfile(queries, dtype="<f4").reshape(-1, int(dims))
    if metric == "cosine":
        faiss.normalize_L2(rows)
        faiss.normalize_L2(asked)
    # Of unit vectors the order by L2 is that by cosine, and FAISS's graphs are better under L2.
    for place, factory in enumerate(factories):
        index = faiss.index_factory(int(dims), factory, faiss.METRIC_L2)
        index.hnsw.efConstruction = int(ef_construction)
        index.train(rows)
        index.add(rows)
        for ef_search in ef_searches.split(","):
            index.hnsw.efSearch = int(ef_search)
            _, found = index.search(asked, int(k))
            for number, ids in enumerate(found):
                print(place, ef_search, number, *ids)


if __name__ == "__main__":
    main()
