// pgvector-node with node-postgres.
import { ROWS, URL, embeddings, kinds, nearest, question, same, settle, step, versions } from './client.mjs';
import pg from 'pg';
import pgvector from 'pgvector/pg';

versions('pgvector', 'pg');
const client = new pg.Client({ connectionString: URL });
await client.connect();

await step('extension, types and table', async () => {
  await client.query('CREATE EXTENSION IF NOT EXISTS vector');
  await pgvector.registerTypes(client);
  await client.query('CREATE TABLE items (n int, kind text, embedding vector(16), half halfvec(16))');
});
await step('rows', async () => {
  for (let n = 0; n < ROWS; n += 1) {
    const value = pgvector.toSql(embeddings[n]);
    await client.query('INSERT INTO items VALUES ($1, $2, $3, $4)', [n, kinds[n], value, value]);
  }
});
await step('hnsw, and ivfflat over halfvec', async () => {
  await client.query('CREATE INDEX graph ON items USING hnsw (embedding vector_l2_ops)');
  await client.query('CREATE INDEX lists ON items USING ivfflat (half halfvec_cosine_ops) WITH (lists = 10)');
  await settle('graph', 'lists');
});

async function numbers(sql) {
  const { rows } = await client.query(sql, [pgvector.toSql(question)]);
  return rows.map((row) => row.n);
}

await step('search', async () => {
  same(await numbers('SELECT n FROM items ORDER BY embedding <-> $1 LIMIT 5'), nearest('l2'));
}, 'graph');
await step('search halves', async () => {
  await client.query('SET ivfflat.probes = 10');
  same(await numbers('SELECT n FROM items ORDER BY half <=> $1 LIMIT 5'), nearest());
}, 'lists');
await step('filter', async () => {
  same(await numbers("SELECT n FROM items WHERE kind = 'news' ORDER BY embedding <-> $1 LIMIT 5"), nearest('l2', 'news'));
});
await step('values come back', async () => {
  const { rows: [row] } = await client.query('SELECT embedding, half FROM items WHERE n = 7');
  same(row.embedding.map(Math.fround), embeddings[7]);
  same(row.half.length, 16);
});
await client.end();
