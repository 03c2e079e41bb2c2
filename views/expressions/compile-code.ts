import { present } from '../../base/assert.ts';
import { nestedArrayPrinter } from './array-text.ts';
import { arrayPrinter, recordHasOnlyNulls, recordPrinter } from './composite-text.ts';
import { typeId } from './bound-function.ts';
import { RowError } from './expression.ts';
import type { Expression } from './expression.ts';
import { formOf } from './forms.ts';
import type { BoundFunction } from './functions/definition.ts';
import type { Native } from './functions/definition.ts';
import type { SqlType } from '../type.ts';
import type { Value } from '../value.ts';

/**
 * What an expression has been computed into: JavaScript that may be repeated (a variable or a constant), in native or in row form, as
 * was asked for.
 */
interface Operand {
  readonly js: string;
  readonly nullable: boolean;
  /** The value, where it does not depend on the row. */
  readonly constant?: { readonly value: Native };
}

type Call = Extract<Expression, { kind: 'call' }>;

/** Where a column is read from: `row[3]`. */
export type ColumnSource = (id: number) => string;

/**
 * Generates the statements that compute expressions. Each value is a `const` of its own; what is computed once in a block, or around
 * it, is not computed again. Values that need not be computed (branches, operands of AND and OR after the one that decides) stand in
 * labelled blocks that are left early.
 */
export class CodeWriter {
  /** Functions and objects that the code refers to as `k0`, `k1` …. */
  readonly constants: unknown[] = [];
  readonly #source: ColumnSource;
  readonly #known: Map<string, Operand>[] = [new Map()];
  #lines: string[] = [];
  #names = 0;

  constructor(source: ColumnSource) {
    this.#source = source;
  }

  get code(): string {
    return this.#lines.join('\n');
  }

  line(code: string): void {
    this.#lines.push(code);
  }

  /** JavaScript of the expression's value as it stands in a row. */
  value(expression: Expression): string {
    return this.#emit(expression, false).js;
  }

  /** Returns false early, from the function around, unless the expression is true. */
  require(expression: Expression): void {
    if (expression.kind === 'and') {
      for (const arg of expression.args) this.require(arg);
      return;
    }
    this.line(`if (!(${this.condition(expression, true)})) return false;`);
  }

  /** JavaScript that is truthy when the expression is `sense`, and not when it is the contrary or NULL. */
  condition(expression: Expression, sense: boolean): string {
    switch (expression.kind) {
      case 'not':
        return this.condition(expression.arg, !sense);
      case 'isNull':
        return this.#nullTest(expression.arg, sense);
      case 'and':
      case 'or':
        return this.#conditions(expression.args, sense, (expression.kind === 'and') === sense);
      case 'call': {
        const fn = expression.fn as BoundFunction;
        if (fn.inline !== null && fn.strict && !isRelabel(fn)) return this.#inlineCondition(expression, fn, sense);
        break;
      }
    }
    return `${this.#emit(expression, true).js} === ${sense}`;
  }

  #inlineCondition(call: Call, fn: BoundFunction, sense: boolean): string {
    const args = this.#arguments(call, fn);
    const text = present(fn.inline, 'the code')(...args.map(({ js }) => js));
    const tests = args.filter(({ nullable }) => nullable).map(({ js }) => `${js} !== null`);
    return [...new Set(tests), sense ? `(${text})` : `!(${text})`].join(' && ');
  }

  /** `all`: each is `sense`; else one of them is. */
  #conditions(args: readonly Expression[], sense: boolean, all: boolean): string {
    const name = this.#name();
    const label = this.#name();
    this.line(`let ${name} = ${!all};`);
    this.#block(label, () => {
      for (const arg of args) {
        const condition = this.condition(arg, sense);
        this.line(`if (${all ? `!(${condition})` : condition}) break ${label};`);
      }
      this.line(`${name} = ${all};`);
    });
    return name;
  }

  #nullTest(arg: Expression, sense: boolean): string {
    if (arg.kind === 'row') {
      const tests = arg.fields.map((field) => `${this.#emit(field, false).js} === null`);
      const all = tests.length === 0 ? 'true' : tests.join(' && ');
      return sense ? `(${all})` : `!(${all})`;
    }
    const { js } = this.#emit(arg, arg.kind !== 'column');
    if (arg.type.kind === 'record') {
      const onlyNulls = `(${js} === null || ${this.#constant(recordHasOnlyNulls)}(${js}))`;
      return sense ? onlyNulls : `!${onlyNulls}`;
    }
    return `${js} ${sense ? '===' : '!=='} null`;
  }

  /** The expression's value, in the native form of its type (if it has one) or as it stands in a row. */
  #emit(expression: Expression, native: boolean): Operand {
    const form = formOf(expression.type);
    const key = keyOf(expression);
    const known = key === null ? undefined : this.#find(form !== null && native ? `n:${key}` : key);
    if (known !== undefined) return known;
    const made = this.#emitAnew(expression, native);
    if (key !== null) this.#remember(form !== null && native ? `n:${key}` : key, made);
    return made;
  }

  #emitAnew(expression: Expression, native: boolean): Operand {
    switch (expression.kind) {
      case 'column': {
        if (native && formOf(expression.type) !== null)
          return this.#read(this.#emit(expression, false), expression.type);
        return this.#store(this.#source(expression.id), true);
      }
      case 'literal':
        return this.#literal(expression.value, expression.type, native);
      case 'call':
        return this.#call(expression, native);
      case 'and':
      case 'or':
        return this.#logic(expression.args, expression.kind === 'and');
      case 'not': {
        const { js, nullable } = this.#emit(expression.arg, true);
        return nullable ? this.#store(`${js} === null ? null : !${js}`, true) : this.#store(`!${js}`, false);
      }
      case 'isNull':
        return this.#store(this.#nullTest(expression.arg, true), false);
      case 'case':
        return this.#case(expression, native);
      case 'coalesce':
        return this.#coalesce(expression.args, native);
      case 'row': {
        const printer = this.#constant(recordPrinter(expression.fields.map(({ type }) => type)));
        const fields = expression.fields.map((field) => this.#emit(field, false).js);
        return this.#store(`${printer}([${fields.join(', ')}])`, false);
      }
      case 'array': {
        const isNested = expression.items[0]?.type.kind === 'array';
        const printer = this.#constant((isNested ? nestedArrayPrinter : arrayPrinter)(expression.type));
        const items = expression.items.map((item) => this.#emit(item, false).js);
        return this.#store(`${printer}([${items.join(', ')}])`, false);
      }
    }
  }

  #literal(value: Value, type: SqlType, native: boolean): Operand {
    if (value === null) return { js: 'null', nullable: true, constant: { value: null } };
    const form = native ? formOf(type) : null;
    if (form !== null) return this.#known1(form.read(String(value)));
    return this.#known1(value);
  }

  /** An operand for a value that is known now. */
  #known1(value: Native): Operand {
    const constant = { value };
    if (value === null) return { js: 'null', nullable: true, constant };
    if (typeof value === 'string') return { js: JSON.stringify(value), nullable: false, constant };
    if (typeof value === 'bigint') return { js: `${value}n`, nullable: false, constant };
    if (typeof value === 'number') {
      return {
        js: Object.is(value, -0) ? '(-0)' : value < 0 ? `(${value})` : String(value),
        nullable: false,
        constant,
      };
    }
    if (typeof value === 'boolean') return { js: String(value), nullable: false, constant };
    return { js: this.#constant(value), nullable: false, constant };
  }

  #call(call: Call, native: boolean): Operand {
    const fn = call.fn as BoundFunction;
    if (isRelabel(fn))
      return this.#emit(present(call.args[0], 'argument of a cast'), native && fn.nativeArgs[0] === true);
    // In the form that the function does not give, it is made from the one that it does, which may be there already.
    if (formOf(call.type) !== null && fn.nativeResult !== native) {
      const given = this.#emit(call, fn.nativeResult);
      return native ? this.#read(given, call.type) : this.#write(given, call.type);
    }
    return this.#apply(fn, this.#arguments(call, fn));
  }

  #arguments(call: Call, fn: BoundFunction): Operand[] {
    return call.args.map((arg, index) => this.#emit(arg, fn.nativeArgs[index] ?? fn.nativeArgs.at(-1) ?? false));
  }

  #apply(fn: BoundFunction, args: readonly Operand[]): Operand {
    if (fn.strict && args.some(({ constant }) => constant?.value === null)) return this.#known1(null);
    const folded = fold(fn, args);
    if (folded !== undefined) return this.#known1(folded);
    const names = args.map(({ js }) => js);
    const code =
      fn.inline === null ? `${this.#constant(fn.implementation)}(${names.join(', ')})` : `(${fn.inline(...names)})`;
    const tests = fn.strict ? args.filter(({ nullable }) => nullable).map(({ js }) => `${js} === null`) : [];
    if (tests.length === 0) return this.#store(code, fn.inline === null);
    return this.#store(`${[...new Set(tests)].join(' || ')} ? null : ${code}`, true);
  }

  #read(operand: Operand, type: SqlType): Operand {
    return this.#convert(operand, present(formOf(type), 'native form').read);
  }

  #write(operand: Operand, type: SqlType): Operand {
    return this.#convert(operand, present(formOf(type), 'native form').write);
  }

  #convert({ js, nullable, constant }: Operand, by: (value: never) => Native): Operand {
    if (constant !== undefined) return this.#known1(constant.value === null ? null : by(constant.value as never));
    const code = `${this.#constant(by)}(${js})`;
    return this.#store(nullable ? `${js} === null ? null : ${code}` : code, nullable);
  }

  /** Three-valued AND (`and`) or OR. */
  #logic(args: readonly Expression[], and: boolean): Operand {
    const name = this.#name();
    const label = this.#name();
    let nullable = false;
    this.line(`let ${name} = ${and};`);
    this.#block(label, () => {
      for (const arg of args) {
        const operand = this.#emit(arg, true);
        this.line(`if (${operand.js} === ${!and}) { ${name} = ${!and}; break ${label}; }`);
        if (!operand.nullable) continue;
        nullable = true;
        this.line(`if (${operand.js} === null) ${name} = null;`);
      }
    });
    return { js: name, nullable };
  }

  #case(expression: Extract<Expression, { kind: 'case' }>, native: boolean): Operand {
    const name = this.#name();
    const label = this.#name();
    let nullable = false;
    this.line(`let ${name};`);
    this.#block(label, () => {
      for (const { when, then } of expression.branches) {
        this.line(`if (${this.condition(when, true)}) {`);
        this.#scope(() => {
          const operand = this.#emit(then, native);
          nullable ||= operand.nullable;
          this.line(`${name} = ${operand.js}; break ${label};`);
        });
        this.line('}');
      }
      const operand = this.#emit(expression.otherwise, native);
      nullable ||= operand.nullable;
      this.line(`${name} = ${operand.js};`);
    });
    return { js: name, nullable };
  }

  #coalesce(args: readonly Expression[], native: boolean): Operand {
    const name = this.#name();
    const label = this.#name();
    let nullable = true;
    this.line(`let ${name};`);
    this.#block(label, () => {
      for (const arg of args) {
        if (!nullable) return;
        const operand = this.#emit(arg, native);
        this.line(`${name} = ${operand.js};`);
        nullable = operand.nullable;
        if (nullable) this.line(`if (${name} !== null) break ${label};`);
      }
    });
    return { js: name, nullable };
  }

  #block(label: string, body: () => void): void {
    this.line(`${label}: {`);
    this.#scope(body);
    this.line('}');
  }

  #scope(body: () => void): void {
    this.#known.push(new Map());
    body();
    this.#known.pop();
  }

  #store(code: string, nullable: boolean): Operand {
    const name = this.#name();
    this.line(`const ${name} = ${code};`);
    return { js: name, nullable };
  }

  #find(key: string): Operand | undefined {
    for (let at = this.#known.length - 1; at >= 0; at--) {
      const operand = this.#known[at]?.get(key);
      if (operand !== undefined) return operand;
    }
    return undefined;
  }

  #remember(key: string, operand: Operand): void {
    this.#known.at(-1)?.set(key, operand);
  }

  #name(): string {
    return `v${this.#names++}`;
  }

  #constant(value: unknown): string {
    const at = this.constants.indexOf(value);
    if (at >= 0) return `k${at}`;
    this.constants.push(value);
    return `k${this.constants.length - 1}`;
  }
}

/** A cast that changes the type and not the value. */
function isRelabel(fn: BoundFunction): boolean {
  return fn.implementation === null && fn.inline === null;
}

/** What tells a value apart from others computed of the same row; null for expressions that are not looked for again. */
function keyOf(expression: Expression): string | null {
  if (expression.kind === 'column') return `#${expression.id}`;
  if (expression.kind === 'literal') {
    // With its type: the same text is another time than interval.
    return `${typeId(expression.type)} ${typeof expression.value} ${JSON.stringify(String(expression.value))}`;
  }
  if (expression.kind !== 'call') return null;
  const args: string[] = [];
  for (const arg of expression.args) {
    const key = keyOf(arg);
    if (key === null) return null;
    args.push(key);
  }
  return `${expression.fn.id}(${args.join(',')})`;
}

/** The result of a call with nothing but constants; undefined when it has others, or fails, which is then left to each row. */
function fold(fn: BoundFunction, args: readonly Operand[]): Native | undefined {
  if (fn.implementation === null) return undefined;
  const values: Native[] = [];
  for (const { constant } of args) {
    if (constant === undefined) return undefined;
    values.push(constant.value);
  }
  try {
    return fn.implementation(...(values as never[]));
  } catch (error) {
    if (error instanceof RowError) return undefined;
    throw error;
  }
}
