import fc from 'fast-check';
import { comparisonOperators } from '../../../views/expressions/functions/comparison.ts';
import type { ArgType, FunctionDefinition } from '../../../views/expressions/functions/definition.ts';
import { floatFunctions, floatOperators } from '../../../views/expressions/functions/floats.ts';
import { integerFunctions, integerOperators } from '../../../views/expressions/functions/integers.ts';
import { numericFunctions, numericOperators } from '../../../views/expressions/functions/numerics.ts';
import { patternFunctions, patternOperators } from '../../../views/expressions/functions/text-patterns.ts';
import { textFunctions, textOperators } from '../../../views/expressions/functions/text.ts';
import type { Sql } from './oracle.ts';
import { samples, valueText } from './values.ts';

const operators = [
  integerOperators,
  numericOperators,
  floatOperators,
  comparisonOperators,
  textOperators,
  patternOperators,
]
  .flat()
  .filter(({ name }) => name !== '^');
const functions = [integerFunctions, numericFunctions, floatFunctions, textFunctions, patternFunctions]
  .flat()
  // substring() has overloads that views refuse, and is substr() otherwise; powers have their own test.
  .filter(({ name, args }) => args.length > 0 && !['substring', 'power', 'pow'].includes(name));
const types = Object.keys(samples);

/** An argument for a parameter: a column of its type, of another one, a literal without a type, a number, or a call. */
function argument(parameter: ArgType, depth: number): fc.Arbitrary<Sql> {
  const key = `${parameter} ${depth}`;
  const known = made.get(key) ?? argumentOf(parameter, depth);
  made.set(key, known);
  return known;
}

/** Generators are costly to make, and the same for each place of a type. */
const made = new Map<string, fc.Arbitrary<Sql>>();

function argumentOf(parameter: ArgType, depth: number): fc.Arbitrary<Sql> {
  const own = types.includes(parameter) ? parameter : null;
  const type =
    own === null
      ? fc.constantFrom(...types)
      : fc.oneof(
          { weight: 6, arbitrary: fc.constant<string>(own) },
          { weight: 1, arbitrary: fc.constantFrom(...types) },
        );
  const column = type.chain((name) =>
    fc
      .option(valueText(name), { freq: 12 })
      .map((text): Sql => ({ kind: 'column', type: name, text: text === null ? null : canonicalText(name, text) })),
  );
  const literal = type.chain((name) => valueText(name)).map((text): Sql => ({ kind: 'literal', text }));
  const number = fc
    .constantFrom('0', '1', '2', '10', '9999999999', '1.5', '0.001')
    .map((text): Sql => ({ kind: 'number', text }));
  const simple = fc.oneof(
    { weight: 6, arbitrary: column },
    { weight: 2, arbitrary: literal },
    { weight: 1, arbitrary: number },
  );
  return depth === 0 ? simple : fc.oneof({ weight: 4, arbitrary: simple }, { weight: 1, arbitrary: call(depth - 1) });
}

function canonicalText(type: string, text: string): string {
  return type === 'numeric' && text.includes('e') ? (plain[text] ?? text) : text;
}

const plain: Readonly<Record<string, string>> = { '1e-7': '0.0000001', '1e30': `1${'0'.repeat(30)}` };

/** Functions that would make texts of gigabytes on both sides. */
const lengthy: ReadonlySet<string> = new Set(['repeat', 'lpad', 'rpad']);
const smallLength = fc
  .integer({ min: -2, max: 20 })
  .map((length): Sql => ({ kind: 'column', type: 'int4', text: String(length) }));

function argumentsOf({ name, args, variadic }: FunctionDefinition, depth: number): fc.Arbitrary<Sql[]> {
  const short = lengthy.has(name);
  const given = fc.tuple(...args.map((arg) => (short && arg === 'int4' ? smallLength : argument(arg, depth))));
  if (!variadic) return given.map((list) => [...list]);
  return fc.tuple(given, fc.array(argument('any', 0), { maxLength: 2 })).map(([first, rest]) => [...first, ...rest]);
}

/** A call of any operator, function or cast, mostly with arguments that it takes. */
export function call(depth: number): fc.Arbitrary<Sql> {
  const key = `call ${depth}`;
  const known = made.get(key) ?? anyCall(depth);
  made.set(key, known);
  return known;
}

function anyCall(depth: number): fc.Arbitrary<Sql> {
  const bool = argument('bool', depth);
  const logic = fc
    .tuple(fc.constantFrom('and' as const, 'or' as const), fc.array(bool, { minLength: 2, maxLength: 3 }))
    .map(([kind, args]): Sql => ({ kind, args }));
  const test = fc
    .tuple(fc.constantFrom('not' as const, 'isNull' as const), bool)
    .map(([kind, arg]): Sql => ({ kind, arg }));
  const choice = fc.constantFrom(...types).chain((type) => {
    const value = argument(type as ArgType, depth);
    const branches = fc
      .tuple(bool, value, value)
      .map(([when, then, otherwise]): Sql => ({ kind: 'case', when, then, otherwise }));
    const first = fc
      .tuple(fc.constantFrom('coalesce', 'greatest', 'least', 'nullif'), value, value)
      .map(([name, a, b]): Sql =>
        name === 'coalesce' ? { kind: name, args: [a, b] } : { kind: 'function', name, args: [a, b] },
      );
    return fc.oneof(branches, first);
  });
  const operator = fc
    .constantFrom(...operators)
    .chain((definition) =>
      argumentsOf(definition, depth).map((args): Sql => ({ kind: 'operator', name: definition.name, args })),
    );
  const fn = fc
    .constantFrom(...functions)
    .chain((definition) =>
      argumentsOf(definition, depth).map((args): Sql => ({ kind: 'function', name: definition.name, args })),
    );
  const cast = fc
    .constantFrom(...types)
    .chain((from) =>
      fc
        .tuple(argument(from as ArgType, depth), fc.constantFrom(...types))
        .map(([arg, type]): Sql => ({ kind: 'cast', arg, type })),
    );
  const fitted = fc
    .tuple(argument('numeric', depth), fc.integer({ min: 1, max: 12 }), fc.integer({ min: -2, max: 6 }))
    .map(([arg, precision, scale]): Sql => ({ kind: 'cast', arg, type: 'numeric', typmods: [precision, scale] }));
  const cut = fc
    .tuple(argument('text', depth), fc.constantFrom('varchar', 'bpchar'), fc.integer({ min: 1, max: 5 }))
    .map(([arg, type, length]): Sql => ({ kind: 'cast', arg, type, typmods: [length] }));
  return fc.oneof(
    { weight: 5, arbitrary: operator },
    { weight: 5, arbitrary: fn },
    { weight: 3, arbitrary: cast },
    fitted,
    cut,
    logic,
    test,
    { weight: 2, arbitrary: choice },
  );
}
