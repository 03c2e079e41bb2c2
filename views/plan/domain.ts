import { projectOf } from './build.ts';
import { columnOf } from './expressions.ts';
import type { ColumnId } from '../expressions/expression.ts';
import type { Ids } from './columns.ts';
import type { Plan } from './plan.ts';
import type { Unit } from './units.ts';
import type { Carried, Unnested } from './unnested.ts';

/** The distinct values that an outer plan gives to the units of a subplan. */
export class Domain {
  readonly #outer: Plan;
  readonly #units: ReadonlyMap<ColumnId, Unit>;
  readonly #ids: Ids;
  readonly #plans = new Map<string, Plan>();

  constructor(outer: Plan, units: ReadonlyMap<ColumnId, Unit>, ids: Ids) {
    this.#outer = outer;
    this.#units = units;
    this.#ids = ids;
  }

  /** Of some units; one plan for the same units, with columns of its own at each use. */
  of(units: readonly ColumnId[]): Unnested {
    const sorted = [...new Set(units)].toSorted((a, b) => a - b).flatMap((id) => this.#units.get(id) ?? []);
    const name = sorted.map(({ id }) => id).join();
    let distinct = this.#plans.get(name);
    if (distinct === undefined) {
      const columns = sorted.map(({ type }) => this.#ids.column('outer', type));
      const expressions = sorted.map(({ outer }) => outer);
      distinct = { kind: 'distinct', input: projectOf(this.#outer, expressions, columns), columns };
      this.#plans.set(name, distinct);
    }
    const columns = sorted.map(({ type }) => this.#ids.column('outer', type));
    const carried = new Map<ColumnId, Carried>();
    sorted.forEach(({ id }, at) => {
      const column = columns[at];
      if (column !== undefined) carried.set(id, { column, strict: false });
    });
    return { plan: projectOf(distinct, distinct.columns.map(columnOf), columns), carried };
  }
}
