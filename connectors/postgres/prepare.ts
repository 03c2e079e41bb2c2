import { TidemarkError, isTidemarkError } from '../../base/errors.ts';
import { formatLsn, lsn, parseLsn } from '../../model/position.ts';
import type { Lsn } from '../../model/position.ts';
import type { PostgresOptions } from './options.ts';
import type { Pipeline } from './pipeline.ts';
import { isOutdated, keepPublications } from './publication.ts';
import type { CapturedTable } from './relations.ts';
import type { Query } from './session.ts';
import {
  checkIdentity,
  checkSlot,
  createSlot,
  dropSlot,
  insertPosition,
  readSlot,
  runningTransactions,
} from './slot.ts';
import type { ServerFacts, SlotState, SlotWait, SourceIdentity } from './slot.ts';

/** Tables may be renamed between a look at the catalog and the statement that names them: so often in a row is no accident. */
const publishAttempts = 20;

/** Where streaming begins, and what has to be seen by reads of tables that are new to it. */
interface Start {
  readonly position: Lsn;
  /** The log's position cannot be continued: every table is to be read (again). */
  readonly fresh: boolean;
  readonly barrier: readonly string[];
}

/** Brings publication, slot and the log's end together, and decides what to read; returns where streaming begins. */
export async function prepare(
  pipeline: Pipeline,
  options: PostgresOptions,
  session: { server: ServerFacts; query: Query; wait: SlotWait },
): Promise<Lsn> {
  const { log, name, clock } = options;
  const { tables, snapshotter, writer, decoder, window } = pipeline;
  const { server, query, wait } = session;
  await tables.refresh();
  tables.requireAll();
  const { kept, added } = await publish(pipeline, options, query);
  const known = log.state(name).get('source');
  const slot = await readSlot(options, query);
  let start = known === undefined ? null : await continueFrom(pipeline, options, { known, server, slot, query });
  if (start === null) {
    start = await startSlot(options, { slot, again: known !== undefined, query, wait });
    decoder.position = start.position;
    window.clear();
    snapshotter.changes.set('source', JSON.stringify(server.identity));
  }
  const isNew = added.size > 0 || needsPlan(pipeline, options);
  const barrier = [...start.barrier, ...(isNew ? await runningTransactions(query) : [])];
  const again = start.fresh && known !== undefined;
  planReads(pipeline, options, { again, kept, added, barrier });
  // Views and sinks are told of tables by the log, and without a snapshot nothing would bring those that do not change.
  if (options.snapshot.mode === 'never') for (const { topic } of tables.all) await tables.current(topic, writer);
  // Nothing is streamed yet.
  await snapshotter.drawBoundaries();
  const state = snapshotter.changes.take();
  if (state !== undefined) {
    writer.mark({ position: formatLsn(start.position), timeMs: clock.now(), state });
    await writer.durable();
  }
  return start.position;
}

/** Goes on from the log's end; null when that cannot be and the configuration says to read everything again. */
async function continueFrom(
  pipeline: Pipeline,
  options: PostgresOptions,
  context: { known: string; server: ServerFacts; slot: SlotState; query: Query },
): Promise<Start | null> {
  const position = parseLsn(pipeline.writer.last.position ?? '0/0');
  try {
    const identity = JSON.parse(context.known) as SourceIdentity;
    checkIdentity(identity, context.server, await insertPosition(context.query, context.server), position);
    checkSlot(options, context.slot, position);
    return { position, fresh: false, barrier: [] };
  } catch (error) {
    if (options.snapshot.mode !== 'when_needed' || !isTidemarkError(error)) throw error;
    const message = `${error.message}; reading every table again (snapshot mode when_needed)`;
    options.report({ type: 'source.notice', source: options.name, message });
    return null;
  }
}

/** Makes a slot, or takes one that is there and that no log of ours has used. */
async function startSlot(
  options: PostgresOptions,
  { slot, again, query, wait }: { slot: SlotState; again: boolean; query: Query; wait: SlotWait },
): Promise<Start> {
  const place = { source: options.name };
  if (slot.kind === 'usable' && slot.active) {
    throw new TidemarkError('SLOT_IN_USE', `replication slot ${options.slot} is in use`, {
      place,
      hint: 'Stop the other consumer, or name another slot.',
    });
  }
  const usable = slot.kind === 'usable' && !again ? slot : null;
  if (usable === null && slot.kind !== 'absent') await dropSlot(options, query);
  const made = usable === null ? await createSlot(options, query, wait) : null;
  const position = usable?.confirmed ?? made?.position ?? parseLsn('0/0');
  const barrier = made?.running ?? (await runningTransactions(query));
  const asked = options.snapshot.mode === 'never' && options.startAt !== undefined ? parseLsn(options.startAt) : null;
  return { position: asked ?? position, fresh: true, barrier };
}

/** Looks at the catalog, brings the publications in step with it, and plans what is to be read. */
export async function lookAtCatalog(pipeline: Pipeline, options: PostgresOptions, query: Query): Promise<void> {
  const { tables, snapshotter, decoder, writer } = pipeline;
  await tables.refresh();
  for (const relation of await tables.renewed(writer)) decoder.renew(relation);
  const { differs } = tables;
  const { kept, added } = await publish(pipeline, options, query);
  if (differs || added.size > 0 || needsPlan(pipeline, options)) {
    const barrier = await runningTransactions(query);
    planReads(pipeline, options, { again: false, kept, added, barrier });
  } else {
    tables.checkVersions(options.log.state(options.name), snapshotter);
  }
  if (snapshotter.changes.any) pipeline.pump.want(formatLsn(lsn(parseLsn(writer.last.position ?? '0/0') + 1n)));
}

/** Brings the publications in step with the tables. Returns these, and the topics that are new to `tables` or were not published as they should be. */
async function publish(
  { tables, snapshotter }: Pipeline,
  options: PostgresOptions,
  query: Query,
): Promise<{ kept: ReadonlySet<CapturedTable>; added: ReadonlySet<string> }> {
  const added = new Set<string>();
  const missing = (topic: string): void => {
    added.add(topic);
    const isKnown = options.log.state(options.name).has(`consistent:${topic}`) || snapshotter.jobs.has(topic);
    // Before the publication is changed: if the connection breaks then, nobody could tell afterwards.
    if (isKnown) snapshotter.withdraw(topic);
  };
  for (let attempt = 1; ; attempt++) {
    const kept = new Set(tables.all);
    for (const topic of tables.takeAdded()) added.add(topic);
    try {
      await keepPublications(options, [...kept], query, missing);
      return { kept, added };
    } catch (error) {
      if (attempt === publishAttempts || !isOutdated(error)) throw error;
    }
    await tables.refresh();
  }
}

/** Whether `planReads` has something to do even if no table came or went since it was called last. */
function needsPlan({ tables, snapshotter }: Pipeline, options: PostgresOptions): boolean {
  if (snapshotter.hasUnplanned) return true;
  const state = options.log.state(options.name);
  tables.checkVersions(state, snapshotter);
  return snapshotter.hasUnplanned;
}

/**
 * Decides which tables are to be read: those new to the log, those `added` (another table may have had the name before), and all
 * when the log could not be continued. Only tables of `kept` are begun, which the publications are known to hold. No read may miss a
 * transaction of the barrier.
 */
function planReads(
  pipeline: Pipeline,
  options: PostgresOptions,
  plan: {
    again: boolean;
    kept: ReadonlySet<CapturedTable>;
    added: ReadonlySet<string>;
    barrier: readonly string[];
  },
): void {
  const { tables, snapshotter, writer, generations } = pipeline;
  const state = options.log.state(options.name);
  tables.checkVersions(state, snapshotter);
  const captured = new Set(tables.all.map(({ topic }) => topic));
  for (const name of state.keys()) {
    const topic = /^(?:consistent|version):(.*)$/s.exec(name)?.[1];
    // A table that comes back is read again: its changes meanwhile were not kept.
    if (topic !== undefined && !captured.has(topic)) snapshotter.changes.set(name, null);
  }
  for (const topic of snapshotter.jobs.keys()) {
    if (!captured.has(topic))
      snapshotter.cancel(topic, new TidemarkError('TABLE_UNKNOWN', `${topic} is no longer captured`));
  }
  for (const table of tables.all) {
    const { topic } = table;
    const job = snapshotter.jobs.get(topic);
    const known = job?.planned ?? state.has(`consistent:${topic}`);
    if (!plan.kept.has(table) || (known && !plan.again && !plan.added.has(topic))) continue;
    if (options.snapshot.mode === 'never' && !plan.again && job === undefined) {
      snapshotter.changes.set(`consistent:${topic}`, JSON.stringify({ seq: writer.last.seq }));
    } else {
      if (plan.again) generations.rewritten(table);
      snapshotter.beginAnew(topic, plan.barrier);
    }
  }
  snapshotter.waitFor(plan.barrier);
}
