import { castTo, typeFromName } from '../expressions/resolve.ts';
import { sqlScalar } from '../type.ts';
import { integer } from '../value.ts';
import { textsOf, unsupported } from './node.ts';
import { SqlError } from './sql-error.ts';
import type { Expression } from '../expressions/expression.ts';
import type { SqlType } from '../type.ts';
import type { A_Const, Node, TypeName } from 'libpg-query';

export function bindConstant(constant: A_Const): Expression {
  const { location = 0 } = constant;
  if (constant.isnull === true) return literal(null, 'unknown');
  if (constant.ival !== undefined) return literal(constant.ival.ival ?? 0, 'int4');
  if (constant.fval !== undefined) return number(constant.fval.fval ?? '0', location);
  if (constant.boolval !== undefined) return literal(constant.boolval.boolval ?? false, 'bool');
  if (constant.sval !== undefined) return literal(constant.sval.sval ?? '', 'unknown');
  throw unsupported('bit strings are', location, "Write an integer, or a bytea literal such as '\\x1f'.");
}

/** A number that is no int4: int8 where it fits, else numeric. */
function number(text: string, location: number): Expression {
  if (/^[-+]?\d+$/.test(text)) {
    const value = BigInt(text);
    if (BigInt.asIntN(64, value) === value) return literal(integer(value), 'int8');
  }
  if (/^[-+]?0[xob]/i.test(text)) {
    const value = text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
    return castTo(literal(String(value), 'unknown'), sqlScalar('numeric'), 'explicit', location);
  }
  return castTo(literal(text, 'unknown'), sqlScalar('numeric'), 'explicit', location);
}

export function literal(
  value: string | number | bigint | boolean | null,
  name: 'unknown' | 'int4' | 'int8' | 'bool',
): Expression {
  return { kind: 'literal', value, type: sqlScalar(name) };
}

export function bindType(name: TypeName | undefined): { type: SqlType; typmod?: number } {
  if (name === undefined) throw new SqlError('a type is missing', null);
  const { location = 0 } = name;
  if (name.setof === true || name.pct_type === true)
    throw unsupported('SETOF and %TYPE are', location, 'Name the type itself.');
  return typeFromName(textsOf(name.names), (name.typmods ?? []).map(typmod), name.arrayBounds?.length ?? 0, location);
}

function typmod(node: Node): number {
  if ('A_Const' in node) return node.A_Const.ival?.ival ?? 0;
  throw new SqlError('type modifiers must be simple constants', null);
}

/** An output, a sort key or the like: a literal that still has no type is text. */
export function typed(e: Expression, location: number): Expression {
  return e.type.kind === 'scalar' && e.type.name === 'unknown' ? castTo(e, sqlScalar('text'), 'implicit', location) : e;
}

export function isUntyped(e: Expression): boolean {
  return e.type.kind === 'scalar' && e.type.name === 'unknown';
}
