"""FAISS beside the database: one index in memory, one query at a time, one thread.

Speaks JSON, one object a line: a request comes in on standard input, an answer or {"error": …} goes out.
"""

import json
import os
import sys
import time

import faiss
import numpy as np


def peak_bytes():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


class Worker:
    def load(self, path, dims, normalise):
        rows = np.fromfile(path, dtype="<f4").reshape(-1, dims)
        if normalise:
            faiss.normalize_L2(rows)
        return rows

    def build(self, r):
        cosine = r["metric"] == "cosine"
        metric = faiss.METRIC_L2 if r["metric"] == "l2" else faiss.METRIC_INNER_PRODUCT
        base = self.load(r["base"], r["dims"], cosine)
        self.queries = self.load(r["queries"], r["dims"], cosine)
        self.index = faiss.index_factory(r["dims"], r["factory"], metric)
        self.space = faiss.ParameterSpace()
        faiss.omp_set_num_threads(os.cpu_count())
        for part in filter(None, r["before"].split(",")):
            name, value = part.split("=")
            self.space.set_index_parameter(self.index, name, float(value))
        before = peak_bytes()
        wall, cpu = time.perf_counter(), time.process_time()
        self.index.train(base)
        self.index.add(base)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = peak_bytes()
        faiss.omp_set_num_threads(1)
        size = faiss.serialize_index(self.index).nbytes
        return {"wall_s": wall, "cpu_s": cpu, "peak": peak, "added": peak - before, "bytes": size}

    def set(self, r):
        self.space.set_index_parameters(self.index, r["setting"])
        return {}

    def search(self, r):
        k, deadline = r["k"], time.perf_counter() + r["seconds"]
        ids, latencies = [], []
        cpu = time.process_time()
        for i in range(r["limit"]):
            start = time.perf_counter()
            if start > deadline and i >= r["least"]:
                break
            _, found = self.index.search(self.queries[i : i + 1], k)
            latencies.append((time.perf_counter() - start) * 1e3)
            ids.append(found)
        cpu = (time.process_time() - cpu) * 1e3
        ids = [[int(x) for x in row[0] if x >= 0] for row in ids]
        return {"ids": ids, "latencies_ms": latencies, "cpu_ms": cpu}


def main():
    worker = Worker()
    for line in sys.stdin:
        try:
            request = json.loads(line)
            answer = getattr(worker, request.pop("do"))(request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
