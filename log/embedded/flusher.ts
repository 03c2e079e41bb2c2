import type { TidemarkError } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { File, Files } from '../../base/files.ts';
import { replaceFile } from '../../base/files.ts';
import { freeBuffer } from '../../base/free-buffer.ts';
import type { Frontier } from '../../model/log.ts';
import { frameHeader, frameHeaderBytes, kindNote, rewriteClaim, writeFrameHeader } from './format.ts';
import type { StateChanges } from './meta.ts';
import type { SchemaRegistry } from './schema-registry.ts';
import type { Segment } from './segment.ts';
import { writeFailure } from './write-failure.ts';

/** Size of the buffers that frames are built in. */
export const extentBytes = 1024 * 1024 + 64 * 1024;
/** Buffers kept for use again while there is work: what may wait, be written and be built in, none of them quite full. */
const poolMax = 5;
/** While a sync is under way, writing goes on once this much waits. */
const overlapBytes = 1024 * 1024;
/** How long a stream is idle before it notes how far its file is on disk. */
const noteAfterMs = 50;

/** Frames one after the other in a buffer, bound for one place of the segment. */
export interface Extent {
  readonly type: 'extent';
  readonly buffer: Buffer;
  /** Where `buffer`'s first byte goes in the file. */
  readonly offset: number;
  /** Bytes of complete frames. */
  end: number;
  /** Bytes handed to the file. */
  written: number;
  /** Of the newest commit or mark in it: its place in the order of all, 0 when there is none; and what it reached. */
  ticket: number;
  committedEnd: number;
  seq: number;
  position: string;
  timeMs: number;
  /** Changes of state since the last write, in order. */
  states: StateChanges[];
}

export type FlushItem =
  | Extent
  /** Cuts an aborted transaction off the file. */
  | { readonly type: 'cut'; readonly offset: number }
  /** Goes on in a new segment; what was before is durable by then. */
  | { readonly type: 'roll'; readonly segment: Segment; readonly head: Buffer };

/** What the flusher tells the stream. */
export interface FlushTarget {
  /** Everything up to `end` of the newest segment is on disk. */
  advance(end: number, frontier: Frontier, states: readonly StateChanges[]): void;
  /** The newest segment is complete and `next` has been made. */
  rolled(next: Segment): void;
  /** Writing failed, and this writer does no more. */
  failed(error: TidemarkError): void;
}

/** Writes what the writer hands over, in order: one write and one fdatasync for all that waits (group commit). Large groups are written while the one before is being synced. */
export class Flusher {
  readonly items: FlushItem[] = [];
  /** Framed bytes that are not yet being written. */
  waitingBytes = 0;
  /** Bytes being written. */
  writingBytes = 0;
  /** Commits and marks that are durable. */
  durableTicket = 0;
  failure: TidemarkError | null = null;
  readonly #files: Files;
  readonly #clock: Clock;
  readonly #schemas: SchemaRegistry;
  readonly #target: FlushTarget;
  readonly #pool: Buffer[] = [];
  #segment: Segment;
  #file: File;
  #running: Promise<void> | null = null;
  #syncing: Promise<void> | null = null;
  /** Written and not yet covered by a sync that has begun. */
  #written: { ticket: number; end: number; frontier: Frontier; states: readonly StateChanges[] } | null = null;
  #writtenTicket = 0;
  /** Ends the wait for a sync, because much waits to be written. */
  #nudge: (() => void) | null = null;
  #waiters: (() => void)[] = [];
  #noted: boolean;
  #noteTimer = false;
  /** Groups written so far: whether any was meanwhile. */
  #groups = 0;
  #closed = false;

  constructor(
    context: { files: Files; clock: Clock; schemas: SchemaRegistry; target: FlushTarget },
    segment: Segment,
    file: File,
  ) {
    this.#files = context.files;
    this.#clock = context.clock;
    this.#schemas = context.schemas;
    this.#target = context.target;
    this.#segment = segment;
    this.#file = file;
    this.#noted = segment.durableEnd === segment.start;
  }

  takeBuffer(bytes: number): Buffer {
    if (bytes > extentBytes) return Buffer.allocUnsafeSlow(bytes);
    return this.#pool.pop() ?? Buffer.allocUnsafeSlow(extentBytes);
  }

  /** Begins to write if it is not under way. */
  kick(): void {
    if (this.failure) return;
    if (this.#running) {
      if (this.waitingBytes >= overlapBytes) this.#nudge?.();
      return;
    }
    this.#running = this.#run().finally(() => {
      this.#running = null;
      if (this.#hasWork()) this.kick();
      else this.#noteLater();
    });
  }

  /** Resolves after the next step of the writing: the caller looks again whether it has what it waits for. */
  async step(): Promise<void> {
    if (this.failure) throw this.failure;
    this.kick();
    await new Promise<void>((resolve) => this.#waiters.push(resolve));
    if (this.failure) throw this.failure;
  }

  /** Ends the writing; everything handed over must be durable. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
    try {
      if (!this.failure && !this.#noted) {
        await this.#note();
        await this.#file.sync();
      }
    } finally {
      await this.#file.close();
    }
  }

  #hasWork(): boolean {
    if (this.failure) return false;
    const first = this.items[0];
    return first !== undefined && (this.items.length > 1 || first.type !== 'extent' || first.end > first.written);
  }

  async #run(): Promise<void> {
    try {
      while (this.#hasWork() || this.#syncing) {
        const first = this.#hasWork() ? this.items[0] : undefined;
        if (first === undefined || (first.type === 'extent' && this.waitingBytes < overlapBytes)) {
          // Little waits: what comes during the sync goes into one group, whose sync is the next.
          if (this.#syncing) await this.#syncedOrNudged(this.#syncing);
          else await this.#writeGroup();
        } else if (first.type === 'extent') {
          await this.#writeGroup();
        } else {
          while (this.#syncing) await this.#syncing;
          if (this.failure) return;
          if (first.type === 'cut') await this.#file.truncate(first.offset);
          else await this.#roll(first.segment, first.head);
          this.items.shift();
        }
        this.#wake();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * After a failed write or sync nobody knows what the file holds: the kernel may have dropped the pages and report the next sync
   * as a success. So nothing is tried again here; opening the log anew (or, after a full disk, the stream) reads what is really there.
   */
  #fail(error: unknown): void {
    this.failure ??= writeFailure(error, this.#segment.path);
    this.#target.failed(this.failure);
    this.#wake();
  }

  async #syncedOrNudged(syncing: Promise<void>): Promise<void> {
    const nudged = new Promise<void>((resolve) => {
      this.#nudge = resolve;
    });
    if (this.waitingBytes < overlapBytes) await Promise.race([syncing, nudged]);
    this.#nudge = null;
  }

  /** Syncs what was written so far, and again as long as more commits were written meanwhile. */
  async #sync(): Promise<void> {
    try {
      for (let written = this.#written; written; written = this.#written) {
        this.#written = null;
        await this.#file.sync();
        if (this.failure) break;
        this.durableTicket = written.ticket;
        this.#target.advance(written.end, written.frontier, written.states);
        this.#wake();
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#syncing = null;
    }
  }

  /** Writes all extents up to the next cut or roll; a sync follows if a commit is among them. */
  async #writeGroup(): Promise<void> {
    const buffers: Buffer[] = [];
    const done: Extent[] = [];
    const states: StateChanges[] = [];
    let offset = -1;
    let bytes = 0;
    let ticket = 0;
    let committedEnd = 0;
    let frontier: Frontier | null = null;
    for (const item of this.items) {
      if (item.type !== 'extent') break;
      done.push(item);
      if (item.ticket > this.#writtenTicket) {
        ({ ticket, committedEnd } = item);
        frontier = { seq: item.seq, position: item.position, timeMs: item.timeMs };
      }
      if (item.states.length > 0) {
        states.push(...item.states);
        item.states = [];
      }
      if (item.end === item.written) continue;
      if (offset < 0) {
        offset = item.offset + item.written;
        rewriteClaim(item.buffer, item.written, this.#segment.salt, this.#segment.durableEnd);
      }
      buffers.push(item.buffer.subarray(item.written, item.end));
      bytes += item.end - item.written;
      item.written = item.end;
    }
    // What is being written waits no more: the writer goes on framing meanwhile.
    this.#groups++;
    this.waitingBytes -= bytes;
    this.writingBytes = bytes;
    this.#wake();
    if (!this.#schemas.isDurable) await this.#schemas.durable();
    this.#noted = false;
    const [only] = buffers;
    if (buffers.length === 1 && only) await this.#file.write(only, offset);
    else if (buffers.length > 1) await this.#file.writev(buffers, offset);
    this.writingBytes = 0;
    this.#recycle(done);
    if (!frontier) return;
    this.#writtenTicket = ticket;
    const before = this.#written?.states ?? [];
    this.#written = {
      ticket,
      end: committedEnd,
      frontier,
      states: before.length > 0 ? [...before, ...states] : states,
    };
    this.#syncing ??= this.#sync();
  }

  /** Lets extents go that are written and not the last, into which the writer still builds. */
  #recycle(done: readonly Extent[]): void {
    for (const extent of done) {
      if (this.items.length === 1 || extent.written < extent.end) return;
      this.items.shift();
      if (extent.buffer.length === extentBytes && this.#pool.length < poolMax) this.#pool.push(extent.buffer);
      else freeBuffer(extent.buffer);
    }
  }

  async #roll(next: Segment, head: Buffer): Promise<void> {
    await replaceFile(this.#files, next.path, head);
    const file = await this.#files.open(next.path, 'write');
    await this.#file.close();
    this.#file = file;
    this.#segment = next;
    this.#noted = true;
    this.#target.rolled(next);
  }

  /** While a stream is busy, the next frame tells what is on disk; when it falls idle, a note does. */
  #noteLater(): void {
    if (this.#noteTimer || this.#noted || this.failure || this.#closed) return;
    this.#noteTimer = true;
    const groups = this.#groups;
    void this.#clock
      .sleep(noteAfterMs)
      .catch(() => undefined)
      .then(() => {
        this.#noteTimer = false;
        if (this.#running || this.#closed || this.#noted || this.failure) return undefined;
        if (this.#groups !== groups) {
          this.#noteLater();
          return undefined;
        }
        // Idle: one buffer will do for what comes next.
        for (const buffer of this.#pool.splice(1)) freeBuffer(buffer);
        this.#running = this.#note()
          .catch((error: unknown) => this.#fail(error))
          .finally(() => {
            this.#running = null;
            this.#wake();
            if (this.#hasWork()) this.kick();
          });
        return undefined;
      });
  }

  async #note(): Promise<void> {
    const { durableEnd, salt, lastSeq } = this.#segment;
    // An unfinished transaction's pieces are behind the last commit: the note would overwrite them.
    const first = this.items[0];
    if (first?.type === 'extent' && first.offset + first.written > durableEnd) return;
    this.#noted = true;
    const note = Buffer.alloc(frameHeaderBytes);
    writeFrameHeader(note, 0, salt, { ...frameHeader(), kind: kindNote, claim: durableEnd, seq: lastSeq });
    await this.#file.write(note, durableEnd);
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}
