import { callAggregate } from '../expressions/resolve.ts';
import { callOf } from '../expressions/bound-function.ts';
import { definePolymorphic } from '../expressions/functions/definition.ts';
import { RowError } from '../expressions/expression.ts';
import { sqlScalar } from '../type.ts';
import { projectOf } from './build.ts';
import { columnOf } from './expressions.ts';
import type { AggregateCall, Expression } from '../expressions/expression.ts';
import type { Value } from '../value.ts';
import type { Ids } from './columns.ts';
import type { Plan, PlanColumn } from './plan.ts';

/**
 * A scalar subquery as an aggregate: its first row and the number of rows. The number is looked at where the value is computed for a row
 * of the outer query, so that a second row is an error of exactly those rows that ask for the value.
 */
export function singleRow(plan: Plan, ids: Ids): Plan {
  const count = callAggregate('count', [], { id: ids.next(), distinct: false, order: [], filter: null }, 0);
  const firsts = plan.columns.map((column) => firstValue(columnOf(column), ids));
  const aggregates = [count, ...firsts];
  const columns = aggregates.map((call): PlanColumn => ({ id: call.id, name: call.fn.id, type: call.type }));
  const aggregate: Plan = { kind: 'aggregate', input: plan, keys: [], aggregates, columns };
  const total: Expression = { kind: 'column', id: count.id, type: count.type };
  const checked = firsts.map((call) => checkedSingle({ kind: 'column', id: call.id, type: call.type }, total));
  return projectOf(aggregate, checked, plan.columns);
}

/** The argument of the first row, NULL or not. */
function firstValue(arg: Expression, ids: Ids): AggregateCall {
  return {
    id: ids.next(),
    fn: {
      id: `first(${arg.type.kind === 'scalar' ? arg.type.name : arg.type.kind})`,
      args: [arg.type],
      result: arg.type,
      skipsNull: false,
      linear: null,
      collect: (rows) => {
        for (const { args } of rows) return args[0] ?? null;
        return null;
      },
      first: null,
    },
    args: [arg],
    distinct: false,
    order: [],
    filter: null,
    type: arg.type,
  };
}

const single = definePolymorphic('single_row', ['any', 'int8'], 'any', () => onlyValue, {
  strict: false,
  mayFail: true,
});

function onlyValue(value: Value, rows: number | bigint | null): Value {
  if (rows !== null && rows > 1) {
    throw new RowError('21000', 'more than one row returned by a subquery used as an expression');
  }
  return value;
}

function checkedSingle(value: Expression, rows: Expression): Expression {
  const { type } = value;
  const types = [type, sqlScalar('int8')];
  return callOf(
    { overload: single, types, declared: [null, sqlScalar('int8')], result: type },
    [value, rows],
    0,
    false,
  );
}
