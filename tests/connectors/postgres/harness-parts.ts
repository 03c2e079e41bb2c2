import { Client } from 'pg';
import { onTestFinished, vi } from 'vitest';
import type { Clock } from '../../../base/clock.ts';
import { TidemarkError } from '../../../base/errors.ts';
import type { File, Files } from '../../../base/files.ts';
import { systemFiles } from '../../../base/files.ts';
import { PostgresChunkReader } from '../../../connectors/postgres/chunk-reader.ts';
import type { Chunk, ChunkRequest } from '../../../snapshot/port.ts';

/** Files that fail every call from a moment on, as for a process that is gone. */
export class CrashingFiles implements Files {
  crashed = false;

  crash(): void {
    this.crashed = true;
  }

  async open(path: string, mode: 'read' | 'write' | 'create'): Promise<File> {
    const file = await this.#alive(async () => systemFiles.open(path, mode));
    return {
      write: async (data, offset) => this.#alive(async () => file.write(data, offset)),
      writev: async (data, offset) => this.#alive(async () => file.writev(data, offset)),
      read: async (into, offset) => this.#alive(async () => file.read(into, offset)),
      sync: async () => this.#alive(async () => file.sync()),
      truncate: async (length) => this.#alive(async () => file.truncate(length)),
      size: async () => this.#alive(async () => file.size()),
      close: async () => file.close(),
    };
  }
  async list(directory: string): Promise<string[]> {
    return this.#alive(async () => systemFiles.list(directory));
  }
  async exists(path: string): Promise<boolean> {
    return this.#alive(async () => systemFiles.exists(path));
  }
  async makeDirectory(path: string): Promise<void> {
    return this.#alive(async () => systemFiles.makeDirectory(path));
  }
  async rename(from: string, to: string): Promise<void> {
    return this.#alive(async () => systemFiles.rename(from, to));
  }
  async remove(path: string): Promise<void> {
    return this.#alive(async () => systemFiles.remove(path));
  }
  async syncDirectory(path: string): Promise<void> {
    return this.#alive(async () => systemFiles.syncDirectory(path));
  }
  async space(path: string): Promise<{ totalBytes: number; freeBytes: number }> {
    return this.#alive(async () => systemFiles.space(path));
  }

  async #alive<T>(work: () => Promise<T>): Promise<T> {
    if (this.crashed) throw new TidemarkError('DISK_FULL', 'the process of the test is gone');
    const result = await work();
    if (this.crashed) throw new TidemarkError('DISK_FULL', 'the process of the test is gone');
    return result;
  }
}

/** The real time, whose sleeps of one length can be held: the heartbeat's, the wait for a barrier's. */
export class HeldClock implements Clock {
  readonly #clock: Clock;
  readonly #held = new Map<number, Promise<void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await this.#clock.sleep(ms, signal);
    const held = this.#held.get(ms);
    if (held === undefined) return;
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
    });
    await (signal ? Promise.race([held, aborted]) : held);
  }

  /** Sleeps of `ms` do not end until the returned function is called. */
  hold(ms: number): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held.set(ms, promise);
    return () => {
      this.#held.delete(ms);
      resolve();
    };
  }
}

/**
 * Puts `around` around every read of a chunk until the test's end: SQL can run before it, or after it and still before the
 * chunk is known to the snapshotter, and the chunk can be changed.
 */
export function aroundReads(
  around: (request: ChunkRequest, read: () => Promise<Chunk>, signal: AbortSignal) => Promise<Chunk>,
): void {
  // oxlint-disable-next-line typescript/unbound-method -- called with `this` below
  const original = PostgresChunkReader.prototype.read;
  const spy = vi.spyOn(PostgresChunkReader.prototype, 'read').mockImplementation(async function (
    this: PostgresChunkReader,
    request,
    signal,
  ) {
    return around(request, async () => original.call(this, request, signal), signal);
  });
  onTestFinished(() => spy.mockRestore());
}

/** Runs `work` right after the `count`-th reading transaction has ended: still before the chunk's second look at the catalog and its HIGH. */
export function afterReadTransaction(count: number, work: () => Promise<void>): void {
  afterReadTransactions({ [count]: work });
}

/** The same at several of them. */
export function afterReadTransactions(works: Readonly<Record<number, () => Promise<void>>>): void {
  // oxlint-disable-next-line typescript/unbound-method -- called with `this` below
  const original: (this: Client, ...given: unknown[]) => unknown = Client.prototype.query;
  let ended = 0;
  const spy = vi.spyOn(Client.prototype, 'query').mockImplementation(function (this: Client, ...given: unknown[]) {
    const result = original.apply(this, given);
    const work = given[0] === 'COMMIT' ? works[++ended] : undefined;
    if (work === undefined) return result;
    return Promise.resolve(result).then(async (answer) => {
      await work();
      return answer;
    });
  });
  onTestFinished(() => spy.mockRestore());
}

/** A gate that somebody waits at until it is opened. */
export class Gate {
  readonly #open = Promise.withResolvers<void>();
  readonly #arrived = Promise.withResolvers<void>();

  /** Resolves once somebody waits. */
  get arrived(): Promise<void> {
    return this.#arrived.promise;
  }

  async pass(): Promise<void> {
    this.#arrived.resolve();
    await this.#open.promise;
  }

  open(): void {
    this.#open.resolve();
  }
}
