import { sqlScalar } from '../type.ts';
import { isCount } from './nulls.ts';
import type { AggregateCall, Expression } from '../expressions/expression.ts';

/** An aggregate's column after a left join that may have found no group: what it gives for no rows. */
export function emptyResult(call: AggregateCall): Expression {
  const column: Expression = { kind: 'column', id: call.id, type: call.type };
  if (!isCount(call)) return column;
  const zero: Expression = { kind: 'literal', value: 0, type: sqlScalar('int8') };
  return { kind: 'coalesce', args: [column, zero], type: call.type };
}
