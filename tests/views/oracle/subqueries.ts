import type { Chance } from './chance.ts';
import type { ExpressionMaker, Scope } from './expressions.ts';
import { atomsOf } from './from.ts';
import type { FromMaker, Source } from './from.ts';
import type { MadeQuery, QueryOptions } from './queries.ts';
import { list, optional, query, sequence } from './sql-tree.ts';
import type { Sql } from './sql-tree.ts';
import { isComparable } from './templates.ts';

/** Subqueries within expressions, correlated or not. */
export class SubqueryMaker {
  readonly #chance: Chance;
  readonly #expressions: ExpressionMaker;
  readonly #from: FromMaker;
  readonly #query: (options: QueryOptions) => MadeQuery;

  constructor(
    chance: Chance,
    expressions: ExpressionMaker,
    from: FromMaker,
    makeQuery: (options: QueryOptions) => MadeQuery,
  ) {
    this.#chance = chance;
    this.#expressions = expressions;
    this.#from = from;
    this.#query = makeQuery;
  }

  /** Scalar subqueries, and for bool the ways to ask whether there are rows. */
  make(type: string, scope: Scope, depth: number, sources: readonly Source[]): Sql | null {
    const chance = this.#chance;
    const outer = [...scope.outer, ...scope.atoms.filter(({ isColumn }) => isColumn)];
    const joined = chance.maybe(0.2) ? this.#from.items({ sources, outer: [], depth: 0 }) : null;
    const items = joined?.items ?? [this.#from.named(chance.of(sources))];
    const inner: Scope = {
      atoms: items.flatMap(atomsOf),
      outer,
      order: items.flatMap(({ order }) => order),
      aliases: items.map(({ alias }) => alias),
      subqueries: depth > 1,
    };
    const where = optional(' WHERE ', this.#correlation(inner));
    const from = sequence(' FROM ', joined?.sql ?? items[0]?.sql ?? '', where);
    if (type === 'bool' && chance.maybe(0.85))
      return this.#membership(scope, inner, from, { sources, outer, depth: depth - 1 });
    if (type === 'json' && chance.maybe(0.7)) {
      const row = chance.maybe(0.3) ? chance.of(inner.aliases) : this.#document(inner, depth, sources);
      return sequence(
        `(SELECT coalesce(json_agg(`,
        row,
        ' ORDER BY ',
        this.#expressions.totalOrder(inner, 0),
        `), '[]')`,
        from,
        ')',
      );
    }
    if (type.endsWith('[]') && chance.maybe(0.5)) {
      const element = this.#expressions.value(type.slice(0, -2), inner, 1);
      return sequence('ARRAY(SELECT ', element, from, ' ORDER BY ', this.#expressions.totalOrder(inner, 0), ')');
    }
    if (chance.maybe(0.6)) {
      const call = this.#expressions.aggregate(inner, 1, type);
      if (call !== null) return sequence('(', query([type], 'SELECT ', call.sql, from), ')');
    }
    const value = this.#expressions.value(type, inner, 1);
    return sequence(
      '(',
      query([type], 'SELECT ', value, from, ' ORDER BY ', this.#expressions.totalOrder(inner, 0), ' LIMIT 1'),
      ')',
    );
  }

  #document(scope: Scope, depth: number, sources: readonly Source[]): Sql {
    const fields = this.#chance.some(scope.atoms, 3).map(({ sql }, index) => sequence(`'f${index}', `, sql));
    if (depth > 0 && this.#chance.maybe(0.6)) {
      const nested = this.make('json', { ...scope, outer: [] }, depth - 1, sources);
      if (nested !== null) fields.push(sequence(`'children', `, nested));
    }
    return sequence('json_build_object(', list(fields), ')');
  }

  #membership(scope: Scope, inner: Scope, from: Sql, options: QueryOptions): Sql {
    const chance = this.#chance;
    const kind = chance.weighted({
      exists: 4,
      notExists: 3,
      in: 4,
      notIn: 3,
      any: 0.7,
      all: 0.7,
      rowIn: 1,
      queryIn: 1,
      queryExists: 1.5,
    });
    if (kind === 'queryExists') {
      return sequence(chance.of(['(EXISTS (', '(NOT EXISTS (']), this.#query(options).sql, '))');
    }
    if (kind === 'exists') return sequence('(EXISTS (SELECT 1', from, '))');
    if (kind === 'notExists') return sequence('(NOT EXISTS (SELECT 1', from, '))');
    const type = chance.of(['int4', 'int4', 'text', 'numeric', 'date']);
    const left = this.#expressions.value(type, scope, 1);
    const value = this.#expressions.value(type, inner, 1);
    if (kind === 'in') return sequence('(', left, ' IN (SELECT ', value, from, '))');
    if (kind === 'notIn') return sequence('(', left, ' NOT IN (SELECT ', value, from, '))');
    if (kind === 'any')
      return sequence('(', left, chance.of([' = ANY (SELECT ', ' < ANY (SELECT ']), value, from, '))');
    if (kind === 'all')
      return sequence('(', left, chance.of([' <> ALL (SELECT ', ' >= ALL (SELECT ']), value, from, '))');
    if (kind === 'queryIn') {
      const made = this.#query({ ...options, outer: chance.maybe(0.4) ? options.outer : [], types: [type] });
      return sequence('(', left, chance.of([' IN (', ' NOT IN (']), made.sql, '))');
    }
    const second = this.#expressions.value('text', scope, 0);
    return sequence(
      '((',
      left,
      ', ',
      second,
      chance.of([') IN (SELECT ', ') NOT IN (SELECT ']),
      value,
      ', ',
      this.#expressions.value('text', inner, 0),
      from,
      '))',
    );
  }

  #correlation(inner: Scope): Sql {
    const chance = this.#chance;
    const pairs = inner.atoms.flatMap((a) =>
      inner.outer.filter(({ type }) => type === a.type && isComparable(type)).map((b) => [a, b] as const),
    );
    const more = chance.maybe(0.3)
      ? optional(' AND ', this.#expressions.condition({ ...inner, subqueries: false }, 1))
      : '';
    if (pairs.length === 0 || chance.maybe(0.12))
      return this.#expressions.condition({ ...inner, subqueries: false }, 1);
    const [a, b] = chance.of(pairs);
    return sequence(
      a.sql,
      chance.weighted({ ' = ': 8, ' < ': 1, ' IS NOT DISTINCT FROM ': 0.5, ' >= ': 0.5 }),
      b.sql,
      more,
    );
  }
}
