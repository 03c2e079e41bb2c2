import { callOperator, equality } from '../expressions/resolve.ts';
import { sameType, sqlScalar } from '../type.ts';
import { and, isNull, or } from '../plan/expressions.ts';
import { notDistinct } from '../plan/join-keys.ts';
import { SqlError } from './sql-error.ts';
import type { Expression } from '../expressions/expression.ts';

type RowExpression = Extract<Expression, { kind: 'row' }>;

/** Whether it is a row as the query writes it, ROW(…) or (…, …). */
export function isRow(e: Expression): e is RowExpression {
  return e.kind === 'row' && e.isWhole !== true;
}

/** `left op right`, field by field as PostgreSQL compares rows; single values just by the operator. */
export function compareRows(
  operator: string,
  left: readonly Expression[],
  right: readonly Expression[],
  location: number,
): Expression {
  if (left.length !== right.length) throw new SqlError('unequal number of entries in row expressions', location);
  const [l] = left;
  const [r] = right;
  if (l === undefined || r === undefined) throw new SqlError('cannot compare rows of zero length', location);
  if (left.length === 1) return comparison(operator, l, r, location);
  const pairs = left.map((field, index) => [field, right[index] ?? field] as const);
  switch (operator) {
    case '=':
      return and(pairs.map(([a, b]) => comparison('=', a, b, location)));
    case '<>':
      return or(pairs.map(([a, b]) => comparison('<>', a, b, location)));
    case '<':
    case '<=':
    case '>':
    case '>=':
      return lexicographic(operator, left, right, location);
    default:
      throw new SqlError(`could not determine interpretation of row comparison operator ${operator}`, location);
  }
}

/** (a, b) < (c, d): a < c, or a = c and b < d. */
function lexicographic(
  operator: string,
  left: readonly Expression[],
  right: readonly Expression[],
  location: number,
): Expression {
  const [a] = left;
  const [b] = right;
  if (a === undefined || b === undefined) throw new SqlError('cannot compare rows of zero length', location);
  if (left.length === 1) return comparison(operator, a, b, location);
  const strict = comparison(operator.slice(0, 1), a, b, location);
  const rest = lexicographic(operator, left.slice(1), right.slice(1), location);
  return or([strict, { kind: 'and', args: [comparison('=', a, b, location), rest], type: sqlScalar('bool') }]);
}

function comparison(operator: string, a: Expression, b: Expression, location: number): Expression {
  if (isRow(a) && isRow(b)) return compareRows(operator, a.fields, b.fields, location);
  return operator === '=' ? equality(a, b, location) : callOperator(operator, [a, b], location);
}

/** `left IS NOT DISTINCT FROM right`. */
export function bindNotDistinct(left: Expression, right: Expression, location: number): Expression {
  if (left.kind === 'row' && right.kind === 'row') {
    if (left.fields.length !== right.fields.length) {
      throw new SqlError('unequal number of entries in row expressions', location);
    }
    return and(left.fields.map((field, index) => bindNotDistinct(field, right.fields[index] ?? field, location)));
  }
  const nullSide = [left, right].findIndex((e) => e.kind === 'literal' && e.value === null);
  if (nullSide >= 0) return isNull(nullSide === 0 ? right : left);
  const equal = equality(left, right, location);
  return sameType(equal.type, sqlScalar('bool')) ? notDistinct(equal) : equal;
}

/** Field `name` of a value with fields, as far as it is known how the value is made. */
export function fieldOf(value: Expression, name: string, location: number): Expression {
  if (value.type.kind !== 'record') {
    throw new SqlError(
      `column notation .${name} applied to type ${nameOf(value)}, which is not a composite type`,
      location,
    );
  }
  const index = value.type.fields.findIndex((field) => field.name === name);
  if (index < 0) throw new SqlError(`column "${name}" not found in record data type`, location);
  const field = value.kind === 'row' ? value.fields[index] : undefined;
  if (field !== undefined) return field;
  throw new SqlError(
    `field selection from a computed row is not supported in views`,
    location,
    `Select the column itself instead of the row it is in.`,
  );
}

function nameOf(e: Expression): string {
  return e.type.kind === 'scalar' ? e.type.name : 'array';
}
