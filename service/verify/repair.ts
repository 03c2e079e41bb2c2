import { ChangeCursor, ChangeWriter } from '../../model/change.ts';
import type { ChangeBatch } from '../../model/change.ts';
import { ChangeSet } from '../../sinks/change-set.ts';
import type { SinkGroup } from '../../sinks/sink-group.ts';
import type { Difference } from './compare.ts';
import { addHash, bagOf, hashNumber, hashText } from './digest.ts';
import { changedKeys } from './documents.ts';
import type { Compared } from './sides.ts';
import { rowsOf } from './sides.ts';

/** Rows written by one commit of the target: it keeps live changes waiting for some ten milliseconds. */
const commitBytesMax = 1024 * 1024;
const commitKeysMax = 2_000;

/** What the log holds under a key. */
export interface Logged {
  rows: number;
  /** Sum of the hashes of its documents, and of those that do not depend on the order of characters. */
  hash: number;
  bag: number;
}

/** Looks up in the log what differs, and makes a sink hold what the log holds. */
export class Repairer {
  /** Rows that the target did not take. */
  rejected = 0;
  readonly #compared: Compared;
  readonly #group: Pick<SinkGroup, 'repair'>;
  readonly #sink: string;
  /** Up to where the sink is filled. */
  readonly #sinkSeq: () => number;

  constructor(compared: Compared, group: Pick<SinkGroup, 'repair'>, sink: string, sinkSeq: () => number) {
    this.#compared = compared;
    this.#group = group;
    this.#sink = sink;
    this.#sinkSeq = sinkSeq;
  }

  /** What the log holds of the keys; nothing for those that it does not have. */
  async logged(found: readonly Difference[], signal: AbortSignal): Promise<ReadonlyMap<string, Logged>> {
    const wanted = new Map(found.map(({ key }): [string, Logged] => [key, { rows: 0, hash: 0, bag: 0 }]));
    const { log, documents } = this.#compared;
    for await (const batch of rowsOf(log, documents.topic, this.#sinkSeq(), signal)) {
      documents.giveRows(batch, (given) => {
        for (const { key, text } of given) {
          const logged = wanted.get(key);
          if (logged === undefined) continue;
          hashText(key, false);
          hashText(text, true);
          logged.rows++;
          logged.hash = addHash(logged.hash, hashNumber());
          logged.bag = addHash(logged.bag, bagOf(text));
        }
      });
    }
    return wanted;
  }

  /** Makes the sink hold, of these keys, what the log holds. Keys that change meanwhile are left to their changes. */
  async repair(found: readonly Difference[], signal: AbortSignal): Promise<void> {
    const { log, documents } = this.#compared;
    const seq = this.#sinkSeq();
    const left = new Map(found.map(({ key, kind, rows }) => [key, kind === 'extra' ? 0 : rows]));
    const slice = new Slice();
    const record = new ChangeCursor();
    for await (const batch of rowsOf(log, documents.topic, seq, signal)) {
      const texts = documents.ofRows(batch);
      record.reset(batch.bytes);
      for (const { key } of texts) {
        record.next();
        const rows = left.get(key) ?? 0;
        if (rows === 0) continue;
        left.set(key, rows - 1);
        slice.add(key, record.record());
        if (slice.isFull) await this.#write(slice, seq, signal);
      }
    }
    for (const { key, kind, rows } of found) {
      if (kind !== 'extra') continue;
      slice.drop(key, rows);
      if (slice.isFull) await this.#write(slice, seq, signal);
    }
    await this.#write(slice, seq, signal);
  }

  /** Writes a slice, less what the log has changed since it was read: those changes are in the sink, or on their way. */
  async #write(slice: Slice, readAtSeq: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (slice.keys.size === 0) return;
    const written = this.#group.repair(this.#sink, async (cursor) => {
      // The group has come to it, and nobody wants it any more.
      if (signal.aborted) return null;
      const changed = await changedKeys(this.#compared, readAtSeq, slice.keys, signal);
      return slice.plan(this.#compared.documents.topic, cursor.seq, changed);
    });
    this.rejected += await unlessAborted(written, signal);
    slice.clear();
  }
}

/** What one commit repairs. */
class Slice {
  readonly keys = new Map<string, number>();
  readonly #rows = new ChangeWriter();
  readonly #keyOfRow: string[] = [];

  get isFull(): boolean {
    return this.#rows.size >= commitBytesMax || this.keys.size >= commitKeysMax;
  }

  add(key: string, record: Buffer): void {
    this.keys.set(key, 0);
    this.#rows.copy(record);
    this.#keyOfRow.push(key);
  }

  drop(key: string, rows: number): void {
    this.keys.set(key, rows);
  }

  plan(topic: string, seq: number, changed: ReadonlySet<string>): { rows: ChangeSet; extra: string[] } {
    const rows = new ChangeSet(topic);
    // A copy: the slice is filled anew while a target may still hold on to the rows.
    const record = new ChangeCursor().reset(Buffer.from(this.#batch().bytes));
    for (const key of this.#keyOfRow) {
      record.next();
      if (!changed.has(key)) rows.add(record, seq, false, false);
    }
    const extra = [...this.keys].flatMap(([key, count]) =>
      changed.has(key) ? [] : Array.from({ length: count }, () => key),
    );
    return { rows, extra };
  }

  clear(): void {
    this.keys.clear();
    this.#rows.reset();
    this.#keyOfRow.length = 0;
  }

  #batch(): ChangeBatch {
    return this.#rows.batch();
  }
}

/** A group that is down comes to its repairs later, or never: whoever asked does not wait for it. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  // The loser of the race must not surface as an unhandled rejection.
  work.catch(() => undefined);
  aborted.promise.catch(() => undefined);
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
