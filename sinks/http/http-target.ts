import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { present } from '../../base/assert.ts';
import { TidemarkError, isTidemarkError, messageOf } from '../../base/errors.ts';
import { ChangeCursor } from '../../model/change.ts';
import { shownPosition } from '../../model/position.ts';
import type { ChangeSet } from '../change-set.ts';
import { LineEncoder } from '../line-encoder.ts';
import { fingerprintOf } from '../options.ts';
import type { HttpSinkOptions } from '../options.ts';
import { noneRejected } from '../port.ts';
import type { Cursor, RefusedChange, RejectedRow, SinkShape, SinkState, Target } from '../port.ts';
import type { SinkDependencies } from '../sink.ts';
import { SpooledState } from '../spooled-state.ts';
import { CursorFile } from './cursor-file.ts';
import type { Delivered } from './cursor-file.ts';
import { Endpoint, exchangeLimits } from './endpoint.ts';
import type { ExchangeLimits, Refusal } from './endpoint.ts';
import { Gathering } from './gathering.ts';
import type { Frame } from './gathering.ts';

/** A request is closed at about this many bytes of JSON, even when `batch` would let more changes in. A larger row goes alone. */
const requestBytes = 512 * 1024;

/** A source transaction that was handed over whole. */
interface Transaction {
  readonly cursor: Cursor;
  /** Where its changes end among those gathered. */
  readonly end: number;
}

/** A whole start on its way: it goes on where it stopped when the endpoint fails, as long as this process lives. */
interface Start {
  readonly cursor: Cursor;
  /** Tells its parts from those of an earlier start at the same number. */
  readonly token: string;
  sent: number;
}

/**
 * Requests to a web server. A request holds one source transaction, or several whole ones when the sink is behind; a transaction that
 * is larger than a request goes in numbered parts. At least once, in order, one at a time; keys stay the same when a request is
 * repeated, also by the process after a crash: how far the endpoint has come is synced to a file before the next request goes
 * out, with the extent of that request where it holds several transactions.
 */
export class HttpTarget implements Target {
  readonly type = 'http';
  readonly wants = 'every';
  readonly #member: HttpSinkOptions;
  readonly #deps: SinkDependencies;
  readonly #endpoint: Endpoint;
  readonly #file: CursorFile;
  readonly #fingerprint: string;
  /** What every key begins with: other keys whenever numbers or contents could be others. */
  readonly #keyStart: string;
  readonly #record = new ChangeCursor();
  readonly #gathering = new Gathering();
  #encoder: LineEncoder | null = null;
  #keyed = true;
  #saved: Delivered;
  /** The endpoint has taken everything up to here. */
  #taken: Cursor | null = null;
  /** Transactions among the changes gathered; those after the last one's end belong to one that is not whole yet. */
  #whole: Transaction[] = [];
  /** The next request ends with the first transaction that has this number or a higher one; null when it may be any. */
  #flight: number | null = 0;
  /** Parts of the transaction under way that were sent, and those that the endpoint has had in an earlier attempt. */
  #parts = 0;
  #partsHad = { seq: 0, count: 0 };
  #refused: RefusedChange[] = [];
  /** Ends the keys of requests that repeat rows at a position of which the endpoint has had requests already. */
  #again = '';
  #rewrites = 0;
  /** Changes go to a state that the endpoint is told of as a whole, at the end of the write in which `#startDue` is set. */
  #starting = false;
  #startDue = false;
  #state: SpooledState | null = null;
  #start: Start | null = null;
  #stopping = false;
  onStep: () => void = () => undefined;

  constructor(member: HttpSinkOptions, deps: SinkDependencies, limits: ExchangeLimits = exchangeLimits) {
    this.#member = member;
    this.#deps = deps;
    this.#endpoint = new Endpoint({ sink: member.name, url: member.url, secret: member.secret }, deps.clock, limits);
    this.#file = new CursorFile(deps.files, join(deps.directory, `${encodeURIComponent(member.name)}.requests.ndjson`));
    this.#fingerprint = fingerprintOf(member);
    this.#saved = { fingerprint: this.#fingerprint, cursor: null, flight: null };
    const contents = createHash('sha256').update(`${this.#fingerprint} ${member.batch}`).digest('hex').slice(0, 6);
    this.#keyStart = `${encodeURIComponent(member.name)}:${deps.log.epoch}-${contents}`;
  }

  async open(): Promise<ReadonlyMap<string, SinkState>> {
    this.#stopping = false;
    this.#endpoint.open();
    const loaded = await this.#file.load();
    await this.#endpoint.ready();
    if (loaded !== null) this.#saved = loaded;
    if (this.#start !== null) {
      await this.#sendStart(this.#start);
      await this.#save({ fingerprint: this.#fingerprint, cursor: this.#start.cursor, flight: null });
      this.#dropState();
    }
    const { cursor, fingerprint, flight } = this.#saved;
    this.#taken = cursor;
    // Without a record of a request of several, the one that was not answered held a single transaction.
    this.#flight = flight ?? 0;
    if (cursor === null) return new Map();
    const state = { cursor, rebuilding: false, visible: cursor, schemaId: 0, fingerprint };
    return new Map([[this.#member.name, state]]);
  }

  async begin(): Promise<void> {
    this.#forget();
  }

  beginRewrite(): void {
    this.#rewrites++;
    this.#again = `:again-${Math.floor(this.#deps.clock.now()).toString(36)}-${this.#rewrites}`;
    this.#partsHad = { seq: 0, count: 0 };
  }

  async beginRebuild(): Promise<void> {
    this.#forget();
    this.#dropState();
    this.#starting = true;
    this.#encoder = null;
  }

  async reshape(_sink: string, shape: SinkShape): Promise<void> {
    this.#encoder = new LineEncoder(shape, (schemaId) => this.#deps.log.table(schemaId), this.#member.numbers);
    this.#keyed = shape.key.length > 0;
  }

  async apply(_sink: string, changes: ChangeSet, from: number, to: number): Promise<readonly RejectedRow[]> {
    const encoder = present(this.#encoder, `the shape of sink ${this.#member.name}`);
    if (this.#starting) {
      const path = join(this.#deps.directory, `${encodeURIComponent(this.#member.name)}.spool.db`);
      this.#state ??= new SpooledState(path, this.#keyed);
      this.#state.apply(encoder, changes, from, to);
      return noneRejected;
    }
    const rejected: RejectedRow[] = [];
    for (let index = from; index < to; index++) {
      changes.locate(index, this.#record);
      try {
        this.#gathering.add(encoder, this.#record, changes.seqAt(index));
      } catch (error) {
        if (!isTidemarkError(error, 'ROW_REJECTED')) throw error;
        rejected.push({ index, reason: messageOf(error) });
        continue;
      }
      if (this.#isOver()) await this.#makeRoom();
    }
    return rejected;
  }

  async endTransaction(_sinks: readonly string[], cursor: Cursor): Promise<void> {
    const { count } = this.#gathering;
    if (this.#starting || count === (this.#whole.at(-1)?.end ?? 0)) return;
    if (this.#parts > 0) {
      await this.#sendPart(cursor, 0, count);
      this.#gathering.clear();
      return;
    }
    this.#whole.push({ cursor, end: count });
    if (this.#flight !== null && cursor.seq >= this.#flight) await this.#sendWhole();
  }

  async commitRebuild(): Promise<void> {
    if (!this.#starting) return;
    // An eager feed that begins now has nothing to be told of: it shows what comes, as it comes.
    if (this.#member.start === 'eager' && this.#saved.cursor === null && this.#state === null) this.#starting = false;
    else this.#startDue = true;
  }

  async flush(cursor: Cursor): Promise<readonly RefusedChange[]> {
    if (this.#startDue) {
      const token = Math.floor(this.#deps.clock.now()).toString(36);
      this.#start = { cursor, token, sent: 0 };
      await this.#sendStart(this.#start);
    } else if (!this.#starting) {
      await this.#sendWhole();
    }
    return this.#refused;
  }

  async commit(_sinks: readonly string[], cursor: Cursor): Promise<void> {
    if (this.#starting && this.#start === null) return;
    await this.#save({ fingerprint: this.#fingerprint, cursor, flight: null });
    this.#taken = cursor;
    this.#dropState();
    this.#forget();
  }

  async rollback(): Promise<void> {
    this.#forget();
  }

  interrupt(): void {
    this.#stopping = true;
    this.#endpoint.interrupt();
  }

  async close(): Promise<void> {
    if (this.#start === null || this.#stopping) this.#dropState();
    this.#endpoint.close();
    await this.#file.close();
  }

  #forget(): void {
    this.#gathering.clear();
    this.#whole = [];
    this.#parts = 0;
    this.#refused = [];
    this.#startDue = false;
    this.#again = '';
  }

  #dropState(): void {
    this.#state?.close();
    this.#state = null;
    this.#start = null;
    this.#starting = false;
  }

  #isOver(): boolean {
    const { count, bytes } = this.#gathering;
    return count > 1 && (count > this.#member.batch || bytes > requestBytes);
  }

  /** The change added last is one too many. */
  async #makeRoom(): Promise<void> {
    if (this.#whole.length > 0) await this.#sendWhole();
    if (!this.#isOver()) return;
    const all = this.#gathering.count - 1;
    await this.#sendPart(null, 0, all);
    this.#gathering.drop(all);
  }

  /** Sends the transactions that are whole, in one request. */
  async #sendWhole(): Promise<void> {
    const whole = this.#whole;
    const [first, last] = [whole[0], whole.at(-1)];
    if (first === undefined || last === undefined) return;
    const isOne = first === last;
    await this.#remember(isOne ? null : last.cursor.seq);
    const seqs = isOne ? `${last.cursor.seq}` : `${first.cursor.seq}-${last.cursor.seq}`;
    const refusal = await this.#send(this.#frame(last.cursor), seqs, 0, last.end);
    if (refusal !== null) await this.#isolate(whole, refusal);
    if (this.#refused.length === 0) this.#taken = last.cursor;
    this.#flight = null;
    this.#gathering.drop(last.end);
    this.#whole = [];
  }

  /** Finds those that are refused among transactions that were refused together. None is taken apart. */
  async #isolate(whole: readonly Transaction[], together: Refusal): Promise<void> {
    let from = 0;
    for (const { cursor, end } of whole) {
      const frame = this.#frame(cursor);
      const refusal = whole.length === 1 ? together : await this.#send(frame, String(cursor.seq), from, end);
      if (refusal !== null) {
        const count = end - from;
        if (refusal.status === 413 && count > 1) throw this.#tooLarge(`Transaction ${cursor.seq}`, count, refusal);
        const others = count === 1 ? '' : `, with the ${count - 1} other changes of its transaction`;
        const reason = `refused${others}: ${refusal.reason}`;
        for (const change of this.#gathering.refused(this.#member.name, reason, from, end)) this.#refused.push(change);
      }
      from = end;
    }
  }

  /** Sends the changes as the next part of the transaction under way; `cursor` is its end, when this is the last part. */
  async #sendPart(cursor: Cursor | null, from: number, to: number): Promise<void> {
    if (this.#parts === 0) await this.#remember(null);
    const seq = cursor?.seq ?? this.#gathering.seqAt(from);
    const part = this.#parts + 1;
    const last = cursor !== null;
    const had = this.#partsHad.seq === seq ? this.#partsHad.count : 0;
    if (part > had) {
      const position = cursor === null ? 'null' : positionJson(cursor);
      const frame = { ...this.#frameAt(seq, position), part, last };
      const refusal = await this.#send(frame, `${seq}:${part}`, from, to);
      if (refusal !== null) throw this.#partRefused(`part ${part} of transaction ${seq}`, to - from, refusal);
      this.#partsHad = { seq, count: part };
    }
    this.#parts = last ? 0 : part;
    if (!last) return;
    if (this.#refused.length === 0) this.#taken = cursor;
    this.#flight = null;
  }

  /** Sends the parts of the start that the endpoint has not had. */
  async #sendStart(start: Start): Promise<void> {
    const gathering = new Gathering();
    let part = 0;
    const send = async (count: number, last: boolean): Promise<void> => {
      part++;
      if (part > start.sent) {
        const frame = { ...this.#frame(start.cursor), snapshot: true as const, part, last };
        const key = `${start.cursor.seq}:start-${start.token}:${part}`;
        const refusal = await this.#post(gathering.body(frame, 0, count), key);
        if (refusal !== null) throw this.#partRefused(`part ${part} of the start`, count, refusal);
        start.sent = part;
        this.onStep();
      }
      gathering.drop(count);
    };
    for (const row of this.#state?.rows() ?? []) {
      gathering.addRow(row);
      const { count, bytes } = gathering;
      if (count > 1 && (count > this.#member.batch || bytes > requestBytes)) await send(count - 1, false);
    }
    await send(gathering.count, true);
  }

  async #send(frame: Frame, key: string, from: number, to: number): Promise<Refusal | null> {
    return this.#post(this.#gathering.body(frame, from, to), key);
  }

  async #post(body: Buffer, key: string): Promise<Refusal | null> {
    return this.#endpoint.post(body, `${this.#keyStart}:${key}${this.#again}`);
  }

  #frame(cursor: Cursor): Frame {
    return this.#frameAt(cursor.seq, positionJson(cursor));
  }

  #frameAt(seq: number, position: string): Frame {
    const again = this.#again === '' ? {} : { again: true as const };
    return { sink: this.#member.name, seq, position, ...again };
  }

  /** Before a request goes out it is on disk how far the ones before it came, and what it holds when that is several transactions. */
  async #remember(flight: number | null): Promise<void> {
    const { cursor, flight: before } = this.#saved;
    if (cursor?.seq === this.#taken?.seq && before === flight) return;
    await this.#save({ fingerprint: this.#fingerprint, cursor: this.#taken, flight });
  }

  async #save(delivered: Delivered): Promise<void> {
    await this.#file.save(delivered);
    this.#saved = delivered;
  }

  #partRefused(what: string, changes: number, refusal: Refusal): TidemarkError {
    if (refusal.status === 413 && changes > 1) return this.#tooLarge(what, changes, refusal);
    return this.#failure(
      `${what} was refused: ${refusal.reason}`,
      'What goes in parts is not set aside in part: correct the endpoint; it is tried again with growing pauses.',
    );
  }

  #tooLarge(what: string, changes: number, { reason }: Refusal): TidemarkError {
    return this.#failure(
      `${what} was refused as too large, with ${changes} changes: ${reason}`,
      'Let the endpoint take larger requests, or give the sink a smaller `batch` and start again.',
    );
  }

  #failure(message: string, hint: string): TidemarkError {
    const { name } = this.#member;
    return new TidemarkError('SINK_FAILED', `Sink '${name}': ${message}`, { hint, place: { sink: name } });
  }
}

function positionJson({ position }: Cursor): string {
  return JSON.stringify(position === null ? null : shownPosition(position));
}
