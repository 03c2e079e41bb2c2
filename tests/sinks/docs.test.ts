import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../config/load.ts';
import { scalar } from '../../model/data-type.ts';
import { Harness, caughtUp, table } from './harness.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/sinks.md'), 'utf8');
const tags = { kind: 'array', element: scalar('text'), delimiter: ',' } as const;
const orders = table('orders', { id: 'int8', customer: 'text', total: 'numeric', paid: 'bool', tags });

/** The page's blocks in that language, each with the `text` block right after it, if there is one. */
function blocks(language: string): { code: string; output: string | undefined }[] {
  const form = new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\`(?:\\s*\`\`\`text\\n([^]*?)\`\`\`)?`, 'g');
  return [...page.matchAll(form)].map(([, code = '', output]) => ({ code, output }));
}

async function run(): Promise<Harness> {
  const harness = await Harness.create();
  onTestFinished(async () => harness.close());
  const { feeder } = harness;
  feeder.upsert(orders, { id: '1', customer: 'Ada Lovelace', total: '12.50', paid: 't', tags: '{new,vip}' }).commit();
  feeder.upsert(orders, { id: '2', customer: 'Grace Hopper', total: '7', paid: 'f' }).commitConsistent(orders);
  await feeder.durable();
  const from = orders.topic;
  const groups = harness.run([
    {
      name: 'local',
      type: 'sqlite',
      path: harness.path('search.db'),
      from,
      table: 'orders',
      search: ['customer'],
      start: 'consistent',
    },
    {
      name: 'feed',
      type: 'ndjson',
      path: harness.path('feed'),
      from,
      columns: { id: 'id', who: 'customer' },
      start: 'consistent',
    },
  ]);
  await caughtUp(groups, 2);
  return harness;
}

test('every query of docs/sinks.md gives the rows that stand below it', async () => {
  const harness = await run();
  const db = new DatabaseSync(harness.path('search.db'), { readOnly: true });
  const queries = blocks('sql');
  expect(queries.length).toBeGreaterThan(3);
  for (const { code, output } of queries) {
    const rows = db.prepare(code).all();
    const shown = rows
      .map(
        (row) =>
          `${Object.values(row)
            .map((value) => String(value ?? ''))
            .join('|')}\n`,
      )
      .join('');
    expect(shown, code).toBe(output);
  }
  db.close();
});

test('the feed of docs/sinks.md is what a file holds', async () => {
  const harness = await run();
  harness.feeder.delete(orders, { id: '1' }).commit();
  const [block] = blocks('json');
  await expect.poll(() => readFileSync(harness.path('feed'), 'utf8')).toBe(block?.code);
});

test('the configuration of docs/sinks.md is accepted', () => {
  const [block] = blocks('yaml');
  expect(parseConfig(block?.code ?? '', 'tidemark.yaml', {}).sinks.map(({ type }) => type)).toEqual([
    'sqlite',
    'ndjson',
  ]);
});
