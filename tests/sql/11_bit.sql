-- Distances of bit strings: how many bits differ; 1 less the common bits among those that either has.
SELECT hamming_distance('1010', '1001'), jaccard_distance('1010', '1001'), B'1010' <~> B'1001' AS hamming, B'1010' <%> B'1001' AS jaccard;
SELECT a, b, a <~> b AS hamming, a <%> b AS jaccard, (a <~> b) = (b <~> a) AND (a <%> b) = (b <%> a) AS symmetric
  FROM (VALUES (B'1111', B'1111'), (B'1111', B'0000'), (B'0000', B'0000'), (B'1100', B'1000'), (B'1110', B'0111')) x (a, b);
-- No bits at all.
SELECT hamming_distance('', ''), jaccard_distance('', '');
-- Every length, against bit_count and the server's own operators.
WITH strings AS (SELECT n, string_agg(((i * 7 + n) % 3 = 0)::int::text, '' ORDER BY i)::varbit AS a,
    string_agg(((i * i + n) % 5 < 2)::int::text, '' ORDER BY i)::varbit AS b
  FROM generate_series(1, 700) n, generate_series(1, n) i GROUP BY n)
SELECT count(*), bool_and((a <~> b) = length(replace((a # b)::text, '0', ''))) AS hamming,
  bool_and((a <%> b) = CASE WHEN (a & b)::text !~ '1' THEN 1 ELSE
    1 - length(replace((a & b)::text, '0', ''))::float8 / length(replace((a | b)::text, '0', '')) END) AS jaccard FROM strings;
-- In a table, fixed or varying lengths, long and toasted values.
CREATE TABLE t (id int, b bit(8), v varbit);
INSERT INTO t VALUES (1, B'11110000', B'111'), (2, B'00001111', B'110'), (3, B'11000000', B'000'), (4, NULL, NULL);
SELECT id, b <~> B'11100000' AS hamming, b <%> B'11100000' AS jaccard, v <~> B'111' AS varying FROM t ORDER BY 2, 1;
CREATE TABLE wide (b varbit);
INSERT INTO wide SELECT repeat('10', 200000)::varbit;
ALTER TABLE wide ALTER b SET STORAGE external;
INSERT INTO wide SELECT repeat('01', 200000)::varbit;
SELECT x.b <~> y.b AS hamming, x.b <%> y.b AS jaccard FROM wide x, wide y ORDER BY 1, 2;
-- What quantization makes.
SELECT binary_quantize('[1,-2,3,0]'::vector) <~> binary_quantize('[1,2,-3,0]'::halfvec);
-- NULL in, NULL out.
SELECT NULL::bit <~> B'1', jaccard_distance(B'1', NULL);
-- Lengths that differ are 22000.
SELECT hamming_distance('111', '11');
SELECT jaccard_distance('111', '1111'::varbit(4));
\set VERBOSITY sqlstate
SELECT B'111' <~> B'11';
SELECT B'111' <%> B'11';
-- Angles of vectors of norm 1, in half turns.
SELECT vector_spherical_distance('[1,0]', '[0,1]'), halfvec_spherical_distance('[1,0]', '[-1,0]'), vector_spherical_distance('[2,0]', '[2,0]'),
  vector_spherical_distance('[0.6,0.8]', '[0.8,0.6]')::numeric(8, 6);
SELECT vector_spherical_distance('[1,0]', '[0]');
