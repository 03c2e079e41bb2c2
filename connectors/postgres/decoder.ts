import { present } from '../../base/assert.ts';
import { TidemarkError } from '../../base/errors.ts';
import { pieceBytesMax } from '../../base/constants.ts';
import type { Op } from '../../model/change.ts';
import { ChangeWriter, flagAfter, flagBefore, flagKeyOnly, opCreate, opDelete, opUpdate } from '../../model/change.ts';
import type { KeyEncoding } from '../../model/key.ts';
import { keySizeMax, writeKeyNull, writeKeyPart } from '../../model/key.ts';
import type { LogWriter } from '../../model/log.ts';
import { formatLsn, lsn } from '../../model/position.ts';
import type { Lsn } from '../../model/position.ts';
import { fieldUnchanged } from '../../model/row.ts';
import type { Snapshotter } from '../../snapshot/snapshotter.ts';
import type { KeylessTables } from '../../snapshot/keyless.ts';
import type { Window } from '../../snapshot/window.ts';
import { Healer, holdRow, packFields } from './healer.ts';
import type { TupleRow } from './healer.ts';
import type { LargeValueStore } from './large-values.ts';
import { PgoutputReader } from './pgoutput.ts';
import type { OldTuple, PgoutputHandler, RelationMessage } from './pgoutput.ts';
import type { Relation } from './relations.ts';
import type { StreamSpool } from './spool.ts';
import type { TruncateWriter } from './truncate.ts';

/** What the decoder needs of the rest of the source. */
export interface DecoderContext {
  readonly writer: LogWriter;
  readonly window: Window;
  readonly snapshotter: Snapshotter;
  readonly largeValues: LargeValueStore;
  readonly spool: StreamSpool;
  readonly truncates: TruncateWriter;
  readonly keyless: KeylessTables;
  /** The relation for a table that a message of a transaction describes, or null when it is not captured. */
  relation(message: RelationMessage, txId: string): Promise<Relation | null>;
  /** Whether the relation's table still has its topic's name. */
  isCurrent(relation: Relation): boolean;
}

/** Turns pgoutput messages into the log's transactions. One row change costs one copy of its columns' text, and no object. */
export class Decoder implements PgoutputHandler {
  readonly #context: DecoderContext;
  readonly #relations = new Map<number, Relation | null>();
  readonly #changes = new ChangeWriter(pieceBytesMax + 64 * 1024);
  readonly healer: Healer;
  readonly #replayReader: PgoutputReader = new PgoutputReader(this);
  /** Changes of the open transaction, over all its pieces. */
  #count = 0;
  /** Pieces of it that the log has. */
  #pieces = 0;
  #xid = 0;
  #tracked = false;
  #skipping = false;
  #inTransaction = false;
  #streamXid = 0;
  /** Everything up to here has been handed to the log. */
  position: Lsn;
  /** Source's time of the newest commit, in milliseconds. */
  commitTimeMs = 0;
  /** Set at every commit; whoever acts on it clears it. */
  justCommitted = false;

  constructor(context: DecoderContext, position: Lsn) {
    this.#context = context;
    this.position = position;
    this.healer = new Healer(context.largeValues);
  }

  /** Whether a transaction has begun and not ended. */
  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  /** The connection is gone: what was open will be sent again. */
  async reset(): Promise<void> {
    this.#relations.clear();
    this.#resolved.clear();
    this.#changes.reset();
    this.#replayReader.reset();
    this.#inTransaction = false;
    this.#context.window.abandon();
    await this.#context.truncates.end();
    this.#context.writer.abort();
    await this.#context.largeValues.abort();
    await this.#context.spool.clear();
  }

  relationNow(oid: number): Relation | null | undefined {
    return this.#relations.get(oid);
  }

  begin(xid: number, finalLsn: bigint, commitTimeMs: number): void {
    const { window, writer } = this.#context;
    this.#inTransaction = true;
    // A commit record that begins before the position was published before (law 2): the server repeats what it was not told of.
    this.#skipping = finalLsn < this.position;
    this.#xid = xid;
    this.#count = 0;
    this.#pieces = 0;
    this.commitTimeMs = commitTimeMs;
    this.#tracked = !this.#skipping && window.begin(String(xid), writer.last.seq + 1);
  }

  commit(_commitLsn: bigint, endLsn: bigint, commitTimeMs: number): Promise<void> | undefined {
    const { writer, window, snapshotter, largeValues, truncates } = this.#context;
    this.#inTransaction = false;
    this.justCommitted = true;
    if (this.#skipping) return undefined;
    this.position = lsn(endLsn);
    this.commitTimeMs = commitTimeMs;
    for (const [key, topic] of this.#resolved) snapshotter.incomplete.resolve(topic, key);
    this.#resolved.clear();
    const state = snapshotter.changes.take();
    if (this.#count === 0 && state === undefined) {
      window.abandon();
      return undefined;
    }
    const large = this.#pieces > 0;
    this.#append();
    const position = formatLsn(this.position);
    const seq = writer.commit({
      position,
      commitTimeMs,
      snapshot: false,
      txId: String(this.#xid),
      ...(state ? { state } : {}),
    });
    window.end();
    largeValues.commit(seq);
    return large ? truncates.end() : undefined;
  }

  async relation(message: RelationMessage): Promise<void> {
    const relation = await this.#context.relation(message, String(this.#xid));
    this.#relations.set(message.oid, relation !== null && this.#context.isCurrent(relation) ? relation : null);
  }

  /**
   * The table no longer has the name under which it was captured: its changes are nobody's until the server describes it again, as it does
   * after every change of its name. What was changed before that and is left out here, reads see: the name's change waited for it.
   */
  retire(oid: number): void {
    if (this.#relations.has(oid)) this.#relations.set(oid, null);
  }

  /** A table changed in a way that no message of the stream tells. */
  renew(relation: Relation): void {
    if (this.#relations.get(relation.oid)?.topic === relation.topic) this.#relations.set(relation.oid, relation);
  }

  insert(oid: number, reader: PgoutputReader): Promise<void> | undefined {
    const relation = this.#relationOf(oid);
    if (relation === null) return undefined;
    if (reader.newColumns !== relation.columns)
      throw unreadable(`a row of ${reader.newColumns} columns in ${relation.topic}`);
    relation.counts.create++;
    const row = { buffer: reader.buffer, fields: reader.newTuple };
    this.#write(opCreate, relation, row, null);
    if (relation.hasToastable) this.healer.keep(relation, this.#key(), row, false);
    return this.#pace();
  }

  update(oid: number, old: OldTuple, reader: PgoutputReader): Promise<void> | undefined {
    const relation = this.#relationOf(oid);
    if (relation === null) return undefined;
    const columns = old === 'none' ? reader.newColumns : Math.min(reader.newColumns, reader.oldColumns);
    if (columns !== relation.columns) throw unreadable(`a row of ${columns} columns in ${relation.topic}`);
    relation.counts.update++;
    let row: TupleRow = { buffer: reader.buffer, fields: reader.newTuple };
    const before = { buffer: reader.buffer, fields: reader.oldTuple };
    const unchanged = relation.hasToastable && this.healer.hasUnchanged(relation, row.fields);
    const moved = old !== 'none' && this.#keyMoved(relation, reader);
    const oldKey = moved ? this.#writeDelete(relation, before, old) : null;
    if (unchanged) {
      const key = oldKey ?? this.#keyOf(relation, old === 'full' ? before : row);
      const healed = this.healer.heal(relation, row, old === 'full' ? reader.oldTuple : null, key);
      if (healed === null) {
        const held = this.#keyOf(relation, row);
        this.#resolved.delete(held.toString('latin1'));
        holdRow(this.#context.snapshotter, relation, held, row);
        return this.#pace();
      }
      row = healed;
    }
    this.#write(moved ? opCreate : opUpdate, relation, row, old === 'full' && !moved ? before : null);
    if (relation.hasToastable) this.healer.keep(relation, this.#key(), row, unchanged);
    return this.#pace();
  }

  delete(oid: number, old: OldTuple, reader: PgoutputReader): Promise<void> | undefined {
    const relation = this.#relationOf(oid);
    if (relation === null) return undefined;
    if (reader.oldColumns !== relation.columns)
      throw unreadable(`a row of ${reader.oldColumns} columns in ${relation.topic}`);
    relation.counts.delete++;
    this.#writeDelete(relation, { buffer: reader.buffer, fields: reader.oldTuple }, old);
    return this.#pace();
  }

  async truncate(oids: readonly number[]): Promise<void> {
    const { truncates, window, snapshotter, writer, keyless } = this.#context;
    for (const oid of oids) {
      const relation = this.#relationOf(oid);
      if (relation === null) continue;
      await this.#handOver();
      if (this.#tracked) window.truncate(relation.topic);
      snapshotter.incomplete.resolveAll(relation.topic);
      if (keyless.holds(relation.topic)) {
        // What was held is gone with the rows; the table is read again, as it is after this transaction.
        await keyless.end(relation.topic);
        snapshotter.begin(relation.topic, { reread: true, where: null, barrier: [String(this.#xid)] });
        continue;
      }
      const deletes =
        relation.keyTuple.length > 0
          ? await truncates.write(relation.topic, writer)
          : await keyless.clear(relation.topic);
      relation.counts.delete += deletes;
      this.#count += deletes;
      this.#pieces++;
    }
  }

  streamStart(xid: number): void {
    this.#streamXid = xid;
  }

  streamed(subXid: number, type: number, buffer: Buffer, start: number, end: number): Promise<void> | undefined {
    return this.#context.spool.add(this.#streamXid, subXid, type, buffer, start, end);
  }

  streamStop(): void {
    this.#streamXid = 0;
  }

  async streamCommit(xid: number, commitLsn: bigint, endLsn: bigint, commitTimeMs: number): Promise<void> {
    this.begin(xid, commitLsn, commitTimeMs);
    await this.#context.spool.replay(xid, (buffer, start, end) => this.#replayReader.readChange(buffer, start, end));
    const pending = this.commit(commitLsn, endLsn, commitTimeMs);
    if (pending !== undefined) await pending;
  }

  async streamAbort(xid: number, subXid: number): Promise<void> {
    if (xid === subXid) await this.#context.spool.drop(xid);
    else this.#context.spool.abortSub(xid, subXid);
  }

  #relationOf(oid: number): Relation | null {
    if (this.#skipping) return null;
    const relation = this.#relations.get(oid);
    if (relation === undefined) throw unreadable(`a change of relation ${oid}, which the server has not described`);
    return relation;
  }

  /** Appends one change; `row` is the row after it. */
  #write(op: Op, relation: Relation, row: TupleRow, before: TupleRow | null): void {
    const changes = this.#changes;
    changes.begin(op, before === null ? flagAfter : flagAfter | flagBefore, relation.schemaId);
    this.#writeKey(relation, row);
    changes.endKey();
    if (before !== null) {
      packFields(changes, before.buffer, relation.tuple, before.fields);
      changes.endBefore();
    }
    packFields(changes, row.buffer, relation.tuple, row.fields);
    this.#finish(relation);
  }

  /** Appends a delete; returns a copy of its key. */
  #writeDelete(relation: Relation, before: TupleRow, old: OldTuple): Buffer {
    const changes = this.#changes;
    changes.begin(opDelete, old === 'key' ? flagBefore | flagKeyOnly : flagBefore, relation.schemaId);
    this.#writeKey(relation, before);
    changes.endKey();
    packFields(changes, before.buffer, relation.tuple, before.fields);
    changes.endBefore();
    this.#finish(relation);
    return Buffer.from(this.#key());
  }

  /** Completes a change. One of a table without a key that is being read waits aside until it is known whether the read saw it. */
  #finish(relation: Relation): void {
    this.#changes.end();
    if (relation.keyTuple.length > 0 || !this.#context.keyless.holds(relation.topic)) {
      this.#count++;
      return;
    }
    this.#held = this.#context.keyless.hold(relation.topic, String(this.#xid), this.#changes.takeBack());
  }
  /** Held changes on their way to disk. */
  #held: Promise<void> | undefined = undefined;

  /** Where the key of the change written last is in the buffer of changes. */
  #keyStart = 0;
  #keyEnd = 0;

  #key(): Buffer {
    return this.#changes.buffer.subarray(this.#keyStart, this.#keyEnd);
  }

  #writeKey(relation: Relation, row: TupleRow): void {
    const changes = this.#changes;
    const { keyTuple, keyEncodings } = relation;
    const { start, end } = row.fields;
    const keyStart = changes.at;
    for (let part = 0; part < keyTuple.length; part++) {
      const column = keyTuple[part] as number;
      const from = start[column] as number;
      const to = end[column] as number;
      if (to < 0) {
        changes.reserve(1);
        changes.at = writeKeyNull(changes.buffer, changes.at);
      } else {
        changes.reserve(keySizeMax(to - from));
        const encoding = keyEncodings[part] as KeyEncoding;
        changes.at = writeKeyPart(encoding, row.buffer, from, to, changes.buffer, changes.at);
      }
    }
    this.#keyStart = keyStart;
    this.#keyEnd = changes.at;
    this.#touch(relation, changes.buffer, keyStart, changes.at);
  }

  /** Tells whoever must know which keys a transaction touched. */
  #touch(relation: Relation, buffer: Buffer, start: number, end: number): void {
    if (this.#tracked) this.#context.window.add(relation.topic, buffer, start, end);
    if (this.#context.snapshotter.incomplete.has(relation.topic)) {
      this.#resolved.set(buffer.toString('latin1', start, end), relation.topic);
    }
  }
  /** Incomplete keys that the open transaction makes whole, with their topics, if it commits. */
  readonly #resolved = new Map<string, string>();

  /** A copy of a row's key, for the rare paths that need it apart from a change. */
  #keyOf(relation: Relation, row: TupleRow): Buffer {
    this.#changes.begin(opUpdate, 0, relation.schemaId);
    this.#writeKey(relation, row);
    const key = Buffer.from(this.#key());
    this.#changes.cancel();
    return key;
  }

  #keyMoved(relation: Relation, reader: PgoutputReader): boolean {
    const { buffer, oldTuple, newTuple } = reader;
    for (const column of relation.keyTuple) {
      if (newTuple.end[column] === fieldUnchanged) continue;
      const from = present(oldTuple.start[column], 'old key');
      const to = present(oldTuple.end[column], 'old key');
      const newStart = present(newTuple.start[column], 'new key');
      const newEnd = present(newTuple.end[column], 'new key');
      if (to < 0 || newEnd < 0 ? to !== newEnd : buffer.compare(buffer, from, to, newStart, newEnd) !== 0) return true;
    }
    return false;
  }

  /** Hands full pieces over, and holds the stream back while the log or the large values have too much in memory. */
  #pace(): Promise<void> | undefined {
    if (this.#held !== undefined) {
      const held = this.#held;
      this.#held = undefined;
      return held;
    }
    if (this.#changes.size >= pieceBytesMax) return this.#handOver();
    return this.#context.largeValues.isFull ? this.#relieve() : undefined;
  }

  async #relieve(): Promise<void> {
    const { writer, largeValues } = this.#context;
    const { seq } = await writer.durable();
    await largeValues.settle(seq);
    if (largeValues.isFull) await largeValues.relieve();
  }

  /** A piece of a transaction that goes on. */
  async #handOver(): Promise<void> {
    if (this.#changes.count === 0) return;
    await this.#context.truncates.keep(this.#changes.batch());
    this.#append();
    await this.#context.writer.drained();
  }

  #append(): void {
    if (this.#changes.count === 0) return;
    this.#context.writer.append(this.#changes.batch());
    this.#changes.reset();
    this.#pieces++;
  }
}

function unreadable(what: string): TidemarkError {
  return new TidemarkError('SOURCE_PROTOCOL', `the replication stream cannot be read: ${what}`, {
    hint: 'Report this with the version of the server; the slot keeps the changes.',
  });
}
