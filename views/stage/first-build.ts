import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { Delta } from '../delta.ts';
import { Build } from '../operators/build.ts';
import { consolidate } from '../operators/consolidate.ts';
import { Groups, partLimits, writeWeighted } from '../operators/groups.ts';
import type { StageOptions } from '../port.ts';
import type { StateStore } from '../state/port.ts';
import { SortSpace } from '../state/sorter.ts';
import type { Sorter } from '../state/sorter.ts';
import type { SteppedView, Stepper } from './stepper.ts';

/** Memory for what waits to be sorted; the rest is in files. */
const sortBytesMax = 48 * 1024 * 1024;
/** Parts between two looks at what else the process has to do. */
const partsPerTurn = 4;

/**
 * The making of a state that is new: records are put aside until the tables are consistent, then everything is made of them at once
 * (operators/build.ts). Nothing of it outlives the process before it is whole: a start after a kill begins again.
 */
export class FirstBuild {
  readonly #options: StageOptions;
  readonly #store: StateStore;
  readonly #stepper: Stepper;
  readonly #folder: string;
  readonly #space: SortSpace;

  constructor(options: StageOptions, store: StateStore, stepper: Stepper) {
    this.#options = options;
    this.#store = store;
    this.#stepper = stepper;
    this.#folder = join(options.directory, 'sorting');
    this.#space = new SortSpace(sortBytesMax, { files: options.files, directory: this.#folder });
    for (const input of stepper.inputs.values()) input.beginBuild(this.#space);
  }

  /** Removes what a killed process left. */
  async open(): Promise<void> {
    await this.#options.files.remove(this.#folder);
  }

  /** Makes room in memory, where there is need. */
  async relieve(): Promise<void> {
    await this.#space.relieve();
  }

  /** Makes states and results; false when the signal was aborted before. */
  async run(signal: AbortSignal): Promise<boolean> {
    const results = new Map(this.#stepper.views.map((view) => [view.name, { view, sorter: this.#space.sorter() }]));
    let parts = 0;
    const pause = async (): Promise<void> => {
      this.#stepper.noteViolations();
      if (++parts % partsPerTurn === 0) await turn();
      signal.throwIfAborted();
    };
    const build = new Build({
      engine: this.#stepper.engine,
      store: this.#store,
      space: this.#space,
      take: (name, rows) => {
        const result = results.get(name);
        if (result !== undefined) sortByKey(result.view, result.sorter, rows);
      },
      reject: (rejections) => this.#stepper.noteRejections(rejections),
      pause,
    });
    try {
      await build.run((relation) => this.#rows(relation));
      for (const { view, sorter } of results.values()) await this.#keep(view, sorter, pause);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#space.close();
  }

  async *#rows(relation: string): AsyncGenerator<Delta> {
    const input = this.#stepper.inputs.get(relation);
    if (input !== undefined) yield* input.build(this.#store);
  }

  async #keep({ output, encoder }: SteppedView, sorter: Sorter, pause: () => Promise<void>): Promise<void> {
    const filling = this.#store.fill?.([`result:${output.view.name}`]);
    const groups = new Groups([{ cursor: sorter.read(), width: output.view.columns.length }], partLimits);
    for (let part = await groups.next(); part !== null; part = await groups.next()) {
      const [rows] = part.deltas;
      if (rows !== undefined) output.take(consolidate(rows, output.groupOf), false, encoder, null);
      await filling?.settle(part.isWhole);
      await pause();
    }
    await filling?.end();
    await sorter.close();
  }
}

function sortByKey({ output }: SteppedView, sorter: Sorter, { rows, weights }: Delta): void {
  for (const [index, row] of rows.entries()) {
    writeWeighted(row, weights[index] ?? 0, sorter.begin(output.groupOf(row)));
    sorter.end();
  }
}
