import type { DataType } from './data-type.ts';

export interface Column {
  /**
   * The column's identity within its table, kept through renames (PostgreSQL's attribute number). Rows written under an older
   * version of the table are read by matching ids: a renamed column goes on under its new name, a column without a match is gone
   * or was NULL.
   */
  readonly id: number;
  readonly name: string;
  readonly type: DataType;
  /** The type as the source's own SQL spells it (`numeric(12,2)`, `character varying(60)`, `my_enum`); for people and for DDL. */
  readonly declared: string;
  readonly nullable: boolean;
}

/**
 * One version of a table's shape. A changed column list or key is another Table, with another schema id in the log; rows are
 * always read with the Table they were written with.
 */
export interface Table {
  /** Name of the source in the configuration: the first part of `topic`. */
  readonly source: string;
  readonly schema: string;
  readonly name: string;
  /** `<source>.<schema>.<table>`: the name that users type, and the topic's. */
  readonly topic: string;
  /** A stream is append-only and has no key of its own: its changes are kept, not compacted, unless `key` names columns. */
  readonly kind: 'table' | 'stream';
  readonly columns: readonly Column[];
  /** Positions in `columns` of the key, in the key's order. Empty when the table has none. */
  readonly key: readonly number[];
}

export function topicOf(source: string, schema: string, table: string): string {
  return `${source}.${schema}.${table}`;
}

/** Whether two versions of a table are interchangeable for rows already written. */
export function sameShape(a: Table, b: Table): boolean {
  return (
    a.topic === b.topic && JSON.stringify([a.kind, a.columns, a.key]) === JSON.stringify([b.kind, b.columns, b.key])
  );
}
