// TypeORM with its vector and halfvec columns.
import 'reflect-metadata';
import { DATABASE, HOST, PASSWORD, PORT, ROWS, USER, embeddings, kinds, nearest, question, same, settle, step, versions } from './client.mjs';
import { DataSource, EntitySchema } from 'typeorm';

versions('typeorm', 'pg');
const Item = new EntitySchema({
  name: 'item',
  columns: {
    n: { type: 'int', primary: true },
    kind: { type: 'text' },
    embedding: { type: 'vector', length: 16 },
    half: { type: 'halfvec', length: 16, nullable: true },
  },
});
const source = new DataSource({
  type: 'postgres',
  host: HOST,
  port: PORT,
  username: USER,
  password: PASSWORD,
  database: DATABASE,
  entities: [Item],
  synchronize: true,
});
await step('initialize and synchronize', () => source.initialize());
const items = source.getRepository(Item);
await step('rows', async () => {
  const rows = embeddings.map((embedding, n) => ({ n, kind: kinds[n], embedding, half: embedding }));
  for (let from = 0; from < ROWS; from += 250) await items.insert(rows.slice(from, from + 250));
});
await step('hnsw', async () => {
  await source.query('CREATE INDEX item_graph ON item USING hnsw (embedding vector_cosine_ops)');
  await settle('item_graph');
});
await step('search', async () => {
  const query = items.createQueryBuilder('i').orderBy('i.embedding <=> :q').limit(5);
  const found = await query.setParameter('q', JSON.stringify(question)).getMany();
  same(found.map((item) => item.n), nearest());
}, 'item_graph');
await step('filter', async () => {
  const query = items.createQueryBuilder('i').where("i.kind = 'news'").orderBy('i.embedding <=> :q').limit(5);
  const found = await query.setParameter('q', JSON.stringify(question)).getMany();
  same(found.map((item) => item.n), nearest('cosine', 'news'));
});
await step('values come back', async () => {
  const item = await items.findOneBy({ n: 7 });
  same(item.embedding.map(Math.fround), embeddings[7]);
  same(item.half.length, 16);
});
if (source.isInitialized) await source.destroy();
