import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { present } from '../../base/assert.ts';
import { ChangeCursor, ChangeWriter } from '../../model/change.ts';
import type { ChangeBatch } from '../../model/change.ts';
import type { Log } from '../../model/log.ts';
import type { TakeRows } from '../../model/source.ts';
import type { Table } from '../../model/table.ts';
import { Delta } from '../../views/delta.ts';
import type { EngineInput } from '../../views/engine.ts';
import { RowError } from '../../views/expressions/expression.ts';
import { buildEngine } from '../../views/plan/lower.ts';
import type { BoundView } from '../../views/plan/plan.ts';
import { RowDecoder } from '../../views/stage/row-decoder.ts';
import { ViewOutput } from '../../views/stage/view-output.ts';
import { RowEncoder } from '../../views/stage/view-topic.ts';
import { DiskStore } from '../../views/state/disk.ts';
import type { StateStore } from '../../views/state/port.ts';
import type { Pipeline } from '../pipeline.ts';
import { newestTables } from '../view-catalog.ts';
import { rowsOf } from './sides.ts';
import { boundViews, versionOfView } from './view-query.ts';

/** Rows taken as one step: a few milliseconds, in which the process does nothing else. */
const stepRows = 500;
const pieceBytes = 256 * 1024;

let folders = 0;

/** A view computed from the log once more, by an engine that has no past: what the incremental one should have come to. */
export class FreshView {
  readonly #pipeline: Pipeline;
  readonly #bound: readonly BoundView[];
  readonly #name: string;
  readonly #tables: ReadonlyMap<string, Table>;

  private constructor(pipeline: Pipeline, bound: readonly BoundView[], name: string) {
    this.#pipeline = pipeline;
    this.#bound = bound;
    this.#name = name;
    const sources = pipeline.sources.map((source) => source.name);
    this.#tables = newestTables(pipeline.log, sources);
  }

  /** Null where the log does not tell what a table holds: it has every row of one without a key that ever was. */
  static async of(pipeline: Pipeline, name: string): Promise<FreshView | null> {
    const view = new FreshView(pipeline, await boundViews(pipeline, name), name);
    const { store, close } = await view.#open();
    try {
      const { inputs } = buildEngine(view.#bound, store, { outputs: [name] });
      const isKeyed = ({ relation }: EngineInput): boolean => (view.#tables.get(relation)?.key.length ?? 0) > 0;
      return inputs.every(isKeyed) ? view : null;
    } finally {
      await close();
    }
  }

  /** Hands over the rows of the view over all that the log holds now. */
  async read(take: TakeRows, signal: AbortSignal): Promise<void> {
    const { log } = this.#pipeline;
    const upTo = new Map(this.#pipeline.sources.map(({ name }) => [name, log.frontier(name).seq]));
    const { store, close } = await this.#open();
    try {
      const engine = buildEngine(this.#bound, store, { outputs: [this.#name] });
      const bound = present(
        this.#bound.find(({ name }) => name === this.#name),
        `view ${this.#name}`,
      );
      const { table, schemaId } = versionOfView(this.#pipeline, bound);
      const encoder = new RowEncoder(
        bound.columns.map(({ type }) => type),
        table,
        schemaId,
      );
      const output = new ViewOutput(bound, table, store);
      const step = (relation: string, delta: Delta): void => {
        const changed = engine.step(new Map([[relation, delta]])).get(this.#name);
        if (changed !== undefined) output.take(changed, false, encoder, null);
      };
      // Views without a table have their rows from the beginning.
      step('', new Delta());
      for (const input of engine.inputs) await this.#feed(input, upTo, store, step, signal);
      await hand(output, encoder, take, signal);
    } finally {
      await close();
    }
  }

  async #feed(
    input: EngineInput,
    upTo: ReadonlyMap<string, number>,
    store: StateStore,
    step: (relation: string, delta: Delta) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { log } = this.#pipeline;
    const table = present(this.#tables.get(input.relation), `table ${input.relation}`);
    const rows = new InputRows(log, table, input);
    for await (const batch of rowsOf(log, input.relation, upTo.get(table.source) ?? 0, signal)) {
      for (const delta of rows.deltas(batch)) {
        step(input.relation, delta);
        await store.relieve?.();
        await nextTurn();
      }
    }
  }

  async #open(): Promise<{ store: DiskStore; close: () => Promise<void> }> {
    const { directory, files } = present(this.#pipeline.views, 'the views').scratch;
    const own = `verify-${process.pid}-`;
    // What a process left that was killed in the middle; the folder is ours alone.
    for (const name of await files.list(directory)) {
      if (name.startsWith('verify-') && !name.startsWith(own)) await files.remove(join(directory, name));
    }
    const path = join(directory, `${own}${folders++}`);
    const store = await DiskStore.open({ path });
    const close = async (): Promise<void> => {
      await store.close();
      await files.remove(path);
    };
    return { store, close };
  }
}

/** Rows of one table, in the columns that the views use. */
class InputRows {
  readonly #log: Log;
  readonly #wanted: ConstructorParameters<typeof RowDecoder>[0];
  readonly #decoders = new Map<number, RowDecoder>();
  readonly #record = new ChangeCursor();

  constructor(log: Log, table: Table, { positions, types }: EngineInput) {
    this.#log = log;
    this.#wanted = positions.map((position, index) => ({
      id: present(table.columns[position], `column ${position} of ${table.topic}`).id,
      type: present(types[index], `the type of column ${position} of ${table.topic}`),
    }));
  }

  *deltas(batch: ChangeBatch): Generator<Delta> {
    const record = this.#record.reset(batch.bytes);
    let delta = new Delta();
    while (record.next()) {
      const row = this.#row(record);
      if (row !== null) delta.push(row, 1);
      if (delta.length < stepRows) continue;
      yield delta;
      delta = new Delta();
    }
    if (delta.length > 0) yield delta;
  }

  /** Null for a row that cannot be read, which views leave out as well. */
  #row({ schemaId, bytes, afterStart }: ChangeCursor): ReturnType<RowDecoder['decode']> | null {
    let decoder = this.#decoders.get(schemaId);
    if (decoder === undefined) {
      decoder = new RowDecoder(this.#wanted, present(this.#log.table(schemaId), `table ${schemaId}`));
      this.#decoders.set(schemaId, decoder);
    }
    try {
      return decoder.decode(bytes, afterStart);
    } catch (error) {
      if (error instanceof RowError) return null;
      throw error;
    }
  }
}

/** Hands the result over in pieces. */
async function hand(output: ViewOutput, encoder: RowEncoder, take: TakeRows, signal: AbortSignal): Promise<void> {
  const writer = new ChangeWriter();
  for (const [, record] of output.results.entries()) {
    const times = output.hasKey ? 1 : (record[0] as number);
    const row = output.hasKey ? record : record.slice(1);
    for (let left = times; left > 0; left--) encoder.change(null, row, writer);
    if (writer.size < pieceBytes) continue;
    signal.throwIfAborted();
    await take(writer.batch());
    writer.reset();
  }
  if (writer.count > 0) await take(writer.batch());
}
