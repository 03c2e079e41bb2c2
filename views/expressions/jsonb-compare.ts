import { jsonElements, jsonKind, jsonMembers, unescapeJson } from './json-scan.ts';
import { compareNumeric, readNumeric } from './numeric.ts';
import type { Numeric } from './numeric.ts';

/** A jsonb taken apart, for what looks at all of it: comparison and containment. */
export type Json =
  | { readonly kind: 'null' | 'true' | 'false' }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'number'; readonly number: Numeric }
  | { readonly kind: 'array'; readonly items: readonly Json[] }
  | { readonly kind: 'object'; readonly members: ReadonlyMap<string, Json> };

export function readJsonb(text: string): Json {
  switch (jsonKind(text)) {
    case 'object':
      return {
        kind: 'object',
        members: new Map((jsonMembers(text) ?? []).map(([name, value]) => [name, readJsonb(value)])),
      };
    case 'array':
      return { kind: 'array', items: (jsonElements(text) ?? []).map(readJsonb) };
    case 'string':
      return { kind: 'string', text: unescapeJson(text) };
    case 'number':
      return { kind: 'number', number: readNumeric(text) };
    case 'boolean':
      return { kind: text === 'true' ? 'true' : 'false' };
    default:
      return { kind: 'null' };
  }
}

/** The order of jsonb's btree operators, strings by code point: objects after arrays, booleans, numbers, strings and null. */
export function compareJsonb(a: string, b: string): number {
  return a === b ? 0 : compareRoots(readJsonb(a), readJsonb(b));
}

/** At the top, an empty array comes before everything, scalars before arrays. */
function compareRoots(a: Json, b: Json): number {
  const left = rootRank(a);
  const right = rootRank(b);
  return left === right ? compareTrees(a, b) : left - right;
}

function rootRank(value: Json): number {
  if (value.kind === 'object') return 3;
  if (value.kind !== 'array') return 1;
  return value.items.length === 0 ? 0 : 2;
}

const ranks = { null: 0, string: 1, number: 2, false: 3, true: 4, array: 5, object: 6 } as const;

function compareTrees(a: Json, b: Json): number {
  if (a.kind !== b.kind) return ranks[a.kind] - ranks[b.kind];
  if (a.kind === 'string' && b.kind === 'string') return comparePoints(a.text, b.text);
  if (a.kind === 'number' && b.kind === 'number') return compareNumeric(a.number, b.number);
  if (a.kind === 'array' && b.kind === 'array') {
    if (a.items.length !== b.items.length) return a.items.length - b.items.length;
    for (let index = 0; index < a.items.length; index++) {
      const order = compareTrees(a.items[index] as Json, b.items[index] as Json);
      if (order !== 0) return order;
    }
    return 0;
  }
  if (a.kind === 'object' && b.kind === 'object') return compareObjects(a.members, b.members);
  return 0;
}

function compareObjects(a: ReadonlyMap<string, Json>, b: ReadonlyMap<string, Json>): number {
  if (a.size !== b.size) return a.size - b.size;
  const right = [...b];
  let index = 0;
  for (const [name, value] of a) {
    const [otherName, other] = right[index++] as [string, Json];
    const order = comparePoints(name, otherName) || compareTrees(value, other);
    if (order !== 0) return order;
  }
  return 0;
}

/** By UTF-8's bytes, which is by code point. */
function comparePoints(a: string, b: string): number {
  if (a === b) return 0;
  return /[\ud800-\uffff]/.test(a + b) ? Buffer.compare(Buffer.from(a), Buffer.from(b)) : a < b ? -1 : 1;
}

/** One text for all that are equal: numbers without trailing zeros. */
export function jsonbKey(text: string): string {
  return keyOf(readJsonb(text));
}

function keyOf(value: Json): string {
  switch (value.kind) {
    case 'string':
      return JSON.stringify(value.text);
    case 'number': {
      const { unscaled, scale } = value.number;
      const digits = String(unscaled);
      let zeros = 0;
      while (zeros < scale && digits.charCodeAt(digits.length - 1 - zeros) === 0x30) zeros++;
      return Number(unscaled) === 0 ? '0' : `${digits.slice(0, digits.length - zeros)}e-${scale - zeros}`;
    }
    case 'array':
      return `[${value.items.map(keyOf).join(',')}]`;
    case 'object':
      return `{${[...value.members].map(([name, member]) => `${JSON.stringify(name)}:${keyOf(member)}`).join(',')}}`;
    default:
      return value.kind;
  }
}

/** `a @> b`. */
export function jsonbContains(a: string, b: string): boolean {
  const whole = readJsonb(a);
  const part = readJsonb(b);
  if ((whole.kind === 'object') !== (part.kind === 'object')) return false;
  if (part.kind !== 'object' && part.kind !== 'array') {
    // The exception: an array contains a scalar that is one of its elements.
    return whole.kind === 'array'
      ? whole.items.some((item) => compareTrees(item, part) === 0)
      : compareTrees(whole, part) === 0;
  }
  return contains(whole, part);
}

function contains(whole: Json, part: Json): boolean {
  if (whole.kind === 'object' && part.kind === 'object') {
    for (const [name, value] of part.members) {
      const other = whole.members.get(name);
      if (other === undefined || !contains(other, value)) return false;
    }
    return true;
  }
  if (whole.kind === 'array' && part.kind === 'array') {
    return part.items.every((item) => whole.items.some((other) => contains(other, item)));
  }
  return compareTrees(whole, part) === 0 && whole.kind !== 'array' && whole.kind !== 'object';
}
