import { SqlError } from '../sql/sql-error.ts';
import { sqlScalar } from '../type.ts';
import type { SqlName, SqlType } from '../type.ts';

const names: Readonly<Record<string, SqlName>> = {
  bool: 'bool',
  boolean: 'bool',
  int2: 'int2',
  smallint: 'int2',
  int4: 'int4',
  int: 'int4',
  integer: 'int4',
  int8: 'int8',
  bigint: 'int8',
  numeric: 'numeric',
  decimal: 'numeric',
  float4: 'float4',
  real: 'float4',
  float8: 'float8',
  text: 'text',
  varchar: 'varchar',
  bpchar: 'bpchar',
  bytea: 'bytea',
  uuid: 'uuid',
  date: 'date',
  time: 'time',
  timetz: 'timetz',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  interval: 'interval',
  json: 'json',
  jsonb: 'jsonb',
};

export function scalarNamed(name: string): SqlType | null {
  return Object.hasOwn(names, name) ? sqlScalar(names[name] as SqlName) : null;
}

/** typeFromName of ./resolve.ts. */
export function readTypeName(
  qualified: readonly string[],
  typmods: readonly number[],
  dimensions: number,
  location: number,
): { type: SqlType; typmod?: number } {
  const name = qualified.at(-1) ?? '';
  const scalar =
    qualified.length > 2 || (qualified.length === 2 && qualified[0] !== 'pg_catalog') ? null : scalarNamed(name);
  if (scalar === null || scalar.kind !== 'scalar') {
    throw new SqlError(
      `type "${qualified.join('.')}" does not exist`,
      location,
      'Views know the built-in types of docs/sql.md; values of other types can be cast to text, and compared with plain literals.',
    );
  }
  // SQL does not tell arrays of arrays from arrays.
  const type: SqlType = dimensions > 0 ? { kind: 'array', element: scalar } : scalar;
  return typmods.length === 0 ? { type } : { type, typmod: packTypmods(scalar.name, typmods, location) };
}

/** As the types' typmodin functions do. */
function packTypmods(name: SqlName, typmods: readonly number[], location: number): number {
  const [first = 0, second] = typmods;
  switch (name) {
    case 'varchar':
    case 'bpchar': {
      const spelled = name === 'varchar' ? 'varchar' : 'char';
      if (first < 1) throw new SqlError(`length for type ${spelled} must be at least 1`, location);
      if (first > 10485760) throw new SqlError(`length for type ${spelled} cannot exceed 10485760`, location);
      return first + 4;
    }
    case 'numeric': {
      if (first < 1 || first > 1000) {
        throw new SqlError(`NUMERIC precision ${first} must be between 1 and 1000`, location);
      }
      const scale = second ?? 0;
      if (scale < -1000 || scale > 1000) {
        throw new SqlError(`NUMERIC scale ${scale} must be between -1000 and 1000`, location);
      }
      return ((first << 16) | (scale & 0x7ff)) + 4;
    }
    case 'interval':
      return (((second ?? 0xffff) & 0xffff) << 16) | (first & 0xffff);
    case 'time':
    case 'timetz':
    case 'timestamp':
    case 'timestamptz':
      return Math.min(first, 6);
    default:
      throw new SqlError(`type modifier is not allowed for type "${name}"`, location);
  }
}
