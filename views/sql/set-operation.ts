import { castTo, commonType } from '../expressions/resolve.ts';
import { sameType } from '../type.ts';
import { columnOf } from '../plan/expressions.ts';
import { locationOf, unsupported } from './node.ts';
import { SqlError } from './sql-error.ts';
import { exactly, requireEquality } from './subquery.ts';
import type { Expression } from '../expressions/expression.ts';
import type { Plan, PlanColumn } from '../plan/plan.ts';
import type { BoundQuery, QueryContext, ViewContext } from './context.ts';
import type { SelectStmt } from 'libpg-query';

/** UNION, INTERSECT and EXCEPT [ALL]: columns go together by position, cast to their common types. */
export function bindSetOperation(select: SelectStmt, context: QueryContext, view: ViewContext): BoundQuery {
  const { larg, rarg, all } = select;
  if (larg === undefined || rarg === undefined) throw unsupported('this set operation is', 0);
  const name = (select.op ?? '').replace('SETOP_', '');
  const left = view.query(larg, context);
  const right = view.query(rarg, context);
  if (left.outputs.length !== right.outputs.length) {
    throw new SqlError(`each ${name} query must have the same number of columns`, targetLocation(rarg, 0));
  }
  const outputs = left.outputs.map((column, at): PlanColumn => {
    const pair = [valueAt(left, at), valueAt(right, at)];
    const type = commonType(pair, name, targetLocation(rarg, at));
    return view.ids.column(column.name, type);
  });
  if (name !== 'UNION' || all !== true) {
    outputs.forEach((column, at) => requireEquality(columnOf(column), targetLocation(larg, at)));
  }
  const inputs = [cast(left, outputs, view, larg), cast(right, outputs, view, rarg)];
  return { plan: operation(name, inputs, outputs, all === true), outputs, order: [], untyped: new Map() };
}

function operation(name: string, inputs: readonly Plan[], columns: readonly PlanColumn[], all: boolean): Plan {
  const [left, right] = inputs;
  if (left === undefined || right === undefined) throw unsupported('this set operation is', 0);
  if (name === 'UNION') {
    const union: Plan = { kind: 'union', inputs, columns };
    return all ? union : { kind: 'distinct', input: union, columns };
  }
  return { kind: name === 'EXCEPT' ? 'except' : 'intersect', left, right, all, columns };
}

function valueAt(query: BoundQuery, at: number): Expression {
  const column = query.outputs[at];
  if (column === undefined) throw unsupported('this set operation is', 0);
  return query.untyped.get(at) ?? columnOf(column);
}

function cast(query: BoundQuery, outputs: readonly PlanColumn[], view: ViewContext, select: SelectStmt): Plan {
  const plan = exactly(query);
  const same = query.outputs.every((column, at) => {
    const output = outputs[at];
    return output !== undefined && sameType(column.type, output.type) && !query.untyped.has(at);
  });
  if (same) return plan;
  const expressions = outputs.map(({ type }, at) =>
    castTo(valueAt(query, at), type, 'implicit', targetLocation(select, at)),
  );
  const columns = outputs.map(({ name, type }) => view.ids.column(name, type));
  return { kind: 'project', input: plan, expressions, columns };
}

function targetLocation(select: SelectStmt, at: number): number {
  let leaf = select;
  while (leaf.larg !== undefined) leaf = leaf.larg;
  const target = leaf.targetList?.[at] ?? leaf.targetList?.at(-1);
  if (target !== undefined) return locationOf(target);
  const [row] = leaf.valuesLists ?? [];
  return row !== undefined && 'List' in row ? locationOf(row.List.items?.[at]) : 0;
}
