import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { present } from '../../../base/assert.ts';
import { systemClock } from '../../../base/clock.ts';
import type { Clock } from '../../../base/clock.ts';
import { TidemarkError } from '../../../base/errors.ts';
import { systemFiles } from '../../../base/files.ts';
import { NdjsonSource } from '../../../connectors/ndjson/ndjson-source.ts';
import type { NdjsonTable } from '../../../connectors/ndjson/options.ts';
import type { StandardInput } from '../../../connectors/ndjson/standard-input.ts';
import { openEmbeddedLog } from '../../../log/embedded/embedded-log.ts';
import { ChangeCursor, opDelete, opUpdate } from '../../../model/change.ts';
import { parseColumnType } from '../../../model/column-type.ts';
import type { PipelineEvent } from '../../../model/events.ts';
import type { Log } from '../../../model/log.ts';
import { unpackRow } from '../../../model/row.ts';
import { columnInput } from '../../../service/ndjson-plan.ts';

/** A table as the file declares it: columns with their types, the key by a `*` behind the type. */
export function table(name: string, columns: Readonly<Record<string, string>>): NdjsonTable {
  const key = Object.keys(columns).filter((column) => columns[column]?.endsWith('*') === true);
  return {
    name,
    key,
    kind: key.length > 0 ? 'table' : 'stream',
    columns: Object.entries(columns).map(([column, spelled]) => {
      const type = present(parseColumnType(spelled.replace(/\*$/, '')), spelled);
      return { name: column, type: type.type, declared: type.declared, input: columnInput(type) };
    }),
  };
}

export const clicks = table('clicks', { id: 'bigint*', page: 'text' });

/** One change, as a person would write it down. */
export interface Taken {
  readonly seq: number;
  readonly position: string;
  readonly topic: string;
  readonly op: 'c' | 'u' | 'd';
  readonly row: readonly (string | null)[];
}

/** A log, and a source that writes to it; the source may be started again and again. */
export class Bench {
  readonly directory: string;
  readonly path: string;
  readonly events: PipelineEvent[] = [];
  readonly clock: Clock;
  log: Log;
  source: NdjsonSource | null = null;
  #stop = new AbortController();
  #run: Promise<TidemarkError | null> = Promise.resolve(null);

  private constructor(directory: string, log: Log, clock: Clock) {
    this.directory = directory;
    this.path = join(directory, 'clicks.ndjson');
    this.log = log;
    this.clock = clock;
  }

  static async open(clock: Clock = systemClock): Promise<Bench> {
    const directory = await mkdtemp(join(tmpdir(), 'tidemark-ndjson-'));
    const log = await openEmbeddedLog({ directory: join(directory, 'log'), files: systemFiles, clock: systemClock });
    const bench = new Bench(directory, log, clock);
    onTestFinished(async () => {
      await bench.stop();
      await bench.log.close();
      await rm(directory, { recursive: true, force: true });
    });
    return bench;
  }

  write(text: string): Promise<void> {
    return writeFile(this.path, text);
  }

  append(text: string): Promise<void> {
    return appendFile(this.path, text);
  }

  /** Starts the source; what it fails with is kept for `failure`. */
  start(tables: readonly NdjsonTable[] = [clicks], input: StandardInput | null = null): NdjsonSource {
    const { log, clock, path } = this;
    const options = { name: 'web', path, tables, files: systemFiles, log, clock, pollMs: 5 };
    const source = new NdjsonSource({ ...options, report: (event) => this.events.push(event) }, input);
    this.source = source;
    this.#stop = new AbortController();
    this.#run = source.run(this.#stop.signal).then(
      () => null,
      (error: unknown) => {
        if (error instanceof TidemarkError) return error;
        throw error;
      },
    );
    return source;
  }

  /** What the run ends with by itself. */
  async failure(): Promise<TidemarkError> {
    return present(await this.#run, 'a failure');
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#run;
  }

  /** Closes the log and opens it again, as a new process would. */
  async reopen(): Promise<void> {
    await this.stop();
    await this.log.close();
    const directory = join(this.directory, 'log');
    this.log = await openEmbeddedLog({ directory, files: systemFiles, clock: systemClock });
  }

  /** Everything that the log holds. */
  async taken(): Promise<Taken[]> {
    const taken: Taken[] = [];
    const reader = this.log.read('web', { fromSeq: 0, follow: false });
    for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
      for (const { seq, position, changes } of batch.pieces) {
        const cursor = new ChangeCursor().reset(changes.bytes);
        while (cursor.next()) {
          const { topic, columns } = present(this.log.table(cursor.schemaId), 'a table');
          const row = unpackRow(cursor.bytes, cursor.hasAfter ? cursor.afterStart : cursor.beforeStart, columns.length);
          const op = cursor.op === opDelete ? 'd' : cursor.op === opUpdate ? 'u' : 'c';
          taken.push({ seq, position, topic, op, row });
        }
      }
    }
    await reader.close();
    return taken;
  }

  async rows(): Promise<(readonly (string | null)[])[]> {
    return (await this.taken()).map(({ row }) => row);
  }

  /** Waits until the log has reached a position. */
  async reaches(position: number): Promise<void> {
    await until(() => Number(this.log.frontier('web').position) >= position);
  }
}

/** Waits until the condition holds; fails after `deadlineMs`. */
export async function until(condition: () => boolean | Promise<boolean>, deadlineMs = 60_000): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > endMs)
      throw new TidemarkError('INTERNAL', `not so within ${deadlineMs} ms: ${condition.toString()}`);
    await systemClock.sleep(5);
  }
}

/** Input that a test writes piece by piece. */
export class Typed {
  readonly #pieces: (Buffer | null)[] = [];
  #wake = Promise.withResolvers<void>();

  type(text: string): void {
    this.#pieces.push(Buffer.from(text));
    this.#wake.resolve();
  }

  end(): void {
    this.#pieces.push(null);
    this.#wake.resolve();
  }

  async *read(): AsyncIterable<Buffer> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece === null) return;
      if (piece !== undefined) {
        yield piece;
        continue;
      }
      this.#wake = Promise.withResolvers<void>();
      await this.#wake.promise;
    }
  }
}
