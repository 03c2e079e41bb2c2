import { present } from '../../base/assert.ts';
import { emptyDelta } from '../delta.ts';
import type { GraphNode } from '../engine.ts';
import { compileRow } from '../expressions/compile.ts';
import type { Layout } from '../expressions/compile.ts';
import type { Expression, SortKey } from '../expressions/expression.ts';
import { compileKey } from '../expressions/key.ts';
import { compareBy, compareRows } from '../expressions/order.ts';
import type { OrderKey } from '../expressions/order.ts';
import { Arrange } from '../operators/arrange.ts';
import type { Operator } from '../operators/operator.ts';
import { identityKey, picker } from '../operators/rows.ts';
import type { StateStore } from '../state/port.ts';
import type { SqlType } from '../type.ts';
import type { Row, StateKey } from '../value.ts';
import type { PlanColumn } from './plan.ts';
import { digest, orderText, text } from './share.ts';

/** A plan as operators: the rows of `node` have `width` columns, and column i of the plan stands at `positions[i]`. */
export interface Lowered {
  readonly node: GraphNode;
  /** Of the plan (share.ts). */
  readonly identity: string;
  readonly columns: readonly PlanColumn[];
  readonly positions: readonly number[];
  readonly width: number;
}

export function layoutOf({ columns, positions }: Lowered): Layout {
  return new Map(columns.map(({ id }, index) => [id, present(positions[index], 'the position of a column')]));
}

/** Makes exactly the plan's columns of a node's row; null: the row is just that. */
export function columnsPicker({ positions, width }: Lowered): ((row: Row) => Row) | null {
  return picker(positions, width);
}

/** By what a relation is arranged. */
export interface ArrangeBy {
  /** Over the relation's columns; `identity`: the whole row, as it is, without SQL's idea of equality. */
  readonly keys: readonly Expression[] | 'identity';
  /** For each key whether NULL is a value as any other; absent: for all. */
  readonly nullsEqual?: readonly boolean[];
  readonly order?: readonly SortKey[];
  /** Only the keys' totals are of interest: rows are kept without their columns. */
  readonly totalsOnly?: boolean;
}

export interface Arranged {
  /** Its first columns are those of the relation, in order. */
  readonly lowered: Lowered;
  readonly arrange: Arrange;
  readonly compare: (a: Row, b: Row) => number;
}

/** The operators made so far, each once. */
export class GraphBuilder {
  readonly store: StateStore;
  readonly nodes: GraphNode[] = [];
  readonly #arranged = new Map<string, Arranged>();

  constructor(store: StateStore) {
    this.store = store;
  }

  add(node: Omit<GraphNode, 'views' | 'out' | 'states' | 'eager'> & Partial<GraphNode>): GraphNode {
    const added: GraphNode = { states: [], eager: false, views: new Set(), out: emptyDelta, ...node };
    this.nodes.push(added);
    return added;
  }

  /** The arrangement of a relation; one for all that want the same. */
  arrange(input: Lowered, by: ArrangeBy): Arranged {
    const places = new Map(input.columns.map(({ id }, index) => [id, index]));
    const keys = by.keys === 'identity' ? 'identity' : by.keys.map((key) => text(key, places)).join(' ');
    const nulls = (by.nullsEqual ?? []).map((isEqual) => (isEqual ? '=' : '-')).join('');
    const description = [input.identity, keys, nulls, orderText(by.order ?? [], places), by.totalsOnly === true];
    const name = `arrange-${digest(description.join('|'))}`;
    const known = this.#arranged.get(name);
    if (known !== undefined) {
      // The same rows, under the names that this use has for their columns.
      const columns = by.totalsOnly === true ? [] : input.columns;
      return { ...known, lowered: { ...known.lowered, columns } };
    }
    const made = this.#makeArrange(name, input, by);
    this.#arranged.set(name, made);
    return made;
  }

  #makeArrange(name: string, input: Lowered, by: ArrangeBy): Arranged {
    const columns = by.totalsOnly === true ? [] : input.columns;
    const { keys: orderKeys, computed } = orderOf(by.order ?? [], columns);
    const types = [...columns.map(({ type }) => type), ...computed.map(({ type }) => type)];
    const compare = totalOrder(orderKeys, types);
    const arrangement = this.store.arrangement(name, { types, compare });
    const arrange = new Arrange({
      name,
      arrangement,
      compare,
      keyOf: this.#keyOf(input, by),
      pick: arrangedPicker(input, columns, computed),
    });
    const node = this.add({
      name,
      kind: 'arrange',
      detail: arrangeDetail(input, by),
      operator: arrange,
      inputs: [input.node],
      states: [{ name, of: arrangement }],
    });
    const lowered: Lowered = {
      node,
      identity: input.identity,
      columns,
      positions: columns.map((_, index) => index),
      width: types.length,
    };
    return { lowered, arrange, compare };
  }

  #keyOf(input: Lowered, by: ArrangeBy): (row: Row) => StateKey | undefined {
    if (by.keys !== 'identity') return keyFunction(by.keys, layoutOf(input), by.nullsEqual);
    const { positions } = input;
    return (row) => identityKey(row, positions);
  }
}

/** The node of an operator, without the bookkeeping. */
export function nodeOf(
  name: string,
  kind: string,
  detail: string,
  operator: Operator,
  inputs: readonly GraphNode[],
): Omit<GraphNode, 'views' | 'out' | 'states' | 'eager'> {
  return { name, kind, detail, operator, inputs };
}

function arrangedPicker(
  input: Lowered,
  columns: readonly PlanColumn[],
  computed: readonly Expression[],
): ((row: Row) => Row) | null {
  if (columns.length === 0 && computed.length === 0) return () => noColumns;
  if (computed.length === 0) return columnsPicker(input);
  const all = columns.map(({ id, type }): Expression => ({ kind: 'column', id, type }));
  return compileRow([...all, ...computed], layoutOf(input));
}

const noColumns: Row = Object.freeze([]);

/** ORDER BY over rows that have `columns`, and behind them what is computed for it. */
export function orderOf(
  order: readonly SortKey[],
  columns: readonly PlanColumn[],
): { readonly keys: readonly OrderKey[]; readonly computed: readonly Expression[] } {
  const computed: Expression[] = [];
  const keys = order.map(({ expression, descending, nullsFirst }): OrderKey => {
    const found = expression.kind === 'column' ? columns.findIndex(({ id }) => id === expression.id) : -1;
    if (found < 0) computed.push(expression);
    const position = found < 0 ? columns.length + computed.length - 1 : found;
    return { position, type: expression.type, descending, nullsFirst };
  });
  return { keys, computed };
}

/** The order, ties broken by the whole row. */
export function totalOrder(keys: readonly OrderKey[], types: readonly SqlType[]): (a: Row, b: Row) => number {
  const compareAll = compareRows(types);
  if (keys.length === 0) return compareAll;
  const compareKeys = compareBy(keys);
  return (a, b) => compareKeys(a, b) || compareAll(a, b);
}

/** The key of rows of a layout; without keys all rows have one. */
export function keyFunction(
  keys: readonly Expression[],
  layout: Layout,
  nullsEqual?: readonly boolean[],
): (row: Row) => StateKey | undefined {
  if (keys.length === 0) return () => 0;
  const types = keys.map(({ type }) => type);
  const isKept = keys.map((_, index) => nullsEqual?.[index] ?? nullsEqual === undefined);
  const nulls = isKept.includes(true) ? 'keep' : 'skip';
  const skipped = nulls === 'skip' ? [] : isKept.flatMap((kept, index) => (kept ? [] : [index]));
  if (keys.every(({ kind }) => kind === 'column') && skipped.length === 0) {
    const positions = keys.map((key) => (key.kind === 'column' ? present(layout.get(key.id), 'a key column') : -1));
    return compileKey(types, positions, nulls);
  }
  const compute = compileRow(keys, layout);
  const keyOf = compileKey(
    types,
    keys.map((_, index) => index),
    nulls,
  );
  return (row) => {
    const values = compute(row);
    for (const index of skipped) {
      if (values[index] === null) return undefined;
    }
    return keyOf(values);
  };
}

function arrangeDetail({ columns }: Lowered, by: ArrangeBy): string {
  if (by.keys === 'identity') return 'by the whole row';
  const names = by.keys.map((key) => expressionName(key, columns));
  const order = (by.order ?? []).map(
    ({ expression, descending }) => `${expressionName(expression, columns)}${descending ? ' desc' : ''}`,
  );
  return `by (${names.join(', ')})${order.length === 0 ? '' : ` order (${order.join(', ')})`}`;
}

/** An expression as `explain` shows it: a column by its name, anything else by its function. */
export function expressionName(expression: Expression, columns: readonly PlanColumn[]): string {
  const inner = (es: readonly Expression[]): string => es.map((e) => expressionName(e, columns)).join(', ');
  switch (expression.kind) {
    case 'column':
      return columns.find(({ id }) => id === expression.id)?.name ?? `#${expression.id}`;
    case 'literal':
      return typeof expression.value === 'string' ? `'${expression.value}'` : String(expression.value);
    case 'call':
      return `${expression.fn.id}[${inner(expression.args)}]`;
    case 'and':
    case 'or':
      return `(${expression.args.map((e) => expressionName(e, columns)).join(` ${expression.kind} `)})`;
    case 'not':
      return `not ${inner([expression.arg])}`;
    case 'isNull':
      return `${inner([expression.arg])} is null`;
    case 'coalesce':
      return `coalesce(${inner(expression.args)})`;
    case 'case':
      return 'case …';
    case 'row':
      return `row(${inner(expression.fields)})`;
    case 'array':
      return `array[${inner(expression.items)}]`;
  }
}
