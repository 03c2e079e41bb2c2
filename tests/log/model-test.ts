import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Log, LogWriter } from '../../model/log.ts';
import type { LogHome } from './conformance.ts';
import { batchOf, Contents, infoOf, readFrom, rowsOf } from './fixtures.ts';
import type { TestChange } from './fixtures.ts';

const stream = 'shop';

type Step =
  | { type: 'write'; changes: readonly TestChange[]; state: number; sync: boolean; split: boolean }
  | { type: 'mark' }
  | { type: 'abort'; changes: readonly TestChange[] }
  | { type: 'reopen' }
  | { type: 'compact' }
  | { type: 'cursor'; at: number }
  | { type: 'read'; from: number; bytesMax: number }
  | { type: 'rows' };

const change = fc.record({
  table: fc.constantFrom('orders', 'lines', 'keyless'),
  key: fc.integer({ min: -3, max: 12 }),
  value: fc.oneof(
    { weight: 2, arbitrary: fc.constant(null) },
    { weight: 6, arbitrary: fc.string({ maxLength: 20 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 600_000 }).map((length) => 'z'.repeat(length)) },
  ),
});
const changes = fc.array(change, { minLength: 1, maxLength: 6 });

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      type: fc.constant('write' as const),
      changes,
      state: fc.integer({ min: 0, max: 5 }),
      sync: fc.boolean(),
      split: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('mark' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('abort' as const), changes }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('reopen' as const) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('compact' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('cursor' as const), at: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('read' as const),
      from: fc.double({ min: 0, max: 1, noNaN: true }),
      bytesMax: fc.integer({ min: 1, max: 5000 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('rows' as const) }) },
);

/** The log against the simplest thing that could be right: a list of transactions. */
class Model {
  /** Contents after each transaction; index 0 is the beginning. */
  readonly history: Contents[] = [new Contents()];
  readonly transactions: TestChange[][] = [[]];
  readonly state = new Map<string, string>();
  log: Log;
  writer: LogWriter;

  constructor(log: Log, writer: LogWriter) {
    this.log = log;
    this.writer = writer;
  }

  get seq(): number {
    return this.history.length - 1;
  }

  at(seq: number): Contents {
    return this.history[seq] ?? new Contents();
  }

  commit(write: Step & { type: 'write' }): void {
    if (write.split) for (const one of write.changes) this.writer.append(batchOf(this.writer, [one]));
    else this.writer.append(batchOf(this.writer, write.changes));
    const value = write.state === 0 ? null : String(write.state);
    const seq = this.seq + 1;
    expect(this.writer.commit(infoOf(seq, write.state > 3 ? {} : { state: { key: value } }))).toBe(seq);
    if (write.state <= 3 && value === null) this.state.delete('key');
    else if (write.state <= 3) this.state.set('key', String(value));
    const next = this.at(this.seq).copy();
    next.apply(write.changes);
    this.history.push(next);
    this.transactions.push([...write.changes]);
  }

  /** Every sum that a reader can form on the way equals the contents at that transaction. */
  async read(from: number, bytesMax: number): Promise<void> {
    await this.writer.durable();
    const sum = this.at(from).copy();
    let seq = from;
    for (const transaction of await readFrom(this.log, stream, from, bytesMax)) {
      if (transaction.kind === 'full') sum.clear();
      if (transaction.kind === 'transaction') {
        expect(transaction.seq).toBe(seq + 1);
        expect(transaction.changes).toEqual(this.transactions[transaction.seq]);
      }
      sum.apply(transaction.changes);
      ({ seq } = transaction);
      expect(sum.list()).toEqual(this.at(seq).list());
    }
    expect(seq).toBe(this.seq);
  }

  async rows(): Promise<void> {
    await this.writer.durable();
    const rows = await rowsOf(this.log, 'shop.public.orders', { upToSeq: this.seq });
    const expected = [...this.at(this.seq).rows].filter(([key]) => key.startsWith('orders '));
    expect(rows.map((row) => `${row.key} ${row.value}`).toSorted()).toEqual(
      expected.map(([key, value]) => `${key.slice('orders '.length)} ${value}`).toSorted(),
    );
  }
}

async function run(model: Model, home: LogHome, steps: readonly Step[]): Promise<void> {
  for (const one of steps) {
    switch (one.type) {
      case 'write':
        model.commit(one);
        if (one.sync) expect((await model.writer.durable()).seq).toBe(model.seq);
        break;
      case 'mark':
        model.writer.mark({ position: `m${model.seq}`, timeMs: model.seq });
        break;
      case 'abort':
        model.writer.append(batchOf(model.writer, one.changes));
        model.writer.abort();
        break;
      case 'reopen':
        await model.log.close();
        model.log = await home.open();
        expect(model.log.frontier(stream).seq).toBe(model.seq);
        expect([...model.log.state(stream)]).toEqual([...model.state]);
        model.writer = await model.log.writer(stream);
        break;
      case 'compact':
        await model.writer.durable();
        await model.log.compact(stream);
        break;
      case 'cursor':
        await model.writer.durable();
        model.log.registerCursor(stream, 'reader', Math.floor(one.at * model.seq));
        break;
      case 'read':
        await model.read(Math.floor(one.from * model.seq), one.bytesMax);
        break;
      default:
        await model.rows();
    }
  }
  await model.read(0, 1000);
}

export function modelTest(name: string, makeHome: () => Promise<LogHome>): void {
  describe(`${name}: any sequence of steps`, () => {
    test(
      'every reader sees whole transactions whose sum is the contents at their number',
      { timeout: 120_000 },
      async () => {
        await fc.assert(
          fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
            const home = await makeHome();
            const log = await home.open();
            const model = new Model(log, await log.writer(stream));
            try {
              await run(model, home, steps);
            } finally {
              await model.log.close();
              await home.dispose();
            }
          }),
          { numRuns: 60 },
        );
      },
    );
  });
}
