import { compileJoinPredicate, compilePredicate, compileRow } from '../../../views/expressions/compile.ts';
import type { Layout } from '../../../views/expressions/compile.ts';
import { RowError } from '../../../views/expressions/expression.ts';
import type { AggregateCall, Expression, SortKey } from '../../../views/expressions/expression.ts';
import { compileKey } from '../../../views/expressions/key.ts';
import { compareBy, compareRows } from '../../../views/expressions/order.ts';
import type {
  AggregatePlan,
  ExpandPlan,
  JoinPlan,
  Plan,
  SetDifferencePlan,
  TopNPlan,
} from '../../../views/plan/plan.ts';
import { expandFunction } from '../../../views/plan/lower-expand.ts';
import type { Row, StateKey, Value } from '../../../views/value.ts';

/** What relations hold; a row stands there as often as it is there. */
export type Relations = ReadonlyMap<string, readonly Row[]>;

/**
 * The batch definition of a plan: its rows, computed from nothing but what the relations hold. Rows that cannot be evaluated are left
 * out. Written to be read, not to be fast.
 */
export function evaluate(plan: Plan, relations: Relations): Row[] {
  switch (plan.kind) {
    case 'scan':
      return (relations.get(plan.relation) ?? []).map((row) => plan.positions.map((at) => row[at] ?? null));
    case 'values':
      return plan.rows.flatMap((expressions) => surviving(() => compileRow(expressions, new Map())([])));
    case 'filter': {
      const condition = compilePredicate(plan.condition, layout(plan.input));
      return evaluate(plan.input, relations).flatMap((row) => surviving(() => condition(row), row));
    }
    case 'project': {
      const compute = compileRow(plan.expressions, layout(plan.input));
      return evaluate(plan.input, relations).flatMap((row) => surviving(() => compute(row)));
    }
    case 'join':
      return evaluateJoin(plan, evaluate(plan.left, relations), evaluate(plan.right, relations));
    case 'aggregate':
      return evaluateAggregate(plan, evaluate(plan.input, relations));
    case 'distinct':
      return [...groups(evaluate(plan.input, relations), allKey(plan)).values()].map((rows) => first(plan, rows));
    case 'topN':
      return evaluateTopN(plan, evaluate(plan.input, relations));
    case 'union':
      return plan.inputs.flatMap((input) => evaluate(input, relations));
    case 'except':
    case 'intersect':
      return evaluateDifference(plan, evaluate(plan.left, relations), evaluate(plan.right, relations));
    case 'expand':
      return evaluateExpand(plan, evaluate(plan.input, relations));
    case 'apply':
      throw new Error('no definition');
  }
}

function layout(...plans: readonly Plan[]): Layout {
  return new Map(plans.flatMap(({ columns }) => columns).map(({ id }, index) => [id, index]));
}

/** The row, or what is computed, unless it fails or the answer is no. */
function surviving(compute: () => Row | boolean, row: Row = []): Row[] {
  try {
    const result = compute();
    if (typeof result === 'boolean') return result ? [row] : [];
    return [result];
  } catch (error) {
    if (error instanceof RowError) return [];
    throw error;
  }
}

function groups(rows: readonly Row[], keyOf: (row: Row) => StateKey | undefined): Map<StateKey | undefined, Row[]> {
  const found = new Map<StateKey | undefined, Row[]>();
  for (const row of rows) {
    const group = found.get(keyOf(row));
    if (group === undefined) found.set(keyOf(row), [row]);
    else group.push(row);
  }
  return found;
}

function allKey({ columns }: Plan): (row: Row) => StateKey | undefined {
  const types = columns.map(({ type }) => type);
  const positions = types.map((_, index) => index);
  return compileKey(types, positions, 'keep');
}

function first({ columns }: Plan, rows: readonly Row[]): Row {
  return rows.toSorted(compareRows(columns.map(({ type }) => type)))[0] ?? [];
}

function evaluateJoin(
  { type, left, right, condition }: JoinPlan,
  lefts: readonly Row[],
  rights: readonly Row[],
): Row[] {
  const matches = compileJoinPredicate(condition, layout(left), layout(right));
  const isMatch = (a: Row, b: Row) => surviving(() => matches(a, b)).length > 0;
  const pairs = lefts.flatMap((a) => rights.filter((b) => isMatch(a, b)).map((b) => [...a, ...b]));
  const has = (a: Row) => rights.some((b) => isMatch(a, b));
  const nulls = (plan: Plan): Value[] => plan.columns.map(() => null);
  if (type === 'semi') return lefts.filter((a) => has(a));
  if (type === 'anti') return lefts.filter((a) => !has(a));
  const lefts0 = type === 'inner' ? [] : lefts.filter((a) => !has(a)).map((a) => [...a, ...nulls(right)]);
  const alone = type === 'full' ? rights.filter((b) => !lefts.some((a) => isMatch(a, b))) : [];
  return [...pairs, ...lefts0, ...alone.map((b) => [...nulls(left), ...b])];
}

function evaluateAggregate(plan: AggregatePlan, rows: readonly Row[]): Row[] {
  const at = layout(plan.input);
  const keys = plan.keys.map((id) => plan.input.columns.find((column) => column.id === id)?.type);
  const positions = plan.keys.map((id) => at.get(id) ?? -1);
  const reads = plan.aggregates.flatMap(({ args, filter, order }) => [
    ...args,
    ...(filter === null ? [] : [filter]),
    ...order.map(({ expression }) => expression),
  ]);
  const compute = compileRow(reads, at);
  const good = rows.filter((row) => surviving(() => compute(row)).length > 0);
  const keyOf = compileKey(
    keys.flatMap((type) => type ?? []),
    positions,
    'keep',
  );
  const found = groups(good, keyOf);
  if (keys.length === 0 && found.size === 0) found.set(undefined, []);
  return [...found.values()].flatMap((group) => {
    const key = group.map((row) => positions.map((position) => row[position] ?? null));
    const keyRow = key.toSorted(compareRows(keys.flatMap((type) => type ?? [])))[0] ?? [];
    return surviving(() => [...keyRow, ...plan.aggregates.map((call) => result(call, group, at))]);
  });
}

function result({ fn, args, filter, order, distinct }: AggregateCall, group: readonly Row[], at: Layout): Value {
  const accepts = filter === null ? () => true : compilePredicate(filter, at);
  const compute = compileRow(args, at);
  const rows = group
    .filter((row) => accepts(row))
    .toSorted(inOrder(order, at))
    .map((row) => compute(row))
    .filter((values) => !fn.skipsNull || values.length === 0 || values[0] !== null);
  const types = args.map(({ type }) => type);
  const keyOf = compileKey(
    types,
    types.map((_, index) => index),
    'keep',
  );
  // Ties, and calls without an order, by the arguments.
  const computeOrder = compileRow([...order.map(({ expression }) => expression), ...args], at);
  const width = order.length;
  const orderKeys = order.map(({ expression, descending, nullsFirst }, position) => {
    return { position, type: expression.type, descending, nullsFirst };
  });
  const sorted = group
    .filter((row) => accepts(row))
    .map((row) => computeOrder(row))
    .toSorted((a, b) => compareBy(orderKeys)(a, b) || compareRows(types)(a.slice(width), b.slice(width)))
    .map((row) => row.slice(width))
    .filter((values) => !fn.skipsNull || values.length === 0 || values[0] !== null);
  const used = distinct
    ? sorted.filter((values, index) => index === sorted.findIndex((o) => keyOf(o) === keyOf(values)))
    : sorted;
  if (fn.linear !== null) {
    const state: Value[] = [];
    fn.linear.init(state, 0);
    for (const values of distinct ? used : rows) fn.linear.add(state, 0, values, 1);
    return fn.linear.result(state, 0);
  }
  if (fn.first !== null) {
    const values = rows.toSorted(
      compareBy([
        { position: 0, type: types[0] ?? fn.result, descending: fn.first === 'descending', nullsFirst: false },
      ]),
    );
    return values[0]?.[0] ?? null;
  }
  return fn.collect?.(used.map((values) => ({ args: values, weight: 1 }))) ?? null;
}

function inOrder(order: readonly SortKey[], at: Layout): (a: Row, b: Row) => number {
  const compute = compileRow(
    order.map(({ expression }): Expression => expression),
    at,
  );
  const compare = compareBy(
    order.map(({ expression, descending, nullsFirst }, position) => {
      return { position, type: expression.type, descending, nullsFirst };
    }),
  );
  return (a, b) => compare(compute(a), compute(b));
}

function evaluateTopN(plan: TopNPlan, rows: readonly Row[]): Row[] {
  const at = layout(plan.input);
  const types = plan.input.columns.map(({ type }) => type);
  const positions = plan.partition.map((id) => at.get(id) ?? -1);
  const keyOf = compileKey(
    positions.map((position) => types[position]).flatMap((type) => type ?? []),
    positions,
    'keep',
  );
  const compare = inOrder(plan.order, at);
  return [...groups(rows, keyOf).values()].flatMap((group) => {
    if (plan.single === true && group.length > 1) return [];
    const sorted = group.toSorted((a, b) => compare(a, b) || compareRows(types)(a, b));
    return sorted.slice(plan.offset, plan.limit === null ? undefined : plan.offset + plan.limit);
  });
}

function evaluateDifference(plan: SetDifferencePlan, lefts: readonly Row[], rights: readonly Row[]): Row[] {
  const keyOf = allKey(plan);
  const others = groups(rights, keyOf);
  return [...groups(lefts, keyOf)].flatMap(([key, group]) => {
    const count = others.get(key)?.length ?? 0;
    const sorted = group.toSorted(compareRows(plan.columns.map(({ type }) => type)));
    if (plan.kind === 'except') return plan.all ? sorted.slice(count) : sorted.slice(0, count === 0 ? 1 : 0);
    return sorted.slice(0, plan.all ? count : Math.min(count, 1));
  });
}

function evaluateExpand(plan: ExpandPlan, rows: readonly Row[]): Row[] {
  const args = compileRow(plan.args, layout(plan.input));
  const make = expandFunction(plan);
  return rows.flatMap((row) => {
    const made = make(args(row)).map((values, index) => [...row, ...values, ...(plan.ordinality ? [index + 1] : [])]);
    return made.length === 0 && plan.left ? [[...row, null, ...(plan.ordinality ? [null] : [])]] : made;
  });
}
