import type { GraphNode } from '../engine.ts';
import { compileJoinPredicate } from '../expressions/compile.ts';
import type { Expression } from '../expressions/expression.ts';
import type { JoinOptions } from '../operators/join.ts';
import { Join } from '../operators/join.ts';
import { joiner, padder } from '../operators/rows.ts';
import { Union } from '../operators/union.ts';
import { isTrue } from './expressions.ts';
import { splitCondition } from './join-keys.ts';
import type { Arranged, GraphBuilder, Lowered } from './lower-graph.ts';
import { expressionName, layoutOf, nodeOf } from './lower-graph.ts';
import type { JoinPlan } from './plan.ts';

type JoinType = JoinPlan['type'];

/**
 * A join on equalities alone is one operator over two arrangements. With further conditions, whether a row has partners is no longer
 * a question of its key alone: the pairs are an inner join, and the rows of a side with or without partners are told by joining the
 * side, by whole rows, with those of its rows that are in the pairs.
 */
export function lowerJoin(
  plan: JoinPlan,
  identity: string,
  left: Lowered,
  right: Lowered,
  graph: GraphBuilder,
): Lowered {
  const { keys, residual } = split(plan);
  const isPairs = plan.type === 'inner' || plan.type === 'left' || plan.type === 'full';
  const nullsEqual = keys.map((key) => key.nullsEqual);
  const arrangedLeft = graph.arrange(left, { keys: keys.map((key) => key.left), nullsEqual });
  const arrangedRight = graph.arrange(right, {
    keys: keys.map((key) => key.right),
    nullsEqual,
    totalsOnly: !isPairs && residual === null,
  });
  const detail = keys
    .map((key) => `${expressionName(key.left, left.columns)} = ${expressionName(key.right, right.columns)}`)
    .join(' and ');
  const makeJoin = new JoinMaker(graph, identity);
  if (residual === null) {
    const node = makeJoin.node(plan.type, detail === '' ? 'every pair' : detail, arrangedLeft, arrangedRight, null);
    return lowered(plan, identity, node);
  }
  const pairs = makeJoin.node(
    'inner',
    `${detail}; if ${named(residual, left, right)}`,
    arrangedLeft,
    arrangedRight,
    residual,
  );
  const parts = [
    ...(isPairs ? [pairs] : []),
    ...(plan.type === 'inner' ? [] : [makeJoin.alone(plan.type, 'left', left, right, pairs)]),
    ...(plan.type === 'full' ? [makeJoin.alone(plan.type, 'right', left, right, pairs)] : []),
  ];
  const [first = pairs] = parts;
  if (parts.length === 1) return lowered(plan, identity, first);
  const union = new Union(parts.map(() => null));
  return lowered(plan, identity, graph.add(nodeOf(`union-${identity}`, 'union', plan.type, union, parts)));
}

function split({ condition, left, right }: JoinPlan): ReturnType<typeof splitCondition> {
  if (isTrue(condition)) return { keys: [], residual: null };
  return splitCondition(
    condition,
    new Set(left.columns.map(({ id }) => id)),
    new Set(right.columns.map(({ id }) => id)),
  );
}

function named(residual: Expression, left: Lowered, right: Lowered): string {
  return expressionName(residual, [...left.columns, ...right.columns]);
}

function lowered({ columns }: JoinPlan, identity: string, node: GraphNode): Lowered {
  return { node, identity, columns, positions: columns.map((_, index) => index), width: columns.length };
}

class JoinMaker {
  readonly #graph: GraphBuilder;
  readonly #identity: string;

  constructor(graph: GraphBuilder, identity: string) {
    this.#graph = graph;
    this.#identity = identity;
  }

  node(type: JoinType, detail: string, left: Arranged, right: Arranged, residual: Expression | null): GraphNode {
    const name = `join-${this.#identity}`;
    const leftWidth = left.lowered.columns.length;
    const rightWidth = right.lowered.columns.length;
    const isPairs = type === 'inner' || type === 'left' || type === 'full';
    const alone = isPairs ? padder(0, leftWidth, rightWidth) : null;
    const options: JoinOptions = {
      name,
      left: left.arrange,
      right: right.arrange,
      join: isPairs ? joiner(left.lowered.positions, right.lowered.positions) : null,
      residual:
        residual === null ? null : compileJoinPredicate(residual, layoutOf(left.lowered), layoutOf(right.lowered)),
      leftAlone: type === 'inner' ? 'none' : type === 'semi' ? 'matched' : 'unmatched',
      rightAlone: type === 'full' ? 'unmatched' : 'none',
      padLeft: alone,
      padRight: padder(leftWidth, rightWidth, 0),
    };
    return this.#graph.add(
      nodeOf(name, 'join', `${type} on ${detail}`, new Join(options), [left.lowered.node, right.lowered.node]),
    );
  }

  /** The rows of one side by themselves: those that are in no pair (semi: in some). */
  alone(type: JoinType, side: 'left' | 'right', left: Lowered, right: Lowered, pairs: GraphNode): GraphNode {
    const own = side === 'left' ? left : right;
    const offset = side === 'left' ? 0 : left.columns.length;
    const ofPairs: Lowered = {
      node: pairs,
      identity: `${this.#identity}/pairs/${side}`,
      columns: own.columns,
      positions: own.columns.map((_, index) => offset + index),
      width: left.columns.length + right.columns.length,
    };
    const rows = this.#graph.arrange(own, { keys: 'identity' });
    const matched = this.#graph.arrange(ofPairs, { keys: 'identity', totalsOnly: true });
    const name = `alone-${side}-${this.#identity}`;
    const isPadded = type === 'left' || type === 'full';
    const padLeft = padder(offset, own.columns.length, ofPairs.width - offset - own.columns.length);
    const join = new Join({
      name,
      left: rows.arrange,
      right: matched.arrange,
      join: null,
      residual: null,
      leftAlone: type === 'semi' ? 'matched' : 'unmatched',
      rightAlone: 'none',
      padLeft: isPadded ? padLeft : null,
      padRight: null,
    });
    const detail = `${side} rows ${type === 'semi' ? 'with' : 'without'} partner`;
    return this.#graph.add(nodeOf(name, 'join', detail, join, [rows.lowered.node, matched.lowered.node]));
  }
}
