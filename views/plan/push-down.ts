import { filterOf, joinOf, narrow, projectOf } from './build.ts';
import { idsOf, inputsOf, mapInputs, visit } from './columns.ts';
import { columnOf, conjuncts, substitute, uses, within } from './expressions.ts';
import { joined } from './join-order.ts';
import { computedLate } from './late.ts';
import { rejectsNull } from './nulls.ts';
import type { ColumnId, Expression } from '../expressions/expression.ts';
import type { JoinPlan, Plan, ProjectPlan } from './plan.ts';

/**
 * Tests rows as early as can be: conditions move down to the scans, outer joins whose missing rows are thrown away become inner ones,
 * and inner joins are ordered by what connects them. A subplan that is used several times is a wall: what is above it concerns one use only.
 * Plans that come back have the columns of those that went in, perhaps in another order and with others besides.
 */
export function pushDown(plan: Plan): Plan {
  return narrow(new PushDown(plan).apply(plan, []), plan.columns);
}

interface Test {
  readonly type: 'semi' | 'anti';
  readonly right: Plan;
  readonly conditions: readonly Expression[];
}

class PushDown {
  readonly #uses = new Map<Plan, number>();
  readonly #shared = new Map<Plan, Plan>();

  constructor(plan: Plan) {
    visit(plan, (node) => {
      for (const input of inputsOf(node)) this.#uses.set(input, (this.#uses.get(input) ?? 0) + 1);
    });
  }

  /** The rows of `plan` for which all conditions are true. */
  apply(plan: Plan, conditions: readonly Expression[]): Plan {
    if (!this.#isShared(plan)) return this.#operator(plan, conditions);
    let known = this.#shared.get(plan);
    if (known === undefined) {
      known = narrow(this.#operator(plan, []), plan.columns);
      this.#shared.set(plan, known);
    }
    return filterOf(known, conditions);
  }

  #isShared(plan: Plan): boolean {
    return (this.#uses.get(plan) ?? 0) > 1;
  }

  #operator(plan: Plan, conditions: readonly Expression[]): Plan {
    switch (plan.kind) {
      case 'scan':
      case 'values':
      case 'apply':
        return filterOf(plan, conditions);
      case 'filter':
        return this.#isShared(plan.input)
          ? this.apply(plan.input, [...conjuncts(plan.condition), ...conditions])
          : this.#operator(plan.input, [...conjuncts(plan.condition), ...conditions]);
      case 'project': {
        const values = outputsOf(plan);
        const below = conditions.map((condition) => substitute(condition, values));
        return projectOf(this.apply(plan.input, below), plan.expressions, plan.columns);
      }
      case 'join':
        return this.#join(plan, conditions);
      case 'aggregate': {
        const keys = new Set(plan.keys);
        const [below, above] = split(conditions, (e) => plan.keys.length > 0 && within(e, keys));
        return filterOf({ ...plan, input: this.apply(plan.input, below) }, above);
      }
      case 'distinct': {
        const input = narrow(this.apply(plan.input, conditions), plan.columns);
        return { ...plan, input };
      }
      case 'topN': {
        const late = this.#isShared(plan.input) ? plan : computedLate(plan);
        if (late.kind !== 'topN') return this.#operator(late, conditions);
        const partition = new Set(plan.partition);
        const [below, above] = split(conditions, (e) => plan.partition.length > 0 && within(e, partition));
        const input = this.apply(plan.input, below);
        return filterOf({ ...plan, input, columns: input.columns }, above);
      }
      case 'union': {
        const inputs = plan.inputs.map((input) => this.#positional(plan, input, conditions));
        return { ...plan, inputs };
      }
      case 'except':
      case 'intersect':
        return {
          ...plan,
          left: this.#positional(plan, plan.left, conditions),
          right: this.#positional(plan, plan.right, conditions),
        };
      case 'expand': {
        const given = idsOf(plan.input);
        const [below, above] = split(conditions, (e) => within(e, given));
        return filterOf(
          mapInputs(plan, (input) => this.apply(input, below)),
          above,
        );
      }
    }
  }

  /** An input of a set operation, with the conditions said over its own columns. */
  #positional(plan: Plan, input: Plan, conditions: readonly Expression[]): Plan {
    const columns = new Map<ColumnId, Expression>();
    plan.columns.forEach(({ id }, at) => {
      const column = input.columns[at];
      if (column !== undefined) columns.set(id, { kind: 'column', id: column.id, type: column.type });
    });
    return narrow(
      this.apply(
        input,
        conditions.map((e) => substitute(e, columns)),
      ),
      input.columns,
    );
  }

  #join(plan: JoinPlan, conditions: readonly Expression[]): Plan {
    const stricter = withoutMissing(plan, conditions);
    if (stricter !== plan) return this.#join(stricter, conditions);
    switch (plan.type) {
      case 'inner':
      case 'semi':
      case 'anti':
        return this.#group(plan, conditions);
      case 'left': {
        const left = idsOf(plan.left);
        const right = idsOf(plan.right);
        const [below, above] = split(conditions, (e) => within(e, left));
        const [ofRight, rest] = split(conjuncts(plan.condition), (e) => uses(e, right) && within(e, right));
        const join = joinOf('left', this.apply(plan.left, below), this.apply(plan.right, ofRight), rest);
        return filterOf(join, above);
      }
      case 'full':
        return filterOf(
          joinOf('full', this.apply(plan.left, []), this.apply(plan.right, []), conjuncts(plan.condition)),
          conditions,
        );
    }
  }

  /** Inner joins that follow one another, with the semi- and anti-joins among them: one group of leaves, conditions and tests. */
  #group(plan: Plan, outer: readonly Expression[]): Plan {
    const leaves: Plan[] = [];
    const tests: Test[] = [];
    const conditions = [...outer];
    const renamed = new Map<ColumnId, Expression>();
    const gather = (node: Plan, top: boolean): void => {
      if (!top && this.#isShared(node)) leaves.push(node);
      else if (node.kind === 'filter') {
        conditions.push(...conjuncts(node.condition));
        gather(node.input, false);
      } else if (node.kind === 'project' && onlyRenames(node) && !this.#isShared(node.input)) {
        for (const [id, e] of outputsOf(node)) if (e.kind === 'column' && e.id !== id) renamed.set(id, e);
        gather(node.input, false);
      } else if (node.kind === 'join' && node.type === 'inner') {
        gather(node.left, false);
        gather(node.right, false);
        conditions.push(...conjuncts(node.condition));
      } else if (node.kind === 'join' && (node.type === 'semi' || node.type === 'anti')) {
        gather(node.left, false);
        tests.push(this.#test(node.type, node, conditions));
      } else leaves.push(node);
    };
    gather(plan, true);
    const original = (e: Expression): Expression => (uses(e, renamed) ? original(substitute(e, renamed)) : e);
    for (;;) {
      const known = conditions.map(original);
      const at = leaves.findIndex((leaf) => !this.#isShared(leaf) && isStricter(leaf, known));
      const leaf = leaves[at];
      if (leaf?.kind !== 'join') break;
      const after = leaves.splice(at).slice(1);
      gather(withoutMissing(leaf, known), true);
      leaves.push(...after);
    }
    if (renamed.size === 0) return this.#joinGroup(leaves, conditions, tests);
    const rows = this.#joinGroup(
      leaves,
      conditions.map(original),
      tests.map((test) => ({ ...test, conditions: test.conditions.map(original) })),
    );
    const names = [...renamed].map(([id, e]) => ({
      column: { id, name: nameOf(e, rows), type: e.type },
      e: original(e),
    }));
    return projectOf(
      rows,
      [...rows.columns.map(columnOf), ...names.map(({ e }) => e)],
      [...rows.columns, ...names.map(({ column }) => column)],
    );
  }

  /** What only the left side is asked goes to it (not for anti: there it decides whether there is a partner). */
  #test(type: 'semi' | 'anti', node: JoinPlan, conditions: Expression[]): Test {
    const left = idsOf(node.left);
    const right = idsOf(node.right);
    const [ofRight, others] = split(conjuncts(node.condition), (e) => uses(e, right) && within(e, right));
    const [ofLeft, rest] = split(others, (e) => type === 'semi' && uses(e, left) && within(e, left));
    conditions.push(...ofLeft);
    return { type, right: this.apply(node.right, ofRight), conditions: rest };
  }

  #joinGroup(leaves: readonly Plan[], conditions: readonly Expression[], tests: readonly Test[]): Plan {
    const sides = leaves.map((leaf) => ({ leaf, ids: idsOf(leaf) }));
    const owned = new Map<Plan, Expression[]>();
    const between: Expression[] = [];
    for (const condition of conditions) {
      const side = sides.find(({ ids }) => uses(condition, ids) && within(condition, ids));
      if (side === undefined) between.push(condition);
      else owned.set(side.leaf, [...(owned.get(side.leaf) ?? []), condition]);
    }
    const all = new Set(sides.flatMap(({ ids }) => [...ids]));
    const late: Test[] = [];
    const early = new Map<Plan, Test[]>();
    for (const test of tests) {
      const used = (ids: ReadonlySet<ColumnId>): boolean => test.conditions.some((e) => uses(e, ids));
      const side = sides.find(({ ids }) => used(ids) && !used(without(all, ids)));
      if (side === undefined) late.push(test);
      else early.set(side.leaf, [...(early.get(side.leaf) ?? []), test]);
    }
    const inputs = leaves.map((leaf) =>
      (early.get(leaf) ?? []).reduce(tested, this.apply(leaf, owned.get(leaf) ?? [])),
    );
    return late.reduce(tested, joined(inputs, between));
  }
}

function tested(plan: Plan, { type, right, conditions }: Test): Plan {
  return joinOf(type, plan, right, conditions);
}

/** The join without the rows that the conditions throw away: those that have no partner on one side. */
function withoutMissing(plan: JoinPlan, conditions: readonly Expression[]): JoinPlan {
  if (plan.type !== 'left' && plan.type !== 'full') return plan;
  const rejected = new Set(conditions.flatMap((condition) => [...rejectsNull(condition)]));
  const needsLeft = plan.left.columns.some(({ id }) => rejected.has(id));
  const needsRight = plan.right.columns.some(({ id }) => rejected.has(id));
  if (plan.type === 'left') return needsRight ? { ...plan, type: 'inner' } : plan;
  if (needsLeft && needsRight) return { ...plan, type: 'inner' };
  if (needsLeft) return { ...plan, type: 'left' };
  if (!needsRight) return plan;
  return {
    ...plan,
    type: 'left',
    left: plan.right,
    right: plan.left,
    columns: [...plan.right.columns, ...plan.left.columns],
  };
}

function isStricter(plan: Plan, conditions: readonly Expression[]): boolean {
  return plan.kind === 'join' && withoutMissing(plan, conditions).type === 'inner' && plan.type !== 'inner';
}

function onlyRenames(plan: ProjectPlan): boolean {
  return plan.expressions.every(({ kind }) => kind === 'column');
}

function nameOf(e: Expression, { columns }: Plan): string {
  return columns.find(({ id }) => e.kind === 'column' && id === e.id)?.name ?? 'column';
}

function outputsOf(plan: ProjectPlan): Map<ColumnId, Expression> {
  const outputs = new Map<ColumnId, Expression>();
  plan.columns.forEach(({ id }, at) => {
    const e = plan.expressions[at];
    if (e !== undefined) outputs.set(id, e);
  });
  return outputs;
}

function split<T>(list: readonly T[], test: (item: T) => boolean): [yes: T[], no: T[]] {
  return [list.filter((item) => test(item)), list.filter((item) => !test(item))];
}

function without(all: ReadonlySet<ColumnId>, ids: ReadonlySet<ColumnId>): Set<ColumnId> {
  return new Set([...all].filter((id) => !ids.has(id)));
}
