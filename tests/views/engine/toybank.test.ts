import { beforeAll, describe, expect, it } from 'vitest';
import {
  bindToybank,
  paymentNames,
  renamedSql,
  toybankSql,
  transactionNames,
  transfers,
} from '../../../benchmarks/toybank-program.ts';
import type { Transfer } from '../../../benchmarks/toybank-program.ts';
import { Delta } from '../../../views/delta.ts';
import type { Engine } from '../../../views/engine.ts';
import { buildEngine } from '../../../views/plan/lower.ts';
import type { BoundView } from '../../../views/plan/plan.ts';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import { MemoryStore } from '../../../views/state/memory.ts';
import type { Row, Value } from '../../../views/value.ts';

const seeds = [1978, 20_260_101];

beforeAll(async () => {
  await loadSqlParser();
});

/** Follows the one row that a global aggregate has. */
class Total {
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
      else expect(row[0] ?? null, 'what is taken back is what was shown').toBe(this.value);
    }
  }
}

/** Balances of the accounts that have credits as well as debits. */
class Naive {
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

describe.each(seeds)('the toy bank, seed %i', (seed) => {
  describe.each([false, true])('late transfers: %s', (isLate) => {
    const made = transfers(seed, 10_000, isLate);

    it('has a total of 0 after every single transaction, said once', () => {
      const total = new Total(bindToybank(toybankSql.outer, 'transactions', transactionNames));
      let said = 0;
      const wrong = made.filter((transfer) => {
        total.step([transfer]);
        said += total.changes;
        return total.value !== '0';
      });
      expect(wrong).toEqual([]);
      expect(said).toBe(1);
    });

    it('equals the inner query over the prefix at every output', () => {
      const total = new Total(bindToybank(toybankSql.inner, 'transactions', transactionNames));
      const naive = new Naive();
      const values = new Set<Value>();
      const wrong = made.filter((transfer) => {
        total.step([transfer]);
        naive.add(transfer);
        values.add(total.value ?? null);
        return total.value !== naive.total();
      });
      expect(wrong).toEqual([]);
      expect(total.value).toBe('0');
      expect(values.size, 'accounts come one by one, so that early totals differ').toBeGreaterThan(1);
    });

    it.each([7, 1000])('gives the same in transactions of %i', (batch) => {
      const outer = new Total(bindToybank(toybankSql.outer, 'transactions', transactionNames));
      const renamed = new Total(bindToybank(renamedSql, 'payments', paymentNames));
      const inner = new Total(bindToybank(toybankSql.inner, 'transactions', transactionNames));
      const naive = new Naive();
      for (let from = 0; from < made.length; from += batch) {
        const rows = made.slice(from, from + batch);
        outer.step(rows);
        renamed.step(rows);
        inner.step(rows);
        for (const transfer of rows) naive.add(transfer);
        expect([outer.value, renamed.value, inner.value]).toEqual(['0', '0', naive.total()]);
      }
    });
  });
});
