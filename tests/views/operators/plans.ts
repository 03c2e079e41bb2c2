import { RowError } from '../../../views/expressions/expression.ts';
import type { AggregateCall, AggregateFunction, Expression, SortKey } from '../../../views/expressions/expression.ts';
import type { BoundFunction } from '../../../views/expressions/functions/definition.ts';
import type {
  AggregatePlan,
  BoundView,
  DistinctPlan,
  ExpandPlan,
  FilterPlan,
  JoinPlan,
  Plan,
  PlanColumn,
  ProjectPlan,
  ScanPlan,
  SetDifferencePlan,
  TopNPlan,
  UnionPlan,
} from '../../../views/plan/plan.ts';
import { sqlScalar } from '../../../views/type.ts';
import type { SqlName, SqlType } from '../../../views/type.ts';
import type { Value } from '../../../views/value.ts';

/** Plans made by hand, with functions of their own, so that operators are tested without a binder. */
let lastId = 0;

export function column(name: string, type: SqlName | SqlType): PlanColumn {
  return { id: ++lastId, name, type: typeof type === 'string' ? sqlScalar(type) : type };
}

export function scan(relation: string, columns: Record<string, SqlName>, key: readonly string[] = []): ScanPlan {
  const made = Object.entries(columns).map(([name, type]) => column(name, type));
  return {
    kind: 'scan',
    relation,
    columns: made,
    positions: made.map((_, index) => index),
    key: made.filter(({ name }) => key.includes(name)).map(({ id }) => id),
  };
}

/** The same columns under new ids, so that a relation can be used twice. */
export function again(plan: ScanPlan): ScanPlan {
  const columns = plan.columns.map(({ name, type }) => column(name, type));
  const key = plan.key.map((id) => columns[plan.columns.findIndex((old) => old.id === id)]?.id ?? -1);
  return { ...plan, columns, key };
}

export function ref(plan: Plan, name: string): Expression {
  const found = plan.columns.find((known) => known.name === name);
  if (found === undefined) throw new Error(`no column ${name}`);
  return { kind: 'column', id: found.id, type: found.type };
}

export function lit(value: Value, type: SqlName): Expression {
  return { kind: 'literal', value, type: sqlScalar(type) };
}

function fn(id: string, args: readonly SqlName[], result: SqlName, options: Partial<BoundFunction>): BoundFunction {
  return {
    id,
    args: args.map(sqlScalar),
    result: sqlScalar(result),
    variadic: false,
    strict: true,
    mayFail: false,
    isEquality: false,
    implementation: null,
    inline: null,
    nativeArgs: args.map(() => true),
    nativeResult: true,
    ...options,
  };
}

const functions = {
  '=': fn('int4 = int4', ['int4', 'int4'], 'bool', { isEquality: true, inline: (a, b) => `(${a} === ${b})` }),
  '<': fn('int4 < int4', ['int4', 'int4'], 'bool', { inline: (a, b) => `(${a} < ${b})` }),
  '+': fn('int4 + int4', ['int4', 'int4'], 'int4', { inline: (a, b) => `(${a} + ${b})` }),
  '/': fn('int4 / int4', ['int4', 'int4'], 'int4', {
    mayFail: true,
    implementation: (a: number, b: number) => {
      if (b === 0) throw new RowError('22012', 'division by zero');
      return Math.trunc(a / b);
    },
  }),
};

export function call(name: keyof typeof functions, ...args: readonly Expression[]): Expression {
  return { kind: 'call', fn: functions[name], args, type: functions[name].result };
}

export function all(...args: readonly Expression[]): Expression {
  const [only, ...others] = args;
  if (only === undefined) return lit(true, 'bool');
  return others.length === 0 ? only : { kind: 'and', args, type: sqlScalar('bool') };
}

export function filter(input: Plan, condition: Expression): FilterPlan {
  return { kind: 'filter', columns: input.columns, input, condition };
}

export function project(input: Plan, expressions: Record<string, Expression>): ProjectPlan {
  const columns = Object.entries(expressions).map(([name, e]) => column(name, e.type));
  return { kind: 'project', columns, input, expressions: Object.values(expressions) };
}

export function join(type: JoinPlan['type'], left: Plan, right: Plan, condition: Expression): JoinPlan {
  const isHalf = type === 'semi' || type === 'anti';
  return {
    kind: 'join',
    type,
    columns: isHalf ? left.columns : [...left.columns, ...right.columns],
    left,
    right,
    condition,
  };
}

export function distinct(input: Plan): DistinctPlan {
  return { kind: 'distinct', columns: input.columns, input };
}

export function union(...inputs: readonly Plan[]): UnionPlan {
  return { kind: 'union', columns: (inputs[0]?.columns ?? []).map(({ name, type }) => column(name, type)), inputs };
}

export function setDifference(
  kind: 'except' | 'intersect',
  isAll: boolean,
  left: Plan,
  right: Plan,
): SetDifferencePlan {
  return { kind, all: isAll, columns: left.columns.map(({ name, type }) => column(name, type)), left, right };
}

export function by(expression: Expression, descending = false, nullsFirst = descending): SortKey {
  return { expression, descending, nullsFirst };
}

export function topN(
  input: Plan,
  options: {
    partition?: readonly string[];
    order: readonly SortKey[];
    limit: number | null;
    offset?: number;
    single?: boolean;
  },
): TopNPlan {
  const partition = (options.partition ?? []).map((name) => {
    const e = ref(input, name);
    return e.kind === 'column' ? e.id : -1;
  });
  const { order, limit, offset = 0, single = false } = options;
  return { kind: 'topN', columns: input.columns, input, partition, order, limit, offset, single };
}

export function expand(input: Plan, kind: ExpandPlan['fn'], args: readonly Expression[], isLeft: boolean): ExpandPlan {
  const columns = [...input.columns, column('item', 'int4'), column('n', 'int8')];
  return { kind: 'expand', columns, input, fn: kind, args, ordinality: true, left: isLeft };
}

const plain = { skipsNull: true, collect: null, first: null } as const;

/** Aggregates enough to try every way in which the operator keeps them; sum(x) fails above 10. */
export const aggregates = {
  count: {
    ...plain,
    id: 'count(*)',
    args: [],
    result: sqlScalar('int8'),
    linear: {
      slots: 1,
      init: (into, at) => void (into[at] = 0),
      add: (state, at, _args, weight) => void (state[at] = (state[at] as number) + weight),
      result: (state, at) => state[at] ?? null,
    },
  },
  sum: {
    ...plain,
    id: 'sum(int4)',
    args: [sqlScalar('int4')],
    result: sqlScalar('int8'),
    linear: {
      slots: 2,
      init: (into, at) => {
        into[at] = 0;
        into[at + 1] = 0;
      },
      add: (state, at, args, weight) => {
        state[at] = (state[at] as number) + (args[0] as number) * weight;
        state[at + 1] = (state[at + 1] as number) + weight;
      },
      result: (state, at) => {
        if (state[at + 1] === 0) return null;
        if ((state[at] as number) > 10) throw new RowError('22003', 'sum out of range');
        return state[at] as number;
      },
    },
  },
  min: {
    ...plain,
    id: 'min(int4)',
    args: [sqlScalar('int4')],
    result: sqlScalar('int4'),
    linear: null,
    collect: (rows) => [...rows].map(({ args }) => args[0] ?? null)[0] ?? null,
    first: 'ascending',
  },
  max: {
    ...plain,
    id: 'max(int4)',
    args: [sqlScalar('int4')],
    result: sqlScalar('int4'),
    linear: null,
    collect: (rows) => [...rows].map(({ args }) => args[0] ?? null)[0] ?? null,
    first: 'descending',
  },
  list: {
    id: 'list(any)',
    skipsNull: false,
    args: [sqlScalar('int4')],
    result: sqlScalar('text'),
    linear: null,
    first: null,
    collect: (rows) => {
      const items: string[] = [];
      for (const { args, weight } of rows) for (let copy = 0; copy < weight; copy++) items.push(String(args[0]));
      return items.length === 0 ? null : items.join(' ');
    },
  },
} satisfies Record<string, AggregateFunction>;

export function aggregateCall(
  name: keyof typeof aggregates,
  args: readonly Expression[],
  options: { distinct?: boolean; order?: readonly SortKey[]; filter?: Expression } = {},
): AggregateCall {
  const { distinct: isDistinct = false, order = [], filter: condition = null } = options;
  const used = aggregates[name];
  return { id: ++lastId, fn: used, args, distinct: isDistinct, order, filter: condition, type: used.result };
}

export function aggregate(input: Plan, keys: readonly string[], calls: Record<string, AggregateCall>): AggregatePlan {
  const columns = [
    ...input.columns.filter(({ name }) => keys.includes(name)),
    ...Object.entries(calls).map(([name, { id, type }]) => ({ id, name, type })),
  ];
  const ids = columns.slice(0, keys.length).map(({ id }) => id);
  return { kind: 'aggregate', columns, input, keys: ids, aggregates: Object.values(calls) };
}

export function view(name: string, plan: Plan, key: readonly string[] = []): BoundView {
  const positions = key.map((keyName) => plan.columns.findIndex((known) => known.name === keyName));
  return { name, plan, columns: plan.columns, key: positions, order: [] };
}
