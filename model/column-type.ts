import type { DataType, ScalarName } from './data-type.ts';
import { scalar } from './data-type.ts';

/** A column's type as people write it in SQL, where no database is there to be asked. */
export interface ColumnType {
  /** PostgreSQL's own short name: `int8`, `varchar`, `timestamptz`. */
  readonly name: string;
  /** What stands in parentheses: `numeric(12,2)`; empty where nothing does. */
  readonly modifiers: readonly number[];
  readonly isArray: boolean;
  /** The type by which values travel. */
  readonly type: DataType;
  /** As PostgreSQL's format_type spells it, so that two spellings of one type are the same: `timestamp with time zone`. */
  readonly declared: string;
}

interface Known {
  readonly name: string;
  readonly data: ScalarName;
  readonly declared: string;
  /** Most modifiers that it takes. */
  readonly modifiers: number;
}

function known(name: string, data: ScalarName, declared: string, modifiers = 0): Known {
  return { name, data, declared, modifiers };
}

const varchar = known('varchar', 'text', 'character varying', 1);
const bpchar = known('bpchar', 'text', 'character', 1);
const time = known('time', 'time', 'time without time zone', 1);
const timetz = known('timetz', 'timetz', 'time with time zone', 1);
const timestamp = known('timestamp', 'timestamp', 'timestamp without time zone', 1);
const timestamptz = known('timestamptz', 'timestamptz', 'timestamp with time zone', 1);
const bool = known('bool', 'bool', 'boolean');
const int2 = known('int2', 'int2', 'smallint');
const int4 = known('int4', 'int4', 'integer');
const int8 = known('int8', 'int8', 'bigint');
const numeric = known('numeric', 'numeric', 'numeric', 2);
const float4 = known('float4', 'float4', 'real');
const float8 = known('float8', 'float8', 'double precision');

/** By every name that PostgreSQL's grammar has for them. */
const types: ReadonlyMap<string, Known> = new Map(
  Object.entries({
    bool,
    boolean: bool,
    int2,
    smallint: int2,
    int: int4,
    int4,
    integer: int4,
    int8,
    bigint: int8,
    numeric,
    decimal: numeric,
    float4,
    real: float4,
    float8,
    float: float8,
    'double precision': float8,
    text: known('text', 'text', 'text'),
    varchar,
    'character varying': varchar,
    char: bpchar,
    character: bpchar,
    bytea: known('bytea', 'bytea', 'bytea'),
    uuid: known('uuid', 'uuid', 'uuid'),
    date: known('date', 'date', 'date'),
    time,
    'time without time zone': time,
    timetz,
    'time with time zone': timetz,
    timestamp,
    'timestamp without time zone': timestamp,
    timestamptz,
    'timestamp with time zone': timestamptz,
    interval: known('interval', 'interval', 'interval'),
    json: known('json', 'json', 'json'),
    jsonb: known('jsonb', 'jsonb', 'jsonb'),
  }),
);

/** The names by which types are known, for people. */
export const columnTypeNames: readonly string[] = [...types.keys()];

const form =
  /^([a-z][a-z0-9 ]*?)(?:\s*\(\s*(\d{1,8})\s*(?:,\s*(-?\d{1,4})\s*)?\))?(\s+with(?:out)? time zone)?((?:\s*\[\d*\])*)$/;

/** Reads `bigint`, `numeric(12,2)`, `timestamp(3) with time zone`, `text[]`; null for what is no type that tidemark can read values of. */
export function parseColumnType(text: string): ColumnType | null {
  const match = form.exec(text.trim().toLowerCase().replaceAll(/\s+/g, ' '));
  if (!match) return null;
  const [, base = '', first, second, zone = '', brackets = ''] = match;
  const found = types.get(base.trim() + zone);
  if (!found) return null;
  const written = [first, second].flatMap((modifier) => (modifier === undefined ? [] : [Number(modifier)]));
  // As in SQL, character alone is one character.
  const modifiers = found === bpchar && written.length === 0 ? [1] : written;
  if (!areAllowed(found, modifiers)) return null;
  const isArray = brackets !== '';
  const element = scalar(found.data);
  return {
    name: found.name,
    modifiers,
    isArray,
    type: isArray ? { kind: 'array', element, delimiter: ',' } : element,
    declared: spelled(found.declared, modifiers) + (isArray ? '[]' : ''),
  };
}

function areAllowed({ name, modifiers: most }: Known, modifiers: readonly number[]): boolean {
  const [first, second = 0] = modifiers;
  if (first === undefined) return true;
  if (modifiers.length > most) return false;
  if (name === 'numeric') return first >= 1 && first <= 1000 && Math.abs(second) <= 1000;
  if (name === 'varchar' || name === 'bpchar') return first >= 1 && first <= 10_485_760;
  return first <= 6;
}

/** Modifiers stand behind the first word of a time's name, and at the end of any other. */
function spelled(declared: string, modifiers: readonly number[]): string {
  if (modifiers.length === 0) return declared;
  const text = `(${modifiers.join(',')})`;
  return declared.startsWith('time') ? declared.replace(/^\w+/, (word) => word + text) : declared + text;
}
