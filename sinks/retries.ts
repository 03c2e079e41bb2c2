import { TidemarkError } from '../base/errors.ts';
import { ChangeCursor } from '../model/change.ts';
import type { Log } from '../model/log.ts';
import { ChangeSet } from './change-set.ts';
import type { DeadLetter } from './dead-letters.ts';
import { deleteRecord } from './delete-record.ts';
import type { Lane } from './lane.ts';
import { rowName } from './row-name.ts';
import type { Sink } from './sink.ts';
import type { Stall } from './stall.ts';

interface Asked {
  readonly sink: Sink;
  readonly rows: ReadonlySet<string>;
  readonly done: PromiseWithResolvers<void>;
}

/** Dead letters that are to be tried again, in the pause between two transactions, so that no later change is overtaken. */
export class Retries {
  /** Called when some are asked for. */
  onAsked: () => void = () => undefined;
  readonly #log: Log;
  readonly #stall: Stall;
  #asked: Asked[] = [];

  constructor(log: Log, stall: Stall) {
    this.#log = log;
    this.#stall = stall;
  }

  get any(): boolean {
    return this.#asked.length > 0;
  }

  /** Resolves once the newest rows under the keys of these letters have been written, or refused again. */
  async ask(sink: Sink, rows: ReadonlySet<string>): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#asked.push({ sink, rows, done });
    this.onAsked();
    return done.promise;
  }

  /** Does what is asked for; no write is open. Throws what the target fails with, after telling who has asked. */
  async run(lanes: readonly Lane[]): Promise<void> {
    for (let asked = this.#asked.shift(); asked !== undefined; asked = this.#asked.shift()) {
      const { sink, rows, done } = asked;
      const lane = lanes.find(({ sinks }) => sinks.includes(sink));
      if (lane === undefined || sink.building || sink.rebuildDue) {
        done.reject(notNow(sink.name));
        continue;
      }
      try {
        await this.#retry(sink, rows, lane);
        done.resolve();
      } catch (error) {
        done.reject(error);
        throw error;
      }
    }
  }

  /** Writes the newest rows under the given names (row-name.ts) as the log has them at the lane's position. */
  async #retry(sink: Sink, wanted: ReadonlySet<string>, lane: Lane): Promise<void> {
    const seqs = newestSeqs(sink.deadLetters.list(), wanted);
    const record = new ChangeCursor();
    const rows = new ChangeSet(sink.topic);
    for await (const batch of this.#log.rows(sink.topic, { upToSeq: lane.cursor.seq })) {
      rows.clear();
      record.reset(batch.bytes);
      while (record.next()) {
        const row = rowName(record);
        const seq = seqs.get(row);
        if (seq === undefined) continue;
        rows.add(record, seq, false, false);
        seqs.delete(row);
      }
      if (rows.count > 0) await this.#stall.time(lane.rewrite(sink, rows));
    }
    rows.clear();
    this.#addDeletes(sink, seqs, rows);
    if (rows.count > 0) await this.#stall.time(lane.rewrite(sink, rows));
  }

  /** A row that is gone and has a letter all the same was refused its delete. */
  #addDeletes(sink: Sink, seqs: ReadonlyMap<string, number>, into: ChangeSet): void {
    const schemaId = sink.newestSchemaId();
    const table = this.#log.table(schemaId);
    if (table === undefined || seqs.size === 0) return;
    for (const { row, key, seq } of sink.deadLetters.list()) {
      if (seqs.get(row) !== seq) continue;
      const record = deleteRecord(key, row, table, schemaId);
      if (record !== null) into.add(record, seq, true, true);
    }
  }

  /** Nobody will do it. */
  reject(error: (sink: Sink) => TidemarkError): void {
    for (const { sink, done } of this.#asked.splice(0)) done.reject(error(sink));
  }
}

/** The number of the newest change of each row that was refused: under that one it is written. */
function newestSeqs(letters: readonly DeadLetter[], wanted: ReadonlySet<string>): Map<string, number> {
  const seqs = new Map<string, number>();
  for (const { row, seq } of letters) if (wanted.has(row)) seqs.set(row, Math.max(seq, seqs.get(row) ?? 0));
  return seqs;
}

function notNow(sink: string): TidemarkError {
  return new TidemarkError('SINK_FAILED', `sink '${sink}' is being built: its rows are tried by that anyway`, {
    hint: 'Wait until it is consistent; `tidemark status` shows how far it is.',
    place: { sink },
  });
}
