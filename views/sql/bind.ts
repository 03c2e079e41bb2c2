import { TidemarkError } from '../../base/errors.ts';
import type { BoundView } from '../plan/plan.ts';
import type { Catalog } from './catalog.ts';

/**
 * SQL of views → bound, typed plans. The parser is WebAssembly that loads asynchronously: `await loadSqlParser()` once before any
 * other call of this file.
 *
 * Whatever is wrong is thrown as a TidemarkError VIEW_INVALID: `view order_docs, 3:12: column "stauts" does not exist`, its hint what to
 * write, its cause a SqlError whose `location` is the byte offset in the SQL text (`lineColumn` of text-place.ts).
 */
export interface ViewText {
  readonly name: string;
  readonly sql: string;
  /** Declared key: names of result columns; may be empty. */
  readonly key: readonly string[];
}

export async function loadSqlParser(): Promise<void> {
  await Promise.resolve();
}

/** One view over what the catalog holds. */
export function bindView(options: ViewText & { readonly catalog: Catalog }): BoundView {
  throw new TidemarkError('INTERNAL', `view ${options.name}: the binder is being written`);
}

/** Views of one file, each of which may use the others, in any order; given back in an order in which each comes after those it uses. */
export function bindViews(views: readonly ViewText[], _catalog: Catalog): readonly BoundView[] {
  throw new TidemarkError('INTERNAL', `${views.length} views: the binder is being written`);
}

/** One SELECT (a view under `name`), or several CREATE VIEW; the last one is the result and has the key. */
export function bindScript(options: ViewText & { readonly catalog: Catalog }): readonly BoundView[] {
  throw new TidemarkError('INTERNAL', `view ${options.name}: the binder is being written`);
}
