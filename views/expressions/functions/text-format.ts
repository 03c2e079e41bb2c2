import type { SqlType } from '../../type.ts';
import type { Value } from '../../value.ts';
import { characterCount } from '../characters.ts';
import { RowError } from '../expression.ts';
import { inputInt4 } from '../inputs.ts';
import { formatNumber, readNumberFormat } from '../number-format.ts';
import type { NumberFormat } from '../number-format.ts';
import { formatNumeric, isSpecial, numericOfInteger, roundNumeric } from '../numeric.ts';
import type { Numeric } from '../numeric.ts';
import { textOf } from '../text.ts';
import { definePolymorphic, define } from './definition.ts';
import type { ArgType, FunctionDefinition } from './definition.ts';

export const formatFunctions: readonly FunctionDefinition[] = [
  define('quote_ident', ['text'], 'text', quoteIdentifier),
  define('quote_literal', ['text'], 'text', quoteLiteral),
  definePolymorphic(
    'quote_literal',
    ['anyelement'],
    'text',
    ([type]) =>
      (value: Value) =>
        quoteLiteral(textOf(value, type as SqlType)),
  ),
  define('quote_nullable', ['text'], 'text', (text: string | null) => (text === null ? 'NULL' : quoteLiteral(text)), {
    strict: false,
  }),
  definePolymorphic('format', ['text'], 'text', () => (template: string | null) => formatText(template, [], []), {
    strict: false,
    mayFail: true,
  }),
  definePolymorphic(
    'format',
    ['text', 'any'],
    'text',
    (types) =>
      (template: string | null, ...values: Value[]) =>
        formatText(template, values, types.slice(1)),
    { variadic: true, strict: false, mayFail: true },
  ),
  numberFormatter('numeric', (value: Numeric) => value),
  numberFormatter('int4', (value: number) => numericOfInteger(value)),
  numberFormatter('int8', (value: number | bigint) => numericOfInteger(value)),
];

/** The template is read when it is not the one of the row before. */
function numberFormatter(type: ArgType, numericOf: (value: never) => Numeric): FunctionDefinition {
  return definePolymorphic(
    'to_char',
    [type, 'text'],
    'text',
    () => {
      let last: string | null = null;
      let format: NumberFormat | null = null;
      return (value: never, template: string) => {
        if (format === null || template !== last) {
          format = readNumberFormat(template);
          last = template;
        }
        const number = numericOf(value);
        if (isSpecial(number)) {
          throw new RowError('0A000', 'to_char() of NaN and infinity is not supported in views');
        }
        return formatNumber(formatNumeric(roundNumeric(number, format.post)), format);
      };
    },
    { mayFail: true },
  );
}

/** Words that are not identifiers unless quoted: all of PostgreSQL's keywords but the unreserved ones. */
const reserved: ReadonlySet<string> = new Set(
  (
    'all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case ' +
    'cast char character check coalesce collate collation column concurrently constraint create cross ' +
    'current_catalog current_date current_role current_schema current_time current_timestamp current_user dec ' +
    'decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign ' +
    'freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect ' +
    'interval into is isnull join json json_array json_arrayagg json_exists json_object json_objectagg json_query ' +
    'json_scalar json_serialize json_table json_value lateral leading least left like limit localtime ' +
    'localtimestamp merge_action national natural nchar none normalize not notnull null nullif numeric offset on ' +
    'only or order out outer overlaps overlay placing position precision primary real references returning right ' +
    'row select session_user setof similar smallint some substring symmetric system_user table tablesample then ' +
    'time timestamp to trailing treat trim true union unique user using values varchar variadic verbose when where ' +
    'window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot ' +
    'xmlserialize xmltable'
  ).split(' '),
);

function quoteIdentifier(text: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(text) && !reserved.has(text) ? text : `"${text.replaceAll('"', '""')}"`;
}

function quoteLiteral(text: string): string {
  const escape = text.includes('\\') ? 'E' : '';
  return `${escape}'${text.replaceAll(/['\\]/g, (character) => character + character)}'`;
}

/** %s, %I and %L with positions and widths, %%. */
function formatText(template: string | null, values: readonly Value[], types: readonly SqlType[]): string | null {
  if (template === null) return null;
  let next = 0;
  const argument = (position: string | undefined): number => {
    const at = position === undefined ? next : Number(position) - 1;
    if (at < 0) throw new RowError('22023', 'format specifies argument 0, but arguments are numbered from 1');
    if (at >= values.length) throw new RowError('22023', 'too few arguments for format()');
    next = at + 1;
    return at;
  };
  const specifier = /%(?:%|(?:(\d+)\$)?(-*)(?:(\d+)|\*(?:(\d+)\$)?)?([^])?)/gu;
  return template.replaceAll(specifier, (whole: string, position, flags: string, width, star, kind) => {
    if (whole === '%%') return '%';
    if (kind === undefined) throw new RowError('22023', 'unterminated format() type specifier');
    let size = width === undefined ? 0 : Number(width);
    let left = flags !== '';
    if (whole.includes('*')) {
      const widthAt = argument(star);
      const value = values[widthAt] as Value;
      size = value === null ? 0 : inputInt4(textOf(value, types[widthAt] as SqlType));
      if (size < 0) left = true;
      size = Math.abs(size);
    }
    if (kind !== 's' && kind !== 'I' && kind !== 'L') {
      throw new RowError('22023', `unrecognized format() type specifier "${kind}"`);
    }
    const at = argument(position);
    const text = formatValue(values[at] as Value, types[at] as SqlType, kind);
    const missing = ' '.repeat(Math.max(0, size - characterCount(text)));
    return left ? text + missing : missing + text;
  });
}

function formatValue(value: Value, type: SqlType, kind: 's' | 'I' | 'L'): string {
  if (value === null) {
    if (kind === 'I') throw new RowError('22004', 'null values cannot be formatted as an SQL identifier');
    return kind === 's' ? '' : 'NULL';
  }
  const text = textOf(value, type);
  return kind === 's' ? text : kind === 'I' ? quoteIdentifier(text) : quoteLiteral(text);
}
