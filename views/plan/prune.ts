import { narrow, projectOf } from './build.ts';
import { expressionsIn, idsOf, inputsOf, mapInputs, visit } from './columns.ts';
import { addColumns, columnsIn, expressionsOf, substitute } from './expressions.ts';
import type { ColumnId, Expression } from '../expressions/expression.ts';
import type { Plan, PlanColumn, ProjectPlan, UnionPlan } from './plan.ts';

/** Leaves out every column that nothing uses, down to the scans, and projections that do nothing. */
export function prune(plan: Plan): Plan {
  const nodes: Plan[] = [];
  visit(plan, (node) => nodes.push(node));
  const needed = new Map<Plan, Set<ColumnId>>(nodes.map((node) => [node, new Set()]));
  needed.set(plan, idsOf(plan));
  // Each after all of those that use it.
  for (const node of nodes.reverse()) demand(node, needed);
  const done = new Map<Plan, Plan>();
  const go = (node: Plan): Plan => {
    const known = done.get(node);
    if (known !== undefined) return known;
    const wanted = needed.get(node) ?? new Set<ColumnId>();
    const result = exact(rebuilt(node, wanted, go), wanted);
    done.set(node, result);
    return result;
  };
  return narrow(go(plan), plan.columns);
}

/** Adds what a node needs of its inputs. */
function demand(node: Plan, needed: ReadonlyMap<Plan, Set<ColumnId>>): void {
  const own = needed.get(node) ?? new Set<ColumnId>();
  const used = new Set<ColumnId>();
  switch (node.kind) {
    case 'project':
      node.expressions.forEach((e, at) => {
        if (own.has(node.columns[at]?.id ?? -1)) addColumns(e, used);
      });
      break;
    case 'aggregate':
      node.keys.forEach((id) => used.add(id));
      for (const call of node.aggregates) {
        if (own.has(call.id)) expressionsOf(call).forEach((e) => addColumns(e, used));
      }
      break;
    case 'union':
      for (const input of node.inputs) {
        node.columns.forEach(({ id }, at) => {
          const column = input.columns[at];
          if (own.has(id) && column !== undefined) needed.get(input)?.add(column.id);
        });
      }
      return;
    case 'distinct':
    case 'except':
    case 'intersect':
      for (const input of inputsOf(node)) input.columns.forEach(({ id }) => needed.get(input)?.add(id));
      return;
    default:
      own.forEach((id) => used.add(id));
      if (node.kind === 'topN') node.partition.forEach((id) => used.add(id));
      expressionsIn(node).forEach((e) => addColumns(e, used));
  }
  for (const input of inputsOf(node)) {
    const wanted = needed.get(input);
    for (const { id } of input.columns) if (used.has(id)) wanted?.add(id);
  }
}

/** Columns that only the node itself used go at once, so that no state above holds them: a projection of columns costs nothing. */
function exact(node: Plan, needed: ReadonlySet<ColumnId>): Plan {
  if (node.kind !== 'join' && node.kind !== 'filter' && node.kind !== 'aggregate' && node.kind !== 'topN') return node;
  const columns = node.columns.filter(({ id }) => needed.has(id));
  return narrow(node, columns);
}

function rebuilt(node: Plan, needed: ReadonlySet<ColumnId>, go: (input: Plan) => Plan): Plan {
  const keep = (columns: readonly PlanColumn[]): PlanColumn[] => columns.filter(({ id }) => needed.has(id));
  switch (node.kind) {
    case 'scan': {
      const columns = keep(node.columns);
      return {
        ...node,
        columns,
        positions: node.positions.filter((_, at) => needed.has(node.columns[at]?.id ?? -1)),
        key: node.key.every((id) => needed.has(id)) ? node.key : [],
        notNull: (node.notNull ?? []).filter((id) => needed.has(id)),
      };
    }
    case 'values': {
      const rows = node.rows.map((row) => row.filter((_, at) => needed.has(node.columns[at]?.id ?? -1)));
      return { ...node, rows, columns: keep(node.columns) };
    }
    case 'project':
      return rebuiltProject(node, needed, go);
    case 'aggregate': {
      const aggregates = node.aggregates.filter(({ id }) => needed.has(id));
      const columns = [...node.columns.slice(0, node.keys.length), ...keep(node.columns.slice(node.keys.length))];
      return { ...node, input: go(node.input), aggregates, columns };
    }
    case 'distinct':
      return { ...node, input: narrow(go(node.input), node.input.columns) };
    case 'except':
    case 'intersect':
      return {
        ...node,
        left: narrow(go(node.left), node.left.columns),
        right: narrow(go(node.right), node.right.columns),
      };
    case 'union':
      return rebuiltUnion(node, needed, go);
    default:
      return mapInputs(node, go);
  }
}

function rebuiltProject(node: ProjectPlan, needed: ReadonlySet<ColumnId>, go: (input: Plan) => Plan): Plan {
  const input = go(node.input);
  const columns: PlanColumn[] = [];
  const expressions: Expression[] = [];
  node.columns.forEach((column, at) => {
    const e = node.expressions[at];
    if (e === undefined || !needed.has(column.id)) return;
    columns.push(column);
    expressions.push(e);
  });
  if (expressions.every((e, at) => e.kind === 'column' && e.id === columns[at]?.id)) return narrow(input, columns);
  return merged(projectOf(input, expressions, columns));
}

/** A projection of a projection in one, where nothing is then computed twice. */
function merged(plan: ProjectPlan | Plan): Plan {
  if (plan.kind !== 'project' || plan.input.kind !== 'project') return plan;
  const inner = plan.input;
  const values = new Map<ColumnId, Expression>();
  inner.columns.forEach(({ id }, at) => {
    const e = inner.expressions[at];
    if (e !== undefined) values.set(id, e);
  });
  const times = new Map<ColumnId, number>();
  for (const e of plan.expressions) for (const id of columnsIn(e)) times.set(id, (times.get(id) ?? 0) + 1);
  const cheap = [...times].every(([id, count]) => {
    const e = values.get(id);
    return e === undefined || count === 1 || e.kind === 'column' || e.kind === 'literal';
  });
  return cheap
    ? projectOf(
        inner.input,
        plan.expressions.map((e) => substitute(e, values)),
        plan.columns,
      )
    : plan;
}

function rebuiltUnion(node: UnionPlan, needed: ReadonlySet<ColumnId>, go: (input: Plan) => Plan): Plan {
  const kept = node.columns.flatMap(({ id }, at) => (needed.has(id) ? [at] : []));
  const pick = (columns: readonly PlanColumn[]): PlanColumn[] => kept.flatMap((at) => columns[at] ?? []);
  return {
    ...node,
    inputs: node.inputs.map((input) => narrow(go(input), pick(input.columns))),
    columns: pick(node.columns),
  };
}
