import { messageOf, TidemarkError } from '../../base/errors.ts';
import { writeNewBase } from './compaction.ts';
import type { Segment } from './segment.ts';
import type { Stream } from './stream.ts';
import { writeFailure } from './write-failure.ts';

/** Decides when and how far a stream is compacted, one compaction at a time. */
export class Compactor {
  readonly #stream: Stream;
  #running: Promise<void> | null = null;
  #saving: Promise<void> = Promise.resolve();
  #stopped = false;
  #attempts = 0;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  /** Compacts as far as the cursors allow. */
  async run(): Promise<void> {
    // One that is under way began with fewer segments.
    while (this.#running) await this.#running.catch(() => undefined);
    this.#running = this.#compact()
      .catch((error: unknown) => {
        throw writeFailure(error, this.#stream.directory);
      })
      .finally(() => {
        this.#running = null;
      });
    await this.#running;
  }

  /** Begins a compaction in the background when it is worth its while. */
  consider(): void {
    const { base, context } = this.#stream;
    if (this.#running || this.#stopped) return;
    const bytes = this.#eligible().reduce((sum, segment) => sum + segment.durableEnd, 0);
    if (bytes <= Math.max(context.compactBytes, base?.manifest.bytes ?? 0)) return;
    this.run().catch((error: unknown) => this.#tell(error));
  }

  /** Writes the cursors down in the background. */
  saveCursors(): void {
    this.#saving = this.#stream.cursors.save().catch((error: unknown) => this.#tell(error));
  }

  async close(): Promise<void> {
    this.#stopped = true;
    await this.#running?.catch(() => undefined);
    await this.#saving;
    if (this.#stream.exists && !this.#stream.failure) await this.#stream.cursors.save();
  }

  /** The oldest segments up to the horizon: sealed, and passed by every cursor unless there is too much to retain. */
  #eligible(): Segment[] {
    const { segments, cursors, context } = this.#stream;
    const bytes = segments.reduce((sum, segment) => sum + segment.durableEnd, 0);
    const least = bytes > context.retainBytes ? Infinity : cursors.least();
    const end = segments.findIndex((segment) => !segment.sealed || segment.lastSeq > least);
    return segments.slice(0, end);
  }

  async #compact(): Promise<void> {
    const stream = this.#stream;
    const segments = this.#eligible();
    const horizon = stream.segments[segments.length];
    if (segments.length === 0 || !horizon) return;
    const seq = horizon.head.frontier.seq;
    let needed = Math.min(seq, stream.cursors.least());
    for (const { reachedSeq } of stream.readers) if (reachedSeq > 0) needed = Math.min(needed, reachedSeq);
    const deletesAfter = Math.max(stream.base?.manifest.deletesAfter ?? 0, needed);
    const bytesBefore =
      segments.reduce((sum, segment) => sum + segment.durableEnd, 0) + (stream.base?.manifest.bytes ?? 0);
    const manifest = await writeNewBase(stream.context, {
      stream: stream.name,
      directory: stream.directory,
      base: stream.base,
      segments,
      horizon,
      deletesAfter,
      attempt: ++this.#attempts,
      cancelled: () => this.#stopped,
    });
    await stream.cursors.save();
    await stream.switchBase(manifest);
    stream.context.report({ type: 'log.compacted', stream: stream.name, seq, bytesBefore, bytesAfter: manifest.bytes });
  }

  /** A compaction that fails leaves everything as it was; the next one tries again. */
  #tell(error: unknown): void {
    if (this.#stopped) return;
    const hint = error instanceof TidemarkError ? error.hint : undefined;
    this.#stream.context.report({
      type: 'source.notice',
      source: this.#stream.name,
      message: `the log was not compacted: ${messageOf(error)}`,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}
