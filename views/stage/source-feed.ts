import type { Frontier, Log, LogReader, Piece, ReadBatch } from '../../model/log.ts';

/** Bytes read at a time: what is stepped together under load, and the time for which a step keeps the event loop. */
const batchBytes = 512 * 1024;

/** One source's transactions as they come, cut where it is asked for. */
export class SourceFeed {
  readonly stream: string;
  /** Everything up to here has been taken, whole. */
  reached: Frontier;
  /** Whether a batch, or the rest of one, can be taken without waiting. */
  isReady = false;
  readonly #log: Log;
  readonly #topics: ReadonlySet<string>;
  #reader: LogReader | null = null;
  #pending: Promise<void> | null = null;
  #batch: ReadBatch | null = null;
  /** Pieces of the batch taken. */
  #taken = 0;
  #ended = false;

  constructor(stream: string, topics: ReadonlySet<string>, from: Frontier, log: Log) {
    this.stream = stream;
    this.#topics = topics;
    this.reached = from;
    this.#log = log;
  }

  open(signal: AbortSignal): void {
    const options = { fromSeq: this.reached.seq, topics: this.#topics, follow: true, reuse: true, signal };
    this.#reader = this.#log.read(this.stream, options);
  }

  /** Resolves when there is something to take, or when the signal is aborted. */
  async ready(): Promise<void> {
    if (this.isReady || this.#reader === null) return;
    this.#pending ??= this.#read(this.#reader);
    await this.#pending;
  }

  async #read(reader: LogReader): Promise<void> {
    const batch = await reader.next(batchBytes);
    this.#pending = null;
    this.#batch = batch;
    this.#taken = 0;
    this.#ended = batch === null;
    this.isReady = true;
  }

  /**
   * The pieces at hand, up to the transaction `limit`; `reached` moves when what it names is complete. The pieces are valid until
   * `ready` is called next. Null when the feed has ended.
   */
  take(limit: Frontier | null): Piece[] | null {
    if (this.#ended) return null;
    const batch = this.#batch;
    if (batch === null) return [];
    const pieces: Piece[] = [];
    for (; this.#taken < batch.pieces.length; this.#taken++) {
      const piece = batch.pieces[this.#taken] as Piece;
      if (limit !== null && piece.kind === 'transaction' && piece.seq > limit.seq) break;
      pieces.push(piece);
    }
    if (this.#taken < batch.pieces.length) {
      // Cut by the limit: everything up to there has been taken, and what is left is later.
      if (limit !== null && limit.seq >= (pieces.at(-1)?.seq ?? 0)) this.#reach(limit);
      return pieces;
    }
    this.#batch = null;
    this.isReady = false;
    this.#reach(batch.reached);
    return pieces;
  }

  /** A reader that has not met a position yet tells none. */
  #reach(point: Frontier): void {
    if (point.position === null && point.seq === this.reached.seq) return;
    this.reached = point.timeMs === 0 ? { ...point, timeMs: this.reached.timeMs } : point;
  }

  async close(): Promise<void> {
    await this.#reader?.close();
    await this.#pending?.catch(() => undefined);
    this.#reader = null;
  }
}
