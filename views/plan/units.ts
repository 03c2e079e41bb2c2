import { castTo } from '../expressions/resolve.ts';
import { sqlScalar } from '../type.ts';
import { rewritePlan } from './columns.ts';
import { columnsIn, mapChildren, sameExpression, uses } from './expressions.ts';
import { equalityOf, notDistinct } from './join-keys.ts';
import type { ColumnId, Expression } from '../expressions/expression.ts';
import type { SqlName, SqlType } from '../type.ts';
import type { Ids } from './columns.ts';
import type { Plan } from './plan.ts';

/** A value of the outer row that a correlated subplan uses: in the subplan it is the column `id`, which nothing there gives. */
export interface Unit {
  readonly id: ColumnId;
  readonly type: SqlType;
  /** Over the outer plan's columns. */
  readonly outer: Expression;
}

export interface Correlated {
  readonly plan: Plan;
  readonly units: ReadonlyMap<ColumnId, Unit>;
}

/**
 * Writes a subplan over units instead of columns of the outer plan. Where the outer value is only compared for equality, the whole
 * expression is the unit; elsewhere its column is. A value that equals others that are written differently (1.0 and 1.00) goes through
 * its text, so that the subplan computes with the outer row's own digits.
 */
export function overUnits(plan: Plan, outer: ReadonlySet<ColumnId>, ids: Ids): Correlated {
  const units = new Map<ColumnId, Unit>();
  const unitOf = (expression: Expression): Expression => {
    let unit = [...units.values()].find((known) => sameExpression(known.outer, expression));
    if (unit === undefined) {
      unit = { id: ids.next(), type: expression.type, outer: expression };
      units.set(unit.id, unit);
    }
    return { kind: 'column', id: unit.id, type: unit.type };
  };
  const valueOf = (column: Expression): Expression => {
    if (isWrittenOneWay(column.type)) return unitOf(column);
    const text = castTo(column, sqlScalar('text'), 'explicit', 0);
    return castTo(unitOf(text), column.type, 'explicit', 0);
  };
  const replace = (e: Expression): Expression => {
    const compared = comparedWithOuter(e, outer, unitOf);
    if (compared !== undefined) return compared;
    if (e.kind === 'column') return outer.has(e.id) ? valueOf(e) : e;
    return mapChildren(e, replace);
  };
  return { plan: rewritePlan(plan, (e) => (uses(e, outer) ? replace(e) : e)), units };
}

function comparedWithOuter(
  e: Expression,
  outer: ReadonlySet<ColumnId>,
  unitOf: (e: Expression) => Expression,
): Expression | undefined {
  const equality = equalityOf(e);
  if (equality === null) return undefined;
  const call = e.kind === 'coalesce' ? e.args[0] : e;
  if (call?.kind !== 'call') return undefined;
  const { left, right } = equality;
  const leftIsOuter = isOuter(left, outer) && !uses(right, outer);
  const rightIsOuter = isOuter(right, outer) && !uses(left, outer);
  if (!leftIsOuter && !rightIsOuter) return undefined;
  const args = leftIsOuter ? [unitOf(left), right] : [left, unitOf(right)];
  const equal: Expression = { ...call, args };
  return e.kind === 'coalesce' ? notDistinct(equal) : equal;
}

function isOuter(e: Expression, outer: ReadonlySet<ColumnId>): boolean {
  const ids = columnsIn(e);
  return ids.size > 0 && [...ids].every((id) => outer.has(id));
}

/** Types whose equal values are the same text. */
function isWrittenOneWay(type: SqlType): boolean {
  return type.kind === 'scalar' && writtenOneWay.has(type.name);
}

const writtenOneWay: ReadonlySet<SqlName> = new Set([
  'bool',
  'int2',
  'int4',
  'int8',
  'text',
  'varchar',
  'bpchar',
  'uuid',
  'bytea',
  'date',
  'time',
  'timestamp',
  'timestamptz',
]);
