import type { Client, QueryArrayResult } from 'pg';
import { Delta } from '../../../views/delta.ts';
import type { Rejection } from '../../../views/engine.ts';
import type { KeyViolation } from '../../../views/operators/output.ts';
import { textOf, valueOf } from '../../../views/expressions/text.ts';
import { parsePipeTable, relationOf } from '../../../views/pipe/pipe-table.ts';
import { buildEngine } from '../../../views/plan/lower.ts';
import type { BoundView } from '../../../views/plan/plan.ts';
import { bindView, relationOfView } from '../../../views/sql/bind.ts';
import { catalogOf } from '../../../views/sql/catalog.ts';
import type { Relation } from '../../../views/sql/catalog.ts';
import { MemoryStore } from '../../../views/state/memory.ts';
import type { StateStore } from '../../../views/state/port.ts';
import { typeName } from '../../../views/type.ts';
import { RowBag, difference } from './bag.ts';
import type { ScriptCase } from './script-case.ts';

type TextRow = (string | null)[];

export interface ScriptResult {
  /** The engine's rows of each view after the last transaction, in PostgreSQL's order. */
  readonly answers: ReadonlyMap<
    string,
    { readonly columns: readonly string[]; readonly types: readonly string[]; readonly rows: readonly TextRow[] }
  >;
  /** Rows of all views that changed in each transaction: −1 and +1. */
  readonly changes: readonly ReadonlyMap<
    string,
    readonly { readonly weight: number; readonly row: readonly (string | null)[] }[]
  >[];
  readonly rejections: readonly Rejection[];
  readonly violations: readonly KeyViolation[];
}

/** Binds the script's views over its tables. */
export async function bindScriptCase(script: ScriptCase): Promise<{ relations: Relation[]; views: BoundView[] }> {
  const relations = await Promise.all(script.tables.map(async (text) => relationOf(await parsePipeTable(text))));
  const known = [...relations];
  const views = script.views.map(({ name, key, sql }) => {
    const view = bindView({ name, sql, key, catalog: catalogOf(known) });
    known.push(relationOfView(view));
    return view;
  });
  return { relations, views };
}

/**
 * Runs a script in PostgreSQL and in the engine, which is given what changed in PostgreSQL's tables, and compares the answers after each
 * transaction; throws with the first difference.
 */
export async function runScript(
  script: ScriptCase,
  client: Client,
  options: { readonly store?: StateStore; readonly compare?: boolean } = {},
): Promise<ScriptResult> {
  const { relations, views } = await bindScriptCase(script);
  const run = new ScriptRun(script, client, relations, views, options.store ?? new MemoryStore());
  await client.query(`BEGIN; SET LOCAL TimeZone = 'UTC'; ${script.tables.join(';\n')}`);
  try {
    return await run.all(options.compare ?? true);
  } finally {
    await client.query('ROLLBACK');
  }
}

class ScriptRun {
  readonly #script: ScriptCase;
  readonly #client: Client;
  readonly #relations: readonly Relation[];
  readonly #views: readonly BoundView[];
  readonly #engine: ReturnType<typeof buildEngine>;
  readonly #contents: TextRow[][];
  readonly #bags: ReadonlyMap<string, RowBag>;
  readonly #changes: Map<string, { weight: number; row: TextRow }[]>[] = [];
  readonly #rejections: Rejection[] = [];
  readonly #violations: KeyViolation[] = [];

  constructor(
    script: ScriptCase,
    client: Client,
    relations: readonly Relation[],
    views: readonly BoundView[],
    store: StateStore,
  ) {
    this.#script = script;
    this.#client = client;
    this.#relations = relations;
    this.#views = views;
    this.#engine = buildEngine(views, store);
    this.#contents = relations.map(() => []);
    this.#bags = new Map(views.map(({ name }) => [name, new RowBag()]));
  }

  async all(compare: boolean): Promise<ScriptResult> {
    for (const { name, sql } of this.#script.views)
      if (compare) await this.#client.query(`CREATE VIEW ${name} AS ${sql}`);
    for (const sql of this.#script.transactions) {
      await this.#client.query(sql);
      await this.#step();
      if (compare) await this.#compare(this.#changes.length);
    }
    const answers = new Map<string, { columns: string[]; types: string[]; rows: TextRow[] }>();
    for (const { name, columns } of this.#views) {
      const { sql = '' } = this.#script.views.find((view) => view.name === name) ?? {};
      const rows = compare ? (await this.#ask(sql)).rows : [];
      answers.set(name, {
        columns: columns.map((column) => column.name),
        types: columns.map(({ type }) => typeName(type)),
        rows,
      });
    }
    return { answers, changes: this.#changes, rejections: this.#rejections, violations: this.#violations };
  }

  async #step(): Promise<void> {
    const inputs = new Map<string, Delta>();
    for (const [index, relation] of this.#relations.entries()) {
      const { rows } = await this.#ask(`SELECT * FROM ${relation.relation}`);
      const input = this.#engine.inputs.find((candidate) => candidate.relation === relation.relation);
      if (input) {
        const delta = new Delta();
        const add = (row: TextRow, weight: number): void => {
          delta.push(
            input.positions.map((at) => {
              const text = row[at] ?? null;
              const type = relation.columns[at]?.type;
              return text === null || !type ? null : valueOf(text, type);
            }),
            weight,
          );
        };
        for (const row of without(this.#contents[index] ?? [], rows)) add(row, -1);
        for (const row of without(rows, this.#contents[index] ?? [])) add(row, 1);
        inputs.set(relation.relation, delta);
      }
      this.#contents[index] = rows;
    }
    this.#note(this.#engine.step(inputs));
    this.#rejections.push(...this.#engine.rejections);
    this.#violations.push(...this.#engine.violations);
  }

  #note(deltas: ReadonlyMap<string, Delta>): void {
    const changes = new Map<string, { weight: number; row: TextRow }[]>();
    for (const { name, columns } of this.#views) {
      const delta = deltas.get(name);
      if (!delta) continue;
      const changed = delta.rows.map((row, index) => ({
        weight: delta.weights[index] ?? 0,
        row: columns.map(({ type }, at) => {
          const value = row[at] ?? null;
          return value === null ? null : textOf(value, type);
        }),
      }));
      for (const { row, weight } of changed) this.#bags.get(name)?.add(row, weight);
      changes.set(name, changed);
    }
    this.#changes.push(changes);
  }

  async #compare(transaction: number): Promise<void> {
    for (const [name, actual] of this.#bags) {
      const expected = RowBag.of((await this.#ask(`SELECT * FROM ${name}`)).rows);
      if (!expected.equals(actual)) {
        const reasons = this.#rejections.map(({ error }) => `rejected: ${error.message}`);
        throw new Error(
          [`${name} after transaction ${transaction}: ${difference(expected, actual)}`, ...reasons].join('\n'),
        );
      }
    }
  }

  async #ask(text: string): Promise<QueryArrayResult<TextRow>> {
    return this.#client.query<TextRow>({ text, rowMode: 'array' });
  }
}

/** Rows of `rows` that are not in `others`; tables have keys, so that none repeats. */
function without(rows: readonly TextRow[], others: readonly TextRow[]): TextRow[] {
  const known = new Set(others.map((row) => JSON.stringify(row)));
  return rows.filter((row) => !known.has(JSON.stringify(row)));
}
