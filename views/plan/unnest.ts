import { filterOf, joinOf, matches, narrow, projectOf } from './build.ts';
import { expressionsIn, idsOf, inputsOf } from './columns.ts';
import { addColumns, and, columnOf, conjuncts, mapAggregate, mapOrder, uses } from './expressions.ts';
import { equalityOf } from './join-keys.ts';
import { Domain } from './domain.ts';
import { emptyResult } from './scalar-aggregate.ts';
import { apart, cleaned, replaced, withCarried } from './unnested.ts';
import { sameType } from '../type.ts';
import type { ColumnId, Expression } from '../expressions/expression.ts';
import type { Ids } from './columns.ts';
import type {
  AggregatePlan,
  FilterPlan,
  JoinPlan,
  Plan,
  PlanColumn,
  ProjectPlan,
  SetDifferencePlan,
  UnionPlan,
  ValuesPlan,
} from './plan.ts';
import type { Unit } from './units.ts';
import type { Carried, Unnested } from './unnested.ts';

/**
 * General unnesting (Neumann and Kemper, "Unnesting arbitrary queries", BTW 2015): every operator of the subplan carries the units along.
 * A unit that the subplan equates with a value of its own is carried as that value; any other is joined in from the domain, the distinct
 * values that the outer plan has.
 */
export class Unnester {
  readonly #units: ReadonlyMap<ColumnId, Unit>;
  readonly #domain: Domain;
  readonly #ids: Ids;
  readonly #done = new Map<Plan, Unnested>();
  readonly #used = new Map<Plan, ReadonlySet<ColumnId>>();

  constructor(outer: Plan, units: ReadonlyMap<ColumnId, Unit>, ids: Ids) {
    this.#domain = new Domain(outer, units, ids);
    this.#units = units;
    this.#ids = ids;
  }

  unnest(plan: Plan): Unnested {
    const known = this.#done.get(plan);
    if (known !== undefined) return known;
    const result =
      this.#usedIn(plan).size === 0 ? { plan, carried: new Map<ColumnId, Carried>() } : this.#operator(plan);
    this.#done.set(plan, result);
    return result;
  }

  #operator(plan: Plan): Unnested {
    switch (plan.kind) {
      case 'scan':
      case 'apply':
        return { plan, carried: new Map() };
      case 'values':
        return this.#values(plan);
      case 'filter':
        return this.#filter(plan);
      case 'project':
        return this.#project(plan);
      case 'join':
        return plan.type === 'inner'
          ? this.#innerJoin(plan)
          : plan.type === 'full'
            ? this.#fullJoin(plan)
            : this.#leftJoin(plan);
      case 'aggregate':
        return this.#aggregate(plan);
      case 'distinct': {
        const input = this.unnest(plan.input);
        const rows = narrow(input.plan, withCarried(plan.columns, input));
        return { plan: { ...plan, input: rows, columns: rows.columns }, carried: input.carried };
      }
      case 'topN': {
        const keys = plan.order.map(({ expression }) => expression);
        const input = this.#with(this.unnest(plan.input), this.#unitsOf(keys));
        const partition = new Set([...plan.partition, ...[...input.carried.values()].map(({ column }) => column.id)]);
        const order = mapOrder(plan.order, (e) => replaced(e, input));
        return {
          plan: { ...plan, input: input.plan, partition: [...partition], order, columns: input.plan.columns },
          carried: input.carried,
        };
      }
      case 'union':
      case 'except':
      case 'intersect':
        return this.#setOperation(plan);
      case 'expand': {
        const input = this.#with(this.unnest(plan.input), this.#unitsOf(plan.args));
        const own = plan.columns.slice(plan.input.columns.length);
        return {
          plan: {
            ...plan,
            input: input.plan,
            args: plan.args.map((arg) => replaced(arg, input)),
            columns: [...input.plan.columns, ...own],
          },
          carried: input.carried,
        };
      }
    }
  }

  /** `needed` are carried as well, from the domain where the plan does not carry them yet. */
  #with(input: Unnested, needed: ReadonlySet<ColumnId>): Unnested {
    const missing = [...needed].filter((id) => !input.carried.has(id));
    if (missing.length === 0) return input;
    const domain = this.#domain.of([...input.carried.keys(), ...missing]);
    return this.#combine('inner', domain, input, [], (id) => domain.carried.get(id) ?? input.carried.get(id));
  }

  #filter(plan: FilterPlan): Unnested {
    const input = this.unnest(plan.input);
    const parts = conjuncts(plan.condition);
    const needed = this.#unitsOf([plan.condition]);
    const missing = [...needed].filter((id) => !input.carried.has(id));
    const bound = this.#bind(missing, parts, input);
    if (bound !== undefined) {
      const rest = parts.filter((part) => !bound.by.has(part));
      return {
        ...bound.result,
        plan: filterOf(
          bound.result.plan,
          rest.map((e) => replaced(e, bound.result)),
        ),
      };
    }
    const whole = this.#with(input, needed);
    return {
      ...whole,
      plan: filterOf(
        whole.plan,
        parts.map((e) => replaced(e, whole)),
      ),
    };
  }

  /** Carries units as the values that parts of a condition equate them with; undefined when one has no such part. */
  #bind(
    missing: readonly ColumnId[],
    parts: readonly Expression[],
    input: Unnested,
  ): { result: Unnested; by: ReadonlySet<Expression> } | undefined {
    const carried = new Map(input.carried);
    const by = new Set<Expression>();
    const computed: { column: PlanColumn; value: Expression }[] = [];
    const given = idsOf(input.plan);
    for (const id of missing) {
      const found = parts
        .map((part) => ({ part, value: this.#equated(id, part) }))
        .find(({ value }) => value !== undefined);
      if (found?.value === undefined) return undefined;
      const { part, value } = found;
      const own = value.e.kind === 'column' && given.has(value.e.id) ? value.e.id : undefined;
      const known = input.plan.columns.find((column) => column.id === own);
      const column = known ?? this.#ids.column('outer', value.e.type);
      if (known === undefined) computed.push({ column, value: value.e });
      carried.set(id, { column, strict: !value.nullsEqual });
      by.add(part);
    }
    const plan =
      computed.length === 0
        ? input.plan
        : projectOf(
            input.plan,
            [...input.plan.columns.map(columnOf), ...computed.map(({ value }) => value)],
            [...input.plan.columns, ...computed.map(({ column }) => column)],
          );
    return { result: { plan, carried }, by };
  }

  #equated(id: ColumnId, part: Expression): { e: Expression; nullsEqual: boolean } | undefined {
    const equality = equalityOf(part);
    const unit = this.#units.get(id);
    if (equality === null || unit === undefined) return undefined;
    const { left, right, nullsEqual } = equality;
    for (const [side, e] of [
      [left, right],
      [right, left],
    ] as const) {
      if (side.kind !== 'column' || side.id !== id || uses(e, this.#units) || !sameType(e.type, unit.type)) continue;
      return { e, nullsEqual };
    }
    return undefined;
  }

  #project(plan: ProjectPlan): Unnested {
    const input = this.#with(this.unnest(plan.input), this.#unitsOf(plan.expressions));
    const expressions = plan.expressions.map((e) => replaced(e, input));
    const columns = [...plan.columns];
    const carried = new Map<ColumnId, Carried>();
    for (const [id, { column, strict }] of input.carried) {
      const at = expressions.findIndex((e) => e.kind === 'column' && e.id === column.id);
      const taken = columns.some((other) => other.id === column.id);
      const own = columns[at] ?? (taken ? this.#ids.column('outer', column.type) : column);
      if (at < 0) {
        expressions.push(columnOf(column));
        columns.push(own);
      }
      carried.set(id, { column: own, strict });
    }
    return { plan: projectOf(input.plan, expressions, columns), carried };
  }

  #innerJoin(plan: JoinPlan): Unnested {
    const parts = conjuncts(plan.condition);
    const correlated = parts.filter((part) => uses(part, this.#units));
    if (correlated.length > 0) {
      const rest = parts.filter((part) => !uses(part, this.#units));
      const input: Plan = { ...plan, condition: and(rest) };
      return this.#filter({ kind: 'filter', input, condition: and(correlated), columns: plan.columns });
    }
    const left = this.unnest(plan.left);
    const right = this.unnest(plan.right);
    return this.#combine('inner', left, right, parts, (id) => left.carried.get(id) ?? right.carried.get(id));
  }

  /** Left, semi and anti: the left side has to carry whatever the right one is evaluated with. */
  #leftJoin(plan: JoinPlan): Unnested {
    const needed = new Set([...this.#usedIn(plan.right), ...this.#unitsOf([plan.condition])]);
    const left = this.#with(this.unnest(plan.left), needed);
    const parts = conjuncts(plan.condition).map((e) => replaced(e, left));
    return this.#combine(plan.type, left, this.unnest(plan.right), parts, (id) => left.carried.get(id));
  }

  #fullJoin(plan: JoinPlan): Unnested {
    const needed = this.#usedIn(plan);
    const left = cleaned(this.#with(this.unnest(plan.left), needed));
    const right = apart(this.#ids, left.plan, cleaned(this.#with(this.unnest(plan.right), needed)));
    const parts = conjuncts(plan.condition).map((e) => replaced(e, left));
    const joined = this.#combine('full', left, right, parts, (id) => left.carried.get(id));
    const carried = new Map<ColumnId, Carried>();
    const expressions = joined.plan.columns.map(columnOf);
    const columns = [...joined.plan.columns];
    for (const id of needed) {
      const l = left.carried.get(id);
      const r = right.carried.get(id);
      if (l === undefined || r === undefined) continue;
      const column = this.#ids.column('outer', l.column.type);
      expressions.push({ kind: 'coalesce', args: [columnOf(l.column), columnOf(r.column)], type: column.type });
      columns.push(column);
      carried.set(id, { column, strict: false });
    }
    return { plan: projectOf(joined.plan, expressions, columns), carried };
  }

  /** Joins two unnested plans, rows of the same units with each other. */
  #combine(
    type: JoinPlan['type'],
    left: Unnested,
    unrenamed: Unnested,
    parts: readonly Expression[],
    source: (id: ColumnId) => Carried | undefined,
  ): Unnested {
    const right = apart(this.#ids, left.plan, unrenamed);
    const carried = new Map<ColumnId, Carried>();
    const conditions = [...parts];
    for (const id of new Set([...left.carried.keys(), ...right.carried.keys()])) {
      const l = left.carried.get(id);
      const r = right.carried.get(id);
      if (l !== undefined && r !== undefined) {
        conditions.push(matches(columnOf(l.column), columnOf(r.column), !l.strict && !r.strict));
        carried.set(id, { column: l.column, strict: type === 'inner' ? l.strict || r.strict : l.strict });
      } else {
        const only = l ?? r ?? source(id);
        if (only !== undefined) carried.set(id, only);
      }
    }
    return { plan: joinOf(type, left.plan, right.plan, conditions), carried };
  }

  #aggregate(plan: AggregatePlan): Unnested {
    const grouped = this.groups(plan);
    if (plan.keys.length > 0) return grouped;
    // One row for each value of the units, also where there is nothing to aggregate.
    const domain = this.#domain.of([...this.#usedIn(plan)]);
    const joined = this.#combine('left', domain, grouped, [], (id) => domain.carried.get(id));
    const carriers = [...domain.carried.values()].map(({ column }) => column);
    const expressions = plan.aggregates.map((call) => emptyResult(call));
    return {
      plan: projectOf(joined.plan, [...expressions, ...carriers.map(columnOf)], [...plan.columns, ...carriers]),
      carried: domain.carried,
    };
  }

  /** The aggregate for each value of the units that has rows at all. */
  groups(plan: AggregatePlan): Unnested {
    const input = this.#with(this.unnest(plan.input), this.#unitsOf(expressionsIn(plan)));
    const keyColumns = plan.columns.slice(0, plan.keys.length);
    const columns = withCarried(keyColumns, input);
    const aggregates = plan.aggregates.map((call) => mapAggregate(call, (e) => replaced(e, input)));
    return {
      plan: {
        kind: 'aggregate',
        input: input.plan,
        keys: columns.map(({ id }) => id),
        aggregates,
        columns: [...columns, ...plan.columns.slice(plan.keys.length)],
      },
      carried: input.carried,
    };
  }

  #values(plan: ValuesPlan): Unnested {
    const needed = this.#usedIn(plan);
    const branches = plan.rows.map((row) => {
      const domain = this.#domain.of([...needed]);
      return { domain, expressions: row.map((e) => replaced(e, domain)) };
    });
    const [only] = branches;
    if (only !== undefined && branches.length === 1) {
      const carriers = [...only.domain.carried.values()].map(({ column }) => column);
      return {
        plan: projectOf(
          only.domain.plan,
          [...only.expressions, ...carriers.map(columnOf)],
          [...plan.columns, ...carriers],
        ),
        carried: only.domain.carried,
      };
    }
    const inputs = branches.map(({ domain, expressions }) => {
      const carriers = [...needed].flatMap((id) => domain.carried.get(id)?.column ?? []);
      const columns = plan.columns.map(({ name, type }) => this.#ids.column(name, type));
      return projectOf(domain.plan, [...expressions, ...carriers.map(columnOf)], [...columns, ...carriers]);
    });
    return this.#positional({ kind: 'union', inputs, columns: plan.columns }, [...needed]);
  }

  #setOperation(plan: UnionPlan | SetDifferencePlan): Unnested {
    const needed = [...this.#usedIn(plan)];
    const inputs = inputsOf(plan).map((input) => {
      const unnested = cleaned(this.#with(this.unnest(input), new Set(needed)));
      const carriers = needed.flatMap((id) => unnested.carried.get(id)?.column ?? []);
      // A carried column may be one of the outputs as well: by position it then stands twice.
      const all = [...input.columns, ...carriers];
      const columns = all.map((column, at) =>
        all.findIndex(({ id }) => id === column.id) < at ? this.#ids.column(column.name, column.type) : column,
      );
      return projectOf(unnested.plan, all.map(columnOf), columns);
    });
    const [left, right] = inputs;
    if (plan.kind === 'union' || left === undefined || right === undefined) {
      return this.#positional({ kind: 'union', inputs, columns: plan.columns }, needed);
    }
    return this.#positional({ ...plan, left, right }, needed);
  }

  #positional(plan: UnionPlan | SetDifferencePlan, needed: readonly ColumnId[]): Unnested {
    const carried = new Map<ColumnId, Carried>();
    const columns = [...plan.columns];
    for (const id of needed) {
      const unit = this.#units.get(id);
      if (unit === undefined) continue;
      const column = this.#ids.column('outer', unit.type);
      columns.push(column);
      carried.set(id, { column, strict: false });
    }
    return { plan: { ...plan, columns }, carried };
  }

  #unitsOf(expressions: readonly Expression[]): Set<ColumnId> {
    const ids = new Set<ColumnId>();
    for (const e of expressions) addColumns(e, ids);
    return new Set([...ids].filter((id) => this.#units.has(id)));
  }

  #usedIn(plan: Plan): ReadonlySet<ColumnId> {
    const known = this.#used.get(plan);
    if (known !== undefined) return known;
    const used = this.#unitsOf(expressionsIn(plan));
    for (const input of inputsOf(plan)) for (const id of this.#usedIn(input)) used.add(id);
    this.#used.set(plan, used);
    return used;
  }
}
