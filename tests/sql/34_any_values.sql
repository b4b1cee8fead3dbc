-- Whatever finite values a column has: nothing fails, nothing is called damaged, and no row ruins the index for the others.
SET client_min_messages = warning;
SELECT setseed(0.7);
CREATE TABLE topic AS SELECT t, array(SELECT random() - 0.5 + 0 * t FROM generate_series(1, 32))::vector(32) v FROM generate_series(0, 39) t;
CREATE TABLE plain (id int PRIMARY KEY, v vector(32));
INSERT INTO plain SELECT i, l2_normalize(t.v + array(SELECT (random() - 0.5) * 0.5 + 0 * i FROM generate_series(1, 32))::vector(32))
FROM generate_series(1, 4000) i JOIN topic t ON t.t = i % 40;
-- The share of the ten nearest of some rows that a table's index finds.
CREATE FUNCTION recall(t regclass, op text, n int DEFAULT 20) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE q vector; worst float8; hit int := 0; got int;
BEGIN
  FOR i IN 1..n LOOP
    SELECT v INTO q FROM plain WHERE id = i * 101 % 4000 + 1;
    PERFORM set_config('enable_indexscan', 'off', true), set_config('enable_seqscan', 'on', true);
    EXECUTE format('SELECT max(d) FROM (SELECT v %2$s $1 d FROM %1$s ORDER BY 1 LIMIT 10) x', t, op) INTO worst USING q;
    PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_seqscan', 'off', true);
    EXECUTE format('SELECT count(*) FROM (SELECT v %2$s $1 d FROM %1$s ORDER BY v %2$s $1 LIMIT 10) x WHERE d <= $2', t, op) INTO got USING q, worst;
    hit := hit + got;
  END LOOP;
  RETURN round(hit / (10.0 * n), 3);
END $$;
-- One row far away takes nothing from the others: not at the build, nor from a code, nor when it is gone.
CREATE TABLE far (id int PRIMARY KEY, v vector(32));
INSERT INTO far SELECT * FROM plain;
INSERT INTO far VALUES (-1, array_fill(200000, ARRAY[32])::vector);
CREATE FUNCTION with_index(t regclass, method text, opclass text, options text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE found numeric;
BEGIN
  EXECUTE format('CREATE INDEX tried ON %s USING %s (v %s) WITH (%s)', t, method, opclass, options);
  found := recall(t, '<->');
  DROP INDEX tried;
  RETURN found;
END $$;
SET faiss.nprobe = 10;
SELECT o, with_index('far', 'faissivf', 'vector_l2_ops', o) > 0.9 AS well FROM unnest('{nlist=64,"nlist=64,code=sq8","nlist=64,code=sq4","nlist=64,code=pqfs,m=16","nlist=64,code=pq,m=16,nbits=6","nlist=64,code=rabitq"}'::text[]) o;
SELECT o, with_index('far', 'faissflat', 'vector_l2_ops', o) > 0.9 AS well FROM unnest('{code=sq8,code=sq4,"code=pqfs,m=16","code=pq,m=16","factory=''RR,RaBitQ''","factory=''SQ8,Refine(SQ8)''"}'::text[]) o;
CREATE INDEX far_v ON far USING faissivf (v);
SELECT recall('far', '<->') > 0.97 AS well, (SELECT advice FROM faiss.health('far_v')), (SELECT count(*) FROM faiss.check('far_v')) AS problems;
SELECT id FROM far ORDER BY v <-> (SELECT v FROM far WHERE id = -1) LIMIT 1;
DELETE FROM far WHERE id = -1;
VACUUM far;
SELECT recall('far', '<->') > 0.97 AS well;
-- Numbers whose squares, differences or sums are beyond what a float holds, and numbers whose squares are nothing.
CREATE TABLE huge (id int PRIMARY KEY, v vector(32));
INSERT INTO huge SELECT * FROM plain;
INSERT INTO huge SELECT -i, array_fill(x, ARRAY[32])::vector FROM unnest('{1e20,-1e20,2e38,-2e38,3.4e38,1e-20,1e-30,1e-45}'::real[]) WITH ORDINALITY a (x, i);
-- Each index is built, scanned, checked, written to and vacuumed.
CREATE FUNCTION tried(method text, opclass text, op text, options text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE found numeric; problems int; health text;
BEGIN
  EXECUTE format('CREATE INDEX tried ON huge USING %s (v %s) WITH (%s)', method, opclass, options);
  INSERT INTO huge SELECT id - 100, v FROM huge WHERE id BETWEEN -8 AND -1;
  INSERT INTO huge SELECT id + 10000, v FROM huge WHERE id BETWEEN 1 AND 50;
  found := recall('huge', op);
  PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_seqscan', 'off', true);
  SELECT count(*) INTO problems FROM faiss.check('tried');
  SELECT advice INTO health FROM faiss.health('tried');
  PERFORM * FROM faiss.index_info('tried');
  PERFORM * FROM faiss.recall('tried', queries => 5);
  REINDEX INDEX tried;
  SELECT problems + count(*) INTO problems FROM faiss.check('tried');
  DELETE FROM huge WHERE id < -100 OR id > 10000;
  DROP INDEX tried;
  RETURN concat_ws(' ', CASE WHEN found > 0.8 THEN 'well' ELSE found::text END, problems, health);
END $$;
SELECT format('SELECT %L AS options, %L AS opclass, tried(''faissivf'', %2$L, %L, %1$L)', o, m, CASE m WHEN 'vector_l2_ops' THEN '<->' ELSE '<=>' END)
FROM unnest('{nlist=40,"nlist=40,code=sq8","nlist=40,code=sq4","nlist=40,code=sqfp16","nlist=40,code=pqfs,m=16","nlist=40,code=pq,m=16,nbits=6","nlist=40,code=rabitq","factory=''RR,IVF40,RaBitQ''","factory=''OPQ8,IVF40,PQ8x6''","factory=''IVF40,PQ16x4fs,Refine(SQ8)''","factory=''IVF40,PQ16x4fs,Refine(SQfp16)''","factory=''IVF40,PQ16x4fs,Refine(Flat)''"}'::text[]) o,
    unnest('{vector_l2_ops,vector_cosine_ops}'::text[]) m
UNION ALL SELECT format('SELECT %L AS options, %L AS opclass, tried(''faissflat'', %2$L, ''<->'', %1$L)', o, 'vector_l2_ops')
FROM unnest('{code=sq8,"code=pqfs,m=16","factory=''RR,RaBitQ''","factory=''SQ8,Refine(SQ8)''"}'::text[]) o
\gexec
-- Under inner product these are the nearest of half of all, in lists that are not: what is found is another matter.
SELECT format('SELECT %L AS options, split_part(tried(''faissivf'', ''vector_ip_ops'', ''<#>'', %1$L), '' '', 2) AS problems', o)
FROM unnest('{nlist=40,"nlist=40,code=sq8","nlist=40,code=sqfp16","nlist=40,code=pqfs,m=16","factory=''RR,IVF40,RaBitQ''"}'::text[]) o
\gexec
CREATE INDEX l1 ON huge USING faissflat (v vector_l1_ops);
SELECT recall('huge', '<+>') > 0.9 AS well, (SELECT count(*) FROM faiss.check('l1')) AS problems;
DROP INDEX l1;
-- Models of such rows, and what faiss.tune makes of an index on them.
SELECT format('SELECT trained_as, coarse_error < 2 AND coalesce(code_error < 1, true) AS small FROM faiss.train(''m%s'', ''huge'', ''v'', %L)', i, f)
FROM unnest('{"IVF16,Flat","IVF16,SQ8","IVF16,PQ16x4fs","RR,IVF16,RaBitQ","OPQ8,IVF16,PQ8x6"}'::text[]) WITH ORDINALITY a (f, i)
\gexec
CREATE INDEX modelled ON huge USING faissivf (v) WITH (model = m3);
SELECT count(*) AS problems FROM faiss.check('modelled');
DROP INDEX modelled;
CREATE INDEX tuned ON huge USING faissivf (v) WITH (nlist = 40, code = pqfs);
SELECT count(*) > 0 AS measured FROM faiss.tune('tuned', queries => 20);
DROP INDEX tuned;
-- halfvec at its limits.
CREATE TABLE half (id int PRIMARY KEY, v halfvec(32));
INSERT INTO half SELECT id, v::halfvec(32) FROM plain;
INSERT INTO half SELECT -i, array_fill(x, ARRAY[32])::halfvec FROM unnest('{65504,-65504,6e-8,-6e-8}'::real[]) WITH ORDINALITY a (x, i);
CREATE INDEX half_flat ON half USING faissivf (v halfvec_l2_ops) WITH (nlist = 40);
CREATE INDEX half_sq8 ON half USING faissivf (v halfvec_l2_ops) WITH (nlist = 40, code = sq8);
CREATE INDEX half_fs ON half USING faissivf (v halfvec_cosine_ops) WITH (factory = 'IVF40,PQ16x4fs,Refine(SQ8)');
INSERT INTO half SELECT id - 100, v FROM half WHERE id < 0;
SELECT i, (SELECT count(*) FROM faiss.check(i::regclass)) AS problems FROM unnest('{half_flat,half_sq8,half_fs}'::text[]) i;
SET enable_seqscan = off;
SELECT id FROM half ORDER BY v <-> (SELECT v FROM half WHERE id = -1), id LIMIT 2;
-- Under cosine a vector of zeros alone has no direction; one whose squares are nothing has the distance that the operator says.
SET enable_seqscan = on;
CREATE TABLE short (id int PRIMARY KEY, v vector(2));
INSERT INTO short VALUES (1, '[1,0]'), (2, '[1e-30,0]'), (3, '[0,0]'), (4, '[1e30,1e30]');
CREATE INDEX ON short USING faissivf (v vector_cosine_ops);
SET enable_seqscan = off;
SELECT id FROM (SELECT id FROM short ORDER BY v <=> '[1,0]' LIMIT 3) s ORDER BY id;
SELECT count(*) FROM (SELECT v FROM short ORDER BY v <=> '[1e-30,0]' LIMIT 3) s;
