import type { LinearAggregate } from '../expression.ts';
import type { AggregateDefinition, ArgType } from '../functions/definition.ts';
import type { Value } from '../../value.ts';
import { integer } from '../../value.ts';
import type { SqlName } from '../../type.ts';
import { linear } from './linear.ts';

/** Rows, and those among them that are `deciding`: one of these decides. */
function decidedBy(deciding: boolean): LinearAggregate {
  return {
    slots: 2,
    init(into, at) {
      into[at] = 0;
      into[at + 1] = 0;
    },
    add(state, at, args, weight) {
      state[at] = (state[at] as number) + weight;
      if (args[0] === deciding) state[at + 1] = (state[at + 1] as number) + weight;
    },
    result(state, at) {
      if (state[at] === 0) return null;
      return state[at + 1] === 0 ? !deciding : deciding;
    },
  };
}

type Rows = Iterable<{ readonly args: readonly Value[]; readonly weight: number }>;

function bitwise(
  name: string,
  type: ArgType,
  fold: (a: bigint, b: bigint, weight: number) => bigint,
): AggregateDefinition {
  const collect = (rows: Rows): Value => {
    let result: bigint | null = null;
    for (const { args, weight } of rows) {
      const value = BigInt(args[0] as number | bigint);
      result = fold(result ?? (name === 'bit_and' ? -1n : 0n), value, weight);
    }
    return result === null ? null : integer(result);
  };
  return { name, args: [type], result: type, bind: () => ({ skipsNull: true, linear: null, collect, first: null }) };
}

function firstArgument(rows: Rows): Value {
  for (const { args } of rows) return args[0] ?? null;
  return null;
}

function extreme(name: string, type: ArgType, first: 'ascending' | 'descending'): AggregateDefinition {
  return {
    name,
    args: [type],
    result: type,
    bind: () => ({ skipsNull: true, linear: null, collect: firstArgument, first }),
  };
}

const ordered: readonly SqlName[] = [
  'int2',
  'int4',
  'int8',
  'numeric',
  'float4',
  'float8',
  'text',
  'bpchar',
  'bytea',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'interval',
];

const integers = ['int2', 'int4', 'int8'] as const;

export const logicAggregates: readonly AggregateDefinition[] = [
  linear('bool_and', ['bool'], 'bool', decidedBy(false)),
  linear('every', ['bool'], 'bool', decidedBy(false)),
  linear('bool_or', ['bool'], 'bool', decidedBy(true)),
  ...integers.flatMap((type) => [
    bitwise('bit_and', type, (a, b) => a & b),
    bitwise('bit_or', type, (a, b) => a | b),
    bitwise('bit_xor', type, (a, b, weight) => (weight % 2 === 0 ? a : a ^ b)),
  ]),
  ...[...ordered, 'anyarray' as const].flatMap((type) => [
    extreme('min', type, 'ascending'),
    extreme('max', type, 'descending'),
  ]),
  extreme('any_value', 'anyelement', 'ascending'),
];
