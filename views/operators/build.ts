import type { Delta } from '../delta.ts';
import { emptyDelta } from '../delta.ts';
import type { Engine, GraphNode, Rejection } from '../engine.ts';
import { RejectionList } from '../engine.ts';
import { RowError } from '../expressions/expression.ts';
import type { Filling, StateStore } from '../state/port.ts';
import type { Sorter, SortSpace } from '../state/sorter.ts';
import type { Row, StateKey } from '../value.ts';
import { Arrange } from './arrange.ts';
import { Groups, partLimits, writeWeighted } from './groups.ts';
import type { PartLimits, SortedRows } from './groups.ts';
import type { StepContext } from './operator.ts';

export interface BuildOptions {
  readonly engine: Engine;
  readonly store: StateStore;
  readonly space: SortSpace;
  /** Takes rows of a view's result: in any order of keys, and a row may come that goes again. */
  readonly take: (view: string, rows: Delta) => void;
  readonly reject: (rejections: readonly Rejection[]) => void;
  /** Awaited after each part, with time for others. Throws to give up. */
  readonly pause: () => Promise<void>;
  readonly limits?: PartLimits;
}

interface SortedInput {
  readonly sorter: Sorter;
  width: number;
  /** How many will still read it. */
  uses: number;
}

/**
 * The first build of a new state: the operators of a step, but one after the other, each over its whole input. What an operator keeps
 * by a key is sorted by that key first, and given to it key after key, so that each group is computed once, states are written
 * from their beginning to their end, and memory is bounded: what waits is on disk (state/sorter.ts).
 *
 * Rows flow through operators that remember nothing, up to the sorters of those that do. An operator that looks rows up (a join) walks
 * along its arrangements together. A key with very many rows is cut; what it gave is then taken back and given anew.
 */
export class Build {
  readonly #options: BuildOptions;
  readonly #limits: PartLimits;
  readonly #readers = new Map<GraphNode, { readonly node: GraphNode; readonly at: number }[]>();
  readonly #sorted = new Map<GraphNode, SortedInput>();
  /** Arrangements that hold their rows. */
  readonly #filled = new Set<GraphNode>();

  constructor(options: BuildOptions) {
    this.#options = options;
    this.#limits = options.limits ?? partLimits;
    const { nodes } = options.engine;
    for (const node of nodes) {
      this.#readers.set(node, []);
      for (const [at, input] of node.inputs.entries()) this.#readers.get(input)?.push({ node, at });
    }
    for (const node of nodes) {
      if (node.operator.groupOf === undefined) continue;
      const readers = new Set(this.#readers.get(node)?.map((reader) => reader.node));
      const uses = node.operator instanceof Arrange ? readers.size : 1;
      this.#sorted.set(node, { sorter: options.space.sorter(), width: 0, uses });
    }
  }

  /** `rows`: everything that a relation holds, part by part. */
  async run(rows: (relation: string) => AsyncIterable<Delta>): Promise<void> {
    const { engine } = this.#options;
    const relations = new Map(engine.inputs.map(({ relation }) => [engine.inputNode(relation), relation]));
    for (const node of engine.nodes) {
      const relation = relations.get(node);
      if (relation !== undefined) {
        for await (const part of rows(relation)) await this.#give(node, part);
      } else if (node.inputs.some(({ operator }) => operator instanceof Arrange)) {
        await this.#walk(node);
      } else if (node.operator.groupOf === undefined) {
        if (node.eager) await this.#give(node, this.#step(node, []));
      } else if (!(node.operator instanceof Arrange)) {
        await this.#fill(node);
      }
    }
    engine.built();
  }

  /** Gives rows to those who read the node, and lets memory be freed. */
  async #give(node: GraphNode, rows: Delta): Promise<void> {
    if (rows.length > 0) this.#push(node, rows);
    await this.#options.space.relieve();
    await this.#options.pause();
  }

  #push(node: GraphNode, rows: Delta): void {
    for (const output of this.#options.engine.outputs) if (output.node === node) this.#options.take(output.view, rows);
    for (const reader of this.#readers.get(node) ?? []) {
      const sorted = this.#sorted.get(reader.node);
      if (sorted !== undefined) {
        sort(reader.node, sorted, rows);
        continue;
      }
      const inputs = reader.node.inputs.map((_, at) => (at === reader.at ? rows : emptyDelta));
      const made = this.#step(reader.node, inputs);
      if (made.length > 0) this.#push(reader.node, made);
    }
  }

  /** Runs an operator that keeps rows by a key. */
  async #fill(node: GraphNode): Promise<void> {
    const groups = new Groups([this.#read(node)], this.#limits);
    const filling = this.#filling([node]);
    let isEmpty = true;
    for (let part = await groups.next(); part !== null; part = await groups.next()) {
      isEmpty = false;
      const made = this.#step(node, part.deltas);
      await filling?.settle(part.isWhole);
      await this.#give(node, made);
    }
    if (isEmpty && node.eager) await this.#give(node, this.#step(node, [emptyDelta]));
    await filling?.end();
    await this.#used(node);
  }

  /** Runs an operator that looks up rows of arrangements, which are filled meanwhile if they are not yet. */
  async #walk(node: GraphNode): Promise<void> {
    const arranges = [...new Set(node.inputs)];
    const fresh = arranges.filter((arrange) => !this.#filled.has(arrange));
    const sources = arranges.map((arrange) => this.#read(arrange));
    // An arrangement that is filled holds all rows of a key from the first part on: pairs with those of later parts would be made twice.
    const isCut = fresh.length === arranges.length;
    const groups = new Groups(
      sources,
      isCut ? this.#limits : { ...this.#limits, cutRows: Infinity, cutBytes: Infinity },
    );
    const filling = this.#filling(fresh);
    for (let part = await groups.next(); part !== null; part = await groups.next()) {
      const { deltas } = part;
      const arranged = arranges.map((arrange, index) => {
        const delta = deltas[index] ?? emptyDelta;
        if (fresh.includes(arrange)) return this.#step(arrange, [delta]);
        return arrange.operator instanceof Arrange ? arrange.operator.repeat(delta, unheard) : delta;
      });
      const inputs = node.inputs.map((input) => arranged[arranges.indexOf(input)] ?? emptyDelta);
      const made = this.#step(node, inputs);
      await filling?.settle(part.isWhole);
      await this.#give(node, made);
    }
    await filling?.end();
    for (const arrange of arranges) {
      this.#filled.add(arrange);
      await this.#used(arrange);
    }
  }

  #read(node: GraphNode): SortedRows {
    const { sorter, width } = this.#sorted.get(node) as SortedInput;
    return { cursor: sorter.read(), width };
  }

  #filling(nodes: readonly GraphNode[]): Filling | undefined {
    if (nodes.length === 0) return undefined;
    return this.#options.store.fill?.(nodes.flatMap(({ states }) => states.map(({ name }) => name)));
  }

  async #used(node: GraphNode): Promise<void> {
    const sorted = this.#sorted.get(node);
    if (sorted !== undefined && --sorted.uses === 0) await sorted.sorter.close();
  }

  #step(node: GraphNode, inputs: readonly Delta[]): Delta {
    const context = new RejectionList();
    context.node = node;
    const made = node.operator.step(inputs, context);
    const rejections = context.netRejections();
    if (rejections.length > 0) this.#options.reject(rejections);
    return made;
  }
}

function sort({ operator: { groupOf } }: GraphNode, sorted: SortedInput, { rows, weights }: Delta): void {
  const { sorter } = sorted;
  sorted.width = rows[0]?.length ?? 0;
  for (let index = 0; index < rows.length; index++) {
    const row = rows[index] as Row;
    writeWeighted(row, weights[index] as number, sorter.begin(groupOf === undefined ? undefined : keyOf(groupOf, row)));
    sorter.end();
  }
}

/** A row whose key cannot be computed goes along without one: the operator will reject it. */
function keyOf(groupOf: (row: Row) => StateKey | undefined, row: Row): StateKey | undefined {
  try {
    return groupOf(row);
  } catch (error) {
    if (!(error instanceof RowError)) throw error;
    return undefined;
  }
}

/** Rows that are looked up once more have been rejected before. */
const unheard: StepContext = { reject: () => undefined };
