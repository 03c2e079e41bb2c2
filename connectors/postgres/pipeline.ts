import { join } from 'node:path';
import type { LogWriter } from '../../model/log.ts';
import { lsnOrder, parseLsn } from '../../model/position.ts';
import { KeylessTables } from '../../snapshot/keyless.ts';
import { Snapshotter } from '../../snapshot/snapshotter.ts';
import { Window } from '../../snapshot/window.ts';
import { PostgresChunkReader } from './chunk-reader.ts';
import { Decoder } from './decoder.ts';
import { Generations } from './generations.ts';
import { LargeValueStore } from './large-values.ts';
import type { PostgresOptions } from './options.ts';
import type { RelationMessage } from './pgoutput.ts';
import { Pump } from './pump.ts';
import { rebuildLargeValues, rebuildWindow } from './recover.ts';
import type { Relation } from './relations.ts';
import type { Query } from './session.ts';
import { currentSnapshot, runningTransactions } from './slot.ts';
import type { ServerFacts } from './slot.ts';
import { StreamSpool } from './spool.ts';
import { Tables } from './tables.ts';
import { TruncateWriter } from './truncate.ts';

const windowBytesMax = 24 * 1024 * 1024;
const spoolBytesMax = 8 * 1024 * 1024;
const largeValueBytesMax = 8 * 1024 * 1024;
const seenPollMs = 5;

/** What lives as long as the source runs, through reconnections. */
export interface Pipeline {
  readonly writer: LogWriter;
  readonly tables: Tables;
  readonly window: Window;
  readonly snapshotter: Snapshotter;
  readonly largeValues: LargeValueStore;
  readonly decoder: Decoder;
  readonly pump: Pump;
  readonly reader: PostgresChunkReader;
  readonly generations: Generations;
}

/** What a pipeline asks of the connection that there is at the moment. */
export interface PipelineSession {
  readonly query: Query;
  readonly server: () => ServerFacts;
  /** Aborted when the connection that there is at the moment ends. */
  readonly signal: () => AbortSignal;
}

/** Puts the parts together, as the log's end says they were left. */
export async function openPipeline(
  options: PostgresOptions,
  writer: LogWriter,
  session: PipelineSession,
): Promise<Pipeline> {
  const { files, directory, log, report, name } = options;
  const { query } = session;
  await files.makeDirectory(directory);
  const tables = new Tables(options, query, report);
  await tables.refresh();
  const window = new Window(await currentSnapshot(query), windowBytesMax);
  const largeValues = await LargeValueStore.open(join(directory, 'large-values'), largeValueBytesMax);
  const spool = await StreamSpool.open(files, join(directory, 'spool'), spoolBytesMax);
  const checkVersions = (): void => tables.checkVersions(log.state(name), snapshotter);
  const reader = openReader(options, writer, tables, session, checkVersions);
  const keyless = new KeylessTables({ files, directory, log, writer, stream: name });
  const snapshotter: Snapshotter = new Snapshotter({
    stream: name,
    reader,
    log,
    writer,
    window,
    keyless,
    isKeyless: (topic) => tables.isKeyless(topic),
    order: lsnOrder,
    clock: options.clock,
    random: options.random,
    report,
    chunkRows: options.snapshot.chunkRows,
    parallel: options.snapshot.parallel,
    nudge: (position) => pump.want(position),
    appended: (topic, batch) => {
      const relation = tables.relationOf(topic);
      if (relation !== undefined) decoder.healer.keepBatch(relation, batch);
    },
    committed: (seq) => largeValues.commit(seq),
  });
  const decoder: Decoder = new Decoder(
    {
      writer,
      window,
      snapshotter,
      largeValues,
      spool,
      truncates: new TruncateWriter(log, files, directory),
      keyless,
      relation: async (message, txId) => relationOf(message, txId, parts, options, session),
      isCurrent: ({ oid, topic }) => tables.isCaptured(oid, topic),
    },
    parseLsn(writer.last.position ?? '0/0'),
  );
  const pump: Pump = new Pump({
    clock: options.clock,
    log,
    stream: name,
    writer,
    window,
    snapshotter,
    largeValues,
    decoder,
    nudge: async () => {
      await query('SELECT pg_current_xact_id()');
    },
  });
  const retire = (oid: number): void => decoder.retire(oid);
  const generations = new Generations({ log, stream: name, writer, snapshotter, retire });
  const parts: Pipeline = { writer, tables, window, snapshotter, largeValues, decoder, pump, reader, generations };
  await recover(parts, options, session);
  return parts;
}

/** Takes up what the log's end tells of tables, transactions that reads may not see, and large values. */
async function recover(pipeline: Pipeline, { log, name }: PostgresOptions, { query }: PipelineSession): Promise<void> {
  const { tables, generations, snapshotter, window, largeValues, writer, decoder } = pipeline;
  generations.open(tables.all);
  // All tables are new to `tables` now; which are new to the log, the log knows.
  tables.takeAdded();
  tables.watch = generations;
  await requireAllSeen(snapshotter, query);
  await rebuildWindow(log, name, window, async () => runningTransactions(query));
  await rebuildLargeValues(log, name, largeValues, async (topic) => tables.current(topic, writer), {
    healer: decoder.healer,
    generations,
  });
}

/** The relation that a message of the stream describes. A table that the stream knew before the catalog was looked at is read after the next look. */
async function relationOf(
  message: RelationMessage,
  txId: string,
  pipeline: Pipeline,
  options: PostgresOptions,
  session: PipelineSession,
): Promise<Relation | null> {
  const { tables, writer, snapshotter } = pipeline;
  const relation = await tables.relation(message, writer, async () => untilSeen(txId, options, session));
  tables.checkVersions(options.log.state(options.name), snapshotter);
  return relation;
}

function openReader(
  target: PostgresOptions,
  writer: LogWriter,
  tables: Tables,
  { query, server }: PipelineSession,
  checkVersions: () => void,
): PostgresChunkReader {
  return new PostgresChunkReader({
    target,
    server,
    query,
    relation: async (topic) => tables.current(topic, writer),
    fingerprint: (topic) => tables.captured(topic)?.catalog.fingerprint ?? '',
    estimate: (topic) => tables.captured(topic)?.catalog.rowsEstimated ?? 0,
    refresh: async () => {
      await tables.refresh();
      checkVersions();
    },
  });
}

/** Events of tables without a key that were held back are gone with the process: a new read must see what they were. */
async function requireAllSeen(snapshotter: Snapshotter, query: Query): Promise<void> {
  const running = await runningTransactions(query);
  for (const job of snapshotter.jobs.values()) {
    if (job.keyless) job.barrier = [...job.barrier, ...running];
  }
}

/** Waits until queries see what a streamed transaction did. */
async function untilSeen(txId: string, { clock }: PostgresOptions, { query, signal }: PipelineSession): Promise<void> {
  while (!(await currentSnapshot(query)).includes(txId)) await clock.sleep(seenPollMs, signal());
}
