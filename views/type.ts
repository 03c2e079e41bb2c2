import type { DataType, ScalarName } from '../model/data-type.ts';

/**
 * Types as SQL sees them. They are finer than model/data-type.ts, which knows only how a value's text becomes JSON: SQL also tells
 * `character(n)` from text when it compares, and an enum by the order of its labels.
 */
export type SqlName =
  /** `other`: can be carried, compared for equality by its text, and cast to text; `declared` names it. */
  | ScalarName
  | 'varchar'
  /** `character(n)`: trailing spaces do not count when it is compared. */
  | 'bpchar'
  /** A literal without a type yet; gone once an expression is bound. */
  | 'unknown';

export type SqlType =
  | { readonly kind: 'scalar'; readonly name: SqlName; readonly declared?: string }
  | { readonly kind: 'array'; readonly element: SqlType; readonly delimiter?: string }
  | { readonly kind: 'record'; readonly fields: readonly RecordField[] };

export interface RecordField {
  readonly name: string;
  readonly type: SqlType;
}

export function sqlScalar(name: SqlName): SqlType {
  return scalars[name];
}

const scalars: { readonly [Name in SqlName]: SqlType } = {
  bool: { kind: 'scalar', name: 'bool' },
  int2: { kind: 'scalar', name: 'int2' },
  int4: { kind: 'scalar', name: 'int4' },
  int8: { kind: 'scalar', name: 'int8' },
  numeric: { kind: 'scalar', name: 'numeric' },
  float4: { kind: 'scalar', name: 'float4' },
  float8: { kind: 'scalar', name: 'float8' },
  text: { kind: 'scalar', name: 'text' },
  varchar: { kind: 'scalar', name: 'varchar' },
  bpchar: { kind: 'scalar', name: 'bpchar' },
  bytea: { kind: 'scalar', name: 'bytea' },
  uuid: { kind: 'scalar', name: 'uuid' },
  date: { kind: 'scalar', name: 'date' },
  time: { kind: 'scalar', name: 'time' },
  timetz: { kind: 'scalar', name: 'timetz' },
  timestamp: { kind: 'scalar', name: 'timestamp' },
  timestamptz: { kind: 'scalar', name: 'timestamptz' },
  interval: { kind: 'scalar', name: 'interval' },
  json: { kind: 'scalar', name: 'json' },
  jsonb: { kind: 'scalar', name: 'jsonb' },
  unknown: { kind: 'scalar', name: 'unknown' },
  other: { kind: 'scalar', name: 'other' },
};

/** The type by which values of a SQL type are stored in the log and written as JSON. */
export function dataTypeOf(type: SqlType): DataType {
  if (type.kind === 'array') {
    return { kind: 'array', element: dataTypeOf(type.element), delimiter: type.delimiter ?? ',' };
  }
  if (type.kind === 'record') {
    return {
      kind: 'composite',
      fields: type.fields.map(({ name, type: field }) => ({ name, type: dataTypeOf(field) })),
    };
  }
  const { name } = type;
  if (name === 'varchar' || name === 'bpchar' || name === 'unknown') return { kind: 'scalar', name: 'text' };
  return { kind: 'scalar', name };
}

/** The SQL type of a column as a source declares it (Column.type and Column.declared). */
export function sqlTypeOf(type: DataType, declared: string): SqlType {
  if (type.kind === 'array') {
    return {
      kind: 'array',
      element: sqlTypeOf(type.element, declared.replace(/\[\]$/, '')),
      delimiter: type.delimiter,
    };
  }
  if (type.kind === 'composite') {
    return {
      kind: 'record',
      fields: type.fields.map((field) => ({ name: field.name, type: sqlTypeOf(field.type, '') })),
    };
  }
  if (type.name === 'text' && /^(character|char|bpchar)(\(\d+\))?$/i.test(declared)) return sqlScalar('bpchar');
  if (type.name === 'text' && /^(character varying|varchar)/i.test(declared)) return sqlScalar('varchar');
  if (type.name === 'other') return { kind: 'scalar', name: 'other', declared };
  return sqlScalar(type.name);
}

/** As SQL spells it in messages: `integer`, `text[]`, `record`. */
export function typeName(type: SqlType): string {
  if (type.kind === 'array') return `${typeName(type.element)}[]`;
  if (type.kind === 'record') return 'record';
  return type.declared ?? spelled[type.name] ?? type.name;
}

const spelled: Partial<Record<SqlName, string>> = {
  bool: 'boolean',
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  float4: 'real',
  float8: 'double precision',
  varchar: 'character varying',
  bpchar: 'character',
  time: 'time without time zone',
  timetz: 'time with time zone',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
};

export function sameType(a: SqlType, b: SqlType): boolean {
  if (a.kind === 'array') return b.kind === 'array' && sameType(a.element, b.element);
  if (a.kind === 'record') {
    return (
      b.kind === 'record' &&
      a.fields.length === b.fields.length &&
      a.fields.every((field, index) => {
        const other = b.fields[index];
        return other !== undefined && other.name === field.name && sameType(field.type, other.type);
      })
    );
  }
  return b.kind === 'scalar' && a.name === b.name && (a.name !== 'other' || a.declared === b.declared);
}
