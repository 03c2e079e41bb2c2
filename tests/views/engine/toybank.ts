import {
  bindToybank,
  paymentNames,
  renamedSql,
  toybankSql,
  transactionNames,
  transfers,
} from '../../../benchmarks/toybank-program.ts';
import type { Transfer } from '../../../benchmarks/toybank-program.ts';
import { TidemarkError } from '../../../base/errors.ts';
import { Delta } from '../../../views/delta.ts';
import type { Engine } from '../../../views/engine.ts';
import { buildEngine } from '../../../views/plan/lower.ts';
import type { BoundView } from '../../../views/plan/plan.ts';
import { MemoryStore } from '../../../views/state/memory.ts';
import type { Row, Value } from '../../../views/value.ts';

/** Follows the one row that a global aggregate has. */
export class Total {
  readonly #engine: Engine;
  readonly #view: string;
  value: Value | undefined = undefined;
  /** Of the last step: how many rows changed. */
  changes = 0;

  constructor(views: readonly BoundView[]) {
    this.#view = views.at(-1)?.name ?? '';
    this.#engine = buildEngine(views, new MemoryStore(), { outputs: [this.#view] });
  }

  step(batch: readonly Transfer[]): void {
    const [input] = this.#engine.inputs;
    const delta = new Delta();
    for (const { id, from, to } of batch) {
      const whole: Row = [id, from, to, 1, '2026-01-01 00:00:00'];
      delta.push(
        (input?.positions ?? []).map((at) => whole[at] ?? null),
        1,
      );
    }
    const changed = this.#engine.step(new Map([[input?.relation ?? '', delta]])).get(this.#view);
    this.changes = changed?.length ?? 0;
    for (const [index, row] of changed?.rows.entries() ?? []) {
      if (changed?.weights[index] === 1) this.value = row[0] ?? null;
      else if ((row[0] ?? null) !== this.value) {
        throw new TidemarkError('INTERNAL', `${String(row[0])} is taken back, and ${String(this.value)} was shown`);
      }
    }
  }
}

/** Balances of the accounts that have credits as well as debits. */
export class Naive {
  readonly #credits = new Map<number, number>();
  readonly #debits = new Map<number, number>();

  add({ from, to }: Transfer): void {
    this.#credits.set(to, (this.#credits.get(to) ?? 0) + 1);
    this.#debits.set(from, (this.#debits.get(from) ?? 0) + 1);
  }

  total(): string | null {
    let sum: number | null = null;
    for (const [account, credit] of this.#credits) {
      const debit = this.#debits.get(account);
      if (debit !== undefined) sum = (sum ?? 0) + credit - debit;
    }
    return sum === null ? null : String(sum);
  }
}

export interface ToybankRun {
  readonly rows: number;
  readonly seed: number;
  /** Transfers come late, out of the order of their times. */
  readonly isLate: boolean;
  /** Transfers in a transaction. */
  readonly batch: number;
}

export interface ToybankResult {
  /** Transactions after which a total was not what it has to be: the first few, in words. */
  readonly wrong: readonly string[];
  /** Outputs of the outer variant, whose total never changes, and of the inner one. */
  readonly outputs: { readonly outer: number; readonly inner: number };
  /** Different totals of the inner variant, which knows an account only when it has paid and has been paid. */
  readonly totals: number;
}

const shownMax = 10;

/**
 * The toy bank's program over random transfers, after every transaction: the outer variant's total is 0, also where its tables are called
 * otherwise, and the inner one's is what a loop over the rows so far gives.
 */
export function runToybank({ rows, seed, isLate, batch }: ToybankRun): ToybankResult {
  const outer = new Total(bindToybank(toybankSql.outer, 'transactions', transactionNames));
  const renamed = new Total(bindToybank(renamedSql, 'payments', paymentNames));
  const inner = new Total(bindToybank(toybankSql.inner, 'transactions', transactionNames));
  const naive = new Naive();
  const made = transfers(seed, rows, isLate);
  const wrong: string[] = [];
  const totals = new Set<Value>();
  const outputs = { outer: 0, inner: 0 };
  for (let from = 0; from < made.length; from += batch) {
    const part = made.slice(from, from + batch);
    for (const total of [outer, renamed, inner]) total.step(part);
    for (const transfer of part) naive.add(transfer);
    outputs.outer += outer.changes;
    outputs.inner += inner.changes;
    totals.add(inner.value ?? null);
    const found = [outer.value, renamed.value, inner.value ?? null];
    const expected = ['0', '0', naive.total()];
    if (found.some((value, index) => value !== expected[index]) && wrong.length < shownMax) {
      wrong.push(`after ${from + part.length} transfers: ${found.join(', ')} instead of ${expected.join(', ')}`);
    }
  }
  return { wrong, outputs, totals: totals.size };
}
