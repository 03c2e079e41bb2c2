import type { TestDatabase } from '../../servers/suite.ts';
import { compileScalar } from '../../../views/expressions/compile.ts';
import { RowError } from '../../../views/expressions/expression.ts';
import type { Expression } from '../../../views/expressions/expression.ts';
import { branch } from '../../../views/expressions/branch.ts';
import { callFunction, callOperator, castTo, commonType, typeFromName } from '../../../views/expressions/resolve.ts';
import { textOf, valueOf } from '../../../views/expressions/text.ts';
import { SqlError } from '../../../views/sql/sql-error.ts';
import { sqlScalar, typeName } from '../../../views/type.ts';
import type { SqlType } from '../../../views/type.ts';
import type { Row, Value } from '../../../views/value.ts';

/** A scalar expression that is asked of both sides. */
export type Sql =
  /** A column that holds one value; `text` null is NULL. */
  | { readonly kind: 'column'; readonly type: string; readonly text: string | null }
  /** A quoted literal without a type. */
  | { readonly kind: 'literal'; readonly text: string | null }
  /** A number as the grammar reads it. */
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'function'; readonly name: string; readonly args: readonly Sql[] }
  | { readonly kind: 'operator'; readonly name: string; readonly args: readonly Sql[] }
  | { readonly kind: 'and' | 'or'; readonly args: readonly Sql[] }
  | { readonly kind: 'not' | 'isNull'; readonly arg: Sql }
  | { readonly kind: 'case'; readonly when: Sql; readonly then: Sql; readonly otherwise: Sql }
  | { readonly kind: 'coalesce'; readonly args: readonly Sql[] }
  | { readonly kind: 'cast'; readonly arg: Sql; readonly type: string; readonly typmods?: readonly number[] };

export interface Answer {
  readonly type: string | null;
  readonly value: string | null;
  readonly error: string | null;
  /** Refused before there was a row. */
  readonly refused?: true;
}

export function sqlOf(sql: Sql): string {
  switch (sql.kind) {
    case 'column':
      return `(${quoted(sql.text)}::${sql.type})`;
    case 'literal':
      return quoted(sql.text);
    case 'number':
      return sql.text;
    case 'function':
      return `${sql.name === 'position' ? 'pg_catalog.position' : sql.name}(${sql.args.map(sqlOf).join(', ')})`;
    case 'operator': {
      const [left, right] = sql.args.map(sqlOf);
      return right === undefined ? `(${sql.name} ${left})` : `(${left} ${sql.name} ${right})`;
    }
    case 'and':
    case 'or':
      return `(${sql.args.map(sqlOf).join(` ${sql.kind} `)})`;
    case 'not':
      return `(NOT ${sqlOf(sql.arg)})`;
    case 'isNull':
      return `(${sqlOf(sql.arg)} IS NULL)`;
    case 'case':
      return `CASE WHEN ${sqlOf(sql.when)} THEN ${sqlOf(sql.then)} ELSE ${sqlOf(sql.otherwise)} END`;
    case 'coalesce':
      return `coalesce(${sql.args.map(sqlOf).join(', ')})`;
    case 'cast':
      return `CAST(${sqlOf(sql.arg)} AS ${typeText(sql.type, sql.typmods)})`;
  }
}

function typeText(type: string, typmods: readonly number[] = []): string {
  const fit = typmods.length > 0 ? `(${typmods.join(', ')})` : '';
  return type.endsWith('[]') ? `${type.slice(0, -2)}${fit}[]` : `${type}${fit}`;
}

function quoted(text: string | null): string {
  if (text === null) return 'NULL';
  return text.includes('\\')
    ? `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
    : `'${text.replaceAll("'", "''")}'`;
}

/** Refused on both sides, by us before there was a row: in which words depends on which mistake is found first. */
export function bothRefuse(wanted: Answer, got: Answer): boolean {
  if (wanted.error === null) return false;
  // PostgreSQL has overloads for types that views do not have.
  if (/is not unique/.test(wanted.error)) return true;
  if (got.error === null) return false;
  return got.refused === true || /does not exist|could not convert|invalid regular expression/.test(wanted.error);
}

/** What the engine answers. */
export function answerOf(sql: Sql): Answer {
  const row: Value[] = [];
  let type: string | null = null;
  try {
    const expression = typed(bound(sql, row));
    type = typeName(expression.type);
    const value = valueIn(expression, row);
    return { type, value: value === null ? null : textOf(value, expression.type), error: null };
  } catch (error) {
    if (error instanceof RowError) return { type: null, value: null, error: error.message };
    if (error instanceof SqlError) return { type: null, value: null, error: error.message, refused: true };
    throw error;
  }
}

export function valueIn(expression: Expression, row: Row): Value {
  return compileScalar(expression, new Map(row.map((_, index) => [index, index])))(row);
}

function typed(expression: Expression): Expression {
  return expression.type.kind === 'scalar' && expression.type.name === 'unknown'
    ? castTo(expression, sqlScalar('text'), 'implicit', 0)
    : expression;
}

/** The expression over a row to which the columns' values are added. */
export function bound(sql: Sql, row: Value[]): Expression {
  switch (sql.kind) {
    case 'column': {
      const type = typeOf(sql.type);
      const id = row.push(sql.text === null ? null : valueOf(sql.text, type)) - 1;
      return { kind: 'column', id, type };
    }
    case 'literal':
      return { kind: 'literal', value: sql.text, type: sqlScalar('unknown') };
    case 'number':
      return numberLiteral(sql.text);
    case 'function':
      return callFunction(
        sql.name,
        sql.args.map((arg) => bound(arg, row)),
        0,
      );
    case 'operator':
      return callOperator(
        sql.name,
        sql.args.map((arg) => bound(arg, row)),
        0,
      );
    case 'and':
    case 'or':
      return { kind: sql.kind, args: sql.args.map((arg) => condition(arg, row)), type: sqlScalar('bool') };
    case 'not':
    case 'isNull': {
      const arg = sql.kind === 'not' ? condition(sql.arg, row) : typed(bound(sql.arg, row));
      return { kind: sql.kind, arg, type: sqlScalar('bool') };
    }
    case 'case': {
      const [otherwise, then] = [bound(sql.otherwise, row), bound(sql.then, row)];
      const type = commonType([otherwise, then], 'CASE', 0);
      const result = castTo(then, type, 'implicit', 0);
      return {
        kind: 'case',
        branches: [branch(condition(sql.when, row), result)],
        otherwise: castTo(otherwise, type, 'implicit', 0),
        type,
      };
    }
    case 'coalesce':
      return callFunction(
        'coalesce',
        sql.args.map((arg) => bound(arg, row)),
        0,
      );
    case 'cast': {
      const name = sql.type.replace('[]', '');
      const { type, typmod } = typeFromName([name], sql.typmods ?? [], sql.type.endsWith('[]') ? 1 : 0, 0);
      return castTo(bound(sql.arg, row), type, 'explicit', 0, typmod);
    }
  }
}

function condition(sql: Sql, row: Value[]): Expression {
  return castTo(bound(sql, row), sqlScalar('bool'), 'assignment', 0);
}

function numberLiteral(text: string): Expression {
  if (!/^\d+$/.test(text)) return { kind: 'literal', value: text, type: sqlScalar('numeric') };
  const size = BigInt(text);
  const type = sqlScalar(size < 2n ** 31n ? 'int4' : size < 2n ** 63n ? 'int8' : 'numeric');
  return { kind: 'literal', value: valueOf(text, type), type };
}

function typeOf(name: string): SqlType {
  if (name.endsWith('[]')) return { kind: 'array', element: typeOf(name.slice(0, -2)) };
  return typeFromName([name], [], 0, 0).type;
}

/** Makes `attempt(sql)`, which evaluates an expression and gives its type, its text as its output function prints it, or the error. */
export async function installOracle(database: TestDatabase): Promise<void> {
  await database.query(`
    CREATE FUNCTION attempt(expression text) RETURNS text[] LANGUAGE plpgsql AS $$
    DECLARE answer text[];
    BEGIN
      EXECUTE 'SELECT ARRAY[pg_typeof(v)::text, CASE WHEN v IS NULL THEN NULL ELSE format(''%s'', v) END, NULL] FROM (SELECT '
        || expression || ' AS v OFFSET 0) s' INTO answer;
      RETURN answer;
    EXCEPTION WHEN OTHERS THEN RETURN ARRAY[NULL, NULL, SQLERRM];
    END $$`);
}

/** What PostgreSQL answers to each, in one query. */
export async function oracleAnswers(database: TestDatabase, expressions: readonly Sql[]): Promise<Answer[]> {
  const rows = await database.query(
    `SELECT a[1] AS type, a[2] AS value, a[3] AS error
     FROM (SELECT n, attempt(expression) AS a FROM unnest($1::text[]) WITH ORDINALITY AS e (expression, n)) s ORDER BY n`,
    [expressions.map(sqlOf)],
  );
  return rows.map((row) => ({ type: row['type'] ?? null, value: row['value'] ?? null, error: row['error'] ?? null }));
}
