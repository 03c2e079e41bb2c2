import { present } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { TidemarkError, messageOf } from '../base/errors.ts';
import { ChangeCursor } from '../model/change.ts';
import type { Report } from '../model/events.ts';
import { keyColumns, rowJsonEncoder } from '../model/json.ts';
import type { Log } from '../model/log.ts';
import type { ChangeSet } from './change-set.ts';
import type { DeadLetter } from './dead-letters.ts';
import type { RefusedChange } from './port.ts';
import { rowName } from './row-name.ts';
import type { Sink } from './sink.ts';

interface LetterDependencies {
  readonly log: Log;
  readonly clock: Clock;
  readonly report: Report;
  readonly onError: 'dead_letter' | 'stop';
  readonly deadLettersMax?: number;
}

/** Rows of one sink that the open write could not take, and rows whose dead letters it has made good or replaced. */
interface OfSink {
  readonly letters: Map<string, DeadLetter>;
  readonly settled: Set<string>;
}

/** The dead letters of a write that is open: kept when it is committed, before the cursor passes their rows. */
export class OpenLetters {
  readonly #deps: LetterDependencies;
  readonly #record = new ChangeCursor();
  readonly #bySink = new Map<string, OfSink>();

  constructor(deps: LetterDependencies) {
    this.#deps = deps;
  }

  /** The changes [from, to) were written: dead letters of their rows are of no concern any more. */
  settle(sink: Sink, set: ChangeSet, from: number, to: number): void {
    const open = this.#bySink.get(sink.name);
    if (sink.deadLetters.count === 0 && (open === undefined || open.letters.size === 0)) return;
    for (let index = from; index < to; index++) {
      set.locate(index, this.#record);
      const row = rowName(this.#record);
      open?.letters.delete(row);
      if (sink.deadLetters.concerns(row)) this.#of(sink).settled.add(row);
    }
  }

  /** The change was refused. SINK_STOPPED where that is to stop the sink. */
  reject(sink: Sink, set: ChangeSet, index: number, epoch: number, cause: TidemarkError): void {
    set.locate(index, this.#record);
    const row = rowName(this.#record);
    this.#add(sink, { row, key: this.#keyOfRecord(), seq: set.seqAt(index) }, epoch, cause);
  }

  /** What a target that gathers changes could not get rid of. */
  refuse(sinks: readonly Sink[], refused: readonly RefusedChange[], epoch: number): void {
    for (const { sink: name, reason, row, key, seq } of refused) {
      const sink = present(
        sinks.find((each) => each.name === name),
        `sink ${name}`,
      );
      this.#add(sink, { row, key, seq }, epoch, new TidemarkError('ROW_REJECTED', reason, { place: { sink: name } }));
    }
  }

  /** Makes them last. */
  async keep(sinks: readonly Sink[]): Promise<void> {
    for (const sink of sinks) {
      const open = this.#bySink.get(sink.name);
      if (open === undefined) continue;
      await sink.deadLetters.update([...open.letters.values()], [...open.settled]);
      for (const { key, reason } of open.letters.values()) {
        this.#deps.report({ type: 'sink.dead_letter', sink: sink.name, key, reason });
      }
    }
    this.#bySink.clear();
  }

  #of({ name }: Sink): OfSink {
    let open = this.#bySink.get(name);
    if (open === undefined) this.#bySink.set(name, (open = { letters: new Map(), settled: new Set() }));
    return open;
  }

  #add(
    sink: Sink,
    change: { readonly row: string; readonly key: string; readonly seq: number },
    epoch: number,
    cause: TidemarkError,
  ): void {
    if (this.#deps.onError === 'stop') throw stopped(sink, change.key, cause);
    const open = this.#of(sink);
    const max = this.#deps.deadLettersMax ?? lettersMax;
    if (sink.deadLetters.count + open.letters.size >= max) throw tooMany(sink, max, change.key, cause);
    // The newest change of a row is the one that counts.
    if (sink.deadLetters.concerns(change.row)) open.settled.add(change.row);
    const { name, topic } = sink;
    const atMs = this.#deps.clock.now();
    open.letters.set(change.row, { sink: name, topic, ...change, epoch, reason: messageOf(cause), atMs });
  }

  /** The key of the record found last, as JSON; its whole row where the table has no key. */
  #keyOfRecord(): string {
    const { schemaId, bytes, hasAfter, afterStart, beforeStart } = this.#record;
    const table = present(this.#deps.log.table(schemaId), `table ${schemaId}`);
    const columns = table.key.length > 0 ? { columns: keyColumns(table) } : {};
    const encoder = rowJsonEncoder(table, { ...columns, poison: 'text', singleLine: true });
    return encoder.stringify(bytes, hasAfter ? afterStart : beforeStart);
  }
}

/** Where so many rows are refused, something is wrong with the target or the sink's definition, and the letters would fill the memory. */
const lettersMax = 100_000;

function tooMany(sink: Sink, max: number, key: string, cause: TidemarkError): TidemarkError {
  const count = `${max.toLocaleString('en')} rows`;
  return new TidemarkError(
    'SINK_STOPPED',
    `Sink '${sink.name}' has refused ${count}, and now ${key}: ${cause.message}`,
    {
      hint: 'Correct the sink or its target, then `tidemark resume --sink` it and `tidemark dead-letters --retry`; or let them go with --skip.',
      place: { sink: sink.name, table: sink.topic },
      cause,
    },
  );
}

function stopped(sink: Sink, key: string, cause: TidemarkError): TidemarkError {
  return new TidemarkError('SINK_STOPPED', `Sink '${sink.name}' cannot take the row ${key}: ${cause.message}`, {
    hint: 'Correct the row at its source, or set on_error: dead_letter to set such rows aside; then `tidemark resume --sink` it.',
    place: { sink: sink.name, table: sink.topic },
    cause,
  });
}
