// LangChain's PGVectorStore for JavaScript, which only logs when it cannot make its index: so the index is looked for.
import { DATABASE, HOST, PASSWORD, PORT, QUESTION, USER, embed, kinds, nearest, same, settle, step, texts, versions } from './client.mjs';
import { PGVectorStore } from '@langchain/community/vectorstores/pgvector';

versions('@langchain/community', '@langchain/core', 'pg');
const model = {
  embedDocuments: async (documents) => documents.map(embed),
  embedQuery: async (text) => embed(text),
};
let store;
await step('initialize', async () => {
  store = await PGVectorStore.initialize(model, {
    postgresConnectionOptions: { host: HOST, port: PORT, user: USER, password: PASSWORD, database: DATABASE },
    tableName: 'docs',
    distanceStrategy: 'cosine',
    dimensions: 16,
  });
});
await step('addDocuments', () =>
  store.addDocuments(texts.map((pageContent, n) => ({ pageContent, metadata: { n, kind: kinds[n] } }))));
await step('createHnswIndex', async () => {
  await store.createHnswIndex({ dimensions: 16, m: 16, efConstruction: 64 });
  await settle('embedding_embedding_hnsw_idx');
});

async function numbers(filter) {
  const found = await store.similaritySearch(QUESTION, 5, filter);
  return found.map((document) => document.metadata.n);
}

await step('search', async () => same(await numbers(), nearest()), 'embedding_embedding_hnsw_idx');
await step('filter', async () => same(await numbers({ kind: 'news' }), nearest('cosine', 'news')));
await store.end();
