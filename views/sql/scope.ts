import { sqlScalar } from '../type.ts';
import { caseWhen, columnOf, isNull, nullOf } from '../plan/expressions.ts';
import { SqlError } from './sql-error.ts';
import { didYouMean, quoted } from './nearest.ts';
import type { AggregateSink } from './aggregate-sink.ts';
import type { Expression, SortKey } from '../expressions/expression.ts';
import type { Plan, PlanColumn } from '../plan/plan.ts';

/** What a FROM clause offers under one name: a table, a subquery, a function. */
export interface FromTable {
  readonly name: string;
  readonly columns: readonly PlanColumn[];
  /** A column that is never NULL in a row of the table; for whole rows where an outer join may have found none. */
  readonly witness: PlanColumn | null;
  /** On the side of an outer join that may be missing. */
  readonly nullable: boolean;
  /** Ids of its primary key, where all other columns follow from it. */
  readonly key: readonly number[];
  /** A function in FROM that gives single values: its name stands for the value. */
  readonly scalar: boolean;
  /** The relation's own name, where an alias hides it. */
  readonly origin?: string;
}

/** A name that can stand alone, in the order of `*`. Merged columns of USING may be computed. */
export interface FromColumn {
  readonly name: string;
  readonly expression: Expression;
}

export interface From {
  readonly plan: Plan;
  readonly tables: readonly FromTable[];
  readonly columns: readonly FromColumn[];
  /** ORDER BY of the one subquery that FROM consists of: the order in which aggregates see its rows. */
  readonly order?: readonly SortKey[];
}

/** Names visible in a query: its FROM clause, then those of the queries around it. */
export interface Scope {
  readonly tables: readonly FromTable[];
  readonly columns: readonly FromColumn[];
  readonly parent: Scope | null;
  /** Tables of the same FROM clause that cannot be used at this place, for errors. */
  readonly hidden?: readonly FromTable[];
  /** Of a query around: where an aggregate over its columns alone belongs, wherever below it is written. */
  readonly aggregates?: AggregateSink | null;
}

/** `name`, or undefined when nothing in any scope has it. */
export function findColumn(scope: Scope | null, name: string, location: number): Expression | undefined {
  for (let level = scope; level !== null; level = level.parent) {
    const found = level.columns.filter((column) => column.name === name);
    const [first] = found;
    if (found.length > 1) throw ambiguousColumn(name, level, location);
    if (first !== undefined) return { ...first.expression };
  }
  return undefined;
}

export function findTable(scope: Scope | null, name: string, location: number): FromTable | undefined {
  for (let level = scope; level !== null; level = level.parent) {
    const found = level.tables.filter((table) => table.name === name);
    if (found.length > 1) throw new SqlError(`table reference "${name}" is ambiguous`, location);
    if (found[0] !== undefined) return found[0];
  }
  return undefined;
}

export function columnOfTable(table: FromTable, name: string, location: number): Expression {
  const found = table.columns.filter((column) => column.name === name);
  const [first] = found;
  if (found.length > 1) throw new SqlError(`column reference "${name}" is ambiguous`, location);
  if (first === undefined) {
    const names = table.columns.map((column) => column.name);
    throw new SqlError(
      `column ${quoted(table.name)}.${quoted(name)} does not exist`,
      location,
      didYouMean(name, names),
    );
  }
  return columnOf(first);
}

/** `t` as a value: NULL, and not a row of NULLs, where an outer join found no row of the table. */
export function wholeRow(table: FromTable): Expression {
  const [only] = table.columns;
  if (table.scalar && only !== undefined) return columnOf(only);
  const row: Expression = {
    kind: 'row',
    fields: table.columns.map(columnOf),
    type: { kind: 'record', fields: table.columns.map(({ name, type }) => ({ name, type })) },
    isWhole: true,
  };
  if (!table.nullable || table.witness === null) return row;
  return caseWhen(isNull(columnOf(table.witness)), nullOf(row.type), row);
}

export function unknownColumn(name: string, scope: Scope | null, location: number): SqlError {
  const names = new Set<string>();
  for (let level = scope; level !== null; level = level.parent) {
    for (const column of level.columns) names.add(column.name);
  }
  const hidden = hiddenHint(scope, (table) => table.columns.some((column) => column.name === name));
  return new SqlError(`column "${name}" does not exist`, location, hidden ?? didYouMean(name, names));
}

function hiddenHint(scope: Scope | null, test: (table: FromTable) => boolean): string | undefined {
  for (let level = scope; level !== null; level = level.parent) {
    const table = level.hidden?.find(test);
    if (table !== undefined) {
      return `There is a table "${table.name}", but this part of FROM cannot use it: for a subquery write LATERAL before it, for a condition use JOIN instead of the comma.`;
    }
  }
  return undefined;
}

export function missingFrom(name: string, scope: Scope | null, location: number): SqlError {
  const names = new Set<string>();
  let alias: string | undefined;
  for (let level = scope; level !== null; level = level.parent) {
    for (const table of level.tables) {
      names.add(table.name);
      if (table.origin === name) alias ??= `Write ${quoted(table.name)}, the name that ${quoted(name)} has here.`;
    }
  }
  const hidden = hiddenHint(scope, (table) => table.name === name);
  const hint = alias ?? hidden ?? didYouMean(name, names) ?? `Add ${quoted(name)} to FROM.`;
  return new SqlError(`missing FROM-clause entry for table "${name}"`, location, hint);
}

function ambiguousColumn(name: string, scope: Scope, location: number): SqlError {
  const tables = scope.tables.filter(({ columns }) => columns.some((column) => column.name === name));
  const choices = tables.map((table) => `${quoted(table.name)}.${quoted(name)}`);
  const hint = choices.length < 2 ? undefined : `Write ${choices.slice(0, -1).join(', ')} or ${choices.at(-1) ?? ''}.`;
  return new SqlError(`column reference "${name}" is ambiguous`, location, hint);
}

export const noFrom: From = {
  plan: { kind: 'values', columns: [], rows: [[]] },
  tables: [],
  columns: [],
};

export const boolType = sqlScalar('bool');
