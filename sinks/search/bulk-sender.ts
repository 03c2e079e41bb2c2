import type { Clock } from '../../base/clock.ts';
import { TidemarkError, isTidemarkError, messageOf } from '../../base/errors.ts';
import { ChangeCursor } from '../../model/change.ts';
import { ByteWriter } from '../../model/json-writer.ts';
import type { ChangeSet } from '../change-set.ts';
import type { RejectedRow } from '../port.ts';
import type { BulkEncoder } from './bulk-encoder.ts';
import { versionOf } from './bulk-encoder.ts';
import { retried, wordsOf } from './engine-client.ts';
import type { EngineClient, EngineFault } from './engine-client.ts';

/** Changes and bytes of one request. The engine is the limit: neither more of them nor more in flight gain anything (benchmarks/sinks-search.ts). */
const changesMax = 1_000;
const bytesMax = 2 * 1024 * 1024;
const requestsMax = 2;
/** Room that was needed once for a huge row is given back. */
const spareBytesMax = 2 * bytesMax;
/** How long items that find no room (429) are sent again before that is a failure. */
const busyMsMax = 60_000;

/** One request: its lines, and for each item where they begin and which change it is. */
interface Chunk {
  readonly lines: ByteWriter;
  readonly starts: Int32Array;
  readonly changes: Int32Array;
  count: number;
}

interface BulkItem {
  readonly status: number;
  readonly error?: EngineFault;
}

/** Sends changes to one index by `_bulk`, a bounded number of them in flight. */
export class BulkSender {
  readonly #client: EngineClient;
  readonly #clock: Clock;
  readonly #record = new ChangeCursor();
  readonly #spare: Chunk[] = [];

  constructor(client: EngineClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /**
   * Writes the changes [from, to) to what `alias` names, which must be an alias: an index of that name would be made where ours is gone.
   * Returns the rows that the engine refuses; all others are written, and nothing is in flight any more.
   */
  async send(
    alias: string,
    encoder: BulkEncoder,
    changes: ChangeSet,
    from: number,
    to: number,
  ): Promise<readonly RejectedRow[]> {
    const rejected: RejectedRow[] = [];
    const path = bulkPath(alias);
    const underWay = new Set<Promise<void>>();
    const failures: unknown[] = [];
    for (let at = from; at < to && failures.length === 0;) {
      const chunk = this.#spare.pop() ?? newChunk();
      at = this.#fill(chunk, encoder, changes, at, to, rejected);
      const sending = this.#sendChunk(path, chunk, rejected)
        .catch((error: unknown) => {
          failures.push(error);
        })
        .finally(() => {
          underWay.delete(sending);
          this.#giveBack(chunk);
        });
      underWay.add(sending);
      if (underWay.size >= requestsMax) await Promise.race(underWay);
    }
    await Promise.all(underWay);
    if (failures.length > 0) throw failures[0];
    return rejected;
  }

  #fill(
    chunk: Chunk,
    encoder: BulkEncoder,
    changes: ChangeSet,
    from: number,
    to: number,
    rejected: RejectedRow[],
  ): number {
    const { lines } = chunk;
    lines.reset();
    chunk.count = 0;
    let at = from;
    for (; at < to && chunk.count < changesMax && lines.at < bytesMax; at++) {
      changes.locate(at, this.#record);
      const start = lines.at;
      try {
        encoder.write(this.#record, versionOf(changes.seqAt(at)), lines);
      } catch (error) {
        if (!isTidemarkError(error, 'VALUE_INVALID')) throw error;
        rejected.push({ index: at, reason: messageOf(error) });
        continue;
      }
      chunk.starts[chunk.count] = start;
      chunk.changes[chunk.count] = at;
      chunk.count++;
    }
    return at;
  }

  #giveBack(chunk: Chunk): void {
    if (this.#spare.length < requestsMax && chunk.lines.buffer.length <= spareBytesMax) this.#spare.push(chunk);
  }

  /** Sends the chunk until every item of it is written or refused. */
  async #sendChunk(path: string, chunk: Chunk, rejected: RejectedRow[]): Promise<void> {
    const clock = this.#clock;
    const deadline = clock.monotonic() + busyMsMax;
    for (let attempt = 0; chunk.count > 0; attempt++) {
      const answer = await this.#client.send('POST', path, chunk.lines.bytes(), 'application/x-ndjson');
      if (answer.status === 413) return this.#sendHalves(path, chunk, rejected);
      if (answer.status !== 200) throw this.#refused(answer.status, answer.text);
      const busy = this.#judge(answer.text, chunk, rejected);
      if (busy === null) return;
      if (clock.monotonic() > deadline) throw this.#itemFailed(429, busy, 'has no room for writes');
      await this.#client.pauseWhileBusy(attempt);
    }
  }

  /**
   * What became of the items: those that must be sent again stay in the chunk, and what the engine said of one of them is returned; null
   * when there is none.
   */
  #judge(text: string, chunk: Chunk, rejected: RejectedRow[]): EngineFault | null {
    if (text.startsWith('{"errors":false')) return null;
    const { items } = JSON.parse(text) as { items: Record<string, BulkItem>[] };
    const { lines, starts, changes } = chunk;
    let again = 0;
    let end = 0;
    let busy: EngineFault | null = null;
    for (let position = 0; position < items.length; position++) {
      const item = items[position]?.['index'] ?? items[position]?.['delete'];
      if (item?.error === undefined || item.status === 409) continue;
      const { status, error } = item;
      if (status === 429 && error.type !== 'cluster_block_exception') {
        busy = error;
        const start = starts[position] as number;
        const next = position + 1 < items.length ? (starts[position + 1] as number) : lines.at;
        lines.buffer.copyWithin(end, start, next);
        starts[again] = end;
        changes[again++] = changes[position] as number;
        end += next - start;
      } else if (status === 400 && error.type !== 'index_closed_exception') {
        rejected.push({ index: changes[position] as number, reason: wordsOf(error) });
      } else {
        throw this.#itemFailed(status, error, 'does not take writes');
      }
    }
    lines.at = end;
    chunk.count = again;
    return busy;
  }

  /** More than the engine takes in one request (http.max_content_length). A row that is alone is refused for it. */
  async #sendHalves(path: string, chunk: Chunk, rejected: RejectedRow[]): Promise<void> {
    if (chunk.count === 1) {
      const reason = `the row is larger than the engine takes in one request (${chunk.lines.at} bytes)`;
      rejected.push({ index: chunk.changes[0] as number, reason });
      return;
    }
    const middle = chunk.count >>> 1;
    await this.#sendChunk(path, part(chunk, 0, middle), rejected);
    await this.#sendChunk(path, part(chunk, middle, chunk.count), rejected);
  }

  #itemFailed(status: number, error: EngineFault, what: string): TidemarkError {
    const { type } = error;
    let hint = retried;
    if (type === 'index_not_found_exception') hint = 'The index was deleted; it is built anew from the log.';
    if (type === 'cluster_block_exception') {
      hint =
        'Most often a disk is nearly full: free room, or lift the block (index.blocks.*). It is tried again with growing pauses.';
    }
    return new TidemarkError('SINK_FAILED', `The engine ${what} (${status}: ${wordsOf(error)})`, {
      hint,
      place: { sink: this.#client.sink },
    });
  }

  #refused(status: number, text: string): TidemarkError {
    return new TidemarkError('SINK_FAILED', `The engine refuses a bulk request (${status}): ${text.slice(0, 500)}`, {
      hint: retried,
      place: { sink: this.#client.sink },
    });
  }
}

/** The path of bulks to an alias. Of the answer only what is looked at is asked for, `errors` first. */
export function bulkPath(alias: string): string {
  return `/${encodeURIComponent(alias)}/_bulk?require_alias=true&filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by`;
}

function newChunk(): Chunk {
  return {
    lines: new ByteWriter(256 * 1024),
    starts: new Int32Array(changesMax),
    changes: new Int32Array(changesMax),
    count: 0,
  };
}

function part(chunk: Chunk, from: number, to: number): Chunk {
  const result = newChunk();
  const base = chunk.starts[from] as number;
  const end = to < chunk.count ? (chunk.starts[to] as number) : chunk.lines.at;
  result.lines.raw(chunk.lines.buffer.subarray(base, end));
  for (let position = from; position < to; position++) {
    result.starts[position - from] = (chunk.starts[position] as number) - base;
    result.changes[position - from] = chunk.changes[position] as number;
  }
  result.count = to - from;
  return result;
}
