import { TidemarkError, isTidemarkError } from '../base/errors.ts';
import type { ViewConfig } from '../config/config.ts';
import type { Table } from '../model/table.ts';
import { viewTopic } from '../views/port.ts';
import { relationsIn } from '../views/plan/columns.ts';
import type { BoundView } from '../views/plan/plan.ts';
import { bindViews } from '../views/sql/bind.ts';
import { SqlError } from '../views/sql/sql-error.ts';
import { catalogOfTables } from './view-catalog.ts';

export interface BoundViews {
  /** Those without a mistake, each after the views that it uses. */
  readonly views: readonly BoundView[];
  /** Why the others cannot be. */
  readonly failures: ReadonlyMap<string, TidemarkError>;
  /** For each bound view, the sources that it is made of, through other views too, in alphabetical order. */
  readonly sources: ReadonlyMap<string, readonly string[]>;
}

/** Binds the views of a file to the tables there are; a mistake in one keeps out that one and those that use it, no others. */
export function bindAll(views: readonly ViewConfig[], tables: ReadonlyMap<string, Table>): BoundViews {
  const catalog = catalogOfTables(tables.values());
  const failures = new Map<string, TidemarkError>();
  let left = [...views];
  for (;;) {
    try {
      const bound = bindViews(left, catalog);
      return { views: bound, failures, sources: sourcesOf(bound, tables) };
    } catch (error) {
      if (!isTidemarkError(error, 'VIEW_INVALID')) throw error;
      const failed = left.find(({ name }) => name === error.place?.view);
      if (!failed) throw error;
      failures.set(failed.name, placedInFile(error, failed));
      left = left.filter((view) => view !== failed);
    }
  }
}

/** The place in the SQL of a view as the place in the file that holds it, so that it can be gone to. */
function placedInFile(error: TidemarkError, view: ViewConfig): TidemarkError {
  if (!(error.cause instanceof SqlError)) return error;
  const { location, message, hint } = error.cause;
  const index = location === null ? null : Buffer.from(view.sql).subarray(0, location).toString().length;
  const file = view.placeOf?.(index) ?? null;
  if (file === null) return error;
  return new TidemarkError('VIEW_INVALID', `view ${view.name}, ${file}: ${message}`, {
    ...(hint === undefined ? {} : { hint }),
    place: { view: view.name, file },
    cause: error.cause,
  });
}

/** The versions of the tables that views scan. */
export function relationsOf(
  views: readonly BoundView[],
  tables: ReadonlyMap<string, Table>,
): ReadonlyMap<string, Table> {
  const found = new Map<string, Table>();
  for (const relation of views.flatMap(({ plan }) => relationsIn(plan))) {
    const table = tables.get(relation);
    if (table) found.set(relation, table);
  }
  return found;
}

function sourcesOf(views: readonly BoundView[], tables: ReadonlyMap<string, Table>): Map<string, readonly string[]> {
  const sources = new Map<string, readonly string[]>();
  for (const { name, plan } of views) {
    const own = relationsIn(plan).flatMap((relation) => {
      const table = tables.get(relation);
      if (table) return [table.source];
      const used = views.find((view) => viewTopic(view.name) === relation);
      return used ? (sources.get(used.name) ?? []) : [];
    });
    sources.set(name, [...new Set(own)].toSorted());
  }
  return sources;
}
