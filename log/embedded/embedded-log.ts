import { dirname, join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { Files } from '../../base/files.ts';
import type { ChangeBatch } from '../../model/change.ts';
import type { Report } from '../../model/events.ts';
import type { Frontier, Log, LogReader, LogWriter, ReadOptions, TopicInfo } from '../../model/log.ts';
import type { Table } from '../../model/table.ts';
import { corrupt } from './format.ts';
import { readManifest, writeManifest } from './manifest.ts';
import { StreamReader } from './reader.ts';
import { newestRows } from './rows.ts';
import type { LogManifest } from './schema-registry.ts';
import { SchemaRegistry } from './schema-registry.ts';
import { Stream, streamOf } from './stream.ts';
import type { LogContext } from './stream.ts';
import { writeFailure } from './write-failure.ts';

export interface EmbeddedLogOptions {
  /** Where the log lives; made when it does not exist. One process at a time (the service's lock sees to that). */
  readonly directory: string;
  readonly files: Files;
  readonly clock: Clock;
  readonly report?: Report;
  /** Length from which on a segment is followed by another. Default 32 MiB. */
  readonly segmentBytes?: number;
  /** A stream is compacted when its sealed segments are longer than this and than what it was compacted to before. Default 256 MiB. */
  readonly compactBytes?: number;
  /** A cursor that lags behind holds compaction back until the segments are longer than this. Default 1 GiB. */
  readonly retainBytes?: number;
}

const mebibyte = 1024 * 1024;

/** Opens the log, repairing what a crash left. Fails with LOG_CORRUPT, LOG_FORMAT, or what the files say. */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<Log> {
  try {
    return await open(options);
  } catch (error) {
    throw writeFailure(error, options.directory);
  }
}

async function open(options: EmbeddedLogOptions): Promise<Log> {
  const { directory, files, clock } = options;
  const schemas = await openRegistry(files, clock, directory);
  const context: LogContext = {
    directory,
    files,
    clock,
    schemas,
    report: options.report ?? (() => undefined),
    segmentBytes: options.segmentBytes ?? 32 * mebibyte,
    compactBytes: options.compactBytes ?? 256 * mebibyte,
    retainBytes: options.retainBytes ?? 1024 * mebibyte,
  };
  const log = new EmbeddedLog(context);
  await log.open();
  return log;
}

async function openRegistry(files: Files, clock: Clock, directory: string): Promise<SchemaRegistry> {
  const path = join(directory, 'log.json');
  let manifest = await readManifest<LogManifest>(files, path);
  if (!manifest) {
    await makeDurableDirectory(files, directory);
    const others = (await files.list(directory)).filter((name) => !name.startsWith('log.json'));
    if (others.length > 0) throw corrupt(path, 0, `it is missing beside ${others.join(', ')}`);
    manifest = { epoch: Math.floor(clock.now() / 1000), schemas: [] };
    await writeManifest(files, path, manifest);
  }
  return new SchemaRegistry(files, path, manifest);
}

/** Makes a folder and those above it, so that a crash takes none of them away again. */
async function makeDurableDirectory(files: Files, directory: string): Promise<void> {
  const made: string[] = [];
  for (let path = directory; !(await files.exists(path)); path = dirname(path)) made.push(path);
  await files.makeDirectory(directory);
  for (const path of made) await files.syncDirectory(dirname(path));
}

class EmbeddedLog implements Log {
  readonly type = 'embedded';
  readonly #context: LogContext;
  readonly #streams = new Map<string, Stream>();

  constructor(context: LogContext) {
    this.#context = context;
  }

  async open(): Promise<void> {
    const { directory, files } = this.#context;
    for (const name of await files.list(directory)) {
      if (name.startsWith('log.json')) continue;
      await this.#stream(streamOf(name)).open();
    }
  }

  get epoch(): number {
    return this.#context.schemas.epoch;
  }

  streams(): string[] {
    return [...this.#streams.values()]
      .filter((stream) => stream.exists)
      .map((stream) => stream.name)
      .toSorted();
  }

  async writer(stream: string): Promise<LogWriter> {
    return this.#stream(stream).openWriter();
  }

  read(stream: string, options: ReadOptions): LogReader {
    return new StreamReader(this.#stream(stream), options);
  }

  frontier(stream: string): Frontier {
    return this.#stream(stream).frontier;
  }

  state(stream: string): ReadonlyMap<string, string> {
    return this.#stream(stream).state;
  }

  table(schemaId: number): Table | undefined {
    return this.#context.schemas.table(schemaId);
  }

  async topics(): Promise<TopicInfo[]> {
    return [...this.#streams.values()].flatMap((stream) => stream.topics());
  }

  async *rows(topic: string, options: { upToSeq: number; newestBefore?: number }): AsyncIterable<ChangeBatch> {
    for (const stream of this.#streams.values()) {
      const { upToSeq, newestBefore = Infinity } = options;
      if (stream.holds(topic)) yield* newestRows(stream, topic, upToSeq, newestBefore);
    }
  }

  registerCursor(stream: string, name: string, seq: number | null): void {
    this.#stream(stream).registerCursor(name, seq);
  }

  cursorNames(stream: string): string[] {
    return this.#stream(stream).cursors.names();
  }

  async compact(stream: string): Promise<void> {
    await this.#stream(stream).compact();
  }

  async close(): Promise<void> {
    const results = await Promise.allSettled([...this.#streams.values()].map(async (stream) => stream.close()));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  #stream(name: string): Stream {
    let stream = this.#streams.get(name);
    if (!stream) this.#streams.set(name, (stream = new Stream(this.#context, name)));
    return stream;
  }
}
