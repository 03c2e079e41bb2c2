import { aggregateTemplates } from './aggregates.ts';
import type { Chance } from './chance.ts';
import { list, optional, sequence, value } from './sql-tree.ts';
import type { Sql } from './sql-tree.ts';
import { pools, quoted } from './tables.ts';
import type { ColumnTypeName } from './tables.ts';
import { isComparable, templatesOf, valueTypes } from './templates.ts';
import type { Template } from './templates.ts';

/** Something that an expression may name: a column, a group's key, an aggregate. */
export interface Atom {
  readonly sql: Sql;
  readonly type: string;
  /** A plain column, which a subquery may use too. */
  readonly isColumn: boolean;
}

export interface Scope {
  readonly atoms: readonly Atom[];
  /** Columns of the queries around this one. */
  readonly outer: readonly Atom[];
  /** Expressions that put the rows of FROM into a total order. */
  readonly order: readonly Sql[];
  /** Aliases, for whole rows. */
  readonly aliases: readonly string[];
  readonly subqueries: boolean;
}

/** What the maker of queries gives for an expression of `type`, or null where it has nothing. */
export type Subqueries = (type: string, scope: Scope, depth: number) => Sql | null;

export class ExpressionMaker {
  readonly #chance: Chance;
  readonly #subquery: Subqueries;

  constructor(chance: Chance, subquery: Subqueries) {
    this.#chance = chance;
    this.#subquery = subquery;
  }

  value(type: string, scope: Scope, depth: number): Sql {
    // Rows of two tables do not compare.
    if (type === 'same_row') return scope.aliases[0] ?? 'ROW(1, NULL)';
    if (type === 'row') return scope.aliases.length > 0 ? this.#chance.of(scope.aliases) : 'ROW(1, NULL)';
    if (type === 'any') return this.value(this.#anyType(scope), scope, depth);
    const chance = this.#chance;
    const atoms = scope.atoms.filter((atom) => atom.type === type);
    const outer = scope.outer.filter((atom) => atom.type === type);
    if (outer.length > 0 && chance.maybe(atoms.length > 0 ? 0.15 : 0.5)) return chance.of(outer).sql;
    if (atoms.length > 0 && chance.maybe(depth > 0 ? 0.5 : 0.92)) return chance.of(atoms).sql;
    if (depth <= 0 || chance.maybe(0.04)) return this.literal(type);
    return value(type, this.#compound(type, scope, depth - 1));
  }

  condition(scope: Scope, depth: number): Sql {
    return this.value(
      'bool',
      { ...scope, atoms: scope.atoms.filter((atom) => atom.type !== 'bool' || this.#chance.maybe(0.5)) },
      depth,
    );
  }

  literal(type: string): Sql {
    const chance = this.#chance;
    if (type === 'jsonb_object') return `'{"a": 1, "x": null}'::jsonb`;
    if (type === 'text_key') return `'k'`;
    if (chance.maybe(0.04)) return `NULL::${type}`;
    const pool = pools[type as ColumnTypeName];
    const text = chance.of(pool);
    if (type === 'bool') return chance.maybe(0.7) ? 'true' : 'false';
    if (type === 'int4') return text.startsWith('-') ? `(${text})` : text;
    if (type === 'text' && chance.maybe(0.4)) return quoted(text);
    if (type === 'numeric' && chance.maybe(0.5)) return text.startsWith('-') ? `(${text})` : text;
    if (type === 'date' && chance.maybe(0.3)) return `date ${quoted(text)}`;
    return `${quoted(text)}::${type}`;
  }

  /** A call of an aggregate, of any type or one that the caller wants; null when there is none of it. */
  aggregate(scope: Scope, depth: number, wanted: string | null = null): { sql: Sql; type: string } | null {
    const chance = this.#chance;
    const type =
      wanted ??
      chance.weighted({
        int8: 8,
        numeric: 6,
        text: 3,
        int4: 2,
        json: 3,
        jsonb: 2,
        bool: 1.5,
        date: 1,
        timestamp: 0.7,
        timestamptz: 0.5,
        float8: 1.5,
        decimal: scope.atoms.some((atom) => atom.type === 'decimal') ? 3 : 0,
        'int4[]': 1.5,
        'text[]': 0.7,
        interval: 0.4,
      });
    const choices = aggregateTemplates[type];
    if (!choices) return null;
    const text = chance.of(choices);
    const parts = text.split(/\{([a-z_0-9]+(?:\[\])?)\}/).map((part, index) => {
      if (index % 2 === 0) return part;
      if (part === 'order') return this.totalOrder(scope, depth);
      // PostgreSQL's sums of others depend on the order in which it sees the rows.
      if (part === 'float8_exact') return this.#exactFloat({ ...scope, subqueries: false }, depth);
      if (part === 'row') return chance.of(scope.aliases);
      if (part === 'text_key')
        return `coalesce(${renderable(this.value('text', { ...scope, subqueries: false }, 0))}, '?')`;
      return this.value(part, { ...scope, subqueries: scope.subqueries && chance.maybe(0.15) }, depth);
    });
    const filter = chance.maybe(0.12)
      ? optional(' FILTER (WHERE ', this.condition({ ...scope, subqueries: false }, 1), ')')
      : '';
    return { sql: value(type, ...parts, filter), type };
  }

  /** A multiple of a quarter, NULL, NaN or infinite: sums of these are the same in any order. */
  #exactFloat(scope: Scope, depth: number): Sql {
    const column = scope.atoms.find(({ type, isColumn }) => type === 'float8' && isColumn)?.sql;
    const of = column ?? sequence('(', this.value('int4', scope, depth), ')::float8');
    return sequence('CASE WHEN abs(', of, ') < 1e6 THEN (', of, ' * 4)::int4::float8 / 4 ELSE ', of, ' END');
  }

  /** ORDER BY's list: perhaps something first, then whatever tells the rows apart. */
  totalOrder(scope: Scope, depth: number): Sql {
    const chance = this.#chance;
    const first: Sql[] = [];
    if (chance.maybe(0.6)) {
      const type = chance.of(
        ['int4', 'text', 'date', 'numeric', 'timestamp', 'bool', 'int8']
          .filter((name) => scope.atoms.some((atom) => atom.type === name))
          .concat('int4'),
      );
      const key = this.value(type, { ...scope, subqueries: false }, Math.min(depth, 1));
      // A bare literal would be a position or a constant.
      if (typeof key !== 'string' || !/^['\d(]/.test(key)) first.push(optional(key, this.#direction(), ', '));
    }
    // Not a list: were one of them dropped, there would be several answers.
    return sequence(...first, ...joined(scope.order.map((key) => sequence(key, this.#direction()))));
  }

  #direction(): string {
    return this.#chance.weighted({ '': 5, ' DESC': 3, ' ASC NULLS FIRST': 1, ' DESC NULLS LAST': 1 });
  }

  #anyType(scope: Scope): string {
    const present = scope.atoms.map(({ type }) => type).filter((type) => type in valueTypes && type !== 'decimal');
    return present.length > 0 && this.#chance.maybe(0.7)
      ? this.#chance.of(present)
      : this.#chance.weighted({ ...valueTypes, decimal: 0 });
  }

  #compound(type: string, scope: Scope, depth: number): Sql {
    const chance = this.#chance;
    const rare = type === 'bool' ? 0.3 : 1;
    // Keys of JSON objects must not be NULL.
    const plain = type === 'text_key' || type === 'jsonb_object';
    const kind = plain
      ? 'template'
      : chance.weighted({
          template: 70,
          case: 9 * rare,
          coalesce: 7 * rare,
          nullif: 3 * rare,
          extreme: 3 * rare,
          subquery: 10,
        });
    const go = (of: string): Sql => this.value(of, scope, depth);
    if (kind === 'subquery' && scope.subqueries) {
      const made = this.#subquery(type, scope, depth);
      if (made !== null) return made;
    }
    if (kind === 'case') return this.#case(type, scope, depth);
    if (kind === 'coalesce')
      return sequence('coalesce(', list([go(type), go(type), ...(chance.maybe(0.4) ? [go(type)] : [])]), ')');
    if (kind === 'nullif' && isComparable(type)) return sequence('nullif(', go(type), ', ', go(type), ')');
    if (kind === 'extreme' && isComparable(type)) {
      return sequence(chance.of(['greatest(', 'least(']), list([go(type), go(type)]), ')');
    }
    const templates = templatesOf(type);
    if (templates.length === 0) return this.literal(type);
    const { texts, slots } = this.#template(templates, scope);
    const parts: Sql[] = [texts[0] ?? ''];
    for (const [index, slot] of slots.entries()) {
      // The first is a column more often than not: what compares literals is true or false of all rows.
      const within = index === 0 && chance.maybe(0.6) ? 0 : depth;
      parts.push(slot.literal ? this.#bare(slot.type) : this.value(slot.type, scope, within), texts[index + 1] ?? '');
    }
    return sequence(...parts);
  }

  /** Rather one that has something to do with the rows than one over literals. */
  #template(templates: readonly Template[], scope: Scope): Template {
    const tries = Array.from({ length: 5 }, () => this.#chance.of(templates));
    const present = new Set([...scope.atoms, ...scope.outer].map(({ type }) => type));
    const suits = ({ slots }: Template): boolean =>
      slots.some(({ type, literal }) => !literal && (type === 'any' || present.has(type)));
    return tries.find(suits) ?? this.#chance.of(templates);
  }

  #case(type: string, scope: Scope, depth: number): Sql {
    const chance = this.#chance;
    const otherwise = chance.maybe(0.7) ? optional(' ELSE ', this.value(type, scope, depth)) : '';
    if (chance.maybe(0.3)) {
      const of = chance.of(['int4', 'text']);
      const branches = [0, 1].map(() => sequence(' WHEN ', this.#bare(of), ' THEN ', this.value(type, scope, depth)));
      return sequence('CASE ', this.value(of, scope, depth), list(branches, { separator: '' }), otherwise, ' END');
    }
    const branches = Array.from({ length: chance.between(1, 2) }, () =>
      sequence(' WHEN ', this.condition(scope, depth), ' THEN ', this.value(type, scope, depth)),
    );
    return sequence('CASE', list(branches, { separator: '' }), otherwise, ' END');
  }

  /** A literal that gets its type from what stands around it. */
  #bare(type: string): string {
    const text = this.#chance.of(pools[type as ColumnTypeName]);
    return ['int2', 'int4', 'int8', 'numeric', 'float8'].includes(type) ? `(${text})` : quoted(text);
  }
}

/** With commas between them. */
export function joined(parts: readonly Sql[]): Sql[] {
  return parts.flatMap((part, index) => (index === 0 ? [part] : [', ', part]));
}

function renderable(sql: Sql): string {
  return typeof sql === 'string' ? sql : sql.parts.map(renderable).join('');
}
