import { present } from '../../base/assert.ts';
import type { NodeState } from '../engine.ts';
import { compileRow } from '../expressions/compile.ts';
import type { AggregateCall, Expression, SortKey } from '../expressions/expression.ts';
import { compileKey } from '../expressions/key.ts';
import type { OrderKey } from '../expressions/order.ts';
import { compareRows } from '../expressions/order.ts';
import type { Call, CollectedCall, Collection, LinearCall } from '../operators/aggregate-calls.ts';
import { Aggregate } from '../operators/aggregate.ts';
import { picker } from '../operators/rows.ts';
import type { SqlType } from '../type.ts';
import type { Row } from '../value.ts';
import { columnOf } from './expressions.ts';
import type { GraphBuilder, Lowered } from './lower-graph.ts';
import { expressionName, keyFunction, layoutOf, totalOrder } from './lower-graph.ts';
import type { AggregatePlan } from './plan.ts';
import { orderText, text } from './share.ts';
import type { Places } from './share.ts';

/**
 * `tieBreak`: columns that tell the input's rows apart, by which calls without ORDER BY are ordered, so that a rebuild gives the same bytes.
 */
export function lowerAggregate(
  plan: AggregatePlan,
  identity: string,
  input: Lowered,
  tieBreak: readonly Expression[],
  graph: GraphBuilder,
): Lowered {
  const name = `aggregate-${identity}`;
  const keys = plan.keys.map((id) =>
    present(
      input.columns.find((column) => column.id === id),
      'a column of GROUP BY',
    ),
  );
  const layout = layoutOf(input);
  const maker = new CallMaker(name, plan, input, tieBreak, graph);
  const calls = plan.aggregates.map((call, index) => maker.call(call, index));
  const keyRow = picker(
    keys.map(({ id }) => present(layout.get(id), 'a column of GROUP BY')),
    -1,
  );
  const keyTypes = keys.map(({ type }) => type);
  const isFixed = keyTypes.every(isSameWhenEqual);
  const keyRows = isFixed
    ? null
    : graph.store.arrangement(`${name}/keys`, { types: keyTypes, compare: compareRows(keyTypes) });
  const records = graph.store.records(`${name}/groups`);
  const operator = new Aggregate({
    name,
    keyOf: keyFunction(keys.map(columnOf), layout),
    keyRow: keyRow ?? ((row) => row),
    keyCount: keys.length,
    evaluate: maker.evaluate(),
    calls,
    collections: maker.collections,
    records,
    keyRows,
  });
  const node = graph.add({
    name,
    kind: 'aggregate',
    detail: detailOf(plan, input),
    operator,
    inputs: [input.node],
    states: [
      { name: `${name}/groups`, of: records },
      ...(keyRows === null ? [] : [{ name: `${name}/keys`, of: keyRows }]),
      ...maker.states(),
    ],
    eager: keys.length === 0,
  });
  const { columns } = plan;
  return { node, identity, columns, positions: columns.map((_, index) => index), width: columns.length };
}

function detailOf(plan: AggregatePlan, { columns }: Lowered): string {
  const keys = plan.keys.map((id) => columns.find((column) => column.id === id)?.name ?? `#${id}`);
  const calls = plan.aggregates.map(
    ({ fn, args }) => `${fn.id}[${args.map((e) => expressionName(e, columns)).join(', ')}]`,
  );
  return `${keys.length === 0 ? 'all rows' : `by (${keys.join(', ')})`}: ${calls.join(', ')}`;
}

/** Whether values of the type that SQL holds to be equal are the same text. */
function isSameWhenEqual(type: SqlType): boolean {
  if (type.kind === 'array') return isSameWhenEqual(type.element);
  if (type.kind === 'record') return type.fields.every((field) => isSameWhenEqual(field.type));
  return !['numeric', 'float4', 'float8', 'bpchar', 'interval', 'timetz', 'jsonb'].includes(type.name);
}

interface PendingCollection {
  readonly filter: number;
  readonly notNull: number;
  /** Positions in source rows of what the collection's rows have, with their types. */
  readonly columns: { position: number; type: SqlType }[];
  readonly order: readonly OrderKey[];
  readonly state: string;
  collection: Collection | null;
}

/** Finds what the calls of one aggregate have to read, and which can read the same collection. */
class CallMaker {
  readonly #distinct: NodeState[] = [];
  readonly #name: string;
  readonly #input: Lowered;
  readonly #places: Places;
  readonly #tieBreak: readonly Expression[];
  readonly #graph: GraphBuilder;
  /** Null when input rows have everything that is read. */
  readonly #sources: Map<string, { readonly expression: Expression; readonly position: number }> | null;
  readonly #pending = new Map<string, PendingCollection>();

  constructor(name: string, plan: AggregatePlan, input: Lowered, tieBreak: readonly Expression[], graph: GraphBuilder) {
    this.#name = name;
    this.#input = input;
    this.#places = new Map(input.columns.map(({ id }, index) => [id, index]));
    this.#tieBreak = tieBreak;
    this.#graph = graph;
    const read = plan.aggregates.flatMap(({ args, order, filter }) => [
      ...args,
      ...order.map(({ expression }) => expression),
      ...(filter === null ? [] : [filter]),
    ]);
    this.#sources = read.every(({ kind }) => kind === 'column') ? null : new Map();
  }

  call(call: AggregateCall, index: number): Call {
    const { fn } = call;
    if (fn.linear === null) return this.#collected(call);
    const types = call.args.map(({ type }) => type);
    const state = `${this.#name}/distinct-${index}`;
    const positions = types.map((_, at) => at);
    const distinct = call.distinct
      ? { records: this.#graph.store.records(state), keyOf: compileKey(types, positions, 'keep') }
      : null;
    if (distinct !== null) this.#distinct.push({ name: state, of: distinct.records });
    const linear: LinearCall = {
      kind: 'linear',
      fn,
      linear: fn.linear,
      args: call.args.map((arg) => this.#source(arg)),
      filter: this.#filter(call),
      distinct,
    };
    return linear;
  }

  get collections(): readonly Collection[] {
    return [...this.#pending.values()].map((pending) => this.#collection(pending));
  }

  states(): readonly NodeState[] {
    const collected = [...this.#pending.values()].map((pending) => {
      return { name: pending.state, of: this.#collection(pending).arrangement };
    });
    return [...this.#distinct, ...collected];
  }

  /** Makes source rows of input rows. */
  evaluate(): ((row: Row) => Row) | null {
    if (this.#sources === null) return null;
    const expressions = [...this.#sources.values()].map(({ expression }) => expression);
    return compileRow(expressions, layoutOf(this.#input));
  }

  #collected(call: AggregateCall): CollectedCall {
    const { fn } = call;
    const isFirst = fn.first !== null;
    const isDistinct = call.distinct && !isFirst;
    const pending = this.#pendingFor(call, isFirst, isDistinct);
    const args = call.args.map((arg) => columnIn(pending, this.#source(arg), arg.type));
    const types = call.args.map(({ type }) => type);
    // The collection is made when all calls that share it have said what they read, so that it is asked for late.
    const collectionOf = (): Collection => this.#collection(pending);
    return {
      kind: 'collected',
      fn,
      get collection() {
        return collectionOf();
      },
      args,
      distinctBy: isDistinct ? compileKey(types, args, 'keep') : null,
    };
  }

  #pendingFor(call: AggregateCall, isFirst: boolean, isDistinct: boolean): PendingCollection {
    const filter = this.#filter(call);
    const argTexts = call.args.map((arg) => text(arg, this.#places)).join(' ');
    const order = isFirst
      ? `first ${argTexts}`
      : `${orderText(call.order, this.#places)} ${isDistinct ? argTexts : ''}`;
    const key = `${filter} ${order}`;
    const known = this.#pending.get(key);
    if (known !== undefined) return known;
    const byArgs = call.args.map(ascending);
    const wanted = isFirst ? byArgs : [...call.order, ...(isDistinct ? byArgs : [])];
    const sorted = wanted.length === 0 ? this.#tieBreak.map(ascending) : wanted;
    const columns: PendingCollection['columns'] = [];
    const made: PendingCollection = {
      filter,
      notNull: isFirst && call.fn.skipsNull ? this.#source(present(call.args[0], 'an argument')) : -1,
      columns,
      order: sorted.map(({ expression, descending, nullsFirst }) => ({
        position: columnIn({ columns }, this.#source(expression), expression.type),
        type: expression.type,
        descending,
        nullsFirst,
      })),
      state: `${this.#name}/rows-${this.#pending.size}`,
      collection: null,
    };
    this.#pending.set(key, made);
    return made;
  }

  #collection(pending: PendingCollection): Collection {
    const types = pending.columns.map(({ type }) => type);
    pending.collection ??= {
      arrangement: this.#graph.store.arrangement(pending.state, { types, compare: totalOrder(pending.order, types) }),
      pick:
        picker(
          pending.columns.map(({ position }) => position),
          -1,
        ) ?? ((row) => row),
      filter: pending.filter,
      notNull: pending.notNull,
    };
    return pending.collection;
  }

  #filter({ filter }: AggregateCall): number {
    return filter === null ? -1 : this.#source(filter);
  }

  /** Where an expression's value stands in source rows. */
  #source(expression: Expression): number {
    if (this.#sources === null) {
      const id = expression.kind === 'column' ? expression.id : -1;
      return present(layoutOf(this.#input).get(id), 'a column of an aggregate');
    }
    const key = text(expression, this.#places);
    const known = this.#sources.get(key);
    if (known !== undefined) return known.position;
    const position = this.#sources.size;
    this.#sources.set(key, { expression, position });
    return position;
  }
}

function ascending(expression: Expression): SortKey {
  return { expression, descending: false, nullsFirst: false };
}

/** Where a source row's value stands in the collection's rows; added when it is not there yet. */
function columnIn({ columns }: Pick<PendingCollection, 'columns'>, position: number, type: SqlType): number {
  const found = columns.findIndex((column) => column.position === position);
  if (found >= 0) return found;
  columns.push({ position, type });
  return columns.length - 1;
}
