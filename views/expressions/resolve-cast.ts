import { present } from '../../base/assert.ts';
import { SqlError } from '../sql/sql-error.ts';
import { sameType, sqlScalar, typeName } from '../type.ts';
import type { SqlType } from '../type.ts';
import type { Value } from '../value.ts';
import { conversionOf, typeId } from './bound-function.ts';
import { mapArrayText } from './composite-text.ts';
import { RowError } from './expression.ts';
import type { Expression } from './expression.ts';
import { formOf, inputOf } from './forms.ts';
import type { CastContext, Native } from './functions/definition.ts';
import { fitInterval } from './interval.ts';
import { parseInterval, writeInterval } from './interval-text.ts';
import { typmodOf } from './registry.ts';
import { castPath, isUnknown } from './resolve-types.ts';
import type { CastPath } from './resolve-types.ts';
import { textOf, valueOf } from './text.ts';

/** castTo of ./resolve.ts. */
export function convertTo(
  arg: Expression,
  type: SqlType,
  context: CastContext,
  location: number,
  typmod?: number,
): Expression {
  if (typmod !== undefined && arg.kind === 'literal' && isUnknown(arg.type) && isInterval(type)) {
    const literal = intervalLiteral(arg.value, typmod, location);
    if (literal !== null) return literal;
  }
  const converted = convert(arg, type, context, location);
  return typmod === undefined ? converted : fit(converted, typmod, context === 'explicit', location);
}

function isInterval(type: SqlType): boolean {
  return type.kind === 'scalar' && type.name === 'interval';
}

/** `interval '90' day`: the type's fields say what a number without a unit counts. */
function intervalLiteral(value: Value, typmod: number, location: number): Expression | null {
  if (value === null) return null;
  try {
    const interval = fitInterval(parseInterval(String(value), typmod & 0xffff), typmod);
    return { kind: 'literal', value: writeInterval(interval), type: sqlScalar('interval') };
  } catch (error) {
    if (error instanceof RowError) throw new SqlError(error.message, location);
    throw error;
  }
}

function convert(arg: Expression, type: SqlType, context: CastContext, location: number): Expression {
  if (sameType(arg.type, type)) return arg;
  if (arg.kind === 'literal' && (arg.value === null || isUnknown(arg.type)))
    return literalAs(arg.value, type, location);
  if (arg.kind === 'row' && type.kind === 'record') return rowAs(arg, type, context, location);
  const path = castPath(arg.type, type, context);
  if (path === null) throw cannotCast(arg.type, type, context, location);
  const id = `${typeId(arg.type)}::${typeId(type)}`;
  if (path.by === 'nothing') return arg;
  if (path.by === 'definition') {
    const { convert: implementation, mayFail } = path.cast;
    return conversionOf(arg, type, location, { id, implementation, native: true, mayFail });
  }
  const input = path.by === 'text' && isPrinted(arg.type) ? inputOf(type) : null;
  if (input !== null) {
    return conversionOf(arg, type, location, {
      id,
      implementation: input,
      native: false,
      nativeResult: true,
      mayFail: true,
    });
  }
  const by = valueConversion(arg.type, type, path);
  const implementation = by === null ? null : (value: Value) => by(value);
  return conversionOf(arg, type, location, { id, implementation, native: false, mayFail: by !== null });
}

function cannotCast(from: SqlType, to: SqlType, context: CastContext, location: number): SqlError {
  const explicit = context !== 'explicit' && castPath(from, to, 'explicit') !== null;
  const hint = explicit
    ? `Write CAST(… AS ${typeName(to)}).`
    : 'Cast to text first, if the text of the value is of the form of the other type.';
  return new SqlError(`cannot cast type ${typeName(from)} to ${typeName(to)}`, location, hint);
}

function literalAs(value: Value, type: SqlType, location: number): Expression {
  if (value === null) return { kind: 'literal', value: null, type };
  try {
    return { kind: 'literal', value: inputValue(String(value), type), type };
  } catch (error) {
    if (error instanceof RowError) throw new SqlError(error.message, location);
    throw error;
  }
}

function rowAs(
  row: Extract<Expression, { kind: 'row' }>,
  type: Extract<SqlType, { kind: 'record' }>,
  context: CastContext,
  location: number,
): Expression {
  if (row.fields.length !== type.fields.length) throw cannotCast(row.type, type, context, location);
  const fields = row.fields.map((field, index) =>
    convert(field, present(type.fields[index], 'field').type, context, location),
  );
  return { kind: 'row', fields, type };
}

/** What the type's input function makes of a text, as it stands in a row. RowError for what it refuses. */
export function inputValue(text: string, type: SqlType): Value {
  if (type.kind === 'array') {
    const delimiter = type.delimiter ?? ',';
    const read = (item: string): string => textOf(inputValue(item, type.element), type.element);
    const mapped = mapArrayText(text, { from: delimiter, to: delimiter }, read);
    if (mapped === undefined) throw new RowError('22P02', `malformed array literal: "${text}"`);
    return mapped;
  }
  const input = inputOf(type);
  return input === null ? valueOf(text, type) : inRow(input(text), type);
}

function inRow(value: Native, type: SqlType): Value {
  const form = formOf(type);
  return form === null ? (value as Value) : form.write(value as never);
}

/** The cast between values as they stand in rows; null when they stay the same. */
function valueConversion(from: SqlType, to: SqlType, path: CastPath): ((value: Value) => Value) | null {
  switch (path.by) {
    case 'nothing':
      return null;
    case 'definition': {
      const { convert: implementation } = path.cast;
      if (implementation === null && formOf(from) === formOf(to)) return null;
      const read = formOf(from)?.read;
      return (value) => {
        const native = read === undefined ? value : read(String(value));
        return inRow(implementation === null ? native : implementation(native as never), to);
      };
    }
    case 'text': {
      const printed = isPrinted(from) ? null : (value: Value) => textOf(value, from);
      if (to.kind === 'scalar' && inputOf(to) === null) return printed;
      return (value) => inputValue(printed === null ? String(value) : textOf(value, from), to);
    }
    default: {
      const item = valueConversion(path.from, path.to, path.path);
      if (item === null) return null;
      const from1 = from.kind === 'array' ? (from.delimiter ?? ',') : ',';
      const to1 = to.kind === 'array' ? (to.delimiter ?? ',') : ',';
      const leaf = (text: string): string => textOf(item(valueOf(text, path.from)), path.to);
      return (value) => present(mapArrayText(String(value), { from: from1, to: to1 }, leaf), 'array');
    }
  }
}

/** Whether values stand in rows as the text that the type prints. */
function isPrinted(type: SqlType): boolean {
  if (type.kind !== 'scalar') return true;
  return !notPrinted.has(type.name);
}

const notPrinted: ReadonlySet<string> = new Set(['bool', 'int2', 'int4', 'int8', 'float4', 'float8']);

function fit(arg: Expression, typmod: number, explicit: boolean, location: number): Expression {
  const { type } = arg;
  if (type.kind === 'array') return fitElements(arg, type.element, typmod, explicit, location);
  const definition = type.kind === 'scalar' ? typmodOf(type.name) : undefined;
  if (definition === undefined) return arg;
  const fitted = conversionOf(arg, type, location, {
    id: `${typeId(type)}(${typmod})${explicit ? '' : ' strictly'}`,
    implementation: (value: Native) => definition.apply(value as never, typmod, explicit),
    native: true,
    mayFail: definition.mayFail,
  });
  if (arg.kind !== 'literal' || arg.value === null) return fitted;
  try {
    const apply = (native: Native): Native => definition.apply(native as never, typmod, explicit);
    return { kind: 'literal', value: fittedLiteral(arg.value, type, apply), type };
  } catch (error) {
    if (error instanceof RowError) return fitted;
    throw error;
  }
}

/** A constant that does not fit is an error of the rows that come to it: it may stand in a branch that none does. */
function fittedLiteral(value: Value, type: SqlType, apply: (value: Native) => Native): Value {
  const form = formOf(type);
  const native = form === null ? value : form.read(String(value));
  return inRow(apply(native), type);
}

function fitElements(
  arg: Expression,
  element: SqlType,
  typmod: number,
  explicit: boolean,
  location: number,
): Expression {
  const definition = element.kind === 'scalar' ? typmodOf(element.name) : undefined;
  if (definition === undefined) return arg;
  const form = formOf(element);
  const leaf = (text: string): string => {
    const value = valueOf(text, element);
    const native = form === null ? value : form.read(text);
    return textOf(inRow(definition.apply(native as never, typmod, explicit), element), element);
  };
  return conversionOf(arg, arg.type, location, {
    id: `${typeId(arg.type)}(${typmod})${explicit ? '' : ' strictly'}`,
    implementation: (text: string) => present(mapArrayText(text, { from: ',', to: ',' }, leaf), 'array'),
    native: false,
    mayFail: definition.mayFail,
  });
}
