-- What an index is made of: options one by one, or a FAISS factory string.
CREATE TABLE t (id int, v vector(6)) PARTITION BY RANGE (id);
-- As many words as there are; the case of a word does not matter, that of a factory string does.
CREATE INDEX a ON t USING faissivf (v) WITH (nlist = 4, code = PQ, m = 3, nbits = 12, opq = on, refine = sqfp16, seed = 7, nprobe = 2, k_factor = 5);
CREATE INDEX b ON t USING faissivf (v) WITH (code = pqfs, opq, refine = Flat);
CREATE INDEX c ON t USING faissivf (v) WITH (factory = 'OPQ3,IVF4k,PQ6x4fs,RFlat', seed = 7, nprobe = 2, k_factor = 5);
SELECT pg_get_indexdef(oid) FROM pg_class WHERE relname IN ('a', 'b', 'c') ORDER BY relname;
DROP INDEX a, b, c;
-- Changed one by one, they must fit each other at any time. What is structural takes effect at REINDEX.
CREATE TABLE whole (v vector(6));
CREATE INDEX w ON whole USING faissivf (v);
ALTER INDEX w SET (m = 3);
ALTER INDEX w SET (code = pq, m = 3, nbits = 6, refine = flat);
ALTER INDEX w SET (m = 6, k_factor = 4);
ALTER INDEX w SET (code = pqfs);
ALTER INDEX w RESET (code);
ALTER INDEX w SET (factory = 'IVF4,PQ6');
SELECT reloptions FROM pg_class WHERE relname = 'w';
ALTER INDEX w RESET (code, m, nbits, refine);
ALTER INDEX w SET (factory = 'IVF4,PQ6');
ALTER INDEX w SET (refine = heap);
ALTER INDEX w SET (k_factor = 10);
SELECT reloptions FROM pg_class WHERE relname = 'w';
-- Every factory string that is understood; a partitioned table's index has no pages that could be built.
\set VERBOSITY terse
CREATE FUNCTION outcome(factory text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE INDEX f ON t USING faissivf (v) WITH (factory = %L)', factory);
    DROP INDEX f;
    RETURN 'understood';
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN SQLERRM;
END $$;
SELECT f, outcome(f) FROM unnest(ARRAY[
    'IVF4,Flat', 'IVF64k,Flat', 'IVF4,SQfp16', 'IVF4,SQ8', 'IVF4,SQ4', 'IVF4,PQ6', 'IVF4,PQ6np', 'IVF4,PQ6x4', 'IVF4,PQ6x12np', 'IVF4,PQ6x4fs',
    'IVF4,RaBitQ', 'IVF4,RaBitQ1', 'IVF4,RaBitQ8', 'RR,IVF4,RaBitQ', 'OPQ3,IVF4,PQ6', 'OPQ3,IVF4,SQ8', 'L2norm,IVF4,Flat', 'L2norm,RR,IVF4,SQ4', 'L2Norm,OPQ2,IVF4,PQ2',
    'IVF4,PQ6,RFlat', 'IVF4,PQ6,Refine(Flat)', 'IVF4,PQ6,Refine(SQfp16)', 'RR,IVF4,PQ6x4fs,Refine(SQ8)']) f;
-- And what is not, with the part named.
SELECT f, outcome(f) FROM unnest(ARRAY[
    'PQ6', 'RR,SQ8,RFlat', 'IVF4,SQ6', 'IVF4,sq8', 'IVF4,PQ', 'IVF4,PQ6x', 'IVF4,PQ6x4fsr', 'IVF4,PQ6x4fs_64', 'IVF4,PQ6x8fs', 'IVF4,PQ6+6',
    'IVF4,PQ0', 'IVF4,PQ4097', 'IVF4,PQ6x3', 'IVF4,PQ6x13', 'IVF4,RaBitQ9', 'IVF4,RaBitQfs', 'OPQ3_4,IVF4,PQ6', 'RR4,IVF4,PQ6', 'OPQ,IVF4,PQ6',
    'RR,OPQ3,IVF4,PQ6', 'RR,L2norm,IVF4,PQ6', 'IVF4,RR,PQ6', 'PCA4,IVF4,PQ6', 'OPQ3,IVF4,Flat', 'IVF4,Flat,RFlat', 'IVF4,PQ6,Refine(PQ3)',
    'IVF4,PQ6,Refine(SQ8', 'IVF4,PQ6,RFlat,RFlat', 'IVF4,PQ6,', 'OPQ3', 'IVF4_HNSW32,PQ6', 'IVF4(HNSW32,Flat),PQ6', 'IDMap,IVF4,PQ6', 'IVF4,PQ6 ']) f;
-- What cannot be built is refused. Without rows a code waits for its training.
\set VERBOSITY default
REINDEX INDEX w;
CREATE INDEX ON whole USING faissivf (v) WITH (code = pq, m = 6);
CREATE INDEX ON whole USING faissivf (v) WITH (factory = 'IVF4,SQ8');
CREATE INDEX ON whole USING faissivf (v) WITH (factory = 'L2norm,IVF4,Flat');
CREATE UNLOGGED TABLE unlogged (v vector(6));
CREATE INDEX ON unlogged USING faissivf (v) WITH (code = rabitq);
CREATE INDEX p ON t USING faissivf (v) WITH (code = sq8);
CREATE TABLE part PARTITION OF t FOR VALUES FROM (0) TO (10);
-- A rotation must fit in memory.
CREATE TABLE wide (v vector(600));
SET maintenance_work_mem = '1MB';
CREATE INDEX ON wide USING faissivf (v) WITH (factory = 'RR,IVF4,SQ8');
RESET maintenance_work_mem;
-- Sub-quantizers divide the dimension.
CREATE INDEX ON whole USING faissivf (v) WITH (code = pq);
CREATE INDEX ON whole USING faissivf (v) WITH (code = pqfs, m = 4);
CREATE INDEX ON whole USING faissivf (v) WITH (factory = 'OPQ5,IVF4,PQ6');
