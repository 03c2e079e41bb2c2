import { callFunction, castTo, commonType, equality } from '../expressions/resolve.ts';
import { and, isNull, isTrueValue, mapAll, not, nullOf, trueLiteral } from '../plan/expressions.ts';
import { asCondition } from './conditions.ts';
import { bindConstant, bindType, typed } from './constants.ts';
import { bindOperator } from './operators.ts';
import { bindCall } from './calls.ts';
import { bindColumn, bindIndirection } from './references.ts';
import { bindSubquery } from './subquery.ts';
import { locationOf, textsOf, unsupported } from './node.ts';
import { boolType } from './scope.ts';
import type { Expression } from '../expressions/expression.ts';
import type { ExpressionContext } from './context.ts';
import type { BooleanTest, BoolExpr, CaseExpr, CollateClause, Node, RowExpr, TypeCast } from 'libpg-query';

export function bindExpression(node: Node | undefined, context: ExpressionContext): Expression {
  if (node === undefined) throw unsupported('an empty expression is', undefined);
  if ('ColumnRef' in node) return bindColumn(node.ColumnRef, context);
  if ('A_Const' in node) return bindConstant(node.A_Const);
  if ('A_Expr' in node) return bindOperator(node.A_Expr, context);
  if ('BoolExpr' in node) return bindBoolean(node.BoolExpr, context);
  if ('FuncCall' in node) return bindCall(node.FuncCall, context);
  if ('TypeCast' in node) return bindCast(node.TypeCast, context);
  if ('CaseExpr' in node) return bindCase(node.CaseExpr, context);
  if ('SubLink' in node) return bindSubquery(node.SubLink, context);
  if ('NullTest' in node) {
    const tested = isNull(typed(context.view.expression(node.NullTest.arg, context), locationOf(node)));
    if (tested.kind === 'isNull' && tested.arg.type.kind === 'record')
      return recordTest(tested.arg, node.NullTest.nulltesttype === 'IS_NOT_NULL');
    return node.NullTest.nulltesttype === 'IS_NOT_NULL' ? not(tested) : tested;
  }
  if ('BooleanTest' in node) return bindBooleanTest(node.BooleanTest, context);
  if ('CoalesceExpr' in node) {
    const args = unified(node.CoalesceExpr.args, 'COALESCE', node.CoalesceExpr.location ?? 0, context);
    return args.length === 1 ? (args[0] ?? nullOf(boolType)) : { kind: 'coalesce', args, type: typeOf(args) };
  }
  if ('MinMaxExpr' in node) {
    const { op, location = 0 } = node.MinMaxExpr;
    const name = op === 'IS_LEAST' ? 'least' : 'greatest';
    return callFunction(name, unified(node.MinMaxExpr.args, name.toUpperCase(), location, context), location);
  }
  if ('A_ArrayExpr' in node) {
    const { elements, location = 0 } = node.A_ArrayExpr;
    if (elements === undefined || elements.length === 0) {
      throw unsupported('ARRAY[] without a type is', location, 'Cast it: ARRAY[]::integer[].');
    }
    return arrayOf(unified(elements, 'ARRAY', location, context));
  }
  if ('RowExpr' in node) return bindRow(node.RowExpr, context);
  if ('A_Indirection' in node) return bindIndirection(node.A_Indirection, context);
  if ('CollateClause' in node) return bindCollation(node.CollateClause, context);
  throw refused(node);
}

function bindBoolean({ boolop, args = [], location = 0 }: BoolExpr, context: ExpressionContext): Expression {
  const what = boolop === 'NOT_EXPR' ? 'NOT' : boolop === 'OR_EXPR' ? 'OR' : 'AND';
  const bound = args.map((arg) => asCondition(context.view.expression(arg, context), what, locationOf(arg)));
  const [first] = bound;
  if (first === undefined) throw unsupported('this expression is', location);
  if (what === 'NOT') return not(first);
  return { kind: what === 'OR' ? 'or' : 'and', args: bound, type: boolType };
}

function bindBooleanTest({ arg, booltesttype }: BooleanTest, context: ExpressionContext): Expression {
  const what = (booltesttype ?? '').replaceAll('_', ' ');
  const value = asCondition(context.view.expression(arg, context), what, locationOf(arg));
  switch (booltesttype) {
    case 'IS_TRUE':
      return isTrueValue(value);
    case 'IS_NOT_TRUE':
      return not(isTrueValue(value));
    case 'IS_FALSE':
      return isTrueValue(not(value));
    case 'IS_NOT_FALSE':
      return not(isTrueValue(not(value)));
    case 'IS_UNKNOWN':
      return isNull(value);
    case 'IS_NOT_UNKNOWN':
      return not(isNull(value));
    default:
      throw unsupported('this test is', locationOf(arg));
  }
}

/** IS NULL of a row: every field is; IS NOT NULL: no field is. A field that is a row itself is NULL where there is none, whatever is in it. */
function recordTest(row: Expression, notNull: boolean): Expression {
  if (!notNull) return isNull(row);
  // The row of a table that an outer join may leave out.
  if (row.kind === 'case' && row.otherwise.kind === 'row') {
    const [absent, ...others] = row.branches;
    const isAbsence = absent?.when.kind === 'isNull' && absent.then.kind === 'literal' && absent.then.value === null;
    if (isAbsence && others.length === 0) return and([not(absent.when), recordTest(row.otherwise, notNull)]);
  }
  if (row.kind !== 'row') return callFunction('record is not null', [row], 0);
  const tests = row.fields.map((field) => (field.type.kind === 'record' ? isThere(field) : not(isNull(field))));
  const [first] = tests;
  if (first === undefined) return not(isNull(row));
  return tests.length === 1 ? first : { kind: 'and', args: tests, type: boolType };
}

/** Whether there is a row at all. */
function isThere(row: Expression): Expression {
  return row.kind === 'row' ? trueLiteral : callFunction('record is there', [row], 0);
}

function bindCase(expression: CaseExpr, context: ExpressionContext): Expression {
  const { arg, args = [], defresult, location = 0 } = expression;
  const subject = arg === undefined ? undefined : typed(context.view.expression(arg, context), locationOf(arg));
  const branches = args.flatMap((node) => ('CaseWhen' in node ? [node.CaseWhen] : []));
  const whens = branches.map(({ expr }) => {
    const bound = context.view.expression(expr, context);
    return subject === undefined
      ? asCondition(bound, 'CASE/WHEN', locationOf(expr))
      : equality(subject, bound, locationOf(expr));
  });
  const otherwise =
    defresult === undefined ? nullOf({ kind: 'scalar', name: 'unknown' }) : context.view.expression(defresult, context);
  const thens = branches.map(({ result }) => context.view.expression(result, context));
  const type = commonType([otherwise, ...thens], 'CASE', location);
  const cast = (e: Expression): Expression => castTo(e, type, 'implicit', location);
  return {
    kind: 'case',
    branches: whens.flatMap((when, index) => {
      const then = thens[index];
      return then === undefined ? [] : [{ when, then: cast(then) }];
    }),
    otherwise: cast(otherwise),
    type,
  };
}

function bindCast({ arg, typeName, location }: TypeCast, context: ExpressionContext): Expression {
  const { type, typmod } = bindType(typeName);
  const place = location === undefined || location < 0 ? (typeName?.location ?? 0) : location;
  if (arg !== undefined && 'A_ArrayExpr' in arg && type.kind === 'array') {
    const items = arg.A_ArrayExpr.elements ?? [];
    const nested = items.some((item) => 'A_ArrayExpr' in item);
    const bound = items.map((item) => context.view.expression(item, context));
    if (bound.length === 0) return { kind: 'literal', value: '{}', type };
    if (!nested) return arrayOf(bound.map((item) => castTo(item, type.element, 'explicit', place, typmod)));
  }
  // What is wrong with a literal is said of the literal.
  const at = arg !== undefined && 'A_Const' in arg ? locationOf(arg) : place;
  return castTo(context.view.expression(arg, context), type, 'explicit', at, typmod);
}

function bindRow({ args = [] }: RowExpr, context: ExpressionContext): Expression {
  const fields = args.flatMap((arg) => {
    const star = 'ColumnRef' in arg && arg.ColumnRef.fields?.some((field) => 'A_Star' in field) === true;
    const bound = context.view.expression(arg, context);
    if (!star) return [bound];
    // Of a table that an outer join may leave out, the row is a CASE; its columns are NULL by themselves.
    const row = bound.kind === 'case' ? bound.otherwise : bound;
    return row.kind === 'row' ? row.fields : [bound];
  });
  return {
    kind: 'row',
    fields,
    type: { kind: 'record', fields: fields.map(({ type }, index) => ({ name: `f${index + 1}`, type })) },
  };
}

function bindCollation({ arg, collname, location = 0 }: CollateClause, context: ExpressionContext): Expression {
  const name = textsOf(collname).at(-1) ?? '';
  if (!['C', 'POSIX', 'ucs_basic', 'C.UTF-8', 'C.utf8', 'pg_c_utf8'].includes(name)) {
    throw unsupported(
      `COLLATE "${name}" is`,
      location,
      'Views order text by code point: write COLLATE "C", or nothing.',
    );
  }
  return typed(context.view.expression(arg, context), location);
}

/** The expressions with casts to their common type. */
function unified(
  nodes: readonly Node[] | undefined,
  what: string,
  location: number,
  context: ExpressionContext,
): readonly Expression[] {
  const bound = (nodes ?? []).map((node) => context.view.expression(node, context));
  const type = commonType(bound, what, location);
  return mapAll(bound, (e) => castTo(e, type, 'implicit', location));
}

function typeOf(args: readonly Expression[]): Expression['type'] {
  return args[0]?.type ?? boolType;
}

function arrayOf(items: readonly Expression[]): Expression {
  const element = typeOf(items);
  return { kind: 'array', items, type: element.kind === 'array' ? element : { kind: 'array', element } };
}

const refusedNodes: Readonly<Record<string, readonly [what: string, instead: string]>> = {
  ParamRef: ['a parameter is', 'Write the value itself.'],
  SQLValueFunction: [
    'the current time, date or user is',
    'A view must give the same rows whenever it is computed: compare with a column, or filter where the view is read.',
  ],
  GroupingFunc: ['GROUPING is', 'Write one GROUP BY for each grouping, joined by UNION ALL.'],
  JsonArrayConstructor: ['JSON_ARRAY is', 'Use json_build_array.'],
  JsonObjectConstructor: ['JSON_OBJECT is', 'Use json_build_object.'],
  JsonArrayQueryConstructor: ['JSON_ARRAY(SELECT …) is', 'Use json_agg in a subquery.'],
  JsonArrayAgg: ['JSON_ARRAYAGG is', 'Use json_agg.'],
  JsonObjectAgg: ['JSON_OBJECTAGG is', 'Use json_object_agg.'],
  JsonIsPredicate: ['IS JSON is', ''],
  JsonFuncExpr: ['JSON_VALUE, JSON_QUERY and JSON_EXISTS are', 'Use -> and ->>, or #> and #>>.'],
  JsonParseExpr: ['JSON(…) is', 'Cast to json.'],
  JsonScalarExpr: ['JSON_SCALAR is', 'Use to_json.'],
  JsonSerializeExpr: ['JSON_SERIALIZE is', 'Cast to text.'],
  XmlExpr: ['XML is', ''],
  XmlSerialize: ['XML is', ''],
  NamedArgExpr: ['a named argument is', 'Give the arguments in their order.'],
  SetToDefault: ['DEFAULT is', 'Write the value itself.'],
};

function refused(node: Node): Error {
  const [kind = ''] = Object.keys(node);
  const known = refusedNodes[kind];
  if (known === undefined) return unsupported(`this expression (${kind}) is`, locationOf(node));
  return unsupported(known[0], locationOf(node), known[1] === '' ? undefined : known[1]);
}
