import type { DataType, ScalarName } from './data-type.ts';
import { writeBool, writeNumber, writeSafeNumber, writeString, writeTimestamp, writeVerbatim } from './json-scalar.ts';
import type { ByteWriter } from './json-writer.ts';

/**
 * JSON of a value of any type, from PostgreSQL's text for it. A type is compiled once to a plan; writing a value allocates
 * nothing. Arrays and composites are parsed as array_out and record_out print them, straight into JSON.
 */

const formString = 0;
const formNumber = 1;
const formBool = 2;
const formTimestamp = 3;
const formVerbatim = 4;
const formVerbatimLine = 5;
const formArray = 6;
const formVector = 7;
const formComposite = 8;
const formSafeNumber = 9;

/** How values of one type are written. */
export interface ValuePlan {
  readonly form: number;
  /** Of an array: the plan of its elements, in an array of one; of a composite: the plans of its fields. */
  readonly parts: readonly ValuePlan[];
  /** Of an array: the byte between elements. */
  readonly delimiter: number;
  /** Of a composite: what goes before each field: `{"a":`, `,"b":`. */
  readonly prefixes: readonly Buffer[];
}

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const braceOpen = 0x7b;
const braceClose = 0x7d;
const bracketOpen = 0x5b;
const bracketClose = 0x5d;
const parenOpen = 0x28;
const parenClose = 0x29;
const space = 0x20;

const textNull = Buffer.from('null');

/** How a reader of the JSON limits its writer; `quoteNumbers`: no numbers that a double cannot hold. */
export interface ValueOptions {
  readonly singleLine: boolean;
  readonly quoteNumbers: boolean;
}

export function compileValue(type: DataType, options: ValueOptions): ValuePlan {
  switch (type.kind) {
    case 'scalar':
      return { form: scalarForm(type.name, options), parts: [], delimiter: 0, prefixes: [] };
    case 'array':
      return {
        form: type.delimiter === ' ' ? formVector : formArray,
        parts: [compileValue(type.element, options)],
        delimiter: type.delimiter.charCodeAt(0),
        prefixes: [],
      };
    default:
      return {
        form: formComposite,
        parts: type.fields.map((field) => compileValue(field.type, options)),
        delimiter: 0,
        prefixes: memberPrefixes(type.fields.map((field) => field.name)),
      };
  }
}

function scalarForm(name: ScalarName, { singleLine, quoteNumbers }: ValueOptions): number {
  switch (name) {
    case 'int8':
    case 'numeric':
      return quoteNumbers ? formSafeNumber : formNumber;
    case 'int2':
    case 'int4':
    case 'float4':
    case 'float8':
      return formNumber;
    case 'bool':
      return formBool;
    case 'timestamp':
    case 'timestamptz':
      return formTimestamp;
    case 'json':
      return singleLine ? formVerbatimLine : formVerbatim;
    case 'jsonb':
      return formVerbatim;
    default:
      return formString;
  }
}

/** What goes before each member of an object. JSON.stringify escapes a name exactly as escape_json does. */
export function memberPrefixes(names: readonly string[]): Buffer[] {
  return names.map((name, index) => Buffer.from(`${index === 0 ? '{' : ','}${JSON.stringify(name)}:`));
}

/**
 * Writes the value whose text is `from[start..end)`. False, with `into` in an undefined state from its old `at` on, when the text
 * is not that of an array or composite of the plan's type. `scratch` holds elements whose quoting had to be undone.
 */
export function writeValue(
  plan: ValuePlan,
  from: Buffer,
  start: number,
  end: number,
  into: ByteWriter,
  scratch: ByteWriter,
): boolean {
  switch (plan.form) {
    case formNumber:
      writeNumber(from, start, end, into);
      return true;
    case formSafeNumber:
      writeSafeNumber(from, start, end, into);
      return true;
    case formBool:
      writeBool(from, start, end, into);
      return true;
    case formTimestamp:
      writeTimestamp(from, start, end, into);
      return true;
    case formVerbatim:
    case formVerbatimLine:
      writeVerbatim(from, start, end, into, plan.form === formVerbatimLine);
      return true;
    case formArray:
      return writeArray(plan, from, start, end, into, scratch);
    case formVector:
      return writeVector(plan, from, start, end, into, scratch);
    case formComposite:
      return writeComposite(plan, from, start, end, into, scratch);
    default:
      writeString(from, start, end, into);
      return true;
  }
}

function put(into: ByteWriter, byte: number): void {
  into.reserve(1);
  into.buffer[into.at++] = byte;
}

export function writeNullValue(into: ByteWriter): void {
  into.raw(textNull);
}

/**
 * `{1,NULL,"a \"b\""}`, `{{1,2},{3,4}}`, `[0:1]={1,2}`. The dimensions in front, there when a lower bound is not 1, have no place
 * in JSON. `}`, the delimiter and NULL are themselves only outside quotes; a backslash occurs only within them.
 */
function writeArray(
  plan: ValuePlan,
  from: Buffer,
  start: number,
  end: number,
  into: ByteWriter,
  scratch: ByteWriter,
): boolean {
  const { delimiter } = plan;
  const element = plan.parts[0] as ValuePlan;
  let at = start;
  if (from[at] === bracketOpen) {
    at = from.indexOf(0x3d /* = */, at) + 1;
    if (at === 0) return false;
  }
  let depth = 0;
  // What may come next: a value because a brace was opened, a value because of a delimiter, or the end of a value.
  let state: 'open' | 'next' | 'after' = 'next';
  while (at < end) {
    const byte = from[at] as number;
    if (byte === braceOpen) {
      if (state === 'after') return false;
      put(into, bracketOpen);
      depth++;
      at++;
      state = 'open';
    } else if (byte === braceClose) {
      if (state === 'next') return false;
      put(into, bracketClose);
      at++;
      if (--depth === 0) return at === end;
      state = 'after';
    } else if (byte === delimiter) {
      if (state !== 'after') return false;
      put(into, comma);
      at++;
      state = 'next';
    } else {
      if (state === 'after' || depth === 0) return false;
      at =
        byte === quote
          ? writeQuoted(element, from, at + 1, end, into, scratch)
          : writeUnquoted(element, from, at, end, delimiter, into, scratch);
      if (at < 0) return false;
      state = 'after';
    }
  }
  return false;
}

/** An element without quotes; returns the offset after it, −1 when it is malformed. */
function writeUnquoted(
  element: ValuePlan,
  from: Buffer,
  start: number,
  end: number,
  delimiter: number,
  into: ByteWriter,
  scratch: ByteWriter,
): number {
  let at = start;
  while (at < end && from[at] !== delimiter && from[at] !== braceClose) at++;
  if (isNullWord(from, start, at)) writeNullValue(into);
  else if (!writeValue(element, from, start, at, into, scratch)) return -1;
  return at;
}

function isNullWord(from: Buffer, start: number, end: number): boolean {
  return (
    end - start === 4 &&
    from[start] === 0x4e &&
    from[start + 1] === 0x55 &&
    from[start + 2] === 0x4c &&
    from[start + 3] === 0x4c
  );
}

/**
 * A value in double quotes, whose text begins at `start`; within, a backslash or a doubled quote stands for the byte after it.
 * Returns the offset after the closing quote, −1 when it is malformed.
 */
function writeQuoted(
  plan: ValuePlan,
  from: Buffer,
  start: number,
  end: number,
  into: ByteWriter,
  scratch: ByteWriter,
): number {
  let at = start;
  while (at < end && from[at] !== quote && from[at] !== backslash) at++;
  if (at >= end) return -1;
  if (from[at] === quote && from[at + 1] !== quote) {
    return writeValue(plan, from, start, at, into, scratch) ? at + 1 : -1;
  }
  const mark = scratch.at;
  scratch.reserve(end - start);
  // Deeper levels may replace scratch's buffer by a larger one; this level's bytes stay in the one it wrote them to.
  const { buffer } = scratch;
  let length = mark;
  let closed = false;
  for (at = start; at < end; at++) {
    let byte = from[at] as number;
    if (byte === backslash || byte === quote) {
      if (byte === quote && (at + 1 >= end || from[at + 1] !== quote)) {
        closed = true;
        break;
      }
      if (++at >= end) return -1;
      byte = from[at] as number;
    }
    buffer[length++] = byte;
  }
  if (!closed) return -1;
  scratch.at = length;
  const written = writeValue(plan, buffer, mark, length, into, scratch);
  scratch.at = mark;
  return written ? at + 1 : -1;
}

/** int2vector and oidvector: `1 2 3`. */
function writeVector(
  plan: ValuePlan,
  from: Buffer,
  start: number,
  end: number,
  into: ByteWriter,
  scratch: ByteWriter,
): boolean {
  const element = plan.parts[0] as ValuePlan;
  put(into, bracketOpen);
  let at = start;
  while (at < end) {
    if (at > start) put(into, comma);
    let stop = at;
    while (stop < end && from[stop] !== space) stop++;
    if (!writeValue(element, from, at, stop, into, scratch)) return false;
    at = stop + 1;
  }
  put(into, bracketClose);
  return true;
}

/** `(1,,"a ""b""","{1,2}")`: a field without text is NULL, the empty string is `""`. */
function writeComposite(
  plan: ValuePlan,
  from: Buffer,
  start: number,
  end: number,
  into: ByteWriter,
  scratch: ByteWriter,
): boolean {
  const { parts, prefixes } = plan;
  if (end - start < 2 || from[start] !== parenOpen) return false;
  let at = start + 1;
  if (parts.length === 0) put(into, braceOpen);
  for (let field = 0; field < parts.length; field++) {
    if (field > 0 && from[at++] !== comma) return false;
    into.raw(prefixes[field] as Buffer);
    const part = parts[field] as ValuePlan;
    if (from[at] === quote) {
      at = writeQuoted(part, from, at + 1, end, into, scratch);
      if (at < 0) return false;
      continue;
    }
    const begin = at;
    while (at < end && from[at] !== comma && from[at] !== parenClose) at++;
    if (at === begin) writeNullValue(into);
    else if (!writeValue(part, from, begin, at, into, scratch)) return false;
  }
  put(into, braceClose);
  return at === end - 1 && from[at] === parenClose;
}
