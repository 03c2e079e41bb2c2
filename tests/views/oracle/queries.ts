import type { Chance } from './chance.ts';
import { ExpressionMaker, joined } from './expressions.ts';
import type { Atom, Scope } from './expressions.ts';
import { FromMaker, atomsOf } from './from.ts';
import { SubqueryMaker } from './subqueries.ts';
import type { Item, Source } from './from.ts';
import { list, optional, query, sequence } from './sql-tree.ts';
import type { Sql } from './sql-tree.ts';
import { isComparable, valueTypes } from './templates.ts';

export interface ResultColumn {
  readonly name: string;
  readonly type: string;
}

export interface MadeQuery {
  readonly sql: Sql;
  readonly columns: readonly ResultColumn[];
}

export interface QueryOptions {
  /** What can be named in FROM. */
  readonly sources: readonly Source[];
  readonly outer: readonly Atom[];
  readonly depth: number;
  /** Types of the result's columns; any when absent. */
  readonly types?: readonly string[];
}

/** Random queries over tables, views and each other. */
export class QueryMaker {
  readonly #chance: Chance;
  readonly #expressions: ExpressionMaker;
  readonly #from: FromMaker;
  readonly #subqueries: SubqueryMaker;
  #names = 0;
  /** What subqueries of the query being made may name. */
  #sources: readonly Source[] = [];

  constructor(chance: Chance, big: boolean) {
    this.#chance = chance;
    this.#expressions = new ExpressionMaker(chance, (type, scope, depth) =>
      this.#subqueries.make(type, scope, depth, this.#sources),
    );
    this.#from = new FromMaker(chance, this.#expressions, (options) => this.query(options), big);
    this.#subqueries = new SubqueryMaker(chance, this.#expressions, this.#from, (options) => this.query(options));
  }

  query(options: QueryOptions): MadeQuery {
    const chance = this.#chance;
    const before = this.#sources;
    this.#sources = options.sources;
    try {
      const kind = options.depth <= 0 ? 'select' : chance.weighted({ select: 76, set: 12, with: 12 });
      if (kind === 'set') return this.#setOperation(options);
      if (kind === 'with') return this.#with(options);
      return this.#select(options);
    } finally {
      this.#sources = before;
    }
  }

  #with(options: QueryOptions): MadeQuery {
    const parts: Sql[] = [];
    let sources = options.sources;
    for (let index = this.#chance.between(1, 2); index > 0; index--) {
      const name = `w${this.#names++}`;
      const made = this.query({ sources, outer: [], depth: options.depth - 1 });
      parts.push(sequence(`${name} AS (`, made.sql, ')'));
      sources = [...sources, { name, columns: made.columns, key: [] }, { name, columns: made.columns, key: [] }];
    }
    const main = this.query({ ...options, sources, depth: options.depth - 1 });
    return { ...main, sql: query(typesOf(main.columns), list(parts, { before: 'WITH ', after: ' ' }), main.sql) };
  }

  #setOperation(options: QueryOptions): MadeQuery {
    const chance = this.#chance;
    const random = this.#types(3, null).filter(isComparable);
    const types = options.types ?? (random.length > 0 ? random : ['int4']);
    const depth = options.depth - 1;
    // Each side may have a narrower type, which the other one widens.
    const narrower = types.map((type) =>
      type === 'numeric' && chance.maybe(0.15) ? chance.of(['int4', 'int8']) : type,
    );
    const both = chance.maybe(0.5) ? [types, narrower] : [narrower, types];
    const left = this.query({ ...options, types: both[0] ?? types, depth });
    const right = this.query({ ...options, types: both[1] ?? types, depth });
    const operator = chance.weighted({
      'UNION ALL': 4,
      UNION: 3,
      EXCEPT: 2,
      INTERSECT: 2,
      'EXCEPT ALL': 1,
      'INTERSECT ALL': 1,
    });
    const ordered = chance.maybe(0.15) ? this.#byPosition(types) : '';
    return {
      columns: left.columns.map(({ name }, index) => ({ name, type: types[index] ?? '' })),
      sql: query(types, '(', left.sql, `) ${operator} (`, right.sql, ')', ordered),
    };
  }

  #byPosition(types: readonly string[]): Sql {
    const keys = types.map((_, index) => `${index + 1}${this.#chance.of(['', ' DESC', ' NULLS FIRST'])}`);
    return optional(
      ` ORDER BY ${keys.join(', ')}`,
      ` LIMIT ${this.#chance.between(1, 5)}`,
      this.#chance.maybe(0.3) ? optional(' OFFSET 1') : '',
    );
  }

  #select(options: QueryOptions): MadeQuery {
    const chance = this.#chance;
    const { depth } = options;
    const from = chance.maybe(0.08) ? this.#from.listed(options) : this.#from.items(options);
    const scope: Scope = {
      atoms: from.items.flatMap(atomsOf),
      outer: options.outer,
      order: from.items.flatMap(({ order }) => order),
      aliases: from.items.map(({ alias }) => alias),
      subqueries: depth > 0,
    };
    const where = this.#where(scope, from.condition, depth);
    const shape = { from: sequence(' FROM ', from.sql), where, scope, options, items: from.items };
    return chance.maybe(0.4) ? this.#grouped(shape) : this.#plain(shape);
  }

  #where(scope: Scope, joins: Sql | null, depth: number): Sql {
    const own = this.#chance.maybe(0.4) ? this.#expressions.condition(scope, Math.min(depth + 1, 2)) : null;
    if (joins === null) return own === null ? '' : optional(' WHERE ', own);
    return sequence(' WHERE ', joins, own === null ? '' : optional(' AND ', own));
  }

  #plain({ from, where, scope, options, items: shapeItems }: Shape): MadeQuery {
    const chance = this.#chance;
    const types = options.types ?? this.#types(5, scope);
    const columns = types.map((type, index) => ({ name: `c${index}`, type }));
    const items: Sql[] = columns.map(({ name, type }) =>
      sequence(this.#expressions.value(type, scope, Math.min(options.depth + 1, 3)), ` AS ${name}`),
    );
    if (options.types === undefined && chance.maybe(0.05)) {
      const [item] = shapeItems;
      if (item)
        return {
          columns: item.columns,
          sql: query(
            typesOf(item.columns),
            `SELECT ${item.alias}.*`,
            from,
            where,
            chance.maybe(0.3) ? this.#limit(scope) : '',
          ),
        };
    }
    if (options.types === undefined && options.outer.length === 0 && chance.maybe(0.04)) {
      items.push(`${chance.of(scope.aliases)} AS whole`);
      columns.push({ name: 'whole', type: 'record' });
    }
    const selection = list(items, { least: 1 });
    const distinct = chance.maybe(0.16) && columns.every(({ type }) => isComparable(type));
    if (distinct && chance.maybe(0.4))
      return { columns, sql: this.#distinctOn(types, selection, { from, where, scope, options, items: shapeItems }) };
    const limited = chance.maybe(0.16);
    const tail = !limited ? '' : distinct ? this.#byPosition(types) : this.#limit(scope);
    return {
      columns,
      sql: query(typesOf(columns), `SELECT ${distinct ? 'DISTINCT ' : ''}`, selection, from, where, tail),
    };
  }

  #limit(scope: Scope): Sql {
    const chance = this.#chance;
    const offset = chance.maybe(0.25) ? optional(` OFFSET ${chance.between(1, 3)}`) : '';
    const limit = chance.weighted({
      [` LIMIT ${chance.between(1, 6)}`]: 20,
      ' LIMIT 0': 0.3,
      ' LIMIT ALL': 0.3,
      ' FETCH FIRST ROW ONLY': 1,
    });
    return optional(' ORDER BY ', this.#expressions.totalOrder(scope, 1), offset, limit);
  }

  #distinctOn(types: readonly string[], selection: Sql, { from, where, scope }: Shape): Sql {
    const chance = this.#chance;
    const keys = chance
      .some(
        scope.atoms.filter(({ type }) => isComparable(type)),
        chance.between(1, 2),
      )
      .map(({ sql }) => sql);
    if (keys.length === 0) return query(types, 'SELECT ', selection, from, where);
    const order = [...keys, ...(chance.maybe(0.5) ? [this.#expressions.totalOrder(scope, 1)] : scope.order)];
    return query(
      types,
      'SELECT DISTINCT ON (',
      list(keys),
      ') ',
      selection,
      from,
      where,
      ' ORDER BY ',
      ...joined(order),
    );
  }

  #grouped({ from, where, scope, options, items: sources }: Shape): MadeQuery {
    const chance = this.#chance;
    const [source] = sources;
    // A table's key determines its other columns.
    const determined = source && source.hasKey && chance.maybe(0.1) ? source : null;
    const keys = determined
      ? atomsOf(determined).filter(({ sql }) => determined.order.includes(sql))
      : this.#keys(scope);
    const wanted = options.types ?? [];
    const aggregates = Array.from({ length: chance.between(1, 3) }, () => this.#expressions.aggregate(scope, 2));
    for (const type of wanted) aggregates.push(chance.maybe(0.7) ? this.#expressions.aggregate(scope, 2, type) : null);
    const calls = aggregates.filter((call) => call !== null).map((call): Atom => ({ ...call, isColumn: false }));
    const atoms = [...(determined ? atomsOf(determined) : keys), ...calls];
    const group: Scope = {
      atoms,
      outer: scope.outer,
      order: keys.map(({ sql, type }) =>
        isComparable(type) && type !== 'numeric' ? sql : sequence('(', sql, ')::text'),
      ),
      aliases: [],
      subqueries: options.depth > 0,
    };
    const having = chance.maybe(0.15) ? optional(' HAVING ', this.#expressions.condition(group, 2)) : '';
    const columns: ResultColumn[] = [];
    const items: Sql[] = [];
    const add = (sql: Sql, type: string): void => {
      items.push(sequence(sql, ` AS c${columns.length}`));
      columns.push({ name: `c${columns.length}`, type });
    };
    if (options.types !== undefined) {
      for (const type of options.types) add(this.#expressions.value(type, group, 1), type);
    } else {
      for (const { sql, type } of atoms) if (chance.maybe(0.85)) add(sql, type);
      if (chance.maybe(0.3) || columns.length === 0) {
        const type = chance.of(['int4', 'text', 'numeric', 'bool', 'int8', 'json']);
        add(this.#expressions.value(type, group, 2), type);
      }
    }
    const by = list(
      keys.map(({ sql }) => sql),
      { before: ' GROUP BY ' },
    );
    const tail = keys.length > 0 && chance.maybe(0.12) ? this.#limit(group) : '';
    return {
      columns,
      sql: query(typesOf(columns), 'SELECT ', list(items, { least: 1 }), from, where, by, having, tail),
    };
  }

  #keys(scope: Scope): Atom[] {
    const chance = this.#chance;
    const choices = scope.atoms.filter(({ type }) => isComparable(type) && type !== 'record');
    const keys = chance.some(choices, Number(chance.weighted({ '0': 1.5, '1': 6, '2': 3, '3': 1 })));
    if (chance.maybe(0.15)) {
      const type = chance.of(['int4', 'text', 'bool', 'date']);
      const sql = this.#expressions.value(type, { ...scope, subqueries: false }, 1);
      // A bare literal in GROUP BY is a position.
      if (typeof sql !== 'string') keys.push({ sql, type, isColumn: false });
    }
    return keys;
  }

  #types(most: number, scope: Scope | null): string[] {
    const present = scope?.atoms.map(({ type }) => type).filter((type) => type !== 'record') ?? [];
    return Array.from({ length: this.#chance.between(1, most) }, () =>
      present.length > 0 && this.#chance.maybe(0.6) ? this.#chance.of(present) : this.#chance.weighted(valueTypes),
    );
  }
}

interface Shape {
  readonly from: Sql;
  readonly where: Sql;
  readonly scope: Scope;
  readonly options: QueryOptions;
  readonly items: readonly Item[];
}

function typesOf(columns: readonly ResultColumn[]): string[] {
  return columns.map(({ type }) => type);
}
