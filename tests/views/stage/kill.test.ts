import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { present } from '../../../base/assert.ts';
import { systemClock } from '../../../base/clock.ts';
import type { Clock } from '../../../base/clock.ts';
import type { Table } from '../../../model/table.ts';
import { Delta } from '../../../views/delta.ts';
import { textOf, valueOf } from '../../../views/expressions/text.ts';
import { buildEngine } from '../../../views/plan/lower.ts';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import { MemoryStore } from '../../../views/state/memory.ts';
import { randomFrom } from '../../simulation/random.ts';
import { Kill } from './faulty-log.ts';
import { StageHarness, byText, table } from './harness.ts';
import type { Row, ViewText } from './harness.ts';

const customers = table('shop.public.customers', { id: 'int8', name: 'text', note: 'text' });
const orders = table('shop.public.orders', { id: 'int8', customer: 'int8', total: 'numeric' });
const clicks = table('shop.public.clicks', { customer: 'int8', page: 'text' }, []);
const payments = table('bank.public.payments', { id: 'int8', order_id: 'int8', amount: 'numeric' });
const all = [customers, orders, clicks, payments];

const docs = `SELECT c.id, c.name, json_agg(json_build_object('id', o.id, 'paid', o.paid) ORDER BY o.id) AS orders
  FROM customers c
  LEFT JOIN (SELECT o.id, o.customer, o.total, sum(p.amount) AS paid FROM orders o
             LEFT JOIN payments p ON p.order_id = o.id GROUP BY o.id, o.customer, o.total) o ON o.customer = c.id`;
/** One of two definitions of the first view; the second has no key. */
const views = (variant: number): ViewText[] => [
  { name: 'docs', key: ['id'], sql: `${docs} ${variant === 0 ? '' : 'WHERE c.id > 3'} GROUP BY c.id, c.name` },
  { name: 'pages', sql: 'SELECT k.page FROM clicks k JOIN customers c ON c.id = k.customer' },
  { name: 'sums', key: [], sql: 'SELECT count(*) AS n, sum(amount) AS amount FROM payments' },
];

type Tables = ReadonlyMap<string, readonly Row[]>;

/** Two sources whose tables are known at every transaction. */
class Sources {
  readonly #harness: StageHarness;
  readonly #random: () => number;
  readonly #history = new Map<string, Tables[]>([
    ['shop', [new Map()]],
    ['bank', [new Map()]],
  ]);

  constructor(harness: StageHarness, random: () => number) {
    this.#harness = harness;
    this.#random = random;
  }

  async commit(source: string, isLarge: boolean): Promise<void> {
    const feed = await this.#harness.feeder(source);
    const history = present(this.#history.get(source), source);
    const now = new Map(history.at(-1));
    for (let count = 1 + this.#int(4); count > 0; count--) {
      const of = present(all.filter((one) => one.source === source)[this.#int(source === 'shop' ? 3 : 1)], 'a table');
      const rows = [...(now.get(of.topic) ?? [])];
      const at =
        of.key.length === 0 ? this.#int(rows.length * 2) : rows.findIndex(({ id }) => id === String(count * 3));
      const held = of.key.length === 0 ? rows[at] : rows[this.#int(rows.length)];
      if (held !== undefined && this.#random() < 0.3) {
        feed.delete(of, held);
        rows.splice(rows.indexOf(held), 1);
      } else {
        const row = this.#row(of, isLarge);
        feed.upsert(of, row, 'update');
        const old = of.key.length === 0 ? -1 : rows.findIndex(({ id }) => id === row['id']);
        if (old >= 0) rows.splice(old, 1, row);
        else rows.push(row);
      }
      now.set(of.topic, rows);
    }
    const seq =
      history.length === 1 ? feed.commitConsistent(...all.filter((one) => one.source === source)) : feed.commit();
    expect(seq).toBe(history.length);
    history.push(now);
  }

  at(seqs: Readonly<Record<string, { seq: number }>>): Tables {
    const found = new Map<string, readonly Row[]>();
    for (const [source, { seq }] of Object.entries(seqs)) {
      for (const [topic, rows] of this.#history.get(source)?.[seq] ?? []) found.set(topic, rows);
    }
    return found;
  }

  #row(of: Table, isLarge: boolean): Row {
    const row: Row = {};
    for (const { name } of of.columns) {
      row[name] = name === 'note' ? 'n'.repeat(isLarge ? 400_000 : this.#int(3)) : String(1 + this.#int(12));
    }
    return row;
  }

  #int(below: number): number {
    return Math.floor(this.#random() * below);
  }
}

/** What the views are over these rows, computed at once. */
function computed(harness: StageHarness, variant: number, tables: Tables): Map<string, Row[]> {
  const { views: bound } = harness.options(views(variant));
  const engine = buildEngine(bound, new MemoryStore());
  const inputs = engine.inputs.map(({ relation, positions, types }) => {
    const of = present(
      all.find(({ topic }) => topic === relation),
      relation,
    );
    const delta = new Delta();
    for (const row of tables.get(relation) ?? []) {
      delta.push(
        positions.map((position, index) => {
          const text = row[of.columns[position]?.name ?? ''] ?? null;
          return text === null ? null : valueOf(text, present(types[index], 'a type'));
        }),
        1,
      );
    }
    return [relation, delta] as const;
  });
  const result = engine.step(new Map(inputs));
  return new Map(
    bound.map(({ name, columns }) => {
      const rows: Row[] = [];
      const delta = result.get(name) ?? new Delta();
      for (const [index, values] of delta.rows.entries()) {
        const texts = columns.map(({ type }, at) => {
          const value = values[at] ?? null;
          return value === null ? null : textOf(value, type);
        });
        const row = Object.fromEntries(columns.map((column, at) => [column.name, texts[at] ?? null]));
        for (let count = delta.weights[index] ?? 0; count > 0; count--) rows.push(row);
      }
      return [name, rows.toSorted(byText)];
    }),
  );
}

interface Vector {
  readonly sources: Record<string, { seq: number }>;
}

describe('a stage that is killed', () => {
  beforeAll(loadSqlParser);

  const seed = Number(process.env['STAGE_SEED'] ?? Math.floor(Math.random() * 1e6));
  const rounds = Number(process.env['STAGE_ROUNDS'] ?? 12);

  it(`has published at every moment what the views were at one vector, nothing twice (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const harness = await StageHarness.create(...all);
    const sources = new Sources(harness, random);
    let variant = 0;
    try {
      await sources.commit('shop', false);
      await sources.commit('bank', false);
      for (let round = 0; round < rounds; round++) {
        if (random() < 0.1) await rm(join(harness.directory, 'views'), { recursive: true, force: true });
        if (random() < 0.15) variant = 1 - variant;
        const kill = new Kill(1 + Math.floor(random() * 60), random);
        const pace = [1, 30, 3000][Math.floor(random() * 3)] ?? 1;
        harness.start(views(variant), { log: kill.log(harness.log), clock: fastClock(pace) });
        for (let count = Math.floor(random() * 30); count > 0; count--) {
          await sources.commit(random() < 0.5 ? 'shop' : 'bank', random() < 0.02);
          if (random() < 0.2) await settled(harness, kill);
        }
        await settled(harness, kill);
        if (!kill.isKilled && random() < 0.5) {
          kill.left = 1 + Math.floor(random() * 3);
          await sources.commit('shop', false);
          await settled(harness, kill);
        }
        await harness.stop().catch((error: unknown) => expect(String(error)).toMatch(/killed/));
        if (random() < 0.2) await harness.log.compact(random() < 0.5 ? 'shop' : 'bank');
        await harness.reopen();
        await check(harness, sources, variant);
      }
      harness.start(views(variant));
      await harness.feeder('shop');
      await harness.feeder('bank');
      await harness.caughtUp();
      await harness.stop();
      await check(harness, sources, variant);
      expect((await harness.commits()).length).toBeGreaterThan(rounds / 3);
    } finally {
      await harness.close();
    }
  }, 120_000);
});

/** A clock by which state is committed more often than once a second. */
function fastClock(pace: number): Clock {
  return {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic() * pace,
    sleep: async (ms, signal) => systemClock.sleep(ms / pace, signal),
  };
}

/** Until everything is published, or the stage is dead. */
async function settled(harness: StageHarness, kill: Kill): Promise<void> {
  await harness.caughtUp().catch((error: unknown) => {
    if (!kill.isKilled) throw error;
  });
}

async function check(harness: StageHarness, sources: Sources, variant: number): Promise<void> {
  const commits = await harness.commits();
  expect(commits.map(({ seq }) => seq)).toEqual(commits.map((_, index) => index + 1));
  const vector = JSON.parse(harness.log.state('views').get('vector') ?? 'null') as (Vector & { views: unknown }) | null;
  if (vector === null) return;
  // What was published last may be of the definitions before.
  const tables = sources.at(vector.sources);
  const expected = [variant, 1 - variant].map((one) => computed(harness, one, tables));
  const found = new Map<string, Row[]>();
  for (const name of ['docs', 'pages', 'sums']) found.set(name, await harness.rows(name));
  const matches = expected.some((one) => JSON.stringify([...one]) === JSON.stringify([...found]));
  if (!matches) expect(found).toEqual(expected[0]);
}
