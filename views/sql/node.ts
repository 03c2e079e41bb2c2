import { SqlError } from './sql-error.ts';
import type { FuncCall, Node } from 'libpg-query';

/** Helpers over the parser's tree. It leaves out fields that are zero or empty, a location of 0 among them. */

export function textOfNode(node: Node | undefined): string {
  return node !== undefined && 'String' in node ? (node.String.sval ?? '') : '';
}

export function textsOf(nodes: readonly Node[] | undefined): string[] {
  return (nodes ?? []).map(textOfNode);
}

/** The function's name without `pg_catalog`. */
export function functionName(call: FuncCall): string {
  const names = textsOf(call.funcname);
  if (names.length > 1 && names[0] === 'pg_catalog') names.shift();
  return names.join('.');
}

/** Where an expression begins, or its operator stands; null when the parser does not say. */
export function locationOf(node: Node | undefined): number {
  return node === undefined ? 0 : (ownLocation(node) ?? 0);
}

function ownLocation(node: Node): number | undefined {
  if ('A_Expr' in node) {
    const { lexpr, location } = node.A_Expr;
    return lexpr === undefined ? location : (ownLocation(lexpr) ?? location);
  }
  if ('TypeCast' in node) {
    const { arg, location } = node.TypeCast;
    if (location !== undefined && location >= 0 && arg !== undefined) {
      const start = ownLocation(arg);
      return start === undefined ? location : Math.min(start, location);
    }
    return node.TypeCast.typeName?.location ?? (arg === undefined ? undefined : ownLocation(arg));
  }
  if ('BoolExpr' in node) {
    const [first] = node.BoolExpr.args ?? [];
    if (node.BoolExpr.boolop === 'NOT_EXPR' || first === undefined) return node.BoolExpr.location ?? 0;
    return ownLocation(first);
  }
  if ('NullTest' in node) return locationOf(node.NullTest.arg);
  if ('BooleanTest' in node) return locationOf(node.BooleanTest.arg);
  if ('A_Indirection' in node) return locationOf(node.A_Indirection.arg);
  if ('SubLink' in node && node.SubLink.testexpr !== undefined) return locationOf(node.SubLink.testexpr);
  if ('SortBy' in node) return locationOf(node.SortBy.node);
  if ('List' in node) return locationOf(node.List.items?.[0]);
  const [body] = Object.values(node);
  if (typeof body === 'object' && body !== null && 'location' in body && typeof body.location === 'number') {
    return body.location < 0 ? undefined : body.location;
  }
  return 0;
}

/** An error that says what is not supported, and the nearest thing that is. */
export function unsupported(what: string, location: number | undefined, instead?: string): SqlError {
  return new SqlError(`${what} not supported in views`, location ?? 0, instead);
}

/** Where the first part of a tree is written, for nodes that do not say where they are themselves. */
export function firstLocation(node: unknown): number {
  const least = leastLocation(node);
  return least === Infinity ? 0 : least;
}

function leastLocation(value: unknown): number {
  if (typeof value !== 'object' || value === null) return Infinity;
  const own =
    'location' in value && typeof value.location === 'number' && value.location >= 0 ? value.location : Infinity;
  return Object.values(value).reduce<number>((least, child) => Math.min(least, leastLocation(child)), own);
}

/** Whether two trees say the same, wherever they are written. */
export function sameTree(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return a === b;
  const left = Object.entries(a).filter(([name]) => !isPlace(name));
  const right = new Map(Object.entries(b).filter(([name]) => !isPlace(name)));
  return left.length === right.size && left.every(([name, value]) => sameTree(value, right.get(name)));
}

function isPlace(name: string): boolean {
  return name === 'location' || name.startsWith('rexpr_list_') || name.startsWith('list_');
}
