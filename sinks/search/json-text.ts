import { assert } from '../../base/assert.ts';

/**
 * JSON as text: documents are compared digit by digit, which parsing would lose. Positions are of the buffer's bytes; what comes in is
 * valid JSON, as engines print it.
 */

/** A member of an object: its name as it stands there, with quotes, and where its value is. */
export interface Member {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** The members of the object that begins at `from[start]`. */
export function membersOf(from: Buffer, start: number): Member[] {
  const members: Member[] = [];
  let at = skipSpace(from, start);
  assert(from[at] === 0x7b /* { */, 'an object of JSON');
  at = skipSpace(from, at + 1);
  while (from[at] !== 0x7d /* } */) {
    const nameEnd = endOfValue(from, at);
    const name = from.toString('utf8', at, nameEnd);
    const valueStart = skipSpace(from, skipSpace(from, nameEnd) + 1);
    const end = endOfValue(from, valueStart);
    members.push({ name, start: valueStart, end });
    at = skipSpace(from, end);
    if (from[at] === 0x2c /* , */) at = skipSpace(from, at + 1);
  }
  return members;
}

/** Where the elements of the array that begins at `from[start]` begin. */
export function elementsOf(from: Buffer, start: number): number[] {
  const elements: number[] = [];
  let at = skipSpace(from, start);
  assert(from[at] === 0x5b /* [ */, 'an array of JSON');
  at = skipSpace(from, at + 1);
  while (from[at] !== 0x5d /* ] */) {
    elements.push(at);
    at = skipSpace(from, endOfValue(from, at));
    if (from[at] === 0x2c /* , */) at = skipSpace(from, at + 1);
  }
  return elements;
}

/** The member's value as text, or undefined. */
export function valueOf(from: Buffer, members: readonly Member[], name: string): string | undefined {
  const member = members.find((each) => each.name === name);
  return member && from.toString('utf8', member.start, member.end);
}

/**
 * A document in a form that is the same for the same content: members in the order of their names, without those that are null, which to
 * an engine are not there.
 */
export function comparable(from: Buffer, start: number): string {
  const members = membersOf(from, start).filter((member) => from[member.start] !== 0x6e /* null */);
  members.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return `{${members.map(({ name, start: begin, end }) => `${name}:${from.toString('utf8', begin, end)}`).join(',')}}`;
}

function skipSpace(from: Buffer, at: number): number {
  let next = at;
  while ((from[next] as number) <= 0x20) next++;
  return next;
}

/** Where the value that begins at `from[start]` ends. */
function endOfValue(from: Buffer, start: number): number {
  let depth = 0;
  for (let at = start; at < from.length; at++) {
    switch (from[at]) {
      case 0x22 /* " */:
        at = endOfString(from, at);
        if (depth === 0) return at + 1;
        break;
      case 0x7b /* { */:
      case 0x5b /* [ */:
        depth++;
        break;
      case 0x7d /* } */:
      case 0x5d /* ] */:
        if (depth === 0) return at;
        if (--depth === 0) return at + 1;
        break;
      case 0x2c /* , */:
      case 0x3a /* : */:
      case 0x20:
      case 0x0a:
      case 0x0d:
      case 0x09:
        if (depth === 0) return at;
        break;
      default:
    }
  }
  return from.length;
}

/** Where the string's closing quote is. */
function endOfString(from: Buffer, start: number): number {
  for (let at = start + 1; at < from.length; at++) {
    if (from[at] === 0x5c /* \ */) at++;
    else if (from[at] === 0x22 /* " */) return at;
  }
  return from.length;
}
