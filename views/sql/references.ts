import { callFunction, callOperator, castTo } from '../expressions/resolve.ts';
import { isImplicit } from '../expressions/resolve-types.ts';
import { sqlScalar, typeName } from '../type.ts';
import { locationOf, textOfNode, textsOf, unsupported } from './node.ts';
import { fieldOf } from './rows.ts';
import { columnOfTable, findColumn, findTable, missingFrom, unknownColumn, wholeRow } from './scope.ts';
import { SqlError } from './sql-error.ts';
import type { Expression } from '../expressions/expression.ts';
import type { ExpressionContext } from './context.ts';
import type { A_Indices, A_Indirection, ColumnRef, Node } from 'libpg-query';

/** `x`, `t.x`, `t.*` and `t` as a value. */
export function bindColumn(reference: ColumnRef, context: ExpressionContext): Expression {
  const found = resolve(reference, context);
  context.view.places.set(found, reference.location ?? 0);
  return found;
}

function resolve({ fields = [], location = 0 }: ColumnRef, context: ExpressionContext): Expression {
  const { scope } = context;
  const star = fields.some((field) => 'A_Star' in field);
  const names = textsOf(fields.filter((field) => !('A_Star' in field)));
  const name = names.at(-1) ?? '';
  if (star) {
    if (names.length === 0)
      throw new SqlError('row expansion via "*" is not supported here', location, 'Name the columns, or write t.*.');
    const table = findTable(scope, name, location);
    if (table === undefined) throw missingFrom(name, scope, location);
    return wholeRow(table);
  }
  const tableName = names.at(-2);
  if (tableName === undefined) {
    const column = findColumn(scope, name, location);
    if (column !== undefined) return column;
    const table = findTable(scope, name, location);
    if (table !== undefined) return wholeRow(table);
    throw unknownColumn(name, scope, location);
  }
  const table = findTable(scope, tableName, location);
  if (table !== undefined) return columnOfTable(table, name, location);
  // `c.x`, where c is a column that holds a row.
  const column = names.length === 2 ? findColumn(scope, tableName, location) : undefined;
  if (column?.type.kind === 'record') return fieldOf(column, name, location);
  throw missingFrom(tableName, scope, location);
}

/** `(row).field`, `array[i]`, `jsonb['key']`. */
export function bindIndirection({ arg, indirection = [] }: A_Indirection, context: ExpressionContext): Expression {
  const [first, ...others] = indirection;
  const field = textOfNode(first);
  let value: Expression | undefined;
  let rest: readonly Node[] = indirection;
  // `(t).x` is `t.x`, also where an outer join found no row of t.
  if (arg !== undefined && 'ColumnRef' in arg && field !== '') {
    const names = textsOf(arg.ColumnRef.fields);
    const [name = ''] = names;
    const location = arg.ColumnRef.location ?? 0;
    if (names.length === 1 && findColumn(context.scope, name, location) === undefined) {
      const table = findTable(context.scope, name, location);
      if (table !== undefined && !table.scalar) {
        value = columnOfTable(table, field, location);
        context.view.places.set(value, location);
        rest = others;
      }
    }
  }
  const location = arg !== undefined && 'ColumnRef' in arg ? (arg.ColumnRef.location ?? 0) : 0;
  value ??= context.view.expression(arg, context);
  for (const step of rest) {
    if ('A_Indices' in step) value = subscript(value, step.A_Indices, context, location);
    else if ('String' in step) value = fieldOf(value, textOfNode(step), location);
    else throw unsupported('row expansion of an expression is', location, 'Name the fields.');
  }
  return value;
}

function subscript(value: Expression, indices: A_Indices, context: ExpressionContext, location: number): Expression {
  if (indices.is_slice === true || indices.uidx === undefined) {
    throw unsupported('an array slice is', location, 'Take single elements: a[1].');
  }
  const index = context.view.expression(indices.uidx, context);
  if (value.type.kind === 'scalar' && value.type.name === 'jsonb')
    return jsonSubscript(value, index, location, locationOf(indices.uidx));
  if (value.type.kind !== 'array') {
    throw new SqlError('cannot subscript a value that is neither an array nor jsonb', location);
  }
  return callFunction('array_subscript', [value, castTo(index, sqlScalar('int4'), 'assignment', location)], location);
}

/** Unlike `->`, a path: a text of digits names an element of an array, and a scalar has none. */
function jsonSubscript(value: Expression, index: Expression, location: number, place: number): Expression {
  const { type } = index;
  const text = sqlScalar('text');
  let step: Expression;
  if (isImplicit(type, sqlScalar('int4')) && !isImplicit(type, text)) {
    step = castTo(castTo(index, sqlScalar('int4'), 'implicit', location), text, 'explicit', location);
  } else if (isImplicit(type, text)) step = castTo(index, text, 'implicit', location);
  else throw new SqlError(`subscript type ${typeName(type)} is not supported`, place, 'Cast it to integer or to text.');
  const path: Expression = { kind: 'array', items: [step], type: { kind: 'array', element: text } };
  return callOperator('#>', [value, path], location);
}
