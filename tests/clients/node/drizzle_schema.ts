// The schema of the Drizzle project.
import { halfvec, index, integer, pgTable, serial, text, vector } from 'drizzle-orm/pg-core';

export const items = pgTable(
  'items',
  {
    id: serial('id').primaryKey(),
    n: integer('n'),
    kind: text('kind'),
    embedding: vector('embedding', { dimensions: 16 }),
    half: halfvec('half', { dimensions: 16 }),
  },
  (table) => [
    index('items_graph')
      .using('hnsw', table.embedding.op('vector_cosine_ops'))
      .with({ m: 16, ef_construction: 64 }),
  ],
);
