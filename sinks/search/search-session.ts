import { assert, present } from '../../base/assert.ts';
import { TidemarkError } from '../../base/errors.ts';
import type { ChangeSet } from '../change-set.ts';
import { fingerprintOf, streamOf } from '../options.ts';
import type { SearchSinkOptions } from '../options.ts';
import type { Cursor, RejectedRow, SinkDocument, SinkShape, SinkState } from '../port.ts';
import type { SinkDependencies } from '../sink.ts';
import { EngineClient } from './engine-client.ts';
import { identify } from './engine-info.ts';
import { IndexAdmin } from './index-admin.ts';
import type { ExistingIndex } from './index-admin.ts';
import { Refresher } from './refresher.ts';
import { repairDocuments } from './repair.ts';
import { RowWriter } from './row-writer.ts';
import { scanDocuments } from './scan.ts';
import { indexesOf, newRecord, RecordStore } from './sink-record.ts';
import type { IndexState, SinkRecord } from './sink-record.ts';

/** How many transactions beyond the cursor may be written before the record must say so first (IndexState.reach). */
const reachAhead = 4096;
/** After so long without a write it is looked whether the sink is still ours, and its index there, before the next. */
const quietMs = 1_000;

export type SearchDependencies = Pick<SinkDependencies, 'name' | 'log' | 'clock' | 'random'>;

/**
 * A sink's index from `open` to `close`: which index is written and which one is read, and the record of both in the engine.
 */
export class SearchSession {
  readonly client: EngineClient;
  readonly refresher: Refresher;
  readonly #options: SearchSinkOptions;
  readonly #deps: SearchDependencies;
  readonly #admin: IndexAdmin;
  readonly #store: RecordStore;
  readonly #token: string;
  #record: SinkRecord;
  /** Of the copy, or else of the visible index; null while there is neither. */
  #writer: RowWriter | null = null;
  /** The copy is to be shown by the commit that follows. */
  #swap = false;
  #writing = false;
  /** Rows of the open write have been sent. */
  #applied = false;
  /** Up to here the index may hold parts of transactions that an earlier write did not complete. */
  #tornUpTo = 0;
  #quietSince = 0;

  constructor(options: SearchSinkOptions, deps: SearchDependencies, token: string) {
    this.#options = options;
    this.#deps = deps;
    this.#token = token;
    this.client = new EngineClient(options.name, options.url, deps);
    this.refresher = new Refresher(this.client, deps.clock, options.refresh);
    this.#admin = new IndexAdmin(this.client, options, deps.name);
    this.#store = new RecordStore(this.client, deps.name, options.name);
    this.#record = newRecord(deps.name, options.name);
  }

  /** Takes the sink over, completes what an earlier writer left half done, and says where the sink stands; null for a new one. */
  async open(): Promise<SinkState | null> {
    await identify(this.client);
    const record = (await this.#store.load()) ?? this.#record;
    if (record.deployment !== this.#deps.name) throw this.#foreignRecord(record);
    this.#record = record;
    const existing = await this.#admin.list(indexesOf(record));
    this.#admin.checkAlias(existing);
    forgetMissing(record, existing);
    const holders = record.visible === null ? [] : holdersOf(record.visible.alias, existing);
    this.#checkHolders(holders);
    record.token = this.#token;
    await this.#store.save(record);
    await this.#putRight(existing, holders);
    const current = record.copy ?? record.visible;
    if (current !== null) await this.#take(current, existing.get(current.index)?.shape ?? null);
    this.#quietSince = this.#deps.clock.monotonic();
    return this.#state();
  }

  async begin(): Promise<void> {
    await this.refresher.enter();
    this.#writing = true;
    this.#swap = false;
    this.#applied = false;
    const { clock } = this.#deps;
    if (clock.monotonic() - this.#quietSince < quietMs) return;
    await this.#store.check(this.#token);
    const { copy, visible } = this.#record;
    const index = (copy ?? visible)?.index;
    if (index !== undefined && !(await this.#admin.exists(index))) {
      throw new TidemarkError('SINK_FAILED', `Index '${index}' was deleted`, {
        hint: 'It is built anew from the log.',
        place: { sink: this.#options.name },
      });
    }
    this.#quietSince = clock.monotonic();
  }

  async beginRebuild(): Promise<void> {
    const record = this.#record;
    await this.refresher.finish();
    if (record.copy !== null) record.garbage.push(record.copy.index);
    const cursor = { epoch: this.#deps.log.epoch, seq: 0, position: null, timeMs: 0 };
    record.fingerprint = fingerprintOf(this.#options);
    let index: string;
    do {
      record.number++;
      index = `${this.#options.index}-${record.number}`;
      record.copy = { index, cursor, reach: 0 };
      // The record comes first: an index that it does not name would never be dropped.
      await this.#store.save(record);
    } while (!(await this.#admin.create(index)));
    await this.#take(record.copy, null);
    await this.#dropGarbage();
  }

  async reshape(shape: SinkShape): Promise<void> {
    const reason = await this.#writerNow().reshape(shape);
    if (reason === null) return;
    const record = this.#record;
    if (record.copy !== null) record.garbage.push(record.copy.index);
    record.copy = null;
    record.stale = record.visible !== null;
    await this.#store.save(record);
    throw new TidemarkError(
      'SINK_FAILED',
      `The rows of sink '${this.#options.name}' no longer fit its index: ${reason}`,
      {
        hint: 'Another index is filled from the log, and takes the place of this one when it is complete.',
        place: { sink: this.#options.name },
      },
    );
  }

  async apply(changes: ChangeSet, from: number, to: number): Promise<readonly RejectedRow[]> {
    const current = this.#current();
    let last = 0;
    for (let index = from; index < to; index++) last = Math.max(last, changes.seqAt(index));
    if (last > current.reach) {
      current.reach = last + reachAhead;
      await this.#store.save(this.#record);
    }
    this.#applied = true;
    this.refresher.wrote();
    return this.#writerNow().send(changes, from, to);
  }

  commitRebuild(): void {
    this.#swap = true;
  }

  async commit(cursor: Cursor): Promise<void> {
    const current = this.#current();
    current.cursor = cursor;
    if (current.reach < cursor.seq + reachAhead / 2) current.reach = cursor.seq + reachAhead;
    this.refresher.held = cursor.seq < this.#tornUpTo;
    if (this.#swap) {
      await this.#show(current);
    } else {
      await this.refresher.beforeCursor();
      await this.#store.save(this.#record);
    }
    this.#quietSince = this.#deps.clock.monotonic();
    this.#writing = false;
    this.refresher.leave();
  }

  /** What was sent cannot be taken back: searches are kept from it until a later session has completed it. */
  rollback(): void {
    if (!this.#writing) return;
    this.#writing = false;
    this.refresher.held = true;
    if (this.#applied) this.#tornUpTo = Infinity;
    this.refresher.leave();
  }

  async *scan(): AsyncGenerator<readonly SinkDocument[]> {
    const { visible } = this.#record;
    if (visible === null) return;
    await this.refresher.searchable();
    yield* scanDocuments(this.client, visible.index);
  }

  expect(changes: ChangeSet, from: number, to: number): readonly SinkDocument[] {
    return this.#writerNow().documents(changes, from, to);
  }

  async repair(rows: ChangeSet, extra: readonly string[]): Promise<void> {
    const { visible } = this.#record;
    assert(visible !== null, 'an index to repair');
    this.refresher.wrote();
    const { seq } = visible.cursor;
    const isRouted = this.#options.routing !== null;
    await repairDocuments(this.client, { index: visible.index, seq, writer: this.#writerNow(), rows, extra, isRouted });
  }

  async close(): Promise<void> {
    this.client.interrupt();
    await this.refresher.close();
    await this.client.close();
  }

  #current(): IndexState {
    const { copy, visible } = this.#record;
    return present(copy ?? visible, 'an index to write to');
  }

  #writerNow(): RowWriter {
    return present(this.#writer, 'an index to write to');
  }

  #state(): SinkState | null {
    const { copy, visible, stale, fingerprint } = this.#record;
    const current = copy ?? visible;
    if (current === null) return null;
    return {
      cursor: stale && copy === null ? null : current.cursor,
      rebuilding: copy !== null,
      visible: visible?.cursor ?? null,
      schemaId: this.#writer?.schemaId ?? 0,
      fingerprint,
      completeFrom: copy !== null && copy.cursor.epoch === this.#deps.log.epoch ? this.#tornUpTo : 0,
    };
  }

  /** Goes on with this index. */
  async #take(current: IndexState, shape: SinkShape | null): Promise<void> {
    const { log, clock } = this.#deps;
    const { cursor, reach, index } = current;
    const isVisible = this.#record.copy === null;
    // What the log does not hold durably was never handed over.
    this.#tornUpTo = cursor.epoch === log.epoch ? Math.min(reach, log.frontier(streamOf(this.#options)).seq) : Infinity;
    this.#writer = new RowWriter(this.client, this.#admin, this.#options, { log, clock }, index);
    if (shape !== null) await this.#writer.resume(shape);
    this.refresher.held = cursor.seq < this.#tornUpTo;
    this.refresher.watch(isVisible ? index : null, true);
    this.refresher.kick();
  }

  /** The alias as the record says it, the aliases that indexes are written by, and no index that is not needed. */
  async #putRight(existing: ReadonlyMap<string, ExistingIndex>, holders: readonly string[]): Promise<void> {
    const { visible, copy } = this.#record;
    for (const state of [visible, copy]) {
      if (state !== null) await this.#admin.ensureWriteAlias(state.index, existing.get(state.index));
    }
    if (visible !== null && !holders.includes(visible.index)) {
      await this.#admin.moveAlias(visible.alias, holders, visible.index);
    }
    this.#record.swapping = false;
    await this.#dropGarbage();
  }

  /** Makes the copy the visible index. The record changes first, so that only the one who holds it moves the alias. */
  async #show(copy: IndexState): Promise<void> {
    const record = this.#record;
    const { index: alias, refresh } = this.#options;
    assert(copy === record.copy, 'a copy to show');
    const old = record.visible;
    assert(old?.cursor.epoch !== copy.cursor.epoch || copy.cursor.seq >= old.cursor.seq, 'readers do not go back');
    await this.client.json('POST', `/${encodeURIComponent(copy.index)}/_refresh`);
    if (refresh === 'engine') await this.#admin.letRefresh(copy.index);
    const existing = await this.#admin.list(indexesOf(record));
    this.#admin.checkAlias(existing);
    const holders = holdersOf(alias, existing);
    if (record.previous !== null) record.garbage.push(record.previous);
    record.previous = old?.index ?? holders[0] ?? null;
    record.visible = { ...copy, alias };
    record.copy = null;
    record.swapping = true;
    record.stale = false;
    await this.#store.save(record);
    await this.#admin.moveAlias(alias, holders, copy.index);
    record.swapping = false;
    await this.#dropGarbage();
    this.refresher.watch(copy.index, false);
  }

  /** The record forgets them with its next change. */
  async #dropGarbage(): Promise<void> {
    const { garbage, visible, copy, previous } = this.#record;
    const kept = new Set([visible?.index, copy?.index, previous]);
    for (const index of garbage) if (!kept.has(index)) await this.#admin.drop(index);
    this.#record.garbage = [];
  }

  /** SINK_TARGET when somebody has moved the alias to another index. */
  #checkHolders(holders: readonly string[]): void {
    const { visible, swapping } = this.#record;
    const other = holders.find((index) => index !== visible?.index);
    if (visible === null || swapping || other === undefined) return;
    throw new TidemarkError(
      'SINK_TARGET',
      `Alias '${visible.alias}' leads to '${other}', no longer to '${visible.index}'`,
      {
        hint: `Move the alias back to '${visible.index}', or remove it; then it is put there again.`,
        place: { sink: this.#options.name },
      },
    );
  }

  #foreignRecord({ deployment }: SinkRecord): TidemarkError {
    return new TidemarkError(
      'SINK_TARGET',
      `The engine holds sink '${this.#options.name}' of a deployment named '${deployment}'`,
      {
        hint: 'Give this deployment a `name` that differs in more than capital letters.',
        place: { sink: this.#options.name },
      },
    );
  }
}

/** Indexes that somebody deleted are built anew. */
function forgetMissing(record: SinkRecord, existing: ReadonlyMap<string, unknown>): void {
  if (record.visible !== null && !existing.has(record.visible.index)) record.visible = null;
  if (record.copy !== null && !existing.has(record.copy.index)) record.copy = null;
  if (record.previous !== null && !existing.has(record.previous)) record.previous = null;
  if (record.visible === null) record.stale = false;
}

function holdersOf(alias: string, existing: ReadonlyMap<string, ExistingIndex>): string[] {
  return [...existing].filter(([, { aliases }]) => aliases.includes(alias)).map(([index]) => index);
}
