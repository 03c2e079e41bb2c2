import { assert, present } from '../base/assert.ts';
import { TidemarkError } from '../base/errors.ts';
import { Delta } from '../views/delta.ts';
import type { Engine } from '../views/engine.ts';
import { buildEngine } from '../views/plan/lower.ts';
import type { BoundView } from '../views/plan/plan.ts';
import { loadSqlParser } from '../views/sql/bind.ts';
import { MemoryStore } from '../views/state/memory.ts';
import type { Row } from '../views/value.ts';
import type { Figure } from './figure.ts';
import { figure, Stopwatch } from './figure.ts';
import { bindToybank, paymentNames, renamedSql, toybankSql, transactionNames, transfers } from './toybank-program.ts';

const standardRows = 1_000_000;
/** The rows are gone through in so many parts, one after the other; the fastest counts, since other programs only slow down. */
const parts = 50;

interface Case {
  readonly name: string;
  readonly views: readonly BoundView[];
  readonly batch: number;
}

/**
 * The toy bank's four views over transfers that are in memory as rows, each `batch` of them a transaction: from the first to the last
 * result. Beside it, taking turns, a loop over the same rows, written by hand, that keeps two Maps and adds the balances up after each
 * batch.
 */
export async function run(options: { scale: number }): Promise<Figure[]> {
  await loadSqlParser();
  const n = Math.max(50_000, Math.round(standardRows * options.scale));
  const plain = bindToybank(toybankSql.outer, 'transactions', transactionNames);
  const renamed = bindToybank(renamedSql, 'payments', paymentNames);
  const cases: readonly Case[] = [
    { name: 'toybank-batch-1', views: plain, batch: 1 },
    { name: 'toybank-batch-1000', views: plain, batch: 1000 },
    { name: 'toybank-renamed-batch-1', views: renamed, batch: 1 },
    { name: 'toybank-renamed-batch-1000', views: renamed, batch: 1000 },
  ];
  const rows = transfers(1978, n, false).map(({ from, to }): Row => [from, to, 1]);
  return cases.map((one) => measure(one, rows));
}

/** `rows`: payer, payee and amount, which are the columns that the views use. */
function measure({ name, views, batch }: Case, rows: readonly Row[]): Figure {
  const last = present(views.at(-1), 'a view').name;
  const engine = buildEngine(views, new MemoryStore(), { outputs: [last] });
  const input = present(engine.inputs[0], 'the input');
  assert(input.positions.join() === '1,2,3', `the views use the columns ${input.positions.join()}`);
  const loop = new HandWritten();
  const watch = new Stopwatch();
  let total = Number.NaN;
  let best = 0;
  let reference = 0;
  let cpuMicros = 0;
  const size = Math.ceil(rows.length / parts / 1000) * 1000;
  for (let from = 0; from < rows.length; from += size) {
    const part = rows.slice(from, from + size);
    const cpu = watch.cpuMicros;
    const start = performance.now();
    total = follow(engine, input.relation, part, batch, last, total);
    best = Math.max(best, part.length / (performance.now() - start));
    cpuMicros += watch.cpuMicros - cpu;
    const start2 = performance.now();
    loop.run(part, batch);
    reference = Math.max(reference, part.length / (performance.now() - start2));
  }
  if (total !== 0 || loop.total !== 0) throw new TidemarkError('INTERNAL', `the totals are ${total} and ${loop.total}`);
  const { rssBytes } = watch.rate(rows.length);
  const measured = { value: best * 1000, cpuMicros, n: rows.length, ...(rssBytes === undefined ? {} : { rssBytes }) };
  return figure(name, batch === 1 ? 'tx/s' : 'rows/s', measured, {
    name: 'hand-written Map loop',
    value: reference * 1000,
  });
}

/** The newest total. */
function follow(
  engine: Engine,
  relation: string,
  rows: readonly Row[],
  batch: number,
  view: string,
  before: number,
): number {
  let total = before;
  const inputs = new Map<string, Delta>();
  for (let from = 0; from < rows.length; from += batch) {
    inputs.set(relation, Delta.insertions(rows.slice(from, from + batch)));
    const changed = engine.step(inputs).get(view);
    if (changed !== undefined) total = Number(changed.rows.at(-1)?.[0]);
  }
  return total;
}

class HandWritten {
  readonly #credits = new Map<number, number>();
  readonly #debits = new Map<number, number>();
  total = Number.NaN;

  run(rows: readonly Row[], batch: number): void {
    const credits = this.#credits;
    const debits = this.#debits;
    for (let from = 0; from < rows.length; from += batch) {
      const end = Math.min(from + batch, rows.length);
      for (let at = from; at < end; at++) {
        const [payer, payee, amount] = rows[at] as readonly [number, number, number];
        credits.set(payee, (credits.get(payee) ?? 0) + amount);
        debits.set(payer, (debits.get(payer) ?? 0) + amount);
      }
      let total = 0;
      for (const [account, credit] of credits) total += credit - (debits.get(account) ?? 0);
      for (const [account, debit] of debits) {
        if (!credits.has(account)) total -= debit;
      }
      this.total = total;
    }
  }
}
