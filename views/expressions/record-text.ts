import { RowError } from './expression.ts';
import { valueOf } from './text.ts';
import type { SqlType } from '../type.ts';
import type { Value } from '../value.ts';

/** Reads a record's text: `(1,,"a ""b""","{1,2}")`. A field without text is NULL, the empty string is `""`. */
export function recordFields(text: string, types: readonly SqlType[]): Value[] {
  const fields: Value[] = [];
  let at = 1;
  for (let field = 0; field < types.length; field++) {
    const type = types[field] as SqlType;
    if (field > 0 && text.charCodeAt(at++) !== 0x2c) throw malformed(text);
    const start = at;
    if (text.charCodeAt(at) === 0x22) {
      const found = quotedEnd(text, at);
      at = found;
      fields.push(valueOf(unquote(text.slice(start + 1, at - 1)), type));
      continue;
    }
    while (at < text.length && text.charCodeAt(at) !== 0x2c && text.charCodeAt(at) !== 0x29) at++;
    fields.push(at === start ? null : valueOf(text.slice(start, at), type));
  }
  if (text.charCodeAt(0) !== 0x28 || text.charCodeAt(at) !== 0x29 || at !== text.length - 1) throw malformed(text);
  return fields;
}

/** The offset after the closing quote; doubled quotes and what follows a backslash are within. */
function quotedEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5c) at++;
    else if (code === 0x22) {
      if (text.charCodeAt(at + 1) !== 0x22) return at + 1;
      at++;
    }
  }
  throw malformed(text);
}

function unquote(text: string): string {
  return text.includes('"') || text.includes('\\')
    ? text.replaceAll(/""|\\([^])/g, (pair, other?: string) => other ?? pair.charAt(0))
    : text;
}

function malformed(text: string): RowError {
  return new RowError('22P02', `malformed record literal: "${text}"`);
}
