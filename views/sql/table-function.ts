import { castTo, commonType } from '../expressions/resolve.ts';
import { sqlScalar, typeName } from '../type.ts';
import { bindArguments, bindCall, setReturning } from './calls.ts';
import { functionName, textsOf, unsupported } from './node.ts';
import { noFrom } from './scope.ts';
import { SqlError } from './sql-error.ts';
import type { Expression } from '../expressions/expression.ts';
import type { ExpandPlan, Plan, PlanColumn } from '../plan/plan.ts';
import type { SqlType } from '../type.ts';
import type { Ctes, ExpressionContext, ViewContext } from './context.ts';
import type { From, Scope } from './scope.ts';
import type { FuncCall, RangeFunction } from 'libpg-query';

interface FunctionContext {
  readonly view: ViewContext;
  readonly ctes: Ctes;
  readonly outer: Scope | null;
}

/** A function in FROM: one of those that give rows, or any other for the one row of its value. */
export function bindTableFunction(range: RangeFunction, left: From, context: FunctionContext): From {
  const call = functionOf(range);
  const { location = 0 } = call;
  const name = functionName(call);
  const scope: Scope = { tables: left.tables, columns: left.columns, parent: context.outer };
  const expression: ExpressionContext = {
    view: context.view,
    scope,
    ctes: context.ctes,
    clause: 'functions in FROM',
    aggregates: null,
    subqueries: null,
  };
  const alias = range.alias?.aliasname;
  const columnName = name.startsWith('json') ? 'value' : (alias ?? name);
  const ordinality = range.ordinality === true;
  let plan: Plan;
  if (setReturning.has(name)) {
    plan = expand(name, columnName, call, ordinality, expression);
  } else {
    if (ordinality) throw unsupported('WITH ORDINALITY of this function is', location);
    const value = bindCall(call, expression);
    const column = context.view.ids.column(alias ?? name, value.type);
    plan = { kind: 'project', input: noFrom.plan, expressions: [value], columns: [column] };
  }
  const names = textsOf(range.alias?.colnames);
  const columns = plan.columns.map((column, index) => ({ ...column, name: names[index] ?? column.name }));
  if (names.length > columns.length) {
    throw new SqlError(
      `table "${alias ?? name}" has ${columns.length} columns available but ${names.length} columns specified`,
      location,
    );
  }
  return {
    plan,
    tables: [{ name: alias ?? name, columns, witness: null, nullable: false, key: [], scalar: columns.length === 1 }],
    columns: columns.map((column) => ({
      name: column.name,
      expression: { kind: 'column', id: column.id, type: column.type },
    })),
  };
}

function functionOf({ functions = [], is_rowsfrom, coldeflist }: RangeFunction): FuncCall {
  const [first] = functions;
  const call = first !== undefined && 'List' in first ? first.List.items?.[0] : undefined;
  if (call === undefined || !('FuncCall' in call)) throw unsupported('this function in FROM is', 0);
  const { location } = call.FuncCall;
  if (is_rowsfrom === true || functions.length > 1)
    throw unsupported('ROWS FROM is', location, 'Join the functions one by one.');
  if (coldeflist !== undefined)
    throw unsupported('a column definition list is', location, 'Use json_array_elements and ->>.');
  return call.FuncCall;
}

const supported = new Set<string>([
  'generate_series',
  'unnest',
  'json_array_elements',
  'jsonb_array_elements',
  'json_array_elements_text',
  'jsonb_array_elements_text',
]);

function isSupported(name: string): name is ExpandPlan['fn'] {
  return supported.has(name);
}

function expand(
  name: string,
  columnName: string,
  call: FuncCall,
  ordinality: boolean,
  context: ExpressionContext,
): Plan {
  const { location = 0 } = call;
  if (!isSupported(name)) {
    throw unsupported(`${name} is`, location, `Functions that give rows are ${[...supported].join(', ')}.`);
  }
  const { args, type } = typedArguments(name, bindArguments(call.args, context), location);
  const { ids } = context.view;
  const columns: PlanColumn[] = [ids.column(columnName, type)];
  if (ordinality) columns.push(ids.column('ordinality', sqlScalar('int8')));
  return { kind: 'expand', input: noFrom.plan, fn: name, args, ordinality, left: false, columns };
}

function typedArguments(
  name: ExpandPlan['fn'],
  args: readonly Expression[],
  location: number,
): { args: readonly Expression[]; type: SqlType } {
  const [first] = args;
  const unknown = new SqlError(
    `function ${name}(${args.map(({ type }) => typeName(type)).join(', ')}) does not exist`,
    location,
  );
  if (first === undefined) throw unknown;
  if (name === 'generate_series') return series(args, unknown, location);
  if (args.length > 1) {
    throw name === 'unnest'
      ? unsupported('unnest of several arrays is', location, 'Join unnest(…) WITH ORDINALITY twice.')
      : unknown;
  }
  if (name === 'unnest') {
    if (first.type.kind !== 'array') throw unknown;
    if (first.type.element.kind === 'record')
      throw unsupported('unnest of rows is', location, 'Join the table itself.');
    return { args, type: first.type.element };
  }
  const json = sqlScalar(name.startsWith('jsonb') ? 'jsonb' : 'json');
  return { args: [castTo(first, json, 'implicit', location)], type: name.endsWith('_text') ? sqlScalar('text') : json };
}

function series(
  args: readonly Expression[],
  unknown: SqlError,
  location: number,
): { args: readonly Expression[]; type: SqlType } {
  const [first, second, step] = args;
  if (first === undefined || second === undefined || args.length > 3) throw unknown;
  const common = commonType([first, second], 'generate_series', location);
  const name = common.kind === 'scalar' ? common.name : 'other';
  const steps = step === undefined ? [] : [step];
  switch (name) {
    case 'int2':
    case 'int4':
    case 'int8':
    case 'numeric': {
      const type = commonType([sqlInt(), ...args], 'generate_series', location);
      return { args: args.map((arg) => castTo(arg, type, 'implicit', location)), type };
    }
    case 'date':
    case 'timestamp':
    case 'timestamptz': {
      if (step === undefined) throw unknown;
      // As PostgreSQL chooses: of dates, the series is one of timestamps with time zone.
      const type = sqlScalar(name === 'timestamp' ? 'timestamp' : 'timestamptz');
      const bounds = [first, second].map((arg) => castTo(arg, type, 'implicit', location));
      return {
        args: [...bounds, ...steps.map((arg) => castTo(arg, sqlScalar('interval'), 'implicit', location))],
        type,
      };
    }
    default:
      throw unknown;
  }
}

function sqlInt(): Expression {
  return { kind: 'literal', value: 0, type: sqlScalar('int4') };
}
