import { assert, present } from '../base/assert.ts';
import { TidemarkError } from '../base/errors.ts';
import { Delta } from '../views/delta.ts';
import type { Engine } from '../views/engine.ts';
import { buildEngine } from '../views/plan/lower.ts';
import type { BoundView } from '../views/plan/plan.ts';
import { loadSqlParser } from '../views/sql/bind.ts';
import { MemoryStore } from '../views/state/memory.ts';
import type { Row } from '../views/value.ts';
import type { Figure, Measured } from './figure.ts';
import { faster, figure, Stopwatch } from './figure.ts';
import { bindToybank, paymentNames, renamedSql, toybankSql, transactionNames, transfers } from './toybank-program.ts';

const standardRows = 1_000_000;
const rounds = 5;

interface Case {
  readonly name: string;
  readonly views: readonly BoundView[];
  readonly batch: number;
}

/**
 * The toy bank's four views over transfers that are in memory as rows, each `batch` of them a transaction: from the first to the last
 * result. Beside it a loop over the same rows, written by hand, that keeps two Maps and adds the balances up after each batch.
 */
export async function run(options: { scale: number }): Promise<Figure[]> {
  await loadSqlParser();
  const n = Math.max(10_000, Math.round(standardRows * options.scale));
  const plain = bindToybank(toybankSql.outer, 'transactions', transactionNames);
  const renamed = bindToybank(renamedSql, 'payments', paymentNames);
  const cases: readonly Case[] = [
    { name: 'toybank-batch-1', views: plain, batch: 1 },
    { name: 'toybank-batch-1000', views: plain, batch: 1000 },
    { name: 'toybank-renamed-batch-1', views: renamed, batch: 1 },
    { name: 'toybank-renamed-batch-1000', views: renamed, batch: 1000 },
  ];
  const rows = transfers(1978, n, false).map(({ from, to }): Row => [from, to, 1]);
  const best = new Map<string, Measured>();
  const references = new Map<number, number>();
  for (let round = 0; round < rounds; round++) {
    for (const { name, views, batch } of cases) {
      references.set(batch, Math.max(references.get(batch) ?? 0, handWritten(rows, batch)));
      best.set(name, faster(best.get(name) ?? null, measure(views, rows, batch)));
    }
  }
  return cases.map(({ name, batch }) => {
    const reference = { name: 'hand-written Map loop', value: references.get(batch) ?? 0 };
    return figure(name, batch === 1 ? 'tx/s' : 'rows/s', present(best.get(name), 'a round'), reference);
  });
}

/** `rows`: payer, payee and amount, which are the columns that the views use. */
function measure(views: readonly BoundView[], rows: readonly Row[], batch: number): Measured {
  const last = present(views.at(-1), 'a view').name;
  const engine = buildEngine(views, new MemoryStore(), { outputs: [last] });
  const input = present(engine.inputs[0], 'the input');
  assert(input.positions.join() === '1,2,3', `the views use the columns ${input.positions.join()}`);
  const watch = new Stopwatch();
  const result = follow(engine, input.relation, rows, batch, last);
  const measured = watch.rate(rows.length);
  if (result !== 0) throw new TidemarkError('INTERNAL', `the toy bank's total is ${result}`);
  return measured;
}

/** The newest total. */
function follow(engine: Engine, relation: string, rows: readonly Row[], batch: number, view: string): number {
  let total = Number.NaN;
  const inputs = new Map<string, Delta>();
  for (let from = 0; from < rows.length; from += batch) {
    const delta = new Delta();
    const to = Math.min(from + batch, rows.length);
    for (let at = from; at < to; at++) delta.push(rows[at] as Row, 1);
    inputs.set(relation, delta);
    const changed = engine.step(inputs).get(view);
    if (changed !== undefined) total = Number(changed.rows.at(-1)?.[0]);
  }
  return total;
}

/** Rows a second. */
function handWritten(rows: readonly Row[], batch: number): number {
  const credits = new Map<number, number>();
  const debits = new Map<number, number>();
  const start = performance.now();
  let total = Number.NaN;
  for (let from = 0; from < rows.length; from += batch) {
    const end = Math.min(from + batch, rows.length);
    for (let at = from; at < end; at++) {
      const [payer, payee, amount] = rows[at] as readonly [number, number, number];
      credits.set(payee, (credits.get(payee) ?? 0) + amount);
      debits.set(payer, (debits.get(payer) ?? 0) + amount);
    }
    total = 0;
    for (const [account, credit] of credits) total += credit - (debits.get(account) ?? 0);
    for (const [account, debit] of debits) {
      if (!credits.has(account)) total -= debit;
    }
  }
  const seconds = (performance.now() - start) / 1000;
  if (total !== 0) throw new TidemarkError('INTERNAL', `the hand-written total is ${total}`);
  return rows.length / seconds;
}
