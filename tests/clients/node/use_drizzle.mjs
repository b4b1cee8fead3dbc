// Drizzle: drizzle-kit generates the migration, drizzle-orm migrates and asks.
import { DATABASE, ROWS, URL, embeddings, kinds, nearest, question, same, settle, step, versions } from './client.mjs';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { cosineDistance, eq } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import { halfvec, integer, pgTable, serial, text, vector } from 'drizzle-orm/pg-core';
import pg from 'pg';

versions('drizzle-orm', 'drizzle-kit', 'pg');
const OUT = `./drizzle_${DATABASE}`;
fs.rmSync(OUT, { recursive: true, force: true });
fs.mkdirSync(OUT);
const config = { dialect: 'postgresql', schema: './drizzle_schema.ts', out: OUT, dbCredentials: { url: URL } };
fs.writeFileSync(`${OUT}/config.json`, JSON.stringify(config));

function kit(...command) {
  const options = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] };
  return execFileSync('npx', ['drizzle-kit', ...command, '--config', `${OUT}/config.json`], options);
}

await step('drizzle-kit generate, with the extension in a migration of its own', async () => {
  kit('generate', '--custom', '--name', 'extension');
  fs.writeFileSync(`${OUT}/0000_extension.sql`, 'CREATE EXTENSION IF NOT EXISTS vector;');
  kit('generate', '--name', 'items');
});
const pool = new pg.Pool({ connectionString: URL });
const db = drizzle(pool);
await step('migrate', () => migrate(db, { migrationsFolder: OUT }));

const items = pgTable('items', {
  id: serial('id').primaryKey(),
  n: integer('n'),
  kind: text('kind'),
  embedding: vector('embedding', { dimensions: 16 }),
  half: halfvec('half', { dimensions: 16 }),
});
await step('rows', async () => {
  const rows = embeddings.map((embedding, n) => ({ n, kind: kinds[n], embedding, half: embedding }));
  for (let from = 0; from < ROWS; from += 250) await db.insert(items).values(rows.slice(from, from + 250));
  await settle('items_graph');
});

async function numbers(...where) {
  const query = db.select({ n: items.n }).from(items).where(...where);
  const rows = await query.orderBy(cosineDistance(items.embedding, question)).limit(5);
  return rows.map((row) => row.n);
}

await step('search', async () => same(await numbers(), nearest()), 'items_graph');
await step('filter', async () => same(await numbers(eq(items.kind, 'news')), nearest('cosine', 'news')));
await step('values come back', async () => {
  const [row] = await db.select().from(items).where(eq(items.n, 7));
  same(row.embedding.map(Math.fround), embeddings[7]);
});
await step('drizzle-kit push keeps the index', async () => {
  kit('push');
  await settle('items_graph');
});
await step('drizzle-kit pull reads the index back', async () => {
  kit('pull');
  const schema = fs.readFileSync(`${OUT}/schema.ts`, 'utf8');
  for (const part of ['using("hnsw"', 'vector({ dimensions: 16 })']) {
    if (!schema.includes(part)) throw new Error(`no ${part} in:\n${schema}`);
  }
});
await pool.end();
