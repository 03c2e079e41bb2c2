import type { KeyViolation, OutputOperator } from './operators/output.ts';
import type { Operator, StepContext } from './operators/operator.ts';
import { identityKey } from './operators/rows.ts';
import type { RowError } from './expressions/expression.ts';
import type { Delta } from './delta.ts';
import { emptyDelta } from './delta.ts';
import type { Arrangement, Records } from './state/port.ts';
import type { SqlType } from './type.ts';
import type { Row } from './value.ts';

/** A relation that the views read; its rows are given to `step` with the columns at `positions`, in that order. */
export interface EngineInput {
  /** Topic of the table. */
  readonly relation: string;
  readonly positions: readonly number[];
  readonly types: readonly SqlType[];
}

/** A row that an operator could not evaluate and left out of `views` (weight > 0), or that has gone since (< 0). */
export interface Rejection {
  readonly views: readonly string[];
  /** As `explain` names it. */
  readonly operator: string;
  readonly row: Row;
  readonly weight: number;
  readonly error: RowError;
}

/** A state that an operator owns. */
export interface NodeState {
  readonly name: string;
  readonly of: Arrangement | Records;
}

/** One operator of the graph, with what `explain` says of it. */
export interface GraphNode {
  /** Unique, and the same for the same plan: its states are named after it. */
  readonly name: string;
  /** `join`, `aggregate` … */
  readonly kind: string;
  readonly detail: string;
  readonly operator: Operator;
  readonly inputs: readonly GraphNode[];
  readonly states: readonly NodeState[];
  /** It has rows before anything has changed, and must be asked in the first step. */
  readonly eager: boolean;
  /** The views that are made of it. */
  readonly views: Set<string>;
  /** What changed in the step that runs. */
  out: Delta;
}

export interface EngineInputNode extends EngineInput {
  readonly node: GraphNode;
}

export interface EngineOutput {
  readonly view: string;
  readonly node: GraphNode;
  readonly operator: OutputOperator;
  /** `step` says what changed in it; others are looked at by views alone. */
  readonly isWanted: boolean;
}

/** Views kept up to date together: one graph of operators, in which what they have in common is computed once. */
export class Engine {
  readonly inputs: readonly EngineInput[];
  /** In topological order. */
  readonly nodes: readonly GraphNode[];
  readonly outputs: readonly EngineOutput[];
  /** Of the last step: rows that left or entered the views' dead letters. */
  rejections: readonly Rejection[] = [];
  /** Of the last step. */
  violations: readonly KeyViolation[] = [];
  /** Bytes of each state, by name (StateStore.sizes). */
  readonly sizes: () => ReadonlyMap<string, number>;
  readonly #inputs: ReadonlyMap<string, EngineInputNode>;
  readonly #steps: readonly NodeStep[];
  #started = false;

  constructor(graph: {
    readonly inputs: readonly EngineInputNode[];
    readonly nodes: readonly GraphNode[];
    readonly outputs: readonly EngineOutput[];
    readonly sizes: () => ReadonlyMap<string, number>;
  }) {
    this.inputs = graph.inputs.map(({ relation, positions, types }) => ({ relation, positions, types }));
    this.nodes = graph.nodes;
    this.outputs = graph.outputs;
    this.sizes = graph.sizes;
    this.#inputs = new Map(graph.inputs.map((input) => [input.relation, input]));
    this.#steps = graph.nodes
      .filter(({ inputs, eager }) => inputs.length > 0 || eager)
      .map((node) => new NodeStep(node));
  }

  inputNode(relation: string): GraphNode | undefined {
    return this.#inputs.get(relation)?.node;
  }

  /** The states have been made of all that the inputs hold, rows of constants included (operators/build.ts). */
  built(): void {
    this.#started = true;
  }

  /**
   * Takes what changed in the relations (those not named have not changed; others than `inputs` are ignored) and says what
   * changed in each view: consolidated, and only views that changed.
   */
  step(inputs: ReadonlyMap<string, Delta>): ReadonlyMap<string, Delta> {
    const context = new RejectionList();
    let violations: readonly KeyViolation[] = none;
    for (const [relation, delta] of inputs) {
      const input = this.#inputs.get(relation);
      if (input !== undefined) input.node.out = delta;
    }
    const isFirst = !this.#started;
    for (const step of this.#steps) step.run(isFirst, context);
    let changed: Map<string, Delta> | null = null;
    for (const { view, node, operator, isWanted } of this.outputs) {
      if (isWanted && node.out.length > 0) {
        changed ??= new Map();
        changed.set(view, node.out);
      }
      const found = operator.takeViolations();
      if (found.length > 0) violations = [...violations, ...found];
    }
    for (const input of this.#inputs.values()) input.node.out = emptyDelta;
    this.#started = true;
    this.rejections = context.netRejections();
    this.violations = violations;
    return changed ?? nothingChanged;
  }
}

/** Runs one operator when something changed in its inputs. */
class NodeStep {
  readonly #node: GraphNode;
  readonly #operator: Operator;
  readonly #inputs: readonly GraphNode[];
  readonly #deltas: Delta[];

  constructor(node: GraphNode) {
    this.#node = node;
    this.#operator = node.operator;
    this.#inputs = node.inputs;
    this.#deltas = node.inputs.map(() => emptyDelta);
  }

  run(isFirst: boolean, context: RejectionList): void {
    const inputs = this.#inputs;
    const deltas = this.#deltas;
    let isChanged = isFirst && this.#node.eager;
    for (let index = 0; index < inputs.length; index++) {
      const delta = (inputs[index] as GraphNode).out;
      deltas[index] = delta;
      if (delta.rows.length > 0) isChanged = true;
    }
    if (isChanged) {
      context.node = this.#node;
      this.#node.out = this.#operator.step(deltas, context);
    } else {
      this.#node.out = emptyDelta;
    }
  }
}

const none: readonly never[] = [];
const nothingChanged: ReadonlyMap<string, Delta> = new Map();

/** What one step, or a part of a build, rejects. */
export class RejectionList implements StepContext {
  #rejections: Rejection[] | null = null;
  node: GraphNode | null = null;

  reject(operator: string, row: Row, weight: number, error: RowError): void {
    this.#rejections ??= [];
    this.#rejections.push({ views: [...(this.node?.views ?? [])], operator, row, weight, error });
  }

  /** Without those that were taken back in the same step. */
  netRejections(): readonly Rejection[] {
    if (this.#rejections === null) return none;
    const net = new Map<string, Rejection>();
    for (const rejection of this.#rejections) {
      const { operator, row, error } = rejection;
      const positions = row.map((_, position) => position);
      const key = `${operator} ${error.sqlState} ${error.message} ${identityKey(row, positions)}`;
      const known = net.get(key);
      net.set(key, known === undefined ? rejection : { ...known, weight: known.weight + rejection.weight });
    }
    return [...net.values()].filter(({ weight }) => weight !== 0);
  }
}
