import * as fc from 'fast-check';
import { expect } from 'vitest';
import { present } from '../../../base/assert.ts';
import { compileScalar } from '../../../views/expressions/compile.ts';
import { RowError } from '../../../views/expressions/expression.ts';
import { textOf } from '../../../views/expressions/text.ts';
import { bindView } from '../../../views/sql/bind.ts';
import { SqlError } from '../../../views/sql/sql-error.ts';
import type { TestDatabase } from '../../servers/suite.ts';
import { fromTemplates } from './templates.ts';

/**
 * Expressions without columns, evaluated here and by PostgreSQL. An answer is the value's text, `NULL`, or an error: `!22012 division
 * by zero`. What is refused as the SQL is read is `!refused` here; PostgreSQL refuses the same with class 42, or as the literal's error.
 */
export function answerOf(expression: string): string {
  try {
    const view = bindView({
      name: 'v',
      sql: `SELECT ${expression} AS answer`,
      key: [],
      catalog: { resolve: () => null, names: () => [] },
    });
    const { plan } = view;
    const bound =
      plan.kind === 'values' ? plan.rows[0]?.[0] : plan.kind === 'project' ? plan.expressions[0] : undefined;
    const value = compileScalar(present(bound, `expression of ${plan.kind}`), new Map())([]);
    if (typeof value === 'boolean') return String(value);
    return value === null ? 'NULL' : textOf(value, present(bound, 'expression').type);
  } catch (error) {
    if (error instanceof RowError) return `!${error.sqlState} ${error.message}`;
    if (error instanceof Error && error.cause instanceof SqlError) return '!refused';
    throw error;
  }
}

/** Answers of PostgreSQL in the order of the expressions: one query for all of them. */
export async function postgresAnswers(
  database: Pick<TestDatabase, 'query'>,
  expressions: readonly string[],
): Promise<string[]> {
  await database.query(`
    CREATE OR REPLACE FUNCTION answer(expression text) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE result text;
    BEGIN
      EXECUTE 'SELECT (' || expression || ')::text' INTO result;
      RETURN coalesce(result, 'NULL');
    EXCEPTION WHEN OTHERS THEN
      RETURN '!' || SQLSTATE || ' ' || SQLERRM;
    END $$`);
  const rows = await database.query(
    'SELECT answer(e) AS a FROM unnest($1::text[]) WITH ORDINALITY AS t(e, n) ORDER BY n',
    [[...expressions]],
  );
  return rows.map(({ a }) => a ?? 'NULL');
}

/** The expressions whose answers differ, with both. */
async function differences(
  database: Pick<TestDatabase, 'query'>,
  expressions: readonly string[],
): Promise<{ expression: string; postgres: string; here: string }[]> {
  const found: { expression: string; postgres: string; here: string }[] = [];
  const answers = await postgresAnswers(database, expressions);
  for (const [index, expression] of expressions.entries()) {
    const postgres = answers[index] ?? 'no answer';
    const here = answerOf(expression);
    if (here !== postgres && !(here === '!refused' && postgres.startsWith('!')))
      found.push({ expression, postgres, here });
  }
  return found;
}

/** Holds 900 expressions made of the templates to PostgreSQL's answers. */
export async function expectSameAnswers(
  database: Pick<TestDatabase, 'query'>,
  templates: readonly string[],
  pools: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fromTemplates(templates, pools), { minLength: 300, maxLength: 300 }),
      async (expressions) => {
        expect(await differences(database, expressions)).toEqual([]);
      },
    ),
    { numRuns: 3, endOnFailure: true },
  );
}
