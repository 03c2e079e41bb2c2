import type { Client } from 'pg';
import { TidemarkError } from '../../base/errors.ts';
import type { ChangeBatch } from '../../model/change.ts';
import { formatLsn, parseLsn } from '../../model/position.ts';
import type { Chunk, ChunkReader, ChunkRequest, KeyRange, Visibility } from '../../snapshot/port.ts';
import { fingerprintQuery } from './catalog.ts';
import { CopySocket } from './copy-socket.ts';
import type { PostgresTarget } from './options.ts';
import type { Relation } from './relations.ts';
import { PiecePool, RowPacker } from './row-packer.ts';
import { connect, destroy, identifier, literal, queryOf, sourceError } from './session.ts';
import type { Query } from './session.ts';
import { sessionsOf } from './sessions.ts';
import { currentSnapshot, insertPosition, withoutPageHeader } from './slot.ts';
import type { ServerFacts } from './slot.ts';
import { PgSnapshot } from './visibility.ts';

/** A chunk that grows beyond this many bytes ends early, at the row that it has come to. */
const chunkBytesMax = 8 * 1024 * 1024;
/** What a chunk should come to once the table's rows are known: large enough that its few questions do not count. */
const chunkBytesWanted = 2 * 1024 * 1024;
/** A table is split at the keys of about this many sampled rows. */
const sampleRows = 4_000;
/**
 * What a reading connection is set up with. LOW, HIGH and what the table looks like are asked for twice a chunk, and planning that
 * question takes the server longer than a thousand rows. Chunks follow the key's index, whatever the planner thinks of reading the
 * whole table instead.
 */
const setUp = `SET plan_cache_mode = force_generic_plan; SET max_parallel_workers_per_gather = 0;
  SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off;
  PREPARE tidemark_look (oid) AS ${lookQuery('$1')}`;
/** A read that has begun to send rows and then sends nothing for so long is given up. */
const stallMs = 60_000;

export interface ChunkReaderContext {
  readonly target: PostgresTarget;
  readonly server: () => ServerFacts;
  /** For short questions; not one of the reading connections. */
  readonly query: Query;
  /** The table as the catalog has it now, after `refresh` when it changed meanwhile. */
  relation(topic: string): Promise<Relation>;
  fingerprint(topic: string): string;
  estimate(topic: string): number;
  refresh(): Promise<void>;
}

/** Reads chunks by COPY on connections of its own (docs/snapshot.md). */
export class PostgresChunkReader implements ChunkReader {
  readonly #context: ChunkReaderContext;
  readonly #idle: Client[] = [];
  /** Connections that have been set up. */
  readonly #ready = new WeakSet<Client>();
  /** Bytes of a row by topic, for choosing how many rows to ask for. */
  readonly #rowBytes = new Map<string, number>();
  readonly #pieces = new PiecePool();
  /** Reads under way. */
  #reading = 0;

  constructor(context: ChunkReaderContext) {
    this.#context = context;
  }

  async read(request: ChunkRequest, signal: AbortSignal): Promise<Chunk> {
    const client = this.#idle.pop() ?? (await connect(this.#context.target, 'snapshot'));
    const abort = (): void => destroy(client);
    signal.addEventListener('abort', abort, { once: true });
    this.#reading++;
    try {
      const chunk = await this.#readOn(client, request);
      if (chunk.cut) destroy(client);
      else this.#idle.push(client);
      return chunk;
    } catch (error) {
      destroy(client);
      throw asTableError(sourceError(error, this.#context.target.name), request.topic);
    } finally {
      this.#reading--;
      signal.removeEventListener('abort', abort);
    }
  }

  async readWhole(
    request: ChunkRequest,
    rows: (batch: ChangeBatch) => Promise<void> | undefined,
    signal: AbortSignal,
  ): Promise<Chunk> {
    const { target, query, server } = this.#context;
    const client = await connect(target, 'snapshot');
    const abort = (): void => destroy(client);
    signal.addEventListener('abort', abort, { once: true });
    try {
      const { relation, low, fingerprint } = await this.#begin(client, request.topic);
      const packer = new RowPacker(relation, this.#pieces);
      await new CopySocket(client).run(`COPY (${chunkQuery(relation, request, 0)}) TO STDOUT`, {
        data: (buffer, start, end) => {
          packer.add(buffer, start, end);
          return packer.hasPiece ? packer.handOver(rows) : undefined;
        },
      });
      await packer.handOverRest(rows);
      this.#pieces.clear();
      await queryOf(client, target)('COMMIT');
      const [now] = await query(fingerprintQuery(relation.oid));
      const high = formatLsn(await insertPosition(query, server()));
      const stable = now?.['fingerprint'] === fingerprint;
      return { table: relation.table, low, high, batches: [], bytes: 0, rows: packer.rows, lastKey: null, stable };
    } catch (error) {
      throw asTableError(sourceError(error, target.name), request.topic);
    } finally {
      signal.removeEventListener('abort', abort);
      destroy(client);
    }
  }

  async visibility(): Promise<Visibility> {
    return currentSnapshot(this.#context.query);
  }

  async estimate(topic: string): Promise<number> {
    return this.#context.estimate(topic);
  }

  async split(topic: string, parts: number): Promise<KeyRange[]> {
    const relation = await this.#context.relation(topic);
    const percent = Math.min(100, (100 * sampleRows) / Math.max(1, this.#context.estimate(topic)));
    const keys = keyColumns(relation);
    const client = this.#idle.pop() ?? (await connect(this.#context.target, 'snapshot'));
    let rows: Record<string, unknown>[];
    try {
      rows = await queryOf(
        client,
        this.#context.target,
      )(
        `SELECT ${keys.map(({ name }, index) => `k${index}::text AS ${identifier(name)}`).join(', ')} FROM (
           SELECT ${keys.map(({ name }, index) => `${identifier(name)} AS k${index}`).join(', ')}
           FROM ${tableName(relation)} TABLESAMPLE SYSTEM (${percent.toFixed(6)}) LIMIT ${10 * sampleRows}) sample
         ORDER BY ${keys.map((_, index) => `k${index}`).join(', ')}`,
      );
    } catch (error) {
      destroy(client);
      throw asTableError(sourceError(error, this.#context.target.name), topic);
    }
    this.#idle.push(client);
    const ranges: KeyRange[] = [];
    let after: readonly string[] | null = null;
    for (let part = 1; part < parts; part++) {
      const row = rows[Math.floor((part * rows.length) / parts)];
      if (row === undefined) break;
      const upTo = keys.map(({ name }) => String(row[name]));
      if (JSON.stringify(upTo) === JSON.stringify(after)) continue;
      ranges.push({ after, upTo });
      after = upTo;
    }
    ranges.push({ after, upTo: null });
    return ranges;
  }

  async describeWait(txIds: readonly string[]): Promise<string> {
    return sessionsOf(txIds, this.#context.query);
  }

  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map(async (client) => client.end().catch(() => {})));
  }

  async #readOn(client: Client, request: ChunkRequest): Promise<Chunk & { cut: boolean }> {
    const { server, target } = this.#context;
    const query = queryOf(client, target);
    const opened = await this.#begin(client, request.topic);
    const { relation, low } = opened;
    const average = this.#rowBytes.get(request.topic) ?? 0;
    const limit = Math.max(
      1,
      Math.min(request.rowsMax, average > 0 ? Math.floor(chunkBytesWanted / average) : request.rowsMax),
    );
    const collected = await this.#copy(client, relation, chunkQuery(relation, request, limit), chunkBytesMax);
    if (collected.rows > 0) this.#rowBytes.set(request.topic, collected.bytes / collected.rows);
    // A connection whose COPY was cut short is gone, and its transaction with it.
    if (!collected.cut) await query('COMMIT');
    const now = await (collected.cut
      ? endOfRead(this.#context.query, lookQuery(relation.oid))
      : endOfRead(query, `EXECUTE tidemark_look (${relation.oid})`));
    const whole = request.keys !== undefined || (!collected.cut && collected.rows < limit);
    return {
      table: relation.table,
      low,
      high: formatLsn(withoutPageHeader(parseLsn(now.lsn), server())),
      batches: collected.batches,
      bytes: collected.memoryBytes,
      release: collected.release,
      rows: collected.rows,
      lastKey: whole ? null : collected.lastKey,
      stable: now.fingerprint === opened.fingerprint,
      cut: collected.cut,
    };
  }

  /** Opens the reading transaction: the table locked against rewrites, LOW taken, and the relation as that transaction sees it. */
  async #begin(client: Client, topic: string): Promise<{ relation: Relation; low: PgSnapshot; fingerprint: string }> {
    const query = queryOf(client, this.#context.target, 600_000);
    if (!this.#ready.has(client)) {
      await query(setUp);
      this.#ready.add(client);
    }
    for (;;) {
      // Taken with the relation, since whoever refreshes the catalog meanwhile makes the relation the older of the two.
      const expected = this.#context.fingerprint(topic);
      const relation = await this.#context.relation(topic);
      // LOCK takes what any SELECT takes: it keeps TRUNCATE and rewrites, which ignore snapshots, out. It comes before the snapshot,
      // which the EXECUTE takes.
      const [row] = await query(
        `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
         LOCK TABLE ${tableName(relation)} IN ACCESS SHARE MODE;
         EXECUTE tidemark_look (${relation.oid})`,
      );
      const found = String(row?.['fingerprint']);
      if (found === expected) return { relation, low: new PgSnapshot(String(row?.['low'])), fingerprint: found };
      await query('ROLLBACK');
      await this.#context.refresh();
    }
  }

  /** Runs a COPY and packs its rows, up to `bytesMax`; `cut` when there were more, in which case the connection is of no more use. */
  async #copy(client: Client, relation: Relation, sql: string, bytesMax: number): Promise<CollectedRows> {
    const packer = new RowPacker(relation, this.#pieces);
    const socket = new CopySocket(client);
    let cut = false;
    const watch = setInterval(() => {
      if (packer.rows > 0 && socket.silentMs > stallMs)
        socket.destroy(new TidemarkError('SOURCE_UNREACHABLE', 'PostgreSQL stopped sending in the middle of a read'));
    }, 1_000);
    try {
      await socket.run(`COPY (${sql}) TO STDOUT`, {
        data: (buffer, start, end) => {
          if (cut) return undefined;
          packer.add(buffer, start, end);
          if (packer.bytes > bytesMax) {
            cut = true;
            socket.destroy(new CutShort());
          }
          return undefined;
        },
      });
    } catch (error) {
      if (!(error instanceof CutShort)) throw error;
    } finally {
      clearInterval(watch);
    }
    const batches = packer.take();
    const release = (): void => {
      packer.release();
      // Nothing is being read, so that nothing is read soon: the memory goes back.
      if (this.#reading === 0) this.#pieces.clear();
    };
    const { rows, bytes, memoryBytes } = packer;
    return { batches, memoryBytes, rows, bytes, lastKey: packer.lastKey(), cut, release };
  }
}

/** What a read sees, what the table looks like, and how far the WAL has come. */
function lookQuery(oid: number | '$1'): string {
  return `SELECT pg_current_snapshot()::text AS low, (${fingerprintQuery(oid)}) AS fingerprint, pg_current_wal_insert_lsn()::text AS lsn`;
}

/**
 * HIGH of a read, and what the table looks like then. HIGH is asked for after the reading transaction has ended: by the same
 * connection, or by another (`question` says how) when its COPY was cut short.
 */
async function endOfRead(query: Query, question: string): Promise<{ lsn: string; fingerprint: string }> {
  const [row] = await query(question);
  return { lsn: String(row?.['lsn']), fingerprint: String(row?.['fingerprint']) };
}

interface CollectedRows {
  readonly batches: ChangeBatch[];
  readonly memoryBytes: number;
  readonly rows: number;
  readonly bytes: number;
  readonly lastKey: readonly string[] | null;
  readonly cut: boolean;
  readonly release: () => void;
}

/** Ends a COPY that has sent enough; never leaves this file. */
class CutShort extends Error {
  override readonly name = 'CutShort';
}

/** COPY's query for a range, or for single keys. */
function chunkQuery(relation: Relation, request: ChunkRequest, limit: number): string {
  const keys = keyColumns(relation);
  const names = keys.map(({ name }) => identifier(name));
  const row = names.length === 1 ? (names[0] ?? '') : `(${names.join(', ')})`;
  const value = (values: readonly string[]): string => {
    const parts = keys.map(({ declared }, index) => `${literal(values[index] ?? '')}::${declared}`);
    return parts.length === 1 ? (parts[0] ?? '') : `(${parts.join(', ')})`;
  };
  const { after, upTo } = request.range;
  const conditions = [
    ...(after === null ? [] : [`${row} > ${value(after)}`]),
    ...(upTo === null ? [] : [`${row} <= ${value(upTo)}`]),
    ...(request.keys === undefined ? [] : [`${row} IN (${request.keys.map(value).join(', ')})`]),
    ...(request.where === null ? [] : [`(${request.where})`]),
    ...(relation.selection.where === null ? [] : [`(${relation.selection.where})`]),
  ];
  const columns = relation.table.columns.map(({ name }) => identifier(name)).join(', ');
  const where = conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : '';
  const order = keys.length > 0 && request.keys === undefined ? ` ORDER BY ${names.join(', ')} LIMIT ${limit}` : '';
  return `SELECT ${columns} FROM ${tableName(relation)}${where}${order}`;
}

function keyColumns(relation: Relation): { name: string; declared: string }[] {
  return relation.table.key.flatMap((column) => relation.table.columns[column] ?? []);
}

/** The table as FROM and LOCK name it. */
export function tableName(relation: Relation): string {
  const only = relation.partitioned ? '' : 'ONLY ';
  return `${only}${identifier(relation.table.schema)}.${identifier(relation.table.name)}`;
}

/** A table that vanished while it was read is not a failure of the source. */
export function asTableError(error: TidemarkError, topic: string): TidemarkError {
  const state = error.cause instanceof Error && 'code' in error.cause ? error.cause.code : undefined;
  if (state !== '42P01' && state !== '3F000') return error;
  return new TidemarkError('TABLE_UNKNOWN', `table ${topic} is gone`, {
    place: { ...error.place, table: topic },
    cause: error,
  });
}
