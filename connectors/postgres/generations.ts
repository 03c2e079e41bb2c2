import type { Log, LogWriter } from '../../model/log.ts';
import type { Snapshotter } from '../../snapshot/snapshotter.ts';
import { oidOf } from './catalog.ts';
import type { TableVersion } from './catalog.ts';
import type { CapturedTable } from './relations.ts';

/** Told of tables that come and go, at the moment the catalog shows it. */
export interface TableWatch {
  /** Dropped, or under another name: from now on the stream's events of it do not belong to the topic. */
  departed(table: CapturedTable): void;
  /** A table has a captured name that it did not have at the last look: a new one, one that returns, or one in another's place. */
  arrived(table: CapturedTable): void;
  /** Its stored values changed without events. */
  rewritten(table: CapturedTable): void;
}

/**
 * A table that takes a name, returns to it, or is rewritten begins a *generation* of its topic. What the topic holds of earlier ones stays until
 * the new one is read, but no large value of theirs may fill in a new row: these are kept by generation. `generation:<topic>` in the
 * log's state is the number; all changes of earlier generations were made at or before the transaction of that number.
 */
export class Generations implements TableWatch {
  readonly #log: Log;
  readonly #stream: string;
  readonly #writer: LogWriter;
  readonly #snapshotter: Snapshotter;
  readonly #retire: (oid: number) => void;
  readonly #numbers = new Map<string, number>();

  constructor(context: {
    log: Log;
    stream: string;
    writer: LogWriter;
    snapshotter: Snapshotter;
    retire: (oid: number) => void;
  }) {
    this.#log = context.log;
    this.#stream = context.stream;
    this.#writer = context.writer;
    this.#snapshotter = context.snapshotter;
    this.#retire = context.retire;
  }

  /** Numbers the tables that are there at a start, some of which may have changed places while nobody looked. */
  open(tables: readonly CapturedTable[]): void {
    const state = this.#log.state(this.#stream);
    for (const table of tables) {
      const version = state.get(`version:${table.topic}`);
      table.generation = this.since(table.topic);
      const oid = version === undefined ? undefined : oidOf(JSON.parse(version) as TableVersion);
      if (oid !== undefined && oid !== table.catalog.oid) this.rewritten(table);
    }
  }

  /** Changes of the topic up to this number may be of an earlier generation. */
  since(topic: string): number {
    return this.#numbers.get(topic) ?? Number(this.#log.state(this.#stream).get(`generation:${topic}`) ?? 0);
  }

  departed(table: CapturedTable): void {
    this.#retire(table.catalog.oid);
    // With the next commit, that is, before or with the first one that leaves an event out.
    this.#snapshotter.changes.set(`consistent:${table.topic}`, null);
    if (this.#snapshotter.jobs.has(table.topic)) this.#snapshotter.withdraw(table.topic);
  }

  arrived(table: CapturedTable): void {
    this.rewritten(table);
    const { topic } = table;
    if (this.#log.state(this.#stream).has(`consistent:${topic}`) || this.#snapshotter.jobs.has(topic)) {
      this.#snapshotter.withdraw(topic);
    }
  }

  rewritten(table: CapturedTable): void {
    // The open transaction, if there is one, gets the next number.
    table.generation = Math.max(this.since(table.topic), this.#writer.last.seq) + 1;
    this.#numbers.set(table.topic, table.generation);
    this.#snapshotter.changes.set(`generation:${table.topic}`, String(table.generation));
  }
}

/** The name under which the large values of a table's rows are kept. */
export function valuesName({ topic, generation }: CapturedTable): string {
  return generation === 0 ? topic : `@${generation} ${topic}`;
}
