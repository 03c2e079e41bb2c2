import { compileScalar } from '../expressions/compile.ts';
import { RowError } from '../expressions/expression.ts';
import { mapChildren } from './expressions.ts';
import type { Expression } from '../expressions/expression.ts';

/** The same value computed with less: calls of constants are made once and for all, conditions lose what decides nothing. */
export function simplify(e: Expression): Expression {
  const inner = mapChildren(e, simplify);
  switch (inner.kind) {
    case 'call':
      return fold(inner);
    case 'and':
    case 'or':
      return junction(inner);
    case 'not':
      if (inner.arg.kind === 'literal') {
        return { ...inner.arg, value: inner.arg.value === null ? null : inner.arg.value !== true };
      }
      return inner.arg.kind === 'not' ? inner.arg.arg : inner;
    case 'isNull':
      if (inner.arg.kind === 'literal') return { kind: 'literal', value: inner.arg.value === null, type: inner.type };
      return inner;
    case 'case':
      return cases(inner);
    case 'coalesce':
      return firstNotNull(inner);
    default:
      return inner;
  }
}

/** Evaluates a call of constants; one that fails is left to fail for the row that needs it. */
function fold(e: Extract<Expression, { kind: 'call' }>): Expression {
  if (e.fn.strict && e.args.some((arg) => arg.kind === 'literal' && arg.value === null)) {
    return { kind: 'literal', value: null, type: e.type };
  }
  if (!e.args.every((arg) => arg.kind === 'literal') || e.type.kind === 'record') return e;
  try {
    return { kind: 'literal', value: compileScalar(e, new Map())([]), type: e.type };
  } catch (error) {
    if (error instanceof RowError) return e;
    throw error;
  }
}

function junction(e: Extract<Expression, { kind: 'and' | 'or' }>): Expression {
  const decisive = e.kind === 'or';
  const args = e.args.filter((arg) => !(arg.kind === 'literal' && arg.value === !decisive));
  const decided = args.find((arg) => arg.kind === 'literal' && arg.value === decisive);
  if (decided !== undefined) return decided;
  const [first] = args;
  if (first === undefined) return { kind: 'literal', value: !decisive, type: e.type };
  return args.length === 1 ? first : args.length === e.args.length ? e : { ...e, args };
}

function cases(e: Extract<Expression, { kind: 'case' }>): Expression {
  const branches = e.branches.filter(({ when }) => !(when.kind === 'literal' && when.value !== true));
  const [first] = branches;
  if (first === undefined) return e.otherwise;
  if (first.when.kind === 'literal') return first.then;
  return branches.length === e.branches.length ? e : { ...e, branches };
}

function firstNotNull(e: Extract<Expression, { kind: 'coalesce' }>): Expression {
  const args = e.args.filter((arg) => !(arg.kind === 'literal' && arg.value === null));
  const [first] = args;
  if (first === undefined) return { kind: 'literal', value: null, type: e.type };
  if (args.length === 1 || first.kind === 'literal') return first;
  return args.length === e.args.length ? e : { ...e, args };
}
