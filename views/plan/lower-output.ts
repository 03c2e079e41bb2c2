import { present } from '../../base/assert.ts';
import type { EngineOutput } from '../engine.ts';
import { compareRows } from '../expressions/order.ts';
import type { KeyCheck } from '../operators/output.ts';
import { OutputOperator } from '../operators/output.ts';
import { picker } from '../operators/rows.ts';
import type { Row, Value } from '../value.ts';
import { columnOf } from './expressions.ts';
import { keyFunction, nodeOf } from './lower-graph.ts';
import type { GraphBuilder, Lowered } from './lower-graph.ts';
import { isUniqueBy } from './lower-unique.ts';
import type { ViewPlans } from './lower-unique.ts';
import type { BoundView } from './plan.ts';

/** What a view gives: its columns, and its declared key held to be unique where the plan does not say that it is. */
export function lowerOutput(view: BoundView, lowered: Lowered, views: ViewPlans, graph: GraphBuilder): EngineOutput {
  const name = `output-${view.name}-${lowered.identity}`;
  const positions = view.columns.map(({ id }) => {
    const at = lowered.columns.findIndex((column) => column.id === id);
    return present(lowered.positions[at], `column ${id} of view ${view.name}`);
  });
  const keyIds = new Set(view.key.map((at) => present(view.columns[at], 'a key column').id));
  const isChecked = keyIds.size > 0 && !isUniqueBy(view.plan, keyIds, views);
  const state = `${name}-by-${view.key.join('-')}`;
  const operator = new OutputOperator({
    view: view.name,
    pick: picker(positions, lowered.width),
    check: isChecked ? keyCheck(view, state, graph) : null,
  });
  const keyNames = view.key.map((at) => view.columns[at]?.name ?? '').join(', ');
  const detail = `view ${view.name}${keyIds.size === 0 ? '' : ` key (${keyNames})${isChecked ? ', checked' : ''}`}`;
  const node = graph.add({
    ...nodeOf(name, 'output', detail, operator, [lowered.node]),
    states: isChecked ? [state] : [],
  });
  return { view: view.name, node, operator };
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
