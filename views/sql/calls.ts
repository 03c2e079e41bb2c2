import { callAggregate, callFunction, isAggregate } from '../expressions/resolve.ts';
import { sqlScalar } from '../type.ts';
import { addColumns, expressionsOf, sameExpression } from '../plan/expressions.ts';
import { asCondition } from './conditions.ts';
import { typed } from './constants.ts';
import { functionName, locationOf, unsupported } from './node.ts';
import { sortKey } from './order.ts';
import { SqlError } from './sql-error.ts';
import { requireEquality } from './subquery.ts';
import type { AggregateCall, ColumnId, Expression, SortKey } from '../expressions/expression.ts';
import type { AggregateSink, Subquery } from './aggregate-sink.ts';
import type { Scope } from './scope.ts';
import type { ExpressionContext } from './context.ts';
import type { FuncCall, Node } from 'libpg-query';

export function bindCall(call: FuncCall, context: ExpressionContext): Expression {
  const name = functionName(call);
  const { location = 0 } = call;
  refuseForms(name, call, location);
  if (isAggregate(name)) return bindAggregate(name, call, context);
  for (const [given, what] of [
    [call.agg_distinct, 'DISTINCT'],
    [call.agg_order, 'ORDER BY'],
    [call.agg_filter, 'FILTER'],
  ] as const) {
    if (given !== undefined)
      throw new SqlError(`${what} specified, but ${name} is not an aggregate function`, location);
  }
  if (call.agg_star === true)
    throw new SqlError(`${name}(*) specified, but ${name} is not an aggregate function`, location);
  if (call.args?.some((arg) => 'NamedArgExpr' in arg) === true) {
    return callFunction(name, bindNamed(name, call.args, context, location), location);
  }
  return callFunction(name, bindArguments(call.args, context), location);
}

/** Parameters of the functions that are commonly called by name; those left out are 0. */
const parameters: Readonly<Record<string, readonly string[]>> = {
  make_interval: ['years', 'months', 'weeks', 'days', 'hours', 'mins', 'secs'],
  make_date: ['year', 'month', 'day'],
  make_time: ['hour', 'min', 'sec'],
  make_timestamp: ['year', 'month', 'mday', 'hour', 'min', 'sec'],
};

function bindNamed(name: string, args: readonly Node[], context: ExpressionContext, location: number): Expression[] {
  const names = parameters[name];
  if (names === undefined) throw unsupported('a named argument is', location, 'Give the arguments in their order.');
  const given = names.map((): Expression | undefined => undefined);
  args.forEach((arg, position) => {
    const named = 'NamedArgExpr' in arg ? arg.NamedArgExpr : undefined;
    const at = named === undefined ? position : names.indexOf(named.name ?? '');
    if (at < 0 || at >= names.length || given[at] !== undefined) {
      throw new SqlError(
        `function ${name} has no parameter for this argument`,
        locationOf(arg),
        `It has ${names.join(', ')}.`,
      );
    }
    given[at] = context.view.expression(named === undefined ? arg : named.arg, context);
  });
  return given.map((e) => e ?? { kind: 'literal', value: 0, type: sqlScalar('int4') });
}

export function bindArguments(args: readonly Node[] | undefined, context: ExpressionContext): Expression[] {
  return (args ?? []).map((arg) => context.view.expression(arg, context));
}

function bindAggregate(name: string, call: FuncCall, context: ExpressionContext): Expression {
  const { location = 0 } = call;
  const own = context.aggregates;
  const subqueries: Subquery[] = [];
  const inner: ExpressionContext = { ...context, aggregates: null, subqueries, clause: 'an aggregate' };
  const args = bindArguments(call.args, inner);
  const distinct = call.agg_distinct === true;
  const order = (call.agg_order ?? []).map((node) => sortKey(node, (key) => context.view.expression(key, inner)));
  const filter =
    call.agg_filter === undefined
      ? null
      : asCondition(context.view.expression(call.agg_filter, inner), 'FILTER', locationOf(call.agg_filter));
  if (distinct) args.forEach((arg, index) => requireEquality(typed(arg, location), locationOf(call.args?.[index])));
  const given = order.length === 0 && !distinct ? (own?.order ?? []) : order;
  const options = { id: context.view.ids.next(), distinct, order: given, filter };
  const bound = callAggregate(name, args, options, location);
  const sink = sinkOf(bound, context, location);
  if (distinct && !bound.order.every(({ expression }) => bound.args.some((arg) => sameExpression(arg, expression)))) {
    throw new SqlError(
      'in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list',
      locationOf(call.agg_order?.[0]),
    );
  }
  const registered = register(bound, sink);
  if (registered === bound) sink.subqueries.push(...subqueries);
  return { kind: 'column', id: registered.id, type: bound.type };
}

/** An aggregate belongs to the innermost query of whose columns it makes use; to its own when it uses none. */
function sinkOf(call: AggregateCall, context: ExpressionContext, location: number): AggregateSink {
  const used = new Set<ColumnId>();
  for (const e of expressionsOf(call)) addColumns(e, used);
  const uses = ({ tables }: Scope): boolean => tables.some(({ columns }) => columns.some(({ id }) => used.has(id)));
  let outer = context.scope.parent;
  while (outer !== null && !uses(outer)) outer = outer.parent;
  if (outer !== null && !uses(context.scope)) {
    if (outer.aggregates !== undefined && outer.aggregates !== null) return outer.aggregates;
    throw unsupported('an aggregate over columns of an outer query is', location, 'Compute it in the outer query.');
  }
  if (context.aggregates !== null) return context.aggregates;
  if (context.clause === 'an aggregate') throw new SqlError('aggregate function calls cannot be nested', location);
  throw new SqlError(`aggregate functions are not allowed in ${context.clause}`, location, hintFor(context.clause));
}

/** The same call written twice is computed once. */
function register(call: AggregateCall, sink: AggregateSink): AggregateCall {
  const known = sink.calls.find((other) => sameCall(other, call));
  if (known !== undefined) return known;
  sink.calls.push(call);
  return call;
}

function sameCall(a: AggregateCall, b: AggregateCall): boolean {
  const left = expressionsOf(a);
  const right = expressionsOf(b);
  return (
    a.fn.id === b.fn.id &&
    a.distinct === b.distinct &&
    a.args.length === b.args.length &&
    (a.filter === null) === (b.filter === null) &&
    sameOrder(a.order, b.order) &&
    left.length === right.length &&
    left.every((e, index) => {
      const other = right[index];
      return other !== undefined && sameExpression(e, other);
    })
  );
}

function sameOrder(a: readonly SortKey[], b: readonly SortKey[]): boolean {
  return (
    a.length === b.length &&
    a.every((key, index) => key.descending === b[index]?.descending && key.nullsFirst === b[index]?.nullsFirst)
  );
}

function hintFor(clause: string): string | undefined {
  if (clause === 'WHERE') return 'Use HAVING.';
  return clause === 'GROUP BY' ? undefined : 'Compute it in a subquery in FROM.';
}

function refuseForms(name: string, call: FuncCall, location: number): void {
  if (call.over !== undefined) {
    throw unsupported(
      `a window function (${name} OVER) is`,
      location,
      'For the first rows of each group use DISTINCT ON, or LATERAL (SELECT … ORDER BY … LIMIT n).',
    );
  }
  if (call.agg_within_group === true) throw unsupported(`WITHIN GROUP (${name}) is`, location, 'Use min, max or avg.');
  if (call.func_variadic === true) throw unsupported('VARIADIC is', location, 'Write the arguments one by one.');
  if (setReturning.has(name)) {
    throw unsupported(
      `a set-returning function (${name}) outside FROM is`,
      location,
      `Move it: FROM … CROSS JOIN LATERAL ${name}(…).`,
    );
  }
  if (windowFunctions.has(name)) throw new SqlError(`window function ${name} requires an OVER clause`, location);
  if (volatile.has(name)) {
    throw unsupported(
      `${name}() is`,
      location,
      'A view must give the same rows whenever it is computed: use a column of the row instead.',
    );
  }
}

export const setReturning: ReadonlySet<string> = new Set([
  'generate_series',
  'unnest',
  'json_array_elements',
  'jsonb_array_elements',
  'json_array_elements_text',
  'jsonb_array_elements_text',
  'json_each',
  'jsonb_each',
  'json_each_text',
  'jsonb_each_text',
  'json_object_keys',
  'jsonb_object_keys',
  'json_populate_recordset',
  'jsonb_populate_recordset',
  'json_to_recordset',
  'jsonb_to_recordset',
  'regexp_matches',
  'regexp_split_to_table',
  'string_to_table',
  'generate_subscripts',
  'jsonb_path_query',
]);

const windowFunctions: ReadonlySet<string> = new Set([
  'row_number',
  'rank',
  'dense_rank',
  'percent_rank',
  'cume_dist',
  'ntile',
  'lag',
  'lead',
  'first_value',
  'last_value',
  'nth_value',
]);

const volatile: ReadonlySet<string> = new Set([
  'now',
  'random',
  'random_normal',
  'gen_random_uuid',
  'uuidv4',
  'uuidv7',
  'clock_timestamp',
  'statement_timestamp',
  'transaction_timestamp',
  'timeofday',
  'nextval',
  'currval',
  'lastval',
  'setval',
  'txid_current',
  'pg_current_xact_id',
  'pg_sleep',
  'setseed',
  'current_setting',
  'current_database',
  'pg_backend_pid',
  'version',
  'uuid_generate_v4',
]);
