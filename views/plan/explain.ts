import type { Engine, GraphNode } from '../engine.ts';
import { MemoryStore } from '../state/memory.ts';
import { lookUpsOf } from './explain-cost.ts';
import type { InputCost } from './explain-cost.ts';
import { buildEngine } from './lower.ts';
import type { BoundView } from './plan.ts';

/** The plan of views as operators, for programs. Operators come in the order in which a step goes through them. */
export interface Explanation {
  readonly views: readonly { readonly view: string; readonly operator: number }[];
  readonly operators: readonly ExplainedOperator[];
  /** What a changed row of each relation leads to. */
  readonly changes: readonly InputCost[];
}

export interface ExplainedOperator {
  readonly id: number;
  readonly kind: string;
  readonly detail: string;
  /** Ids. */
  readonly inputs: readonly number[];
  /** All views of the engine that it is part of. */
  readonly views: readonly string[];
  /** Rows and bytes are null where nothing runs, or nobody knows. */
  readonly states: readonly { readonly name: string; readonly rows: number | null; readonly bytes: number | null }[];
}

/** `engine`: the one that runs the views, for sizes and for what else shares their operators; null when none does. */
export function explanation(views: readonly BoundView[], engine: Engine | null): Explanation {
  const shown = engine ?? buildEngine(views, new MemoryStore());
  const names = new Set(views.map(({ name }) => name));
  const nodes = shown.nodes.filter((node) => [...node.views].some((view) => names.has(view)));
  const ids = new Map(nodes.map((node, index) => [node, index + 1]));
  const idOf = (node: GraphNode): number => ids.get(node) ?? 0;
  const sizes = engine?.sizes() ?? new Map<string, number>();
  return {
    views: shown.outputs
      .filter(({ view }) => names.has(view))
      .map(({ view, node }) => ({ view, operator: idOf(node) })),
    operators: nodes.map((node) => ({
      id: idOf(node),
      kind: node.kind,
      detail: node.detail,
      inputs: node.inputs.map((input) => idOf(input)),
      views: [...node.views],
      states: node.states.map(({ name, of }) => ({
        name,
        rows: engine === null ? null : (of.size ?? null),
        bytes: sizes.get(name) ?? null,
      })),
    })),
    changes: lookUpsOf(nodes, idOf),
  };
}

/** The same for people: each view as a tree, an operator that occurs again as a reference to its first place. */
export function explain(views: readonly BoundView[], engine: Engine | null): string {
  const { views: roots, operators, changes } = explanation(views, engine);
  const byId = new Map(operators.map((operator) => [operator.id, operator]));
  const printer = new TreePrinter(byId);
  for (const { view, operator } of roots) printer.root(view, operator);
  const lines = [...printer.lines, ''];
  for (const { relation, does } of changes) {
    lines.push(`a changed row of ${relation}`, ...does.map((step) => `  ${step}`));
  }
  return lines.join('\n');
}

class TreePrinter {
  readonly lines: string[] = [];
  readonly #operators: ReadonlyMap<number, ExplainedOperator>;
  readonly #printed = new Set<number>();
  #view = '';

  constructor(operators: ReadonlyMap<number, ExplainedOperator>) {
    this.#operators = operators;
  }

  root(view: string, id: number): void {
    if (this.lines.length > 0) this.lines.push('');
    this.#view = view;
    this.#print(id, '', '');
  }

  #print(id: number, first: string, others: string): void {
    const operator = this.#operators.get(id);
    if (operator === undefined) return;
    const again = this.#printed.has(id);
    this.lines.push(`${first}#${id} ${title(operator)}${again ? '  (see above)' : this.#remarks(operator)}`);
    if (again) return;
    this.#printed.add(id);
    for (const [index, input] of operator.inputs.entries()) {
      const isLast = index === operator.inputs.length - 1;
      this.#print(input, `${others}${isLast ? '└─ ' : '├─ '}`, `${others}${isLast ? '   ' : '│  '}`);
    }
  }

  #remarks({ views, states }: ExplainedOperator): string {
    const sharers = views.filter((view) => view !== this.#view);
    const rows = Math.max(0, ...states.map((state) => state.rows ?? 0));
    const bytes = states.reduce((sum, state) => sum + (state.bytes ?? 0), 0);
    const isSized = states.some((state) => state.bytes !== null);
    const marks = [
      ...(isSized ? [`${rows > 0 ? `${rows} ${rows === 1 ? 'row' : 'rows'}, ` : ''}${bytesText(bytes)}`] : []),
      ...(sharers.length === 0 ? [] : [`shared with ${sharers.join(', ')}`]),
    ];
    return marks.length === 0 ? '' : `  [${marks.join('; ')}]`;
  }
}

function title({ kind, detail }: ExplainedOperator): string {
  return detail === '' ? kind : `${kind} ${detail}`;
}

function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const kilobytes = bytes / 1024;
  return kilobytes < 1024 ? `${kilobytes.toFixed(1)} KiB` : `${(kilobytes / 1024).toFixed(1)} MiB`;
}
