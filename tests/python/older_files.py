"""Files of whatever FAISS this Python has, into a folder: older_files.py FOLDER."""

import os
import sys

import faiss
import numpy as np

rng = np.random.default_rng(3)
x = rng.standard_normal((1000, 16)).astype("float32")
np.save(os.path.join(sys.argv[1], "x.npy"), x)
factories = ["IVF8,Flat", "IVF8,SQ8", "IVF8,SQ4", "IVF8,SQfp16", "IVF8,PQ4x4np", "IVF8,PQ4x4fs", "PQ4x4np", "PQ4x4fs", "SQ8",
             "IVF8_HNSW8,Flat", "OPQ4,IVF8,PQ4x4np", "RR,IVF8,SQ8", "PCA16,IVF8,SQ4", "IVF8,PQ4x4np,RFlat",
             "IDMap2,Flat", "HNSW32", "L2norm,IVF8,SQ8"]
for factory in factories:
    for metric in (faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT):
        if metric == faiss.METRIC_INNER_PRODUCT and factory.startswith("PCA"):
            continue
        index = faiss.index_factory(16, factory, metric)
        index.train(x)
        if factory.startswith("IDMap"):
            index.add_with_ids(x, np.arange(len(x)))
        else:
            index.add(x)
        name = factory.replace(",", "_") + ("" if metric == faiss.METRIC_L2 else "_ip")
        faiss.write_index(index, os.path.join(sys.argv[1], name + ".faiss"))
print(faiss.__version__)
