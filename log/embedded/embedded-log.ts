import { dirname, join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { Files } from '../../base/files.ts';
import type { ChangeBatch } from '../../model/change.ts';
import type { Report } from '../../model/events.ts';
import type { Frontier, Log, LogReader, LogWriter, ReadOptions, TopicInfo } from '../../model/log.ts';
import type { Table } from '../../model/table.ts';
import { corrupt } from './format.ts';
import { readManifest, writeManifest } from './manifest.ts';
import { SegmentReader } from './reader.ts';
import { newestRows } from './rows.ts';
import type { LogManifest } from './schema-registry.ts';
import { SchemaRegistry } from './schema-registry.ts';
import { Stream, streamOf } from './stream.ts';
import type { LogContext } from './stream.ts';

export interface EmbeddedLogOptions {
  /** Where the log lives; made when it does not exist. One process at a time (the service's lock sees to that). */
  readonly directory: string;
  readonly files: Files;
  readonly clock: Clock;
  readonly report?: Report;
  /** Length from which on a segment is followed by another. Default 32 MiB. */
  readonly segmentBytes?: number;
}

/** Opens the log, repairing what a crash left. Fails with LOG_CORRUPT, LOG_FORMAT, or what the files say. */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<Log> {
  const { directory, files, clock } = options;
  const schemas = await openRegistry(files, clock, directory);
  const context: LogContext = {
    directory,
    files,
    clock,
    schemas,
    report: options.report ?? (() => undefined),
    segmentBytes: options.segmentBytes ?? 32 * 1024 * 1024,
  };
  const log = new EmbeddedLog(context);
  await log.open();
  return log;
}

async function openRegistry(files: Files, clock: Clock, directory: string): Promise<SchemaRegistry> {
  const path = join(directory, 'log.json');
  let manifest = await readManifest<LogManifest>(files, path);
  if (!manifest) {
    await files.makeDirectory(directory);
    await files.syncDirectory(dirname(directory));
    const others = (await files.list(directory)).filter((name) => !name.startsWith('log.json'));
    if (others.length > 0) throw corrupt(path, 0, `it is missing beside ${others.join(', ')}`);
    manifest = { epoch: Math.floor(clock.now() / 1000), schemas: [] };
    await writeManifest(files, path, manifest);
  }
  return new SchemaRegistry(files, path, manifest);
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
    return new SegmentReader(this.#stream(stream), options);
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
      const reader = this.read(stream.name, { fromSeq: 0, topics: new Set([topic]), follow: false });
      try {
        yield* newestRows(reader, options.upToSeq, options.newestBefore ?? Infinity);
      } finally {
        await reader.close();
      }
    }
  }

  registerCursor(_stream: string, _name: string, _seq: number | null): void {}

  async compact(_stream: string): Promise<void> {}

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
