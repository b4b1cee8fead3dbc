-- Where no code is asked for, the build of inverted lists chooses one by the rows.
SET client_min_messages = warning;

-- Row n: components that look random, around one of some places.
CREATE FUNCTION row_of(n int, dims int, spread float8, scale float8, places int DEFAULT 40) RETURNS vector
LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(scale * (mod(abs(43758.5453 * sin(n % places * 12.9898 + d * 78.233))::numeric, 1)
        + spread * mod(abs(24634.6345 * sin(n * 4.1414 + d * 39.346))::numeric, 1)) ORDER BY d)::vector
    FROM generate_series(1, dims) d
$$;
CREATE TABLE t (id int, v vector(100));
INSERT INTO t SELECT i, row_of(i, 100, 1, 1) FROM generate_series(1, 2000) i;

CREATE INDEX chosen ON t USING faissivf (v) WITH (nlist = 8);
CREATE INDEX asked ON t USING faissivf (v) WITH (nlist = 8, code = auto, refine = sq8);
CREATE INDEX plain ON t USING faissivf (v) WITH (nlist = 8, code = flat);
CREATE INDEX no_lists ON t USING faissflat (v) WITH (code = auto);
CREATE INDEX by_name ON t USING ivfflat (v vector_l2_ops) WITH (lists = 8);
CREATE INDEX taxicab ON t USING faissflat (v vector_l1_ops);
SELECT index, (faiss.index_info(index)).factory FROM unnest('{chosen,asked,plain,no_lists,by_name,taxicab}'::regclass[]) index;

-- What it finds is exact once enough candidates are compared.
SET enable_seqscan = off;
SET faiss.nprobe = 8;
SET faiss.k_factor = 50;
DROP INDEX asked, plain, no_lists, by_name, taxicab;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> (SELECT row_of(7, 100, 1.1, 1)) LIMIT 5;
SELECT count(*) FROM generate_series(1, 30) q,
    LATERAL (SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY v <-> row_of(q * 61, 100, 1.1, 1) LIMIT 5) a) found (ids),
    LATERAL (SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY (v <-> row_of(q * 61, 100, 1.1, 1)) + 0 LIMIT 5) b) exact (ids)
WHERE found.ids IS DISTINCT FROM exact.ids;

-- Options of a code of their own.
CREATE INDEX ON t USING faissivf (v) WITH (code = auto, m = 4);
CREATE INDEX ON t USING faissivf (v) WITH (code = auto, nbits = 2);
CREATE INDEX ON t USING faissivf (v) WITH (opq = on);
CREATE INDEX ON t USING faissivf (v) WITH (code = auto, factory = 'IVF8,Flat');

-- Short vectors, and rows that codes cannot tell apart, stay as they are.
CREATE TABLE short (v vector(64));
INSERT INTO short SELECT row_of(i, 64, 1, 1) FROM generate_series(1, 2000) i;
CREATE INDEX short_v ON short USING faissivf (v) WITH (nlist = 8);
CREATE TABLE apart (id int, v vector(100));
INSERT INTO apart SELECT i, row_of(i, 100, 1e-6, 1000, 12) FROM generate_series(1, 2000) i;
CREATE INDEX apart_v ON apart USING faissivf (v) WITH (nlist = 8);
SELECT index, (faiss.index_info(index)).factory FROM unnest('{short_v,apart_v}'::regclass[]) index;

-- Lists that are built anew choose again; what was asked for stays.
CREATE INDEX apart_flat ON apart USING faissivf (v vector_ip_ops) WITH (nlist = 8, code = flat);
DELETE FROM apart;
VACUUM apart;
INSERT INTO apart SELECT i, row_of(i, 100, 1, 1) FROM generate_series(1, 2000) i;
SET faiss.debug_rebuild = on;
SET faiss.training_rows = 100;
SELECT rebuilt FROM faiss.maintain('apart_v');
SELECT rebuilt FROM faiss.maintain('apart_flat');
SELECT index, (faiss.index_info(index)).factory FROM unnest('{apart_v,apart_flat}'::regclass[]) index;
SELECT * FROM faiss.check('apart_v');
SELECT count(*) FROM (SELECT FROM apart ORDER BY v <-> row_of(3, 100, 1, 1)) rows;
