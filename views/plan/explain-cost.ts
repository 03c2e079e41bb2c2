import type { GraphNode } from '../engine.ts';

/** What one changed row of a relation leads to, operator by operator. */
export interface InputCost {
  readonly relation: string;
  readonly does: readonly string[];
}

/** Follows a change from each input through the operators; `nodes` are in topological order. */
export function lookUpsOf(nodes: readonly GraphNode[], idOf: (node: GraphNode) => number): readonly InputCost[] {
  return nodes
    .filter(({ kind }) => kind === 'input')
    .map((input) => {
      const reached = new Set([input]);
      const does: string[] = [];
      for (const node of nodes) {
        if (!node.inputs.some((from) => reached.has(from))) continue;
        reached.add(node);
        const step = stepOf(node, reached, idOf);
        if (step !== null) does.push(step);
      }
      return { relation: input.detail, does };
    });
}

function stepOf(node: GraphNode, reached: ReadonlySet<GraphNode>, idOf: (node: GraphNode) => number): string | null {
  const at = `#${idOf(node)} ${node.kind}`;
  switch (node.kind) {
    case 'arrange':
      return `${at}: one entry ${node.detail}`;
    case 'join':
    case 'except':
    case 'intersect': {
      // A change of one side looks up the other one; the far side of a self-join is both.
      const [left, right] = node.inputs;
      const looked = [
        ...(left !== undefined && right !== undefined && reached.has(left) ? [right] : []),
        ...(left !== undefined && right !== undefined && reached.has(right) ? [left] : []),
      ];
      const names = [...new Set(looked)].map((other) => `#${idOf(other)} ${other.detail}`);
      return `${at}: looks up ${names.join(' and ')}`;
    }
    case 'aggregate':
      return node.states.some(({ name }) => name.includes('/rows-'))
        ? `${at}: one group, rendered once a step from its rows`
        : `${at}: one group, its totals`;
    case 'top':
    case 'distinct':
      return `${at}: one group, ${node.kind === 'top' ? node.detail : 'its first row'}`;
    case 'expand':
      return `${at}: one row for each that the function gives`;
    default:
      return node.states.length === 0 ? null : `${at}: one entry`;
  }
}
