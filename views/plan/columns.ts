import { addColumns, expressionsOf, mapAggregate, mapAll, mapOrder } from './expressions.ts';
import type { AggregateCall, ColumnId, Expression } from '../expressions/expression.ts';
import type { Plan, PlanColumn } from './plan.ts';

export function idsOf(plan: Plan): Set<ColumnId> {
  return new Set(plan.columns.map(({ id }) => id));
}

export function inputsOf(plan: Plan): readonly Plan[] {
  switch (plan.kind) {
    case 'scan':
    case 'values':
      return [];
    case 'filter':
    case 'project':
    case 'aggregate':
    case 'distinct':
    case 'topN':
    case 'expand':
      return [plan.input];
    case 'join':
    case 'apply':
    case 'except':
    case 'intersect':
      return [plan.left, plan.right];
    case 'union':
      return plan.inputs;
  }
}

/** The relations that a plan reads, each once. */
export function relationsIn(plan: Plan): string[] {
  const names = new Set<string>();
  const walk = (node: Plan): void => {
    if (node.kind === 'scan') names.add(node.relation);
    inputsOf(node).forEach(walk);
  };
  walk(plan);
  return [...names];
}

/** The same operation over other inputs, its columns made anew where they are its inputs'; itself when nothing changed. */
export function mapInputs(plan: Plan, map: (input: Plan) => Plan): Plan {
  switch (plan.kind) {
    case 'scan':
    case 'values':
      return plan;
    case 'filter':
    case 'topN':
    case 'distinct': {
      const input = map(plan.input);
      return input === plan.input ? plan : { ...plan, input, columns: input.columns };
    }
    case 'project':
    case 'aggregate': {
      const input = map(plan.input);
      return input === plan.input ? plan : { ...plan, input };
    }
    case 'expand': {
      const input = map(plan.input);
      if (input === plan.input) return plan;
      return { ...plan, input, columns: [...input.columns, ...plan.columns.slice(plan.input.columns.length)] };
    }
    case 'join':
    case 'apply': {
      const left = map(plan.left);
      const right = map(plan.right);
      if (left === plan.left && right === plan.right) return plan;
      const one = plan.type === 'semi' || plan.type === 'anti';
      return { ...plan, left, right, columns: one ? left.columns : [...left.columns, ...right.columns] };
    }
    case 'except':
    case 'intersect': {
      const left = map(plan.left);
      const right = map(plan.right);
      return left === plan.left && right === plan.right ? plan : { ...plan, left, right };
    }
    case 'union': {
      const inputs = mapAll(plan.inputs, map);
      return inputs === plan.inputs ? plan : { ...plan, inputs };
    }
  }
}

/** The expressions of the node itself, aggregates' included. */
export function expressionsIn(plan: Plan): readonly Expression[] {
  switch (plan.kind) {
    case 'scan':
    case 'distinct':
    case 'union':
    case 'except':
    case 'intersect':
      return [];
    case 'values':
      return plan.rows.flat();
    case 'filter':
    case 'join':
    case 'apply':
      return [plan.condition];
    case 'project':
      return plan.expressions;
    case 'aggregate':
      return plan.aggregates.flatMap(expressionsOf);
    case 'topN':
      return plan.order.map(({ expression }) => expression);
    case 'expand':
      return plan.args;
  }
}

/** Rewrites the expressions of the node itself, not those below it. */
export function mapExpressions(plan: Plan, map: (e: Expression) => Expression): Plan {
  switch (plan.kind) {
    case 'scan':
    case 'distinct':
    case 'union':
    case 'except':
    case 'intersect':
      return plan;
    case 'values': {
      const rows = mapAll(plan.rows, (row) => mapAll(row, map));
      return rows === plan.rows ? plan : { ...plan, rows };
    }
    case 'filter':
    case 'join':
    case 'apply': {
      const condition = map(plan.condition);
      return condition === plan.condition ? plan : { ...plan, condition };
    }
    case 'project': {
      const expressions = mapAll(plan.expressions, map);
      return expressions === plan.expressions ? plan : { ...plan, expressions };
    }
    case 'aggregate': {
      const aggregates = mapAll<AggregateCall>(plan.aggregates, (call) => mapAggregate(call, map));
      return aggregates === plan.aggregates ? plan : { ...plan, aggregates };
    }
    case 'topN': {
      const order = mapOrder(plan.order, map);
      return order === plan.order ? plan : { ...plan, order };
    }
    case 'expand': {
      const args = mapAll(plan.args, map);
      return args === plan.args ? plan : { ...plan, args };
    }
  }
}

/** Rewrites every expression of a plan; subplans that are used several times stay one object. */
export function rewritePlan(plan: Plan, map: (e: Expression) => Expression): Plan {
  const done = new Map<Plan, Plan>();
  const go = (node: Plan): Plan => {
    const known = done.get(node);
    if (known !== undefined) return known;
    const result = mapExpressions(mapInputs(node, go), map);
    done.set(node, result);
    return result;
  };
  return go(plan);
}

/** Visits every node once, inputs first. */
export function visit(plan: Plan, visitor: (node: Plan) => void): void {
  const seen = new Set<Plan>();
  const go = (node: Plan): void => {
    if (seen.has(node)) return;
    seen.add(node);
    inputsOf(node).forEach(go);
    visitor(node);
  };
  go(plan);
}

/** Columns that the plan uses and that none of its own nodes gives. */
export function freeColumns(plan: Plan): Set<ColumnId> {
  const used = new Set<ColumnId>();
  const given = new Set<ColumnId>();
  visit(plan, (node) => {
    for (const { id } of node.columns) given.add(id);
    for (const e of expressionsIn(node)) addColumns(e, used);
    if (node.kind === 'aggregate') node.keys.forEach((id) => used.add(id));
    if (node.kind === 'topN') node.partition.forEach((id) => used.add(id));
  });
  for (const id of given) used.delete(id);
  return used;
}

/** Gives ids that nothing in a query uses yet. */
export class Ids {
  #next: ColumnId;

  constructor(next: ColumnId) {
    this.#next = next;
  }

  /** After the ids that the plan uses. */
  static after(plan: Plan): Ids {
    let last = -1;
    visit(plan, (node) => {
      for (const { id } of node.columns) last = Math.max(last, id);
    });
    return new Ids(last + 1);
  }

  next(): ColumnId {
    return this.#next++;
  }

  column(name: string, type: PlanColumn['type']): PlanColumn {
    return { id: this.next(), name, type };
  }
}
