import { present } from '../../base/assert.ts';
import type { EngineOutput } from '../engine.ts';

import { compareRows } from '../expressions/order.ts';
import type { KeyCheck } from '../operators/output.ts';
import { OutputOperator } from '../operators/output.ts';
import { picker } from '../operators/rows.ts';
import type { Row, StateKey, Value } from '../value.ts';
import { columnOf } from './expressions.ts';
import { keysOf } from './keys.ts';
import { keyFunction, nodeOf } from './lower-graph.ts';
import type { GraphBuilder, Lowered } from './lower-graph.ts';
import type { BoundView } from './plan.ts';

export type ViewOutput = Omit<EngineOutput, 'isWanted'>;

/** What a view gives: its columns, and its declared key held to be unique where that does not follow from the plan. */
export function lowerOutput(view: BoundView, lowered: Lowered, isChecked: boolean, graph: GraphBuilder): ViewOutput {
  const name = `output-${view.name}-${lowered.identity}`;
  const positions = view.columns.map(({ id }) => {
    const at = lowered.columns.findIndex((column) => column.id === id);
    return present(lowered.positions[at], `column ${id} of view ${view.name}`);
  });
  const state = `${name}-by-${view.key.join('-')}`;
  const check = isChecked ? keyCheck(view, state, graph) : null;
  const operator = new OutputOperator({
    view: view.name,
    pick: picker(positions, lowered.width),
    check,
    isConsolidated: givesRowsOnce.has(lowered.node.kind) && new Set(positions).size === lowered.width,
    hashOf: hashOf(view),
  });
  const keyNames = view.key.map((at) => view.columns[at]?.name ?? '').join(', ');
  const detail = `view ${view.name}${view.key.length === 0 ? '' : ` key (${keyNames})${isChecked ? ', checked' : ''}`}`;
  const node = graph.add({
    ...nodeOf(name, 'output', detail, operator, [lowered.node]),
    states: check === null ? [] : [{ name: state, of: check.arrangement }],
  });
  return { view: view.name, node, operator };
}

/** Kinds of operators that compare what they give with what they gave before. */
const givesRowsOnce: ReadonlySet<string> = new Set(['aggregate', 'top', 'distinct', 'except', 'intersect']);

/** By columns that are known to tell the rows apart, else by those declared to. */
function hashOf({ plan, columns, key }: BoundView): ((row: Row) => StateKey | undefined) | null {
  const ids = columns.map(({ id }) => id);
  const known = keysOf(plan).find((candidate) => candidate.every((id) => ids.includes(id)));
  const chosen = (known ?? key.map((at) => present(ids[at], 'a key column'))).map((id) => {
    return columnOf(present(columns[ids.indexOf(id)], 'a key column'));
  });
  return chosen.length === 0 ? null : keyFunction(chosen, new Map(ids.map((id, index) => [id, index])));
}

function keyCheck({ columns, key }: BoundView, state: string, graph: GraphBuilder): KeyCheck {
  const types = columns.map(({ type }) => type);
  const compare = compareRows(types);
  const keyColumns = key.map((at) => present(columns[at], 'a key column'));
  return {
    arrangement: graph.store.arrangement(state, { types, compare }),
    keyOf: keyFunction(keyColumns.map(columnOf), new Map(columns.map(({ id }, index) => [id, index]))),
    compare,
    positions: key,
    names: keyColumns.map(({ name }) => name),
    print: (row: Row) => `(${row.map((value) => shown(value)).join(', ')})`,
  };
}

const shownLengthMax = 60;

function shown(value: Value): string {
  if (value === null) return 'NULL';
  if (typeof value !== 'string') return String(value);
  return `'${value.length > shownLengthMax ? `${value.slice(0, shownLengthMax)}…` : value}'`;
}
