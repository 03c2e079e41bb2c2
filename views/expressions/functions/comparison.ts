import { compareText, withoutTrailingBlanks } from '../characters.ts';
import { compareNumeric } from '../numeric.ts';
import type { Numeric } from '../numeric.ts';
import { comparatorOf } from '../order.ts';
import { define, defineInline, definePolymorphic } from './definition.ts';
import type { ArgType, FunctionDefinition } from './definition.ts';
import type { Value } from '../../value.ts';

const symbols = ['<', '<=', '>', '>='] as const;
const integerNames = ['int2', 'int4', 'int8'] as const;

/** `=`, `<>`, `<`, `<=`, `>`, `>=` of every type whose order is known here; dates, json, arrays and records have theirs elsewhere. */
export const comparisonOperators: readonly FunctionDefinition[] = [
  // Integers are canonical: number and bigint never stand for the same one, and JavaScript orders them together.
  ...integerNames.flatMap((left) => integerNames.flatMap((right) => inlineComparisons(left, right))),
  ...inlineComparisons('bool', 'bool'),
  // Text of fixed form: hexadecimal digits in lower case order as their bytes do.
  ...inlineComparisons('uuid', 'uuid'),
  ...inlineComparisons('bytea', 'bytea'),
  ...floatComparisons('float8', 'float8'),
  ...floatComparisons('float4', 'float4'),
  ...floatComparisons('float4', 'float8'),
  ...floatComparisons('float8', 'float4'),
  ...comparisonsBy('numeric', (a: Numeric, b: Numeric) => compareNumeric(a, b)),
  ...textComparisons(),
  ...blankPaddedComparisons(),
  // Enums and whatever else is carried as text: its order is not known.
  defineInline('=', ['other', 'other'], 'bool', (a, b) => `${a} === ${b}`, { isEquality: true }),
  defineInline('<>', ['other', 'other'], 'bool', (a, b) => `${a} !== ${b}`),
];

export const comparisonFunctions: readonly FunctionDefinition[] = [extreme('greatest', 1), extreme('least', -1)];

function inlineComparisons(left: ArgType, right: ArgType): FunctionDefinition[] {
  return [
    defineInline('=', [left, right], 'bool', (a, b) => `${a} === ${b}`, { isEquality: true }),
    defineInline('<>', [left, right], 'bool', (a, b) => `${a} !== ${b}`),
    ...symbols.map((symbol) => defineInline(symbol, [left, right], 'bool', (a, b) => `${a} ${symbol} ${b}`)),
  ];
}

/** NaN equals itself and is greater than everything else. */
function floatComparisons(left: ArgType, right: ArgType): FunctionDefinition[] {
  const args = [left, right];
  return [
    defineInline('=', args, 'bool', floatsEqual, { isEquality: true }),
    defineInline('<>', args, 'bool', (a, b) => `!(${floatsEqual(a, b)})`),
    defineInline('<', args, 'bool', floatLess),
    defineInline('<=', args, 'bool', (a, b) => `!(${floatLess(b, a)})`),
    defineInline('>', args, 'bool', (a, b) => floatLess(b, a)),
    defineInline('>=', args, 'bool', (a, b) => `!(${floatLess(a, b)})`),
  ];
}

function floatsEqual(a: string, b: string): string {
  return `${a} === ${b} || (${a} !== ${a} && ${b} !== ${b})`;
}

function floatLess(a: string, b: string): string {
  return `${a} < ${b} || (${b} !== ${b} && ${a} === ${a})`;
}

function textComparisons(): FunctionDefinition[] {
  return [
    defineInline('=', ['text', 'text'], 'bool', (a, b) => `${a} === ${b}`, { isEquality: true }),
    defineInline('<>', ['text', 'text'], 'bool', (a, b) => `${a} !== ${b}`),
    ...orderBy('text', compareText),
  ];
}

function blankPaddedComparisons(): FunctionDefinition[] {
  return comparisonsBy('bpchar', (a: string, b: string) =>
    compareText(withoutTrailingBlanks(a), withoutTrailingBlanks(b)),
  );
}

function comparisonsBy(type: ArgType, compare: (a: never, b: never) => number): FunctionDefinition[] {
  return [
    define('=', [type, type], 'bool', (a: never, b: never) => compare(a, b) === 0, { isEquality: true }),
    define('<>', [type, type], 'bool', (a: never, b: never) => compare(a, b) !== 0),
    ...orderBy(type, compare),
  ];
}

function orderBy(type: ArgType, compare: (a: never, b: never) => number): FunctionDefinition[] {
  return [
    define('<', [type, type], 'bool', (a: never, b: never) => compare(a, b) < 0),
    define('<=', [type, type], 'bool', (a: never, b: never) => compare(a, b) <= 0),
    define('>', [type, type], 'bool', (a: never, b: never) => compare(a, b) > 0),
    define('>=', [type, type], 'bool', (a: never, b: never) => compare(a, b) >= 0),
  ];
}

/** GREATEST and LEAST: of the arguments that are not NULL; the first of several equal ones. */
function extreme(name: string, sign: 1 | -1): FunctionDefinition {
  return definePolymorphic(
    name,
    ['anyelement'],
    'anyelement',
    ([type]) => {
      const compare = type === undefined ? () => 0 : comparatorOf(type);
      return (...values: Value[]) => {
        let best: Value = null;
        for (const value of values) {
          if (value !== null && (best === null || compare(value, best) * sign > 0)) best = value;
        }
        return best;
      };
    },
    { variadic: true, strict: false },
  );
}
