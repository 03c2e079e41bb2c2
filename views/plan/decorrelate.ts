import { callAggregate, callOperator } from '../expressions/resolve.ts';
import { sqlScalar } from '../type.ts';
import { filterOf, joinOf, matches, narrow, projectOf } from './build.ts';
import { freeColumns, idsOf, mapInputs } from './columns.ts';
import {
  and,
  caseWhen,
  columnOf,
  conjuncts,
  isNull,
  isTrue,
  isTrueValue,
  not,
  nullOf,
  or,
  substitute,
  trueLiteral,
  uses,
} from './expressions.ts';
import { equalityOf, splitCondition } from './join-keys.ts';
import { columnIds, isSingle } from './keys.ts';
import { isNonNull, nonNullColumns } from './nulls.ts';
import { pullUp } from './pull-up.ts';
import { emptyResult } from './scalar-aggregate.ts';
import { singleRow } from './single-row.ts';
import { overUnits } from './units.ts';
import { Unnester } from './unnest.ts';
import type { ColumnId, Expression } from '../expressions/expression.ts';
import type { Ids } from './columns.ts';
import type {
  AggregatePlan,
  ApplyPlan,
  ExpandPlan,
  FilterPlan,
  JoinPlan,
  Plan,
  PlanColumn,
  ProjectPlan,
} from './plan.ts';

/** Joins, groups and filters in place of every `apply`; from the inside out, so that a subplan holds none when its own is replaced. */
export function decorrelate(plan: Plan, ids: Ids): Plan {
  const done = new Map<Plan, Plan>();
  const go = (node: Plan): Plan => {
    const known = done.get(node);
    if (known !== undefined) return known;
    const inner = mapInputs(node, go);
    const result = inner.kind === 'apply' ? narrow(new Elimination(ids).apply(inner), inner.columns) : inner;
    done.set(node, result);
    return result;
  };
  return go(plan);
}

class Elimination {
  readonly #ids: Ids;

  constructor(ids: Ids) {
    this.#ids = ids;
  }

  apply(apply: ApplyPlan): Plan {
    switch (apply.type) {
      case 'semi':
      case 'anti':
        return this.#test(apply);
      case 'scalar':
        return this.#scalar(apply);
      case 'inner':
      case 'left':
        return this.#lateral(apply, apply.type);
    }
  }

  /** [NOT] EXISTS, [NOT] IN. */
  #test(apply: ApplyPlan): Plan {
    const type = apply.type === 'anti' ? 'anti' : 'semi';
    const notIn = type === 'anti' ? this.#notIn(apply) : undefined;
    if (notIn !== undefined) return notIn;
    const { right, condition } = withoutOutputs(apply);
    const aggregate = scalarAggregateUnder(right);
    if (aggregate !== undefined) {
      const { plan, value } = this.#aggregateBeside(apply.left, aggregate);
      const found = and([...aggregate.conditions.map(value), value(condition)]);
      return filterOf(plan, [type === 'semi' ? found : not(isTrueValue(found))]);
    }
    return this.#joined(type, apply.left, right, condition);
  }

  /**
   * x NOT IN (…) where x or y may be NULL: no y equals x, and there is no y at all, or neither x nor any y is NULL. An anti-join on
   * equality and two facts about the subquery's rows do what one anti-join on "x = y is not false" would do row by row.
   */
  #notIn(apply: ApplyPlan): Plan | undefined {
    const equal = notFalse(apply.condition);
    const pair = equal === undefined ? null : equalityOf(equal);
    if (equal === undefined || pair === null) return undefined;
    const rightIds = idsOf(apply.right);
    const [x, y] = uses(pair.left, rightIds) ? [pair.right, pair.left] : [pair.left, pair.right];
    if (uses(x, rightIds) || uses(y, idsOf(apply.left))) return undefined;
    const noEqual = this.#test({ ...apply, condition: equal });
    const nonNull = isNonNull(innermost(y), nonNullColumns(apply.right));
    if (nonNull && isNonNull(innermost(x), nonNullColumns(apply.left))) return noEqual;
    const options = (): { id: ColumnId; distinct: boolean; order: []; filter: null } => ({
      id: this.#ids.next(),
      distinct: false,
      order: [],
      filter: null,
    });
    const all = callAggregate('count', [], options(), 0);
    const notNull = callAggregate('count', [y], options(), 0);
    const columns = [all, notNull].map((call): PlanColumn => ({ id: call.id, name: 'count', type: call.type }));
    const counts: Plan = { kind: 'aggregate', input: apply.right, keys: [], aggregates: [all, notNull], columns };
    const total: Expression = { kind: 'column', id: all.id, type: all.type };
    const present: Expression = { kind: 'column', id: notNull.id, type: notNull.type };
    const bool = sqlScalar('bool');
    const empty = this.#ids.column('empty', bool);
    const whole = this.#ids.column('whole', bool);
    const zero: Expression = { kind: 'literal', value: 0, type: all.type };
    const facts = projectOf(
      counts,
      [callOperator('=', [total, zero], 0), callOperator('=', [total, present], 0)],
      [empty, whole],
    );
    const beside = this.#scalar({
      kind: 'apply',
      type: 'scalar',
      left: noEqual,
      right: facts,
      condition: trueLiteral,
      columns: [...noEqual.columns, empty, whole],
    });
    return filterOf(beside, [or([columnOf(empty), and([not(isNull(x)), columnOf(whole)])])]);
  }

  #scalar(apply: ApplyPlan): Plan {
    const { left, right } = apply;
    const aggregate = scalarAggregateUnder(right);
    if (aggregate !== undefined) {
      // As it is, so that what changes is the value, and not whatever it is computed from.
      if (!isCorrelated(right, idsOf(left)) && aggregate.conditions.length === 0)
        return joinOf('inner', left, right, []);
      const { plan, value } = this.#aggregateBeside(left, aggregate);
      return this.#withColumns(plan, left, right.columns, aggregate.conditions.map(value), value, aggregate.outputs);
    }
    const pulled = pullUp(right, idsOf(left));
    const { keys } = splitCondition(and(pulled.conditions), idsOf(left), idsOf(pulled.plan));
    const fixed = columnIds(keys.map((key) => key.right));
    if (isSingle(pulled.plan, fixed)) return this.#lateral(apply, 'left');
    return this.#scalar({ ...apply, right: singleRow(right, this.#ids) });
  }

  #lateral(apply: ApplyPlan, type: 'inner' | 'left'): Plan {
    const { left, right, condition } = apply;
    if (!isCorrelated(right, idsOf(left))) return joinOf(type, left, right, [condition]);
    const aggregate = scalarAggregateUnder(right);
    if (aggregate !== undefined) {
      const { plan, value } = this.#aggregateBeside(left, aggregate);
      const tests = aggregate.conditions.map(value);
      const own = (e: Expression): Expression => value(substitute(e, aggregate.outputs));
      if (type === 'left') {
        return this.#withColumns(plan, left, right.columns, [...tests, own(condition)], value, aggregate.outputs);
      }
      const rows = this.#withColumns(filterOf(plan, tests), left, right.columns, [], value, aggregate.outputs);
      return filterOf(rows, conjuncts(condition));
    }
    const outer = idsOf(left);
    const correlated = isCorrelated(right, outer);
    if (right.kind === 'project' && (type === 'inner' ? correlated : right.expressions.some((e) => uses(e, outer)))) {
      return this.#projectLate(apply, right, type);
    }
    if (right.kind === 'filter' && type === 'inner' && correlated) {
      const rows = this.#lateral(
        { ...apply, right: right.input, columns: [...left.columns, ...right.input.columns] },
        type,
      );
      return filterOf(rows, conjuncts(right.condition));
    }
    if (right.kind === 'expand' && isOneRow(right.input) && (type === 'inner' || isTrue(condition))) {
      return filterOf(expandOver(left, right, type === 'left'), conjuncts(condition));
    }
    return this.#joined(type, left, right, condition);
  }

  /** Computes what uses both the outer row and the subplan's after the join, instead of carrying the outer values into the subplan. */
  #projectLate(apply: ApplyPlan, right: ProjectPlan, type: 'inner' | 'left'): Plan {
    const outer = idsOf(apply.left);
    const late = new Map<ColumnId, Expression>();
    const early: { column: PlanColumn; e: Expression }[] = [];
    const given = idsOf(right.input);
    right.expressions.forEach((e, at) => {
      const column = right.columns[at];
      if (column === undefined) return;
      if (type === 'inner' || uses(e, outer)) late.set(column.id, e);
      else if (!given.has(column.id)) early.push({ column, e });
    });
    if (type === 'inner') {
      const condition = substitute(apply.condition, late);
      const columns = [...apply.left.columns, ...right.input.columns];
      const joined = this.#lateral({ ...apply, right: right.input, condition, columns }, type);
      const results = right.columns.map((column) => late.get(column.id) ?? columnOf(column));
      return projectOf(joined, [...apply.left.columns.map(columnOf), ...results], apply.columns);
    }
    const marker = this.#ids.column('present', sqlScalar('bool'));
    const input = projectOf(
      right.input,
      [...right.input.columns.map(columnOf), ...early.map(({ e }) => e), trueLiteral],
      [...right.input.columns, ...early.map(({ column }) => column), marker],
    );
    const condition = substitute(apply.condition, late);
    const columns = [...apply.left.columns, ...input.columns];
    const joined = this.#lateral({ ...apply, right: input, condition, columns }, type);
    const missing = isNull(columnOf(marker));
    const results = right.columns.map((column) => {
      const e = late.get(column.id);
      return e === undefined ? columnOf(column) : caseWhen(missing, nullOf(e.type), e);
    });
    return projectOf(joined, [...apply.left.columns.map(columnOf), ...results], apply.columns);
  }

  #joined(type: JoinPlan['type'], left: Plan, right: Plan, condition: Expression): Plan {
    const outer = idsOf(left);
    if (!isCorrelated(right, outer)) return joinOf(type, left, right, [condition]);
    const pulled = pullUp(right, outer);
    if (!isCorrelated(pulled.plan, outer)) {
      const joined = joinOf(type, left, pulled.plan, [condition, ...pulled.conditions]);
      return narrow(joined, type === 'semi' || type === 'anti' ? left.columns : [...left.columns, ...right.columns]);
    }
    const correlated = overUnits(right, outer, this.#ids);
    const { plan, carried } = new Unnester(left, correlated.units, this.#ids).unnest(correlated.plan);
    const partners = [...carried].flatMap(([id, { column, strict }]) => {
      const unit = correlated.units.get(id);
      return unit === undefined ? [] : [matches(unit.outer, columnOf(column), !strict)];
    });
    return joinOf(type, left, plan, [condition, ...partners]);
  }

  /** The outer plan with the aggregate's columns beside it; `value` says an expression over the aggregate's result over them. */
  #aggregateBeside(left: Plan, { aggregate }: ScalarAggregate): { plan: Plan; value: (e: Expression) => Expression } {
    const outer = idsOf(left);
    if (!isCorrelated(aggregate, outer)) return { plan: joinOf('inner', left, aggregate, []), value: (e) => e };
    const correlated = overUnits(aggregate, outer, this.#ids);
    if (correlated.plan.kind !== 'aggregate') return { plan: joinOf('inner', left, aggregate, []), value: (e) => e };
    const { plan, carried } = new Unnester(left, correlated.units, this.#ids).groups(correlated.plan);
    const partners = [...carried].flatMap(([id, { column, strict }]) => {
      const unit = correlated.units.get(id);
      return unit === undefined ? [] : [matches(unit.outer, columnOf(column), !strict)];
    });
    const results = new Map<ColumnId, Expression>();
    for (const call of correlated.plan.aggregates) results.set(call.id, emptyResult(call));
    return { plan: joinOf('left', left, plan, partners), value: (e) => substitute(e, results) };
  }

  /** The outer columns and those of the subquery, which are NULL where one of the conditions is not true. */
  #withColumns(
    input: Plan,
    left: Plan,
    columns: readonly PlanColumn[],
    conditions: readonly Expression[],
    value: (e: Expression) => Expression,
    outputs: ReadonlyMap<ColumnId, Expression>,
  ): Plan {
    const found = and(conditions);
    const results = columns.map((column) => {
      const result = value(outputs.get(column.id) ?? columnOf(column));
      return isTrue(found) ? result : caseWhen(found, result, nullOf(result.type));
    });
    return projectOf(input, [...left.columns.map(columnOf), ...results], [...left.columns, ...columns]);
  }
}

interface ScalarAggregate {
  readonly aggregate: AggregatePlan;
  /** Filters above it, over the aggregate's columns. */
  readonly conditions: readonly Expression[];
  /** The subplan's columns over the aggregate's. */
  readonly outputs: ReadonlyMap<ColumnId, Expression>;
}

/** An aggregate without keys under nothing but projections and filters: one row for every outer row. */
function scalarAggregateUnder(plan: Plan): ScalarAggregate | undefined {
  const above: (ProjectPlan | FilterPlan)[] = [];
  let node = plan;
  while (node.kind !== 'aggregate') {
    if (node.kind === 'topN' && node.offset === 0 && node.limit !== 0) {
      node = node.input;
      continue;
    }
    if (node.kind !== 'project' && node.kind !== 'filter') return undefined;
    above.push(node);
    node = node.input;
  }
  if (node.keys.length > 0) return undefined;
  let outputs = new Map<ColumnId, Expression>(node.columns.map((column) => [column.id, columnOf(column)]));
  const conditions: Expression[] = [];
  for (const step of above.reverse()) {
    if (step.kind === 'filter') {
      conditions.push(substitute(step.condition, outputs));
      continue;
    }
    const next = new Map<ColumnId, Expression>();
    step.columns.forEach(({ id }, at) => {
      const e = step.expressions[at];
      if (e !== undefined) next.set(id, substitute(e, outputs));
    });
    outputs = next;
  }
  return { aggregate: node, conditions, outputs };
}

/** What a test for rows does not need: projections (their expressions move into the condition), DISTINCT, ORDER BY and LIMIT. */
function withoutOutputs(apply: ApplyPlan): { right: Plan; condition: Expression } {
  let { right, condition } = apply;
  for (;;) {
    if (right.kind === 'project') {
      const expressions = new Map<ColumnId, Expression>();
      const { expressions: list } = right;
      right.columns.forEach(({ id }, at) => {
        const e = list[at];
        if (e !== undefined) expressions.set(id, e);
      });
      condition = substitute(condition, expressions);
      right = right.input;
    } else if (right.kind === 'distinct') {
      right = right.input;
    } else if (right.kind === 'topN' && isTrue(condition) && right.offset === 0 && right.limit !== 0) {
      right = right.input;
    } else {
      return { right, condition };
    }
  }
}

/** `e` of `e IS NOT FALSE`. */
function notFalse(e: Expression): Expression | undefined {
  if (e.kind !== 'not' || e.arg.kind !== 'coalesce') return undefined;
  const [inner, otherwise] = e.arg.args;
  if (inner?.kind !== 'not' || otherwise?.kind !== 'literal' || otherwise.value !== false) return undefined;
  return inner.arg;
}

/** Below casts, which are NULL only for NULL. */
function innermost(e: Expression): Expression {
  const [arg] = e.kind === 'call' ? e.args : [];
  return e.kind === 'call' && e.args.length === 1 && arg !== undefined && / to |::/.test(e.fn.id) ? innermost(arg) : e;
}

function expandOver(input: Plan, plan: ExpandPlan, left: boolean): Plan {
  const own = plan.columns.slice(plan.input.columns.length);
  return { ...plan, input, left: plan.left || left, columns: [...input.columns, ...own] };
}

function isOneRow(plan: Plan): boolean {
  return plan.kind === 'values' && plan.rows.length === 1 && plan.columns.length === 0;
}

function isCorrelated(plan: Plan, outer: ReadonlySet<ColumnId>): boolean {
  return [...freeColumns(plan)].some((id) => outer.has(id));
}
