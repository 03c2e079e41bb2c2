import type { SqlType } from '../type.ts';

/** A table of a source, or a view, as queries see it. */
export interface Relation {
  /** Topic: `shop.public.orders`, or `views.order_docs`. */
  readonly relation: string;
  readonly columns: readonly RelationColumn[];
  /** Positions in `columns` of the primary key; empty when there is none. */
  readonly key: readonly number[];
}

export interface RelationColumn {
  readonly name: string;
  readonly type: SqlType;
  readonly nullable: boolean;
}

export interface Catalog {
  /** By any unambiguous suffix of `source.schema.table`; a view by its bare name. */
  resolve(name: readonly string[]): Relation | null | 'ambiguous';
  /** Full names, for hints. */
  names(): readonly string[];
}

/** A catalog of tables and views: `views.<name>` is found as `<name>` alone. */
export function catalogOf(relations: readonly Relation[]): Catalog {
  const bySuffix = new Map<string, Relation | 'ambiguous'>();
  for (const relation of relations) {
    const parts = relation.relation.split('.');
    const first = parts[0] === 'views' && parts.length === 2 ? 1 : 0;
    for (let from = first; from < parts.length; from++) {
      const suffix = parts.slice(from).join('\0');
      bySuffix.set(suffix, bySuffix.has(suffix) ? 'ambiguous' : relation);
    }
  }
  return {
    resolve: (name) => bySuffix.get(name.join('\0')) ?? null,
    names: () => relations.map(({ relation }) => relation.replace(/^views\.(?=[^.]+$)/, '')),
  };
}
