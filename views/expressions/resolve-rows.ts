import { SqlError } from '../sql/sql-error.ts';
import { sqlScalar } from '../type.ts';
import { branch } from './branch.ts';
import type { Expression } from './expression.ts';

type CallOperator = (op: string, args: readonly Expression[], location: number) => Expression;

const bool = sqlScalar('bool');

/**
 * `(a, b) = (c, d)`, field by field as the manual's section 9.25.5 says; null when the operator does not compare rows.
 */
export function compareRowValues(
  op: string,
  left: readonly Expression[],
  right: readonly Expression[],
  location: number,
  call: CallOperator,
): Expression | null {
  if (!['=', '<>', '!=', '<', '<=', '>', '>='].includes(op)) return null;
  if (left.length !== right.length) throw new SqlError('unequal number of entries in row expressions', location);
  if (left.length === 0) throw new SqlError('cannot compare rows of zero length', location);
  const pairs = left.map((field, index): readonly [Expression, Expression] => [field, right[index] as Expression]);
  const each = (by: string): Expression[] => pairs.map((pair) => call(by, pair, location));
  if (op === '=') return joined('and', each('='));
  if (op === '<>' || op === '!=') return joined('or', each('<>'));
  return inOrder(op, pairs, location, call);
}

function joined(kind: 'and' | 'or', args: readonly Expression[]): Expression {
  const [first] = args;
  return first !== undefined && args.length === 1 ? first : { kind, args, type: bool };
}

/** The first pair that is not equal decides; NULL when a pair before it, or it, has a NULL. */
function inOrder(
  op: string,
  pairs: readonly (readonly [Expression, Expression])[],
  location: number,
  call: CallOperator,
): Expression {
  const strict = op.slice(0, 1);
  const last = pairs.length - 1;
  return pairs.reduceRight<Expression>(
    (rest, pair, index) => {
      if (index === last) return call(op, pair, location);
      return {
        kind: 'case',
        branches: [
          branch(call('=', pair, location), rest),
          branch(call(strict, pair, location), { kind: 'literal', value: true, type: bool }),
          branch(call('<>', pair, location), { kind: 'literal', value: false, type: bool }),
        ],
        otherwise: { kind: 'literal', value: null, type: bool },
        type: bool,
      };
    },
    { kind: 'literal', value: null, type: bool },
  );
}
