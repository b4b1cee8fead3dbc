// What the scripts share: where the server is, texts with embeddings, exact answers, and steps.
//
// A script uses one client the way its documentation says, unmodified, as the owner of an empty database who is no
// superuser. It prints a line for each step and fails if a step failed.
import crypto from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import pg from 'pg';

const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGFAISS_CLIENT_LOG } = process.env;
export const HOST = PGHOST;
export const PORT = Number(PGPORT);
export const USER = PGUSER;
export const PASSWORD = PGPASSWORD;
export const DATABASE = PGDATABASE;
export const URL = `postgresql://${USER}:${PASSWORD}@${HOST}:${PORT}/${DATABASE}`;
export const ROWS = 1000;
export const DIM = 16;
export const QUESTION = 'a question';

// Stands for a model: the same text always gives the same vector.
export function embed(text) {
  const hash = crypto.createHash('sha512').update(text).digest();
  return Array.from({ length: DIM }, (_, i) => Math.fround(hash.readInt32LE(4 * i) / 2 ** 31));
}

export const texts = Array.from({ length: ROWS }, (_, i) => `document number ${i}`);
export const embeddings = texts.map(embed);
export const kinds = texts.map((_, i) => (i % 2 ? 'news' : 'blog'));
export const question = embed(QUESTION);

const sum = (a, f) => a.reduce((total, x, i) => total + f(x, i), 0);
const dot = (a, b) => sum(a, (x, i) => x * b[i]);
const DISTANCES = {
  cosine: (a, b) => 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)),
  l2: (a, b) => Math.sqrt(sum(a, (x, i) => (x - b[i]) ** 2)),
};

// The numbers of the rows that are exactly nearest to the question.
export function nearest(metric = 'cosine', kind = undefined) {
  const far = embeddings.map((row, i) => [DISTANCES[metric](row, question), i]);
  const wanted = far.filter(([, i]) => kind === undefined || kinds[i] === kind);
  return wanted.sort((a, b) => a[0] - b[0]).slice(0, 5).map(([, i]) => i);
}

// Fails unless both are equal.
export function same(got, wanted) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${a} instead of ${b}`);
}

export function versions(...packages) {
  const require = createRequire(import.meta.url);
  const version = (name) => JSON.parse(fs.readFileSync(require.resolve.paths(name)[0] + `/${name}/package.json`)).version;
  console.log(packages.map((name) => `${name} ${version(name)}`).join(', '));
}

let [passed, failed] = [0, 0];

// One thing a user does. With `index`, the server must have answered by a scan of that index.
export async function step(name, run, index = undefined) {
  const before = fs.statSync(PGFAISS_CLIENT_LOG).size;
  try {
    await run();
    if (index) await awaitScan(index, before);
    passed += 1;
    console.log(`OK   ${name}${index ? ` (by ${index})` : ''}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}: ${error.message}${error.cause ? ` <- ${error.cause.message}` : ''}\n${error.stack}`);
  }
}

// The server writes a plan when the portal ends, which can be a moment after the answer.
async function awaitScan(index, before) {
  const deadline = Date.now() + 5000;
  for (;;) {
    const entries = fs.readFileSync(PGFAISS_CLIENT_LOG).subarray(before).toString().split(/\n(?!\t)/);
    const ours = entries.filter((entry) => entry.startsWith(`db=${DATABASE} `));
    if (ours.some((entry) => entry.includes(`Index Scan using ${index} on `))) return;
    if (Date.now() > deadline) throw new Error(`no scan of ${index} among:\n${ours.join('\n')}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

const METHOD_OF = `SELECT amname, probin FROM pg_class c JOIN pg_am a ON a.oid = c.relam
  JOIN pg_proc p ON p.oid = a.amhandler WHERE relname = $1`;

// What happens between loading and searching: tables are analyzed, as autovacuum would. The indexes must be ours.
export async function settle(...indexes) {
  const session = new pg.Client({ connectionString: URL });
  await session.connect();
  try {
    for (const index of indexes) {
      const [found] = (await session.query(METHOD_OF, [index])).rows;
      if (!found?.probin.includes('pgfaiss')) throw new Error(`${index} is of ${JSON.stringify(found)}`);
      console.log(`${index} is of method ${found.amname}`);
    }
    await session.query('ANALYZE');
  } finally {
    await session.end();
  }
}

process.on('exit', (code) => {
  console.log(`${passed} steps passed, ${failed} failed, 0 left out`);
  if (code === 0 && (failed || !passed)) process.exitCode = 1;
});
