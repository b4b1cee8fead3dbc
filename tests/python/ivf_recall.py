"""FAISS indexes on the rows of one test: what each finds at each nprobe, one line per query.

Arguments: file of rows, file of queries (float32, little-endian), dimensions, l2 or cosine, k, k_factor of those that refine,
nprobe,…, and factory strings with as many lists each. The first is trained as FAISS does it, the others take over its centroids.
Prints "number-of-factory-string nprobe query id id …" with -1 for nothing found.
"""

import sys

import faiss
import numpy as np


def take_over(index: faiss.Index, centroids: np.ndarray, rows: np.ndarray) -> None:
    """Gives an untrained index its coarse quantizer, behind its rotation if it has one."""
    if isinstance(index, faiss.IndexRefine):
        index = faiss.downcast_index(index.base_index)
    if isinstance(index, faiss.IndexPreTransform):
        rotation = faiss.downcast_VectorTransform(index.chain.at(0))
        rotation.train(rows)
        centroids = rotation.apply(centroids)
        index = faiss.downcast_index(index.index)
    faiss.downcast_index(index.quantizer).add(centroids)


def main() -> None:
    base, queries, dims, metric, k, k_factor, nprobes, *factories = sys.argv[1:]
    rows = np.fromfile(base, dtype="<f4").reshape(-1, int(dims))
    asked = np.fromfile(queries, dtype="<f4").reshape(-1, int(dims))
    if metric == "cosine":
        faiss.normalize_L2(rows)
        faiss.normalize_L2(asked)
    kind = faiss.METRIC_INNER_PRODUCT if metric == "cosine" else faiss.METRIC_L2
    settings = faiss.ParameterSpace()
    centroids = None
    for place, factory in enumerate(factories):
        index = faiss.index_factory(int(dims), factory, kind)
        if centroids is not None:
            take_over(index, centroids, rows)
        index.train(rows)
        if centroids is None:
            centroids = index.quantizer.reconstruct_n(0, index.nlist)
        index.add(rows)
        if isinstance(index, faiss.IndexRefine):
            settings.set_index_parameter(index, "k_factor_rf", float(k_factor))
        for nprobe in nprobes.split(","):
            settings.set_index_parameter(index, "nprobe", int(nprobe))
            _, found = index.search(asked, int(k))
            for number, ids in enumerate(found):
                print(place, nprobe, number, *ids)


if __name__ == "__main__":
    main()
