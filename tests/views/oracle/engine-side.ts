import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isTidemarkError, messageOf } from '../../../base/errors.ts';
import { systemFiles } from '../../../base/files.ts';
import type { Engine, Rejection } from '../../../views/engine.ts';
import { textOf, valueOf } from '../../../views/expressions/text.ts';
import { Build } from '../../../views/operators/build.ts';
import { consolidate } from '../../../views/operators/consolidate.ts';
import type { BoundView } from '../../../views/plan/plan.ts';
import { buildEngine } from '../../../views/plan/lower.ts';
import { bindView } from '../../../views/sql/bind.ts';
import { catalogOf } from '../../../views/sql/catalog.ts';
import type { Relation } from '../../../views/sql/catalog.ts';
import { MemoryStore } from '../../../views/state/memory.ts';
import { DiskStore } from '../../../views/state/disk.ts';
import type { StateStore } from '../../../views/state/port.ts';
import { SortSpace } from '../../../views/state/sorter.ts';
import { typeName } from '../../../views/type.ts';
import { Delta } from '../../../views/delta.ts';
import { removeDirectory } from '../../servers/process.ts';
import { RowBag, difference } from './bag.ts';
import { relationOf } from './relations.ts';
import type { Case } from './case.ts';
import type { Answers } from './oracle-server.ts';
import { tooLarge } from './oracle-server.ts';
import { render } from './sql-tree.ts';
import { sqlTypeOfColumn } from './tables.ts';
import type { TestTable } from './tables.ts';
import { deltaOf } from './transactions.ts';
import type { AppliedTransaction } from './transactions.ts';

/** How the engine is run over a case. */
export interface Mode {
  readonly store: 'memory' | 'disk';
  /** Transactions per step. */
  readonly batch: number;
  /** So many transactions are there when the state is built, at once; 0 when absent. */
  readonly built?: number;
}

export interface Failure {
  /** refused: by the binder. type: of a column. threw: the engine. rejected: a row that PostgreSQL computes. rows: the answer differs.
   * unconsolidated: a change says a row twice, or nothing. */
  readonly kind: 'refused' | 'type' | 'threw' | 'rejected' | 'rows' | 'unconsolidated';
  readonly mode: Mode;
  readonly query: string | null;
  /** Transactions applied when it was found. */
  readonly after: number;
  readonly message: string;
}

export interface Binding {
  readonly views: readonly BoundView[];
  readonly refused: readonly Failure[];
}

const noMode: Mode = { store: 'memory', batch: 1 };

/** Binds what the binder takes. */
export function bindCase(test: Case, answers: Answers | null): Binding {
  const relations: Relation[] = test.tables.map(relationOf);
  const views: BoundView[] = [];
  const refused: Failure[] = [];
  for (const { name, sql, isView } of test.queries) {
    if (answers?.queries.get(name)?.failure === tooLarge) continue;
    const fail = (kind: Failure['kind'], message: string): void => {
      refused.push({ kind, mode: noMode, query: name, after: 0, message });
    };
    try {
      const bound = bindView({ name, sql: render(sql), key: [], catalog: catalogOf(relations) });
      const expected = answers?.queries.get(name)?.columns.map((column) => `${column.name} ${column.type}`) ?? [];
      const actual = bound.columns.map((column) => `${column.name} ${typeName(column.type)}`);
      if (expected.length > 0 && expected.join() !== actual.join()) {
        fail('type', `columns are ${actual.join(', ')}; expected ${expected.join(', ')}`);
      }
      views.push(bound);
      if (isView) relations.push(relationOfView(bound));
    } catch (error) {
      // Nothing is to be learnt from a query over a view that was refused.
      if (/relation "v\d+" does not exist/.test(messageOf(error))) continue;
      fail(isTidemarkError(error, 'VIEW_INVALID') ? 'refused' : 'threw', stackOf(error));
    }
  }
  return { views, refused };
}

function relationOfView({ name, columns }: BoundView): Relation {
  return {
    relation: `views.${name}`,
    columns: columns.map((column) => ({ name: column.name, type: column.type, nullable: true })),
    key: [],
  };
}

function stackOf(error: unknown): string {
  if (isTidemarkError(error, 'VIEW_INVALID') || !(error instanceof Error)) return messageOf(error);
  return (error.stack ?? error.message).split('\n').slice(0, 5).join('\n');
}

/** Runs the case in the engine; null when it answers as PostgreSQL does. */
export async function runEngine(test: Case, answers: Answers, { views }: Binding, mode: Mode): Promise<Failure | null> {
  const directory = mode.store === 'disk' ? mkdtempSync(join(tmpdir(), 'tidemark-oracle-')) : '';
  const open = async (): Promise<StateStore> =>
    mode.store === 'disk' ? DiskStore.open({ path: directory, cacheBytes: 32 * 1024 }) : new MemoryStore();
  let store = await open();
  let after = 0;
  try {
    let engine = buildEngine(views, store);
    const run = new Run(test, answers, views, mode);
    const built = Math.min(mode.built ?? 0, answers.transactions.length);
    if (built > 0) {
      after = built;
      const failure = await run.build(engine, store, answers.transactions.slice(0, built), built);
      if (failure !== null) return failure;
      store.commit(String(after));
    }
    while (after < answers.transactions.length) {
      const batch = answers.transactions.slice(after, after + mode.batch);
      after += batch.length;
      const failure = run.step(engine, batch, after);
      if (failure !== null) return failure;
      store.commit(String(after));
      if (mode.store === 'disk' && after % 5 === 0) {
        // Whatever an operator remembers is in the store: a new one goes on where it was.
        await store.close();
        store = await open();
        engine = buildEngine(views, store);
      }
    }
    return null;
  } catch (error) {
    return { kind: 'threw', mode, query: null, after, message: stackOf(error) };
  } finally {
    await store.close();
    if (directory !== '') removeDirectory(directory);
  }
}

class Run {
  readonly #test: Case;
  readonly #answers: Answers;
  readonly #views: readonly BoundView[];
  readonly #mode: Mode;
  readonly #bags: ReadonlyMap<string, RowBag>;

  constructor(test: Case, answers: Answers, views: readonly BoundView[], mode: Mode) {
    this.#test = test;
    this.#answers = answers;
    this.#views = views;
    this.#mode = mode;
    this.#bags = new Map(views.map(({ name }) => [name, new RowBag()]));
  }

  step(engine: Engine, batch: readonly AppliedTransaction[], after: number): Failure | null {
    const deltas = engine.step(inputsOf(this.#test.tables, engine, batch));
    for (const [name, delta] of deltas) {
      const repeated = this.#apply(name, delta);
      if (repeated !== null) return this.#failure('unconsolidated', name, after, repeated);
    }
    return this.#judge(engine.rejections, after);
  }

  /** Builds the state of what is there after some transactions, in parts as small as can be. */
  async build(
    engine: Engine,
    store: StateStore,
    batch: readonly AppliedTransaction[],
    after: number,
  ): Promise<Failure | null> {
    const directory = mkdtempSync(join(tmpdir(), 'tidemark-oracle-'));
    const space = new SortSpace(after % 2 === 0 ? 0 : 1e6, { files: systemFiles, directory });
    const inputs = inputsOf(this.#test.tables, engine, batch);
    const rejections: Rejection[] = [];
    const build = new Build({
      engine,
      store,
      space,
      take: (name, delta) => void this.#apply(name, delta),
      reject: (some) => rejections.push(...some),
      pause: async () => {},
      limits: { rows: 3, bytes: 200, cutRows: 5, cutBytes: 1_000 },
    });
    try {
      await build.run(async function* rows(relation) {
        yield consolidate(inputs.get(relation) ?? new Delta(), null);
      });
    } finally {
      await space.close();
      removeDirectory(directory);
    }
    return this.#judge(rejections, after);
  }

  #judge(rejections: readonly Rejection[], after: number): Failure | null {
    for (const { views, error, operator } of rejections) {
      // PostgreSQL does not ask a subquery whose answer nothing needs; the rows then tell whether something did.
      if (/more than one row returned/.test(error.message)) continue;
      const [query = ''] = views.filter((name) => (this.#answers.queries.get(name)?.failure ?? null) === null);
      if (query !== '') return this.#failure('rejected', query, after, `${operator}: ${error.message}`);
    }
    for (const { name } of this.#views) {
      const failure = this.#compare(name, after);
      if (failure !== null) return failure;
    }
    return null;
  }

  /** Says what is wrong with a delta as such; null when nothing is. */
  #apply(name: string, delta: Delta): string | null {
    const view = this.#views.find((bound) => bound.name === name);
    const bag = this.#bags.get(name);
    if (!view || !bag) throw new Error(`the engine answers for ${name}, which is not a view`);
    const types = view.columns.map(({ type }) => type);
    const seen = new Set<string>();
    for (const [index, row] of delta.rows.entries()) {
      const weight = delta.weights[index] ?? 0;
      const texts = types.map((type, at) => {
        const value = row[at] ?? null;
        return value === null ? null : textOf(value, type);
      });
      bag.add(texts, weight);
      const text = JSON.stringify(texts);
      if (weight === 0 || seen.has(text)) return `${text} with weight ${weight}`;
      seen.add(text);
    }
    return delta.length === 0 ? 'an empty delta' : null;
  }

  #compare(name: string, after: number): Failure | null {
    const rows = this.#answers.queries.get(name)?.rows[after - 1] ?? null;
    const actual = this.#bags.get(name);
    if (rows === null || !actual) return null;
    const expected = bagOf(rows);
    if (expected.equals(actual)) return null;
    // Which of several equal values stands for them all is open: of 1.0 and 1.00 PostgreSQL keeps the first that it sees.
    if (
      /GROUP BY|DISTINCT|UNION|INTERSECT|EXCEPT|min\(|max\(/.test(this.#text()) &&
      expected.normalised().equals(actual.normalised())
    ) {
      return null;
    }
    return this.#failure('rows', name, after, difference(expected, actual));
  }

  #text(): string {
    return this.#test.queries.map(({ sql }) => render(sql)).join('\n');
  }

  #failure(kind: Failure['kind'], query: string, after: number, message: string): Failure {
    return { kind, mode: this.#mode, query, after, message };
  }
}

const bags = new WeakMap<object, RowBag>();

/** Answers are compared once for each mode. */
function bagOf(rows: readonly (readonly (string | null)[])[]): RowBag {
  let bag = bags.get(rows);
  if (!bag) {
    bag = RowBag.of(rows);
    bags.set(rows, bag);
  }
  return bag;
}

function inputsOf(
  tables: readonly TestTable[],
  engine: Engine,
  batch: readonly AppliedTransaction[],
): ReadonlyMap<string, Delta> {
  const inputs = new Map<string, Delta>();
  for (const { relation, positions } of engine.inputs) {
    const table = tables.find(({ name }) => relation === `test.public.${name}`);
    if (!table) throw new Error(`the engine asks for ${relation}, which is not a table`);
    const types = table.columns.map(({ type }) => sqlTypeOfColumn(type));
    const delta = new Delta();
    for (const { changes } of batch) {
      const change = changes.get(table.name);
      if (!change) continue;
      const parse = (text: string | null, at: number): null | boolean | number | bigint | string => {
        const type = types[at];
        return text === null || !type ? null : valueOf(text, type);
      };
      deltaOf(change, positions, parse, delta);
    }
    if (delta.length > 0) inputs.set(relation, delta);
  }
  return inputs;
}
