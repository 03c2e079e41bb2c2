import type { Client, QueryArrayResult } from 'pg';
import { isTidemarkError, messageOf } from '../../../../base/errors.ts';
import type { Delta } from '../../../../views/delta.ts';
import type { Engine } from '../../../../views/engine.ts';
import { textOf, valueOf } from '../../../../views/expressions/text.ts';
import { buildEngine } from '../../../../views/plan/lower.ts';
import type { BoundView } from '../../../../views/plan/plan.ts';
import { bindView } from '../../../../views/sql/bind.ts';
import { catalogOf } from '../../../../views/sql/catalog.ts';
import type { StateStore } from '../../../../views/state/port.ts';
import { RowBag, difference } from '../bag.ts';
import { relationOf } from '../relations.ts';
import { sqlTypeOfColumn } from '../tables.ts';
import { deltaOf } from '../transactions.ts';
import type { AppliedTransaction } from '../transactions.ts';
import { tpchQueries } from './queries.ts';
import { TpchHistory } from './refresh.ts';
import { createTpchTable, tpchIndexes, tpchNames, tpchTables } from './tables.ts';

export interface TpchOptions {
  readonly client: Client;
  readonly store: StateStore;
  readonly scale: number;
  readonly seed: number;
  readonly refreshes: number;
  readonly queries?: readonly string[];
  readonly say?: (line: string) => void;
}

export interface TpchResult {
  /** Queries that had the right answer after every refresh. */
  readonly passed: string[];
  /** Queries that the binder refuses, with what it says. */
  readonly refused: Map<string, string>;
  /** The first wrong answer of each. */
  readonly wrong: Map<string, string>;
  /** Queries that never had a row: they prove nothing. */
  readonly empty: string[];
  /** Milliseconds in the engine: the load, and all refreshes. */
  readonly loadMs: number;
  readonly refreshMs: number;
}

/** Runs the queries over a history in the engine and in PostgreSQL, and compares all answers after each refresh. */
export async function runTpch(options: TpchOptions): Promise<TpchResult> {
  const run = new TpchRun(options);
  await options.client.query(`SET jit = off; BEGIN; ${tpchNames.map(createTpchTable).join('\n')}`);
  try {
    return await run.all();
  } finally {
    await options.client.query('ROLLBACK; DEALLOCATE ALL');
  }
}

class TpchRun {
  readonly #options: TpchOptions;
  readonly #views: readonly BoundView[];
  readonly #refused = new Map<string, string>();
  readonly #wrong = new Map<string, string>();
  readonly #bags = new Map<string, RowBag>();
  readonly #engine: Engine;
  readonly #seen = new Set<string>();

  constructor(options: TpchOptions) {
    this.#options = options;
    this.#views = (options.queries ?? Object.keys(tpchQueries)).flatMap((name) => this.#bind(name));
    for (const { name } of this.#views) this.#bags.set(name, new RowBag());
    this.#engine = buildEngine(this.#views, options.store);
  }

  async all(): Promise<TpchResult> {
    const { client, say, refreshes, scale, seed, store } = this.#options;
    const history = new TpchHistory(scale, seed);
    let loadMs = 0;
    for (const transaction of history.load()) {
      await client.query(transaction.sql);
      loadMs += this.#step(transaction);
      store.commit('load');
    }
    const prepared = this.#views.map(({ name }) => `PREPARE ${name} AS SELECT * FROM (${tpchQueries[name]}) q`);
    await client.query([tpchIndexes, 'ANALYZE;', prepared.join(';\n')].join('\n'));
    await this.#compare('the load');
    let refreshMs = 0;
    for (let refresh = 1; refresh <= refreshes; refresh++) {
      const transaction = history.refresh();
      await client.query(transaction.sql);
      refreshMs += this.#step(transaction);
      store.commit(String(refresh));
      await this.#compare(`refresh ${refresh}`);
      if (refresh % 10 === 0) say?.(`refresh ${refresh}: ${this.#wrong.size} wrong`);
    }
    const names = this.#views.map(({ name }) => name);
    return {
      passed: names.filter((name) => !this.#wrong.has(name)),
      refused: this.#refused,
      wrong: this.#wrong,
      empty: names.filter((name) => !this.#seen.has(name)),
      loadMs,
      refreshMs,
    };
  }

  #bind(name: string): BoundView[] {
    const catalog = catalogOf(tpchNames.map((table) => relationOf(tpchTables[table])));
    try {
      return [bindView({ name, sql: tpchQueries[name] ?? '', key: [], catalog })];
    } catch (error) {
      if (!isTidemarkError(error, 'VIEW_INVALID')) throw error;
      this.#refused.set(name, messageOf(error));
      return [];
    }
  }

  #step({ changes }: AppliedTransaction): number {
    const inputs = new Map<string, Delta>();
    for (const { relation, positions } of this.#engine.inputs) {
      const table = tpchNames.find((name) => relation === `test.public.${name}`);
      const change = table && changes.get(table);
      if (!table || !change) continue;
      const types = tpchTables[table].columns.map(({ type }) => sqlTypeOfColumn(type));
      inputs.set(
        relation,
        deltaOf(change, positions, (text, at) =>
          text === null ? null : valueOf(text, types[at] ?? { kind: 'scalar', name: 'text' }),
        ),
      );
    }
    const started = performance.now();
    const deltas = this.#engine.step(inputs);
    const took = performance.now() - started;
    for (const { views, error, operator } of this.#engine.rejections) {
      for (const view of views) this.#wrong.set(view, `${operator}: ${error.message}`);
    }
    for (const [name, delta] of deltas) this.#apply(name, delta);
    return took;
  }

  #apply(name: string, delta: Delta): void {
    const types = this.#views.find((view) => view.name === name)?.columns.map(({ type }) => type) ?? [];
    const bag = this.#bags.get(name);
    for (const [index, row] of delta.rows.entries()) {
      bag?.add(
        types.map((type, at) => {
          const value = row[at] ?? null;
          return value === null ? null : textOf(value, type);
        }),
        delta.weights[index] ?? 0,
      );
    }
  }

  async #compare(when: string): Promise<void> {
    const names = this.#views.map(({ name }) => name);
    const text = names.map((name) => `EXECUTE ${name}`).join('; ');
    if (text === '') return;
    const result: QueryArrayResult<(string | null)[]> | QueryArrayResult<(string | null)[]>[] =
      await this.#options.client.query({ text, rowMode: 'array' });
    const answers = Array.isArray(result) ? result : [result];
    for (const [index, name] of names.entries()) {
      const rows = answers[index]?.rows ?? [];
      const bag = this.#bags.get(name);
      if (rows.length > 0) this.#seen.add(name);
      if (!bag || this.#wrong.has(name)) continue;
      const expected = RowBag.of(rows);
      if (!expected.equals(bag)) this.#wrong.set(name, `after ${when}: ${difference(expected, bag)}`);
    }
  }
}
