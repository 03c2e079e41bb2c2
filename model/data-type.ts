/**
 * Column types as PostgreSQL names them. Every connector maps its own types onto these; a value always travels as the text that
 * PostgreSQL's output function prints for it under TimeZone UTC, DateStyle ISO, IntervalStyle postgres, bytea_output hex.
 */
export type ScalarName =
  | 'bool'
  | 'int2'
  | 'int4'
  | 'int8'
  | 'numeric'
  | 'float4'
  | 'float8'
  | 'text'
  | 'bytea'
  | 'uuid'
  | 'date'
  | 'time'
  | 'timetz'
  | 'timestamp'
  | 'timestamptz'
  | 'interval'
  | 'json'
  | 'jsonb'
  /** Anything else: ranges, enums, network addresses, extension types. Travels and is encoded as its text. */
  | 'other';

export type DataType =
  | { readonly kind: 'scalar'; readonly name: ScalarName }
  /**
   * Any number of dimensions. `delimiter` is `,` for every built-in element type but box, whose is `;`. A space stands for
   * int2vector and oidvector, which print their elements with nothing but spaces between them.
   */
  | { readonly kind: 'array'; readonly element: DataType; readonly delimiter: string }
  | { readonly kind: 'composite'; readonly fields: readonly CompositeField[] };

export interface CompositeField {
  readonly name: string;
  readonly type: DataType;
}

export function scalar(name: ScalarName): DataType {
  return { kind: 'scalar', name };
}
