import type { Chance } from './chance.ts';
import type { Atom, ExpressionMaker, Scope } from './expressions.ts';
import type { MadeQuery, QueryOptions } from './queries.ts';
import { list, optional, sequence, value } from './sql-tree.ts';
import type { Sql } from './sql-tree.ts';
import { isComparable } from './templates.ts';

/** What can be named in FROM: a table, a view, a common table expression. */
export interface Source {
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Columns that identify a row; none when rows may repeat. */
  readonly key: readonly string[];
}

/** One thing in FROM under its alias. */
export interface Item {
  readonly sql: Sql;
  readonly alias: string;
  readonly columns: Source['columns'];
  /** Expressions that put its rows into a total order. */
  readonly order: readonly Sql[];
  /** Whether these are its key. */
  readonly hasKey: boolean;
}

export interface FromClause {
  readonly sql: Sql;
  readonly items: readonly Item[];
  /** What WHERE must hold for it. */
  readonly condition: Sql | null;
}

/** FROM with its joins. */
export class FromMaker {
  readonly #chance: Chance;
  readonly #expressions: ExpressionMaker;
  readonly #query: (options: QueryOptions) => MadeQuery;
  /** Tables have hundreds of rows: only joins by equality. */
  readonly #big: boolean;
  #aliases = 0;

  constructor(chance: Chance, expressions: ExpressionMaker, query: (options: QueryOptions) => MadeQuery, big: boolean) {
    this.#chance = chance;
    this.#expressions = expressions;
    this.#query = query;
    this.#big = big;
  }

  /** FROM with commas, whose joins are conditions of WHERE. */
  listed(options: QueryOptions): FromClause {
    const first = this.#item(options);
    const items = [first];
    const conditions: Sql[] = [];
    for (let more = this.#big ? 1 : this.#chance.between(1, 2); more > 0; more--) {
      const item = this.#item(options);
      conditions.push(this.#condition(items, item, false));
      items.push(item);
    }
    const sql = sequence(...items.flatMap((item, index) => (index === 0 ? [item.sql] : [', ', item.sql])));
    return { sql, items, condition: list(conditions, { separator: ' AND ', least: 1 }) };
  }

  items(options: QueryOptions): FromClause {
    const chance = this.#chance;
    const first = this.#item(options);
    const items = [first];
    const joins: Sql[] = [];
    for (let more = Number(chance.weighted({ '0': 40, '1': 35, '2': 18, '3': 7 })); more > 0; more--) {
      const { sql, item } = this.#join(items, options);
      items.push(item);
      joins.push(sql);
    }
    return { sql: sequence(first.sql, list(joins, { separator: '', least: 0 })), items, condition: null };
  }

  /** A table, view or common table expression under a new alias. */
  named(source: Source): Item {
    const alias = this.#alias();
    return {
      sql: chanceOfAs(this.#chance, source.name, alias),
      alias,
      columns: source.columns,
      order: source.key.length > 0 ? source.key.map((name) => `${alias}.${name}`) : orderOf(alias, source.columns),
      hasKey: source.key.length > 0,
    };
  }

  #alias(): string {
    return `a${this.#aliases++}`;
  }

  #item(options: QueryOptions): Item {
    const chance = this.#chance;
    const kind = chance.weighted({ named: 84, query: options.depth > 0 ? 14 : 0, values: 2 });
    if (kind === 'values') return this.#values();
    if (kind === 'query') {
      return this.#derived(this.#query({ sources: options.sources, outer: [], depth: options.depth - 1 }), '');
    }
    return this.named(chance.of(options.sources));
  }

  #derived(made: MadeQuery, before: string): Item {
    const alias = this.#alias();
    const renamed = before === '' && this.#chance.maybe(0.1);
    const columns = renamed ? made.columns.map(({ type }, index) => ({ name: `r${index}`, type })) : made.columns;
    const names = renamed ? `(${columns.map(({ name }) => name).join(', ')})` : '';
    return {
      alias,
      columns,
      order: orderOf(alias, columns),
      hasKey: false,
      sql: sequence(`${before}(`, made.sql, `) ${alias}${names}`),
    };
  }

  #values(): Item {
    const alias = this.#alias();
    const columns = [
      { name: 'x', type: 'int4' },
      { name: 'y', type: 'text' },
    ];
    const rows = Array.from({ length: this.#chance.between(1, 4) }, () =>
      sequence('(', this.#expressions.literal('int4'), ', ', this.#expressions.literal('text'), ')'),
    );
    return {
      alias,
      columns,
      order: orderOf(alias, columns),
      hasKey: false,
      sql: sequence('(VALUES ', list(rows, { least: 1 }), `) ${alias}(x, y)`),
    };
  }

  #join(items: readonly Item[], options: QueryOptions): { sql: Sql; item: Item } {
    const chance = this.#chance;
    const kind = chance.weighted({
      inner: 38,
      left: 32,
      right: 8,
      full: 8,
      cross: this.#big || items.length > 1 ? 0 : 3,
      lateral: options.depth > 0 && !this.#big ? 7 : 0,
      series: 3,
      unnest: 3,
    });
    if (kind === 'lateral') return this.#lateral(items, options);
    if (kind === 'series' || kind === 'unnest') return this.#expand(kind, items);
    const item = this.#item(options);
    if (kind === 'cross') return { item, sql: sequence(' CROSS JOIN ', item.sql) };
    const words = {
      inner: chance.of([' JOIN ', ' INNER JOIN ']),
      left: ' LEFT JOIN ',
      right: ' RIGHT JOIN ',
      full: ' FULL JOIN ',
    };
    const using = this.#sharedName(items, item);
    if (using !== null && chance.maybe(0.03)) return { item, sql: sequence(' NATURAL', words[kind], item.sql) };
    if (using !== null && chance.maybe(0.06))
      return { item, sql: sequence(words[kind], item.sql, ` USING (${using})`) };
    return { item, sql: sequence(words[kind], item.sql, ' ON ', this.#condition(items, item, kind === 'full')) };
  }

  #condition(items: readonly Item[], item: Item, full: boolean): Sql {
    const chance = this.#chance;
    const all = items.flatMap((other) => pairsOf(other, item));
    // Integers find each other most often.
    const integers = all.filter(
      ([a, b]) => a.type.startsWith('int') && b.type.startsWith('int') && /\d$/.test(a.type + b.type),
    );
    const pairs = integers.length > 0 && chance.maybe(0.7) ? integers : all;
    const scope: Scope = {
      atoms: [...items, item].flatMap(atomsOf),
      outer: [],
      order: [],
      aliases: [],
      subqueries: false,
    };
    const extra = (): Sql => this.#expressions.condition(scope, 1);
    if (pairs.length === 0) {
      const [left, right] = [
        value('int4', this.#expressions.value('int4', { ...scope, atoms: items.flatMap(atomsOf) }, 1)),
        this.#expressions.value('int4', { ...scope, atoms: atomsOf(item) }, 0),
      ];
      return sequence(left, ' = ', right);
    }
    const equalities: Sql[] = chance.some(pairs, chance.maybe(0.2) ? 2 : 1).map(([left, right]) => {
      const other =
        full || this.#big || items.length > 1 || chance.maybe(0.85)
          ? ' = '
          : chance.of([' < ', ' >= ', ' <> ', ' IS NOT DISTINCT FROM ']);
      const shifted = left.type === 'int4' && !full && chance.maybe(0.1) ? ' + 1' : '';
      return sequence(left.sql, shifted, other, right.sql);
    });
    if (chance.maybe(full ? 0.08 : 0.25)) equalities.push(extra());
    if (!full && !this.#big && items.length === 1 && chance.maybe(0.05))
      return sequence('(', list(equalities, { separator: ' OR ' }), ' OR ', extra(), ')');
    return list(equalities, { separator: ' AND ' });
  }

  #sharedName(items: readonly Item[], item: Item): string | null {
    const [only] = items;
    if (items.length !== 1 || !only) return null;
    const shared = item.columns.find(
      ({ name, type }) =>
        isComparable(type) && only.columns.some((column) => column.name === name && column.type === type),
    );
    return shared?.name ?? null;
  }

  #lateral(items: readonly Item[], options: QueryOptions): { sql: Sql; item: Item } {
    const outer = items.flatMap(atomsOf);
    const made = this.#query({ sources: options.sources, outer, depth: options.depth - 1 });
    const item = this.#derived(made, 'LATERAL ');
    const left = this.#chance.maybe(0.6);
    return { item, sql: left ? sequence(' LEFT JOIN ', item.sql, ' ON true') : sequence(' CROSS JOIN ', item.sql) };
  }

  #expand(kind: 'series' | 'unnest', items: readonly Item[]): { sql: Sql; item: Item } {
    const chance = this.#chance;
    const alias = this.#alias();
    const scope: Scope = { atoms: items.flatMap(atomsOf), outer: [], order: [], aliases: [], subqueries: false };
    const type = kind === 'series' ? 'int4' : chance.of(['int4', 'text']);
    const call: Sql =
      kind === 'series'
        ? sequence(`generate_series(${chance.between(0, 1)}, `, this.#expressions.value('int4', scope, 0), ' % 4)')
        : sequence('unnest(', this.#expressions.value(`${type}[]`, scope, 1), ')');
    const numbered = chance.maybe(0.3);
    const columns = [{ name: 'g', type }, ...(numbered ? [{ name: 'o', type: 'int8' }] : [])];
    const tail = numbered ? ` WITH ORDINALITY ${alias}(g, o)` : ` ${alias}(g)`;
    const item: Item = {
      alias,
      columns,
      order: columns.map(({ name }) => `${alias}.${name}`),
      hasKey: false,
      sql: sequence(call, tail),
    };
    const left = chance.maybe(0.4);
    return { item, sql: left ? sequence(' LEFT JOIN ', item.sql, ' ON true') : sequence(' CROSS JOIN ', item.sql) };
  }
}

/** Numerics by their text: equal ones may differ in digits. */
function orderOf(alias: string, columns: Source['columns']): Sql[] {
  const native = new Set(['int2', 'int4', 'int8', 'text', 'date', 'timestamp', 'timestamptz', 'bool', 'uuid']);
  return columns.map(({ name, type }) => (native.has(type) ? `${alias}.${name}` : `${alias}.${name}::text`));
}

function chanceOfAs(chance: Chance, name: string, alias: string): Sql {
  return chance.maybe(0.5) ? `${name} ${alias}` : sequence(`${name} `, optional('AS '), alias);
}

/** Its columns, as expressions name them. */
export function atomsOf({ alias, columns }: Item): Atom[] {
  return columns.map(({ name, type }) => ({ sql: `${alias}.${name}`, type, isColumn: true }));
}

function pairsOf(a: Item, b: Item): (readonly [Atom, Atom])[] {
  return atomsOf(a).flatMap((left) =>
    atomsOf(b)
      .filter((right) => familyOf(right.type) === familyOf(left.type) && isComparable(left.type))
      .map((right) => [left, right] as const),
  );
}

/** Types that are compared with each other. */
function familyOf(type: string): string {
  if (/^(int[248]|numeric|float8)$/.test(type)) return 'number';
  return type === 'varchar' ? 'text' : type;
}
