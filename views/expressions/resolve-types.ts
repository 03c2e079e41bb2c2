import type { CastContext, CastDefinition } from './functions/definition.ts';
import { castBetween } from './registry.ts';
import { sameType } from '../type.ts';
import type { SqlName, SqlType } from '../type.ts';

/**
 * The letters by which pg_type tells families of types apart; ambiguities are settled within a family, in favour of its preferred type.
 */
const categories: { readonly [Name in SqlName]: string } = {
  bool: 'B',
  int2: 'N',
  int4: 'N',
  int8: 'N',
  numeric: 'N',
  float4: 'N',
  float8: 'N',
  text: 'S',
  varchar: 'S',
  bpchar: 'S',
  bytea: 'U',
  uuid: 'U',
  date: 'D',
  time: 'D',
  timetz: 'D',
  timestamp: 'D',
  timestamptz: 'D',
  interval: 'T',
  json: 'U',
  jsonb: 'U',
  unknown: 'X',
  other: 'E',
};

const preferred: ReadonlySet<SqlName> = new Set(['bool', 'float8', 'text', 'timestamptz', 'interval']);

export function categoryOf(type: SqlType): string {
  return type.kind === 'array' ? 'A' : type.kind === 'record' ? 'P' : categories[type.name];
}

export function isPreferred(type: SqlType): boolean {
  return type.kind === 'scalar' && preferred.has(type.name);
}

export function isUnknown(type: SqlType): boolean {
  return type.kind === 'scalar' && type.name === 'unknown';
}

/**
 * How a value of one type becomes one of another: by a definition, through the text that the types print and read, element by
 * element, or unchanged.
 */
export type CastPath =
  | { readonly by: 'nothing' }
  | { readonly by: 'definition'; readonly cast: CastDefinition }
  | { readonly by: 'text' }
  | { readonly by: 'elements'; readonly from: SqlType; readonly to: SqlType; readonly path: CastPath };

const order: readonly CastContext[] = ['implicit', 'assignment', 'explicit'];

/** null when there is no cast, or none in this context. */
export function castPath(from: SqlType, to: SqlType, context: CastContext): CastPath | null {
  if (sameType(from, to)) return { by: 'nothing' };
  if (from.kind === 'scalar' && to.kind === 'scalar') {
    if (from.name === 'unknown') return { by: 'text' };
    const cast = castBetween(from.name, to.name);
    if (cast !== undefined) {
      return order.indexOf(cast.context) <= order.indexOf(context) ? { by: 'definition', cast } : null;
    }
  }
  if (from.kind === 'array' && to.kind === 'array') {
    const path = castPath(from.element, to.element, context);
    return path === null ? null : { by: 'elements', from: from.element, to: to.element, path };
  }
  if (context !== 'implicit' && isText(to)) return { by: 'text' };
  return context === 'explicit' && isText(from) ? { by: 'text' } : null;
}

/** Whether a cast is made without being asked for; a literal without a type becomes anything. */
export function isImplicit(from: SqlType, to: SqlType): boolean {
  return isUnknown(from) || castPath(from, to, 'implicit') !== null;
}

function isText(type: SqlType): boolean {
  return type.kind === 'scalar' && categories[type.name] === 'S';
}
