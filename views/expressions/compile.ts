import { present } from '../../base/assert.ts';
import { CodeWriter } from './compile-code.ts';
import type { ColumnId, Expression } from './expression.ts';
import type { Row, Value } from '../value.ts';

/** Where in a row the columns stand. */
export type Layout = ReadonlyMap<ColumnId, number>;

/**
 * Functions over rows. Each is generated once as JavaScript: a straight line of constants, one for each value of the expression, with
 * calls of the functions' implementations between them. They throw RowError for a row that cannot be evaluated.
 */
export function compileScalar(expression: Expression, layout: Layout): (row: Row) => Value {
  const writer = new CodeWriter(sourceIn('row', layout));
  writer.line(`return ${writer.value(expression)};`);
  return build(writer, 'row') as (row: Row) => Value;
}

/** NULL is false. */
export function compilePredicate(expression: Expression, layout: Layout): (row: Row) => boolean {
  const writer = new CodeWriter(sourceIn('row', layout));
  writer.require(expression);
  writer.line('return true;');
  return build(writer, 'row') as (row: Row) => boolean;
}

/**
 * The index, `from` or later, of the first row that the expression does not accept; their number when it accepts all. The loop is part
 * of the code, so that V8 sees one predicate in it and inlines that.
 */
export function compileFilter(expression: Expression, layout: Layout): (rows: readonly Row[], from: number) => number {
  const writer = new CodeWriter(sourceIn('row', layout));
  writer.require(expression);
  writer.line('return true;');
  const loop = `return function (rows, from) {
    for (let index = from; index < rows.length; index++) if (!accepts(rows[index])) return index;
    return rows.length;
  };`;
  const code = `'use strict';\nfunction accepts(row) {\n${writer.code}\n}\n${loop}`;
  return make(writer, code) as (rows: readonly Row[], from: number) => number;
}

export function compileRow(expressions: readonly Expression[], layout: Layout): (row: Row) => Row {
  const writer = new CodeWriter(sourceIn('row', layout));
  const values = expressions.map((expression) => writer.value(expression));
  writer.line(`return [${values.join(', ')}];`);
  return build(writer, 'row') as (row: Row) => Row;
}

/** As compilePredicate, over the columns of two rows; a column in both layouts is taken from the left one. */
export function compileJoinPredicate(
  expression: Expression,
  left: Layout,
  right: Layout,
): (left: Row, right: Row) => boolean {
  const ofRight = sourceIn('right', right);
  const ofLeft = sourceIn('left', left);
  const writer = new CodeWriter((id) => (left.has(id) ? ofLeft(id) : ofRight(id)));
  writer.require(expression);
  writer.line('return true;');
  return build(writer, 'left, right') as (left: Row, right: Row) => boolean;
}

function sourceIn(row: string, layout: Layout): (id: ColumnId) => string {
  return (id) => `${row}[${present(layout.get(id), `position of column ${id}`)}]`;
}

function build(writer: CodeWriter, parameters: string): unknown {
  return make(writer, `'use strict';\nreturn function (${parameters}) {\n${writer.code}\n};`);
}

function make(writer: CodeWriter, code: string): unknown {
  const names = writer.constants.map((_, index) => `k${index}`);
  // oxlint-disable-next-line typescript/no-implied-eval, no-new-func -- code generation is the point; nothing in it but our own text, escaped literals and numbers
  const made = new Function(...names, code) as (...constants: unknown[]) => unknown;
  return made(...writer.constants);
}
