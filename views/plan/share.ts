import { createHash } from 'node:crypto';
import { present } from '../../base/assert.ts';
import { TidemarkError } from '../../base/errors.ts';
import type { AggregateCall, ColumnId, Expression, SortKey } from '../expressions/expression.ts';
import type { SqlType } from '../type.ts';
import type { BoundView, Plan, PlanColumn } from './plan.ts';

/** A view that others scan. */
export interface ScannedView {
  readonly view: BoundView;
  /** Its key has to be checked, and rows that repeat it wait. */
  readonly isChecked: boolean;
}

/**
 * Identities of plans: two plans have one identity exactly when they compute the same in the same way over the same relations,
 * whatever their columns are called and numbered. Operators are shared by it, and states are named by it, so that a plan that
 * was changed finds no state of the old one.
 */
export class PlanIdentities {
  readonly #views: ReadonlyMap<string, ScannedView>;
  readonly #known = new Map<Plan, string>();
  readonly #open = new Set<Plan>();

  /** `views`: by the relation under which they are scanned. */
  constructor(views: ReadonlyMap<string, ScannedView>) {
    this.#views = views;
  }

  of(plan: Plan): string {
    const known = this.#known.get(plan);
    if (known !== undefined) return known;
    if (this.#open.has(plan)) {
      throw new TidemarkError('VIEW_INVALID', 'a view is defined by itself', {
        hint: 'views may use each other, but not in a circle',
      });
    }
    this.#open.add(plan);
    const identity = digest(this.#text(plan));
    this.#open.delete(plan);
    this.#known.set(plan, identity);
    return identity;
  }

  /** A view whose key is checked can show less than its plan computes. */
  #viewText({ view, isChecked }: ScannedView): string {
    const ids = view.columns.map(({ id }) => id);
    const places = placesOf(view.plan);
    const columns = ids.map((id) => place(id, places)).join(',');
    return `${this.of(view.plan)} ${columns}${isChecked ? ` key ${view.key.join(',')}` : ''}`;
  }

  #text(plan: Plan): string {
    switch (plan.kind) {
      case 'scan': {
        const scanned = this.#views.get(plan.relation);
        const from = scanned === undefined ? plan.relation : this.#viewText(scanned);
        return `scan ${from} ${plan.positions.join(',')} ${typesText(plan.columns)}`;
      }
      case 'values':
        return `values ${typesText(plan.columns)} ${list(plan.rows, (row) => list(row, (e) => text(e, noColumns)))}`;
      case 'filter':
        return `filter ${this.of(plan.input)} ${text(plan.condition, placesOf(plan.input))}`;
      case 'project': {
        const places = placesOf(plan.input);
        return `project ${this.of(plan.input)} ${list(plan.expressions, (e) => text(e, places))}`;
      }
      case 'join':
      case 'apply': {
        const places = placesOf(plan.left, plan.right);
        return `${plan.kind} ${plan.type} ${this.of(plan.left)} ${this.of(plan.right)} ${text(plan.condition, places)}`;
      }
      case 'aggregate': {
        const places = placesOf(plan.input);
        const keys = plan.keys.map((id) => place(id, places)).join(',');
        return `aggregate ${this.of(plan.input)} ${keys} ${list(plan.aggregates, (call) => callText(call, places))}`;
      }
      case 'distinct':
        return `distinct ${this.of(plan.input)}`;
      case 'topN': {
        const places = placesOf(plan.input);
        const partition = plan.partition.map((id) => place(id, places)).join(',');
        const span = `${plan.offset}+${plan.limit ?? 'all'}${plan.single === true ? ' single' : ''}`;
        return `topN ${this.of(plan.input)} ${partition} ${orderText(plan.order, places)} ${span}`;
      }
      case 'union':
        return `union ${list(plan.inputs, (input) => this.of(input))}`;
      case 'except':
      case 'intersect':
        return `${plan.kind} ${String(plan.all)} ${this.of(plan.left)} ${this.of(plan.right)}`;
      case 'expand': {
        const places = placesOf(plan.input);
        const args = list(plan.args, (e) => text(e, places));
        return `expand ${this.of(plan.input)} ${plan.fn} ${args} ${String(plan.ordinality)} ${String(plan.left)}`;
      }
    }
  }
}

/** Enough of a hash that no two states of a program will ever share a name. */
export function digest(input: string): string {
  return createHash('sha256').update(input).digest('hex').slice(0, 24);
}

/** Of each column, where it stands among the columns of the inputs. */
export type Places = ReadonlyMap<ColumnId, number>;

const noColumns: Places = new Map();

export function placesOf(...inputs: readonly Plan[]): Places {
  return new Map(inputs.flatMap(({ columns }) => columns).map(({ id }, index) => [id, index]));
}

function place(id: ColumnId, places: Places): string {
  return `$${present(places.get(id), `column ${id} of a plan`)}`;
}

/** An expression with its columns as places. */
export function text(e: Expression, places: Places): string {
  const all = (es: readonly Expression[]): string => list(es, (child) => text(child, places));
  switch (e.kind) {
    case 'column':
      return place(e.id, places);
    case 'literal':
      return `${typeText(e.type)}:${typeof e.value}:${JSON.stringify(String(e.value))}`;
    case 'call':
      return `${JSON.stringify(e.fn.id)}${all(e.args)}${typeText(e.type)}`;
    case 'and':
    case 'or':
    case 'coalesce':
      return `${e.kind}${all(e.args)}`;
    case 'not':
    case 'isNull':
      return `${e.kind}${all([e.arg])}`;
    case 'case':
      return `case${all([...e.branches.flatMap(({ when, then }) => [when, then]), e.otherwise])}`;
    case 'row':
      return `row${all(e.fields)}${typeText(e.type)}`;
    case 'array':
      return `array${all(e.items)}${typeText(e.type)}`;
  }
}

export function callText(call: AggregateCall, places: Places): string {
  const args = list(call.args, (e) => text(e, places));
  const filter = call.filter === null ? '' : text(call.filter, places);
  const distinct = call.distinct ? 'distinct' : '';
  return `${JSON.stringify(call.fn.id)}${args}${distinct}${orderText(call.order, places)}${filter}${typeText(call.type)}`;
}

export function orderText(order: readonly SortKey[], places: Places): string {
  return list(
    order,
    ({ expression, descending, nullsFirst }) =>
      `${text(expression, places)}${descending ? '-' : '+'}${nullsFirst ? 'first' : 'last'}`,
  );
}

function typesText(columns: readonly PlanColumn[]): string {
  return list(columns, ({ type }) => typeText(type));
}

function typeText(type: SqlType): string {
  if (type.kind === 'array') return `${typeText(type.element)}[${type.delimiter ?? ','}]`;
  if (type.kind === 'record')
    return list(type.fields, (field) => `${JSON.stringify(field.name)}${typeText(field.type)}`);
  return type.declared === undefined ? type.name : `${type.name}${JSON.stringify(type.declared)}`;
}

function list<T>(items: readonly T[], print: (item: T) => string): string {
  return `(${items.map((item) => print(item)).join(' ')})`;
}
