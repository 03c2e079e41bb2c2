import { changeHeaderBytes } from '../../model/change.ts';
import type { ChangeBatch } from '../../model/change.ts';
import { TidemarkError } from '../../base/errors.ts';

/** Sums over a topic's change records, since the stream began. */
export interface TopicStats {
  newestSeq: number;
  bytes: number;
  records: number;
}

export type TopicStatsJson = Readonly<Record<string, readonly [newestSeq: number, bytes: number, records: number]>>;

export function statsToJson(stats: ReadonlyMap<string, TopicStats>): TopicStatsJson {
  return Object.fromEntries([...stats].map(([topic, s]) => [topic, [s.newestSeq, s.bytes, s.records] as const]));
}

export function statsFromJson(json: TopicStatsJson): Map<string, TopicStats> {
  return new Map(
    Object.entries(json).map(([topic, [newestSeq, bytes, records]]) => [topic, { newestSeq, bytes, records }]),
  );
}

/** Counts records per schema id: those of the open transaction, given to the topics at its commit. */
export class Tally {
  readonly #ids: number[] = [];
  readonly #records: number[] = [];
  readonly #bytes: number[] = [];

  /** Counts a batch, and sees to it that its records tile it exactly. Costs about 5 ns a record. */
  add(changes: ChangeBatch): void {
    const { bytes, count } = changes;
    const { length } = bytes;
    let at = 0;
    let counted = 0;
    while (at < length) {
      if (at + changeHeaderBytes > length) throw notWhole(at);
      const id = bytes.readUInt32LE(at + 8);
      const slot = this.#slot(id);
      let records = 0;
      const start = at;
      // A run of records of one table, which is what nearly every batch is.
      do {
        const size = bytes.readUInt32LE(at);
        if (size < changeHeaderBytes - 4) throw notWhole(at);
        at += 4 + size;
        records++;
      } while (at + changeHeaderBytes <= length && bytes.readUInt32LE(at + 8) === id);
      this.#records[slot] = (this.#records[slot] as number) + records;
      this.#bytes[slot] = (this.#bytes[slot] as number) + at - start;
      counted += records;
    }
    if (at !== length || counted !== count) throw notWhole(at);
  }

  /** Adds what was counted to the topics' sums and begins anew. */
  settle(seq: number, stats: Map<string, TopicStats>, topicOf: (schemaId: number) => string): void {
    for (let slot = 0; slot < this.#ids.length; slot++) {
      if (this.#records[slot] === 0) continue;
      const topic = topicOf(this.#ids[slot] as number);
      let sum = stats.get(topic);
      if (!sum) stats.set(topic, (sum = { newestSeq: 0, bytes: 0, records: 0 }));
      sum.newestSeq = seq;
      sum.bytes += this.#bytes[slot] as number;
      sum.records += this.#records[slot] as number;
    }
    this.clear();
  }

  clear(): void {
    // A handful of tables is kept, so that small transactions allocate nothing.
    if (this.#ids.length > 64) {
      this.#ids.length = 0;
      this.#records.length = 0;
      this.#bytes.length = 0;
    }
    this.#records.fill(0);
    this.#bytes.fill(0);
  }

  #slot(id: number): number {
    const known = this.#ids.indexOf(id);
    if (known >= 0) return known;
    this.#ids.push(id);
    this.#records.push(0);
    this.#bytes.push(0);
    return this.#ids.length - 1;
  }
}

function notWhole(at: number): TidemarkError {
  return new TidemarkError('INTERNAL', `a batch of change records is cut or miscounted at byte ${at}`);
}
