"""FAISS indexes on the rows of a hostile table: what each finds, one line for each row found.

Arguments: file of rows, file of queries (float32, little-endian), dimensions, vector or halfvec, efConstruction, efSearch, nprobe, k_factor,
how many rows the table begins with, which of them are deleted later, states of the table, and jobs "metric:factory".
In states "first" and "grown" the table has the rows it begins with, in state "churned" all rows but those deleted.
A graph is given all rows at once in state "first", which it puts in an order of its own, else one after the other, as a table grows.
Prints "state metric factory query id" with tabs between. What FAISS cannot do is a line "metric:factory: it ended in an error" on stderr.
"""

import os
import resource
import sys

import faiss
import numpy as np

K = 10
# Seconds of processor time for an index: with rows of 1e38 some trainings of FAISS never end.
PATIENCE = 60
METRICS = {
    "l2": faiss.METRIC_L2,
    "ip": faiss.METRIC_INNER_PRODUCT,
    "cosine": faiss.METRIC_INNER_PRODUCT,
    "l1": faiss.METRIC_L1,
}


def normalised(rows: np.ndarray) -> np.ndarray:
    """In double precision: the squares of large values do not fit in single."""
    wide = rows.astype("f8")
    norms = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    return (wide / np.where(norms > 0, norms, 1)).astype("f4")


def build(metric: str, factory: str, dims: int, rows: np.ndarray, ef_construction: int, grows: bool) -> faiss.Index:
    if factory.startswith("HNSW"):
        # Of unit vectors the order by L2 is that by cosine, and FAISS's graphs are better under L2.
        kind = faiss.METRIC_L2 if metric == "cosine" else METRICS[metric]
        index = faiss.IndexHNSWFlat(dims, int(factory[4:]), kind)
        index.hnsw.efConstruction = ef_construction
    else:
        index = faiss.index_factory(dims, factory, METRICS[metric])
    index.train(rows)
    if grows and factory.startswith("HNSW"):
        for row in rows:
            index.add(row[None, :])
    else:
        index.add(rows)
    return index


def search(index: faiss.Index, asked: np.ndarray, ef_search: int, nprobe: int, k_factor: int) -> np.ndarray:
    settings = faiss.ParameterSpace()
    if isinstance(index, faiss.IndexHNSW):
        index.hnsw.efSearch = ef_search
    if isinstance(index, faiss.IndexRefine):
        settings.set_index_parameter(index, "k_factor_rf", float(k_factor))
    try:
        settings.set_index_parameter(index, "nprobe", nprobe)
    except RuntimeError:
        pass  # It has no lists.
    # One by one: the differences themselves are summed then, and not norms less twice the products.
    return np.concatenate([index.search(one[None, :], K)[1] for one in asked])


def main() -> None:
    rows, queries, dims, element, *numbers, deleted, states, jobs = sys.argv[1:]
    ef_construction, ef_search, nprobe, k_factor, first = map(int, numbers)
    dims = int(dims)
    rows = np.fromfile(rows, dtype="<f4").reshape(-1, dims)
    asked = np.fromfile(queries, dtype="<f4").reshape(-1, dims)
    if element == "halfvec":
        rows, asked = rows.astype("f2").astype("f4"), asked.astype("f2").astype("f4")
    ids = np.arange(len(rows))
    gone = np.array([int(number) for number in deleted.split(",") if number], dtype=ids.dtype)
    kept = {"first": ids < first, "grown": ids < first, "churned": ~np.isin(ids, gone)}
    for state in states.split(","):
        for job in jobs.split(" "):
            metric, factory = job.split(":")
            here, there, names = rows[kept[state]], asked, ids[kept[state]]
            if metric == "cosine":
                # A vector of zeros has no direction.
                told = (here != 0).any(axis=1)
                here, there, names = normalised(here[told]), normalised(asked), names[told]
            # In a process of its own: where sums overflow, FAISS ends the process, or goes on forever.
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))
                index = build(metric, factory, dims, here, ef_construction, state != "first")
                found = search(index, there, ef_search, nprobe, k_factor)
                for number, places in enumerate(found):
                    for place in places[places >= 0]:
                        print(state, metric, factory, number, names[place], sep="\t")
                sys.stdout.flush()
                os._exit(0)
            if os.waitpid(child, 0)[1] != 0:
                print(f"{job}: it ended in an error", file=sys.stderr)


if __name__ == "__main__":
    main()
