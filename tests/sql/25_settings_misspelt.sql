-- The prefix of the settings is the extension's alone, but for PostgreSQL 14, which knows no such thing: a name that is misspelt, or of a version to come.
LOAD 'pgfaiss';
SET faiss.probes = 3;
SELECT current_setting('faiss.probes', true) IS NULL AS refused;
SET LOCAL faiss.nprobes = 3;
ALTER DATABASE "25_settings_misspelt" SET faiss.probes = 3;
