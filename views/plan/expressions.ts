import { sameType, sqlScalar } from '../type.ts';
import type { AggregateCall, ColumnId, Expression, SortKey } from '../expressions/expression.ts';
import type { PlanColumn } from './plan.ts';

export const trueLiteral: Expression = { kind: 'literal', value: true, type: sqlScalar('bool') };
export const falseLiteral: Expression = { kind: 'literal', value: false, type: sqlScalar('bool') };

export function isTrue(expression: Expression): boolean {
  return expression.kind === 'literal' && expression.value === true;
}

export function columnOf(column: PlanColumn): Expression {
  return { kind: 'column', id: column.id, type: column.type };
}

export function childrenOf(e: Expression): readonly Expression[] {
  switch (e.kind) {
    case 'column':
    case 'literal':
      return [];
    case 'call':
    case 'and':
    case 'or':
    case 'coalesce':
      return e.args;
    case 'not':
    case 'isNull':
      return [e.arg];
    case 'case':
      return [...e.branches.flatMap(({ when, then }) => [when, then]), e.otherwise];
    case 'row':
      return e.fields;
    case 'array':
      return e.items;
  }
}

/** The same expression over other children; itself when `map` gives each child back. */
export function mapChildren(e: Expression, map: (child: Expression) => Expression): Expression {
  switch (e.kind) {
    case 'column':
    case 'literal':
      return e;
    case 'call':
    case 'and':
    case 'or':
    case 'coalesce': {
      const args = mapAll(e.args, map);
      return args === e.args ? e : { ...e, args };
    }
    case 'not':
    case 'isNull': {
      const arg = map(e.arg);
      return arg === e.arg ? e : { ...e, arg };
    }
    case 'case': {
      const branches = mapAll(e.branches, (branch) => {
        const when = map(branch.when);
        const then = map(branch.then);
        return when === branch.when && then === branch.then ? branch : { when, then };
      });
      const otherwise = map(e.otherwise);
      return branches === e.branches && otherwise === e.otherwise ? e : { ...e, branches, otherwise };
    }
    case 'row': {
      const fields = mapAll(e.fields, map);
      return fields === e.fields ? e : { ...e, fields };
    }
    case 'array': {
      const items = mapAll(e.items, map);
      return items === e.items ? e : { ...e, items };
    }
  }
}

/** The list itself when nothing changed. */
export function mapAll<T>(list: readonly T[], map: (item: T) => T): readonly T[] {
  let changed: T[] | undefined;
  list.forEach((item, index) => {
    const mapped = map(item);
    if (mapped !== item && changed === undefined) changed = list.slice(0, index);
    changed?.push(mapped);
  });
  return changed ?? list;
}

/** Replaces expressions from the top down; `replace` says undefined for what is to be looked into. */
export function rewrite(e: Expression, replace: (e: Expression) => Expression | undefined): Expression {
  return replace(e) ?? mapChildren(e, (child) => rewrite(child, replace));
}

export function substitute(e: Expression, columns: ReadonlyMap<ColumnId, Expression>): Expression {
  if (columns.size === 0) return e;
  return rewrite(e, (part) => (part.kind === 'column' ? columns.get(part.id) : undefined));
}

export function mapAggregate(call: AggregateCall, map: (e: Expression) => Expression): AggregateCall {
  const args = mapAll(call.args, map);
  const order = mapOrder(call.order, map);
  const filter = call.filter === null ? null : map(call.filter);
  return args === call.args && order === call.order && filter === call.filter ? call : { ...call, args, order, filter };
}

export function mapOrder(order: readonly SortKey[], map: (e: Expression) => Expression): readonly SortKey[] {
  return mapAll(order, (key) => {
    const expression = map(key.expression);
    return expression === key.expression ? key : { ...key, expression };
  });
}

export function expressionsOf(call: AggregateCall): readonly Expression[] {
  const keys = call.order.map(({ expression }) => expression);
  return call.filter === null ? [...call.args, ...keys] : [...call.args, ...keys, call.filter];
}

export function addColumns(e: Expression, into: Set<ColumnId>): void {
  if (e.kind === 'column') into.add(e.id);
  else for (const child of childrenOf(e)) addColumns(child, into);
}

export function columnsIn(...expressions: readonly Expression[]): Set<ColumnId> {
  const ids = new Set<ColumnId>();
  for (const e of expressions) addColumns(e, ids);
  return ids;
}

export function uses(e: Expression, ids: { has(id: ColumnId): boolean }): boolean {
  return e.kind === 'column' ? ids.has(e.id) : childrenOf(e).some((child) => uses(child, ids));
}

/** Whether all columns of the expression are among `ids`. */
export function within(e: Expression, ids: { has(id: ColumnId): boolean }): boolean {
  return e.kind === 'column' ? ids.has(e.id) : childrenOf(e).every((child) => within(child, ids));
}

/** Whether two expressions are written the same way over the same columns (and so have the same value). */
export function sameExpression(a: Expression, b: Expression): boolean {
  if (a === b) return true;
  if (a.kind !== b.kind) return false;
  if (a.kind === 'column' && b.kind === 'column') return a.id === b.id;
  if (!sameType(a.type, b.type)) return false;
  if (a.kind === 'literal' && b.kind === 'literal') return Object.is(a.value, b.value);
  if (a.kind === 'call' && b.kind === 'call' && a.fn.id !== b.fn.id) return false;
  const left = childrenOf(a);
  const right = childrenOf(b);
  return left.length === right.length && left.every((child, index) => same(child, right[index]));
}

function same(a: Expression, b: Expression | undefined): boolean {
  return b !== undefined && sameExpression(a, b);
}

/** The expressions of which the conjunction consists; none for `true`. */
export function conjuncts(e: Expression): Expression[] {
  if (e.kind === 'and') return e.args.flatMap(conjuncts);
  return isTrue(e) ? [] : [e];
}

export function and(parts: readonly Expression[]): Expression {
  const flat = parts.flatMap(conjuncts);
  const different = flat.filter((e, index) => !flat.slice(0, index).some((earlier) => sameExpression(earlier, e)));
  const [first] = different;
  if (first === undefined) return trueLiteral;
  return different.length === 1 ? first : { kind: 'and', args: different, type: sqlScalar('bool') };
}

export function or(parts: readonly Expression[]): Expression {
  const [first] = parts;
  if (first === undefined) return falseLiteral;
  return parts.length === 1 ? first : { kind: 'or', args: parts, type: sqlScalar('bool') };
}

export function not(arg: Expression): Expression {
  return { kind: 'not', arg, type: sqlScalar('bool') };
}

export function isNull(arg: Expression): Expression {
  return { kind: 'isNull', arg, type: sqlScalar('bool') };
}

export function caseWhen(when: Expression, then: Expression, otherwise: Expression): Expression {
  return { kind: 'case', branches: [{ when, then }], otherwise, type: then.type };
}

export function nullOf(type: Expression['type']): Expression {
  return { kind: 'literal', value: null, type };
}

/** Whether the condition is true: false where it is false or NULL. */
export function isTrueValue(condition: Expression): Expression {
  return { kind: 'coalesce', args: [condition, falseLiteral], type: sqlScalar('bool') };
}
