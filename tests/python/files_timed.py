"""Seconds and peak memory of FAISS files in and out."""

import subprocess
import sys
import time

import faiss
import numpy as np
import psycopg

from files_shared import bytes_of


def timed(db):
    """Seconds and peak memory: a model from a file, an index built from it, that index as a file, and the file in FAISS."""
    n, d = int(sys.argv[3]), 128
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((1000, d)).astype("float32")
    def some(n):
        return centres[rng.integers(0, 1000, n)] + 0.5 * rng.standard_normal((n, d), dtype="float32")
    nlist = max(16, int(4 * n**.5) // 16 * 16) if n < 10**6 else 4096
    sample = some(min(n, 64 * nlist))
    db.execute("DROP TABLE IF EXISTS big")
    db.execute(f"CREATE UNLOGGED TABLE big (id bigint, v vector({d}))")
    for start in range(0, n, 50000):
        x = some(min(50000, n - start))
        with db.cursor().copy("COPY big FROM STDIN (FORMAT binary)") as copy:
            copy.write(binary(x, start))
    db.execute("ALTER TABLE big ADD PRIMARY KEY (id)")
    db.execute("ANALYZE big")
    for factory in (f"IVF{nlist},Flat", f"IVF{nlist},PQ16np", f"IVF{nlist},PQ64x4fs", f"IVF{nlist},RaBitQ"):
        index = faiss.index_factory(d, factory)
        index.cp.niter = 4
        index.train(sample)
        blob = bytes_of(index)
        del index
        one_step("import_model", factory, "SELECT faiss.import_model('big', %s::bytea)", (blob,))
        one_step("CREATE INDEX", factory, "CREATE INDEX big_v ON big USING faissivf (v) WITH (model = big)")
        path = db.execute("SELECT current_setting('data_directory') || '/export.faiss'").fetchone()[0]
        one_step("export_path", factory, "SELECT faiss.export_path('big_v', 'id', %s)", (path,))
        size = db.execute("SELECT (pg_stat_file(%s)).size", (path,)).fetchone()[0]
        code = ("import faiss,re,sys,time; t=time.time(); i=faiss.read_index(sys.argv[1]); t=time.time()-t; "
                "print(i.ntotal, t, int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024)")
        out = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True).stdout.split()
        assert int(out[0]) == n, out
        print(f"{factory}: faiss.read_index of {size} bytes {float(out[1]):.1f} s, peak {float(out[2]):.0f} MB", flush=True)
        one_step("read_file_path", factory, "SELECT count(*) FROM faiss.read_file_path(%s, true)", (path,), "fs" in factory)
        db.execute("DROP INDEX big_v")
        db.execute("SELECT faiss.drop_model('big')")
    if n <= 10**5 or len(sys.argv) > 4:
        one_step("CREATE INDEX", "HNSW16", "CREATE INDEX big_v ON big USING faisshnsw (v) WITH (m = 16)")
        one_step("export_path", "HNSW16", "SELECT faiss.export_path('big_v', 'id', %s)", (path,))
        one_step("import_graph_path", "HNSW16", "SELECT faiss.import_graph_path('big_v', 'id', %s)", (path,))


def one_step(what, factory, statement, arguments=None, is_refused=False):
    """In a session of its own, whose memory counts from nothing; what it shares with others is left out."""
    with psycopg.connect(sys.argv[1], autocommit=True) as db:
        db.execute(f"SET maintenance_work_mem = '{2048 if factory == 'HNSW16' else 256}MB'")
        begin = time.time()
        try:
            db.execute(statement, arguments)
        except psycopg.errors.InvalidParameterValue:
            assert is_refused
            return
        took = time.time() - begin
        pid = db.execute("SELECT pg_backend_pid()").fetchone()[0]
        peak = peak_memory(pid)
    print(f"{factory}: {what} {took:.1f} s, peak {peak}", flush=True)


def peak_memory(pid):
    """Megabytes of a process at most, those of shared buffers that it has looked at among them."""
    with open(f"/proc/{pid}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    kb = {name: int(fields[name].split()[0]) // 1024 for name in ("VmHWM", "RssShmem", "RssFile")}
    return f"{kb['VmHWM']} MB (of it shared {kb['RssShmem'] + kb['RssFile']})"


def binary(x, start):
    """Rows as COPY has them in binary form."""
    n, d = x.shape
    row = np.dtype([("n", ">i2"), ("l1", ">i4"), ("id", ">i8"), ("l2", ">i4"), ("d", ">i2"), ("z", ">i2"), ("x", ">f4", (d,))])
    rows = np.zeros(n, row)
    rows["n"], rows["l1"], rows["id"] = 2, 8, np.arange(start, start + n)
    rows["l2"], rows["d"], rows["x"] = 4 + 4 * d, d, x
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff"
