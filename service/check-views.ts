import type { ViewConfig } from '../config/config.ts';
import type { CheckResult } from '../model/source.ts';
import type { BoundView } from '../views/plan/plan.ts';
import { costlyJoins } from '../views/plan/costly-joins.ts';
import { loadSqlParser } from '../views/sql/bind.ts';
import { bindAll } from './bind-views.ts';
import type { DescribedTables } from './describe-tables.ts';
import { asTidemarkError } from './supervise.ts';

/** What is wrong with the SQL of views that can be told without their tables. */
export async function* checkViewTexts(views: readonly ViewConfig[]): AsyncGenerator<CheckResult> {
  if (views.length === 0) return;
  await loadSqlParser();
  const { failures } = bindAll(views, new Map());
  for (const { name } of views) {
    const error = failures.get(name);
    if (error && !isUnknownTable(error.message)) yield problem(`${name}: sql`, error);
    else yield { level: 'ok', subject: `${name}: sql`, message: 'can be read; its tables were not looked at' };
  }
}

/** Binds the views to their tables; returns those that have no mistake. */
export async function* checkViews(
  views: readonly ViewConfig[],
  tables: DescribedTables,
): AsyncGenerator<CheckResult, readonly BoundView[]> {
  if (views.length === 0) return [];
  await loadSqlParser();
  const { views: bound, failures, sources } = bindAll(views, tables.byTopic);
  for (const { name } of views) {
    const error = failures.get(name);
    const subject = `${name}: sql`;
    if (error && !tables.isComplete && isUnknownTable(error.message)) {
      yield { level: 'warning', subject, message: 'its tables could not be looked at' };
    } else if (error) {
      yield problem(subject, error);
    } else {
      const view = bound.find((candidate) => candidate.name === name);
      const columns = view?.columns.map((column) => column.name) ?? [];
      yield {
        level: 'ok',
        subject,
        message: `gives ${columns.join(', ')} from ${(sources.get(name) ?? []).join(', ') || 'constants'}`,
      };
      if (view !== undefined) yield* costs(view);
    }
  }
  return bound;
}

function* costs({ name, plan }: BoundView): Generator<CheckResult> {
  for (const { left, right } of costlyJoins(plan)) {
    yield {
      level: 'warning',
      subject: `${name}: sql`,
      message: `joins ${left.join(', ') || 'constants'} and ${right.join(', ') || 'constants'} by no equality`,
      fix: 'A change of a row on one side is compared with every row on the other. Add an equality, or keep one side small.',
    };
  }
}

/** An error as a line of `check`. */
export function problem(subject: string, error: unknown): CheckResult {
  const { message, hint } = asTidemarkError(error);
  return { level: 'error', subject, message, ...(hint === undefined ? {} : { fix: hint }) };
}

function isUnknownTable(message: string): boolean {
  return /relation ".*" does not exist/.test(message);
}
