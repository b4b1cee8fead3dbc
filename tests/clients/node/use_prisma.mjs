// Prisma's client with the driver adapter. Its schema engine is a binary that is fetched from elsewhere, so the migration
// is applied by node-postgres.
import { ROWS, URL, embeddings, kinds, nearest, question, same, settle, step, versions } from './client.mjs';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import pg from 'pg';
import pgvector from 'pgvector';

versions('prisma', '@prisma/client', '@prisma/adapter-pg');
await step('prisma generate', async () => {
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', CHECKPOINT_DISABLE: '1' };
  execFileSync('npx', ['prisma', 'generate', '--schema', 'prisma_schema.prisma'], { env, stdio: 'pipe' });
});
const { default: { PrismaClient } } = await import('@prisma/client');
const { PrismaPg } = await import('@prisma/adapter-pg');

await step('migration', async () => {
  const client = new pg.Client({ connectionString: URL });
  await client.connect();
  await client.query(fs.readFileSync('prisma_migration.sql', 'utf8'));
  await client.end();
});

const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: URL }) });
await step('rows', async () => {
  for (let n = 0; n < ROWS; n += 1) {
    const embedding = pgvector.toSql(embeddings[n]);
    await prisma.$executeRaw`INSERT INTO "Item" VALUES (${n}, ${kinds[n]}, ${embedding}::vector)`;
  }
  await settle('item_graph');
});
await step('search', async () => {
  const q = pgvector.toSql(question);
  const found = await prisma.$queryRaw`SELECT n FROM "Item" ORDER BY embedding <=> ${q}::vector LIMIT 5`;
  same(found.map((item) => item.n), nearest());
}, 'item_graph');
await step('filter', async () => {
  const q = pgvector.toSql(question);
  const found = await prisma.$queryRaw`
    SELECT n FROM "Item" WHERE kind = 'news' ORDER BY embedding <=> ${q}::vector LIMIT 5`;
  same(found.map((item) => item.n), nearest('cosine', 'news'));
});
await step('findMany beside the column', async () => {
  same(await prisma.item.count({ where: { kind: 'news' } }), ROWS / 2);
});
await prisma.$disconnect();
