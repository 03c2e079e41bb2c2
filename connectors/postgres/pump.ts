import type { Clock } from '../../base/clock.ts';
import type { Log, LogWriter } from '../../model/log.ts';
import { formatLsn, lsn, parseLsn } from '../../model/position.ts';
import type { Lsn } from '../../model/position.ts';
import type { Snapshotter } from '../../snapshot/snapshotter.ts';
import type { Window } from '../../snapshot/window.ts';
import type { Decoder } from './decoder.ts';
import type { LargeValueStore } from './large-values.ts';
import { PgoutputReader } from './pgoutput.ts';
import type { Replication, ReplicationHandler } from './replication.ts';

/** Without anything to publish, the position is written down this often at most. */
const markEveryMs = 1_000;
/** Even without large values their store notes how far it has come, so that opening it again reads little of the log. */
const settleEveryMs = 30_000;
/** An idle stream is asked this often how far it has come while somebody waits for a position. */
const pollMs = 25;

export interface PumpContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly stream: string;
  readonly writer: LogWriter;
  readonly window: Window;
  readonly snapshotter: Snapshotter;
  readonly largeValues: LargeValueStore;
  readonly decoder: Decoder;
  /** Makes an idle server write and flush WAL past a position that it has named but not flushed. */
  readonly nudge: () => Promise<void>;
}

/** Drives messages into the decoder, positions into the log, and acknowledgements back. */
export class Pump implements ReplicationHandler {
  readonly #context: PumpContext;
  readonly #reader: PgoutputReader;
  #replication: Replication | null = null;
  #keepalive: { position: Lsn; timeMs: number } | null = null;
  #markedAt = 0;
  #wanted: Lsn = lsn(0n);
  #polling = false;
  #settledSeq = 0;
  #settledAt = 0;
  #acknowledging = false;

  constructor(context: PumpContext) {
    this.#context = context;
    this.#reader = new PgoutputReader(context.decoder);
  }

  /** A connection begins: its messages start anew. */
  begin(): void {
    this.#reader.reset();
    this.#keepalive = null;
  }

  /** The replication stream is there, to be asked and acknowledged to. */
  attach(replication: Replication): void {
    this.#replication = replication;
    if (this.#wanted > this.#context.decoder.position && !this.#polling) void this.#poll();
  }

  detach(): void {
    this.#replication = null;
  }

  message(buffer: Buffer, start: number, end: number): Promise<void> | undefined {
    const pending = this.#reader.read(buffer, start, end);
    if (pending !== undefined) return this.#after(pending);
    return this.#context.decoder.justCommitted ? this.#committed() : undefined;
  }

  keepalive(position: Lsn, timeMs: number): void {
    this.#keepalive = { position, timeMs };
  }

  idle(): Promise<void> | undefined {
    if (this.failure !== undefined) throw this.failure;
    const { decoder, writer, snapshotter } = this.#context;
    this.#startAcknowledging();
    const keepalive = this.#keepalive;
    if (decoder.inTransaction) return writer.drained();
    if (keepalive !== null) {
      this.#keepalive = null;
      if (keepalive.position > decoder.position) {
        decoder.position = keepalive.position;
        decoder.commitTimeMs = keepalive.timeMs;
      }
      this.#markIfDue();
    }
    return snapshotter.pending ? this.#between() : writer.drained();
  }

  /** Everything up to `position` is wanted in the log soon, even if the source is idle. */
  want(position: string): void {
    const wanted = parseLsn(position);
    if (wanted > this.#wanted) this.#wanted = wanted;
    if (!this.#polling) void this.#poll();
  }

  /** Keeps, with the next commit, up to where reads are known to see everything: a restart looks at what comes after it. */
  noteVisible(): void {
    const { snapshotter, window, writer, log, stream } = this.#context;
    const visible = (window.oldestSeq ?? writer.last.seq + 1) - 1;
    if (visible === this.#visible) return;
    this.#visible = visible;
    snapshotter.changes.set('visible', String(visible));
    log.registerCursor(stream, 'visibility', visible);
  }

  /** Writes the position down if nobody else has, so that the slot can move and waits end. */
  #markIfDue(): void {
    const { decoder, writer, clock, window, log, stream } = this.#context;
    const last = writer.last.position;
    if (last !== null && decoder.position <= parseLsn(last)) return;
    const wanted = this.#wanted > (last === null ? 0n : parseLsn(last));
    if (!wanted && clock.monotonic() - this.#markedAt < markEveryMs) return;
    this.#markedAt = clock.monotonic();
    // Up to here nothing is streamed that reads do not see; after a restart the rest is looked at again.
    const visible = (window.oldestSeq ?? writer.last.seq + 1) - 1;
    const state = visible === this.#visible ? {} : { state: { visible: String(visible) } };
    this.#visible = visible;
    // Compaction must leave these transactions as they are until reads see them.
    log.registerCursor(stream, 'visibility', visible);
    writer.mark({ position: formatLsn(decoder.position), timeMs: decoder.commitTimeMs, ...state });
    this.#startAcknowledging();
  }
  #visible = -1;

  async #after(pending: Promise<void>): Promise<void> {
    await pending;
    if (this.#context.decoder.justCommitted) await this.#committed();
  }

  /** A transaction has ended: chunks can only be published between transactions, and under a steady load that is only ever certain here. */
  #committed(): Promise<void> | undefined {
    this.#context.decoder.justCommitted = false;
    return this.#context.snapshotter.pending ? this.#between() : undefined;
  }

  async #between(): Promise<void> {
    const { decoder, snapshotter, writer, largeValues } = this.#context;
    await snapshotter.reached(formatLsn(decoder.position), decoder.commitTimeMs);
    this.#startAcknowledging();
    await writer.drained();
    if (largeValues.isFull) await largeValues.settle((await writer.durable()).seq);
  }

  /** Tells the server what has become durable, for as long as more does. A log that fails makes its writer reject, which ends the source. */
  #startAcknowledging(): void {
    if (this.#acknowledging) return;
    this.#acknowledging = true;
    void this.#acknowledge().finally(() => {
      this.#acknowledging = false;
    });
  }

  async #acknowledge(): Promise<void> {
    const { writer } = this.#context;
    for (;;) {
      const handedOver = writer.last;
      let durable;
      try {
        durable = await writer.durable();
      } catch (error) {
        this.failure ??= error;
        return;
      }
      if (durable.position !== null) this.#replication?.acknowledge(parseLsn(durable.position));
      await this.#settle(durable.seq);
      if (writer.last.seq === handedOver.seq && writer.last.position === handedOver.position) return;
    }
  }
  /** Why nothing can be written any more, once it is so. */
  failure: unknown = undefined;

  async #settle(seq: number): Promise<void> {
    const { clock, largeValues } = this.#context;
    const due = clock.monotonic() - this.#settledAt > (largeValues.hasPending ? markEveryMs : settleEveryMs);
    if (seq === this.#settledSeq || !due) return;
    this.#settledSeq = seq;
    this.#settledAt = clock.monotonic();
    try {
      await largeValues.settle(seq);
    } catch (error) {
      this.failure ??= error;
    }
  }

  async #poll(): Promise<void> {
    const { clock, decoder, nudge } = this.#context;
    this.#polling = true;
    try {
      for (let attempt = 0; decoder.position < this.#wanted && this.#replication !== null; attempt++) {
        this.#replication.ping();
        // What is not flushed is not sent: after a while, make the server flush.
        if (attempt % 20 === 8) await nudge().catch(() => {});
        await clock.sleep(pollMs);
      }
      this.#replication?.ping();
    } finally {
      this.#polling = false;
    }
  }
}
