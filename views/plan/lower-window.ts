import { columnOf } from './expressions.ts';
import { SetDifference } from '../operators/set-difference.ts';
import { Window } from '../operators/window.ts';
import { layoutOf, nodeOf } from './lower-graph.ts';
import type { GraphBuilder, Lowered } from './lower-graph.ts';
import type { DistinctPlan, SetDifferencePlan, TopNPlan } from './plan.ts';

/** DISTINCT: the first of equal rows. */
export function lowerDistinct(plan: DistinctPlan, identity: string, input: Lowered, graph: GraphBuilder): Lowered {
  const { lowered, arrange, compare } = graph.arrange(input, { keys: input.columns.map(columnOf) });
  const name = `distinct-${identity}`;
  const window = new Window({ name, input: arrange, compare, span: { from: 0, to: 1 }, single: false });
  const node = graph.add(nodeOf(name, 'distinct', '', window, [lowered.node]));
  return { ...lowered, node, identity, columns: plan.columns };
}

export function lowerTopN(plan: TopNPlan, identity: string, input: Lowered, graph: GraphBuilder): Lowered {
  const partition = input.columns.filter(({ id }) => plan.partition.includes(id));
  const { lowered, arrange, compare } = graph.arrange(input, { keys: partition.map(columnOf), order: plan.order });
  const name = `top-${identity}`;
  const span = { from: plan.offset, to: plan.limit === null ? Infinity : plan.offset + plan.limit };
  const window = new Window({ name, input: arrange, compare, span, single: plan.single === true });
  const what = plan.single === true ? 'at most one row' : `rows ${span.from + 1} to ${span.to}`;
  const each = partition.length === 0 ? '' : ` of each (${partition.map((column) => column.name).join(', ')})`;
  const node = graph.add(nodeOf(name, 'top', `${what}${each}`, window, [lowered.node]));
  const layout = layoutOf(lowered);
  return {
    ...lowered,
    node,
    identity,
    columns: plan.columns,
    positions: plan.columns.map(({ id }) => layout.get(id) ?? 0),
  };
}

export function lowerSetDifference(
  plan: SetDifferencePlan,
  identity: string,
  left: Lowered,
  right: Lowered,
  graph: GraphBuilder,
): Lowered {
  const arrangedLeft = graph.arrange(left, { keys: left.columns.map(columnOf) });
  const arrangedRight = graph.arrange(right, { keys: right.columns.map(columnOf), totalsOnly: true });
  const { kind, all } = plan;
  const operator = new SetDifference({
    kind,
    all,
    left: arrangedLeft.arrange,
    right: arrangedRight.arrange,
    compare: arrangedLeft.compare,
  });
  const inputs = [arrangedLeft.lowered.node, arrangedRight.lowered.node];
  const node = graph.add(nodeOf(`${kind}-${identity}`, kind, all ? 'all' : '', operator, inputs));
  return { ...arrangedLeft.lowered, node, identity, columns: plan.columns };
}
