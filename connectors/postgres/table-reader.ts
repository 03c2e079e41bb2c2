import type { Client } from 'pg';
import type { Clock } from '../../base/clock.ts';
import { TidemarkError } from '../../base/errors.ts';
import { keyEncodingOf } from '../../model/key.ts';
import { formatLsn } from '../../model/position.ts';
import type { FromItem, SourceQuery, SourceReader, TakeRows } from '../../model/source.ts';
import { asTableError, tableName } from './chunk-reader.ts';
import { fingerprintQuery } from './catalog.ts';
import { CopySocket } from './copy-socket.ts';
import type { PostgresTarget } from './options.ts';
import type { Pipeline } from './pipeline.ts';
import type { Relation } from './relations.ts';
import { PiecePool, RowPacker } from './row-packer.ts';
import type { PackedRelation } from './row-packer.ts';
import { connect, destroy, identifier, queryOf, sourceError } from './session.ts';
import type { Query } from './session.ts';
import { sessionsOf } from './sessions.ts';
import { currentSnapshot, insertPosition } from './slot.ts';
import type { ServerFacts } from './slot.ts';

/** What has been streamed is visible within moments, unless a synchronous standby is missing. */
const settledMsMax = 30_000;
const settledPollMs = 10;

export interface TableReaderContext {
  readonly target: PostgresTarget;
  readonly clock: Clock;
  readonly server: () => ServerFacts;
  /** For short questions; not the connection that reads. */
  readonly query: Query;
  /** The log's state of the source. */
  readonly state: () => ReadonlyMap<string, string>;
  /** SOURCE_UNREACHABLE before the first connection. */
  readonly pipeline: () => Pipeline;
}

/**
 * Reads whole tables, and queries over them, each in one REPEATABLE READ transaction on a connection of its own (docs/verify.md). The
 * rows come in whatever order is cheapest for the server, and are packed as a snapshot packs them.
 */
export class TableReader implements SourceReader {
  readonly #context: TableReaderContext;
  readonly #pieces = new PiecePool();

  constructor(context: TableReaderContext) {
    this.#context = context;
  }

  async settled(signal: AbortSignal): Promise<void> {
    const { clock, query, target } = this.#context;
    const { window, writer } = this.#context.pipeline();
    const upToSeq = writer.last.seq;
    const endMs = clock.monotonic() + settledMsMax;
    for (;;) {
      window.saw(await currentSnapshot(query));
      const unseen = window.oldestUnseenSeq;
      if (unseen === null || unseen > upToSeq) return;
      if (clock.monotonic() > endMs) {
        const holders = await sessionsOf(window.unseen(), query);
        throw new TidemarkError('SOURCE_UNREACHABLE', `a streamed transaction stays invisible to queries: ${holders}`, {
          place: { source: target.name },
          hint: 'Until it is visible, nothing can be read that could be compared: bring the synchronous standby back, or end that session.',
        });
      }
      await clock.sleep(settledPollMs, signal);
    }
  }

  async readTable(topic: string, take: TakeRows, signal: AbortSignal): Promise<string> {
    return this.#read([topic], signal, take, (relations) => {
      const relation = relationOf(relations, topic);
      return { sql: rowsOf(relation), packed: relation };
    });
  }

  async readQuery(query: SourceQuery, take: TakeRows, signal: AbortSignal): Promise<string> {
    const { table, schemaId } = query;
    const keyEncodings = table.key.map((column) => keyEncodingOf(table.columns[column]?.type ?? textType));
    return this.#read(query.topics, signal, take, (relations) => {
      const items = query.topics.map((topic): [string, FromItem] => [topic, fromItem(relationOf(relations, topic))]);
      return { sql: query.sql(new Map(items)), packed: { table, schemaId, keyEncodings } };
    });
  }

  async #read(
    topics: readonly string[],
    signal: AbortSignal,
    take: TakeRows,
    plan: (relations: ReadonlyMap<string, Relation>) => { sql: string; packed: PackedRelation },
  ): Promise<string> {
    const { target, query, server } = this.#context;
    signal.throwIfAborted();
    const client = await connect(target, 'verify');
    const abort = (): void => destroy(client);
    signal.addEventListener('abort', abort, { once: true });
    try {
      const { sql, packed } = plan(await this.#begin(client, topics));
      const packer = new RowPacker(packed, this.#pieces);
      await new CopySocket(client).run(`COPY (${sql}) TO STDOUT`, {
        data: (buffer, start, end) => {
          packer.add(buffer, start, end);
          return packer.hasPiece ? packer.handOver(take) : undefined;
        },
      });
      await packer.handOverRest(take);
      await queryOf(client, target)('COMMIT');
      return formatLsn(await insertPosition(query, server()));
    } catch (error) {
      signal.throwIfAborted();
      throw asTableError(sourceError(error, target.name), topics[0] ?? '');
    } finally {
      signal.removeEventListener('abort', abort);
      destroy(client);
      this.#pieces.clear();
    }
  }

  /** Opens the reading transaction, with the relations as it sees them: as chunk-reader.ts does, for several tables. */
  async #begin(client: Client, topics: readonly string[]): Promise<ReadonlyMap<string, Relation>> {
    const { target, state } = this.#context;
    const { tables, writer, snapshotter } = this.#context.pipeline();
    const query = queryOf(client, target, 600_000);
    for (;;) {
      const expected: string[] = [];
      const relations = new Map<string, Relation>();
      for (const topic of topics) {
        // Before the relation: whoever refreshes the catalog meanwhile makes the relation the newer of the two, and we begin again.
        expected.push(tables.captured(topic)?.catalog.fingerprint ?? '');
        relations.set(topic, await tables.current(topic, writer));
      }
      const all = [...relations.values()];
      const prints = all.map(({ oid }, index) => `(${fingerprintQuery(oid)}) AS print${index}`);
      const [row] = await query(
        `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
         ${all.map((relation) => `LOCK TABLE ${tableName(relation)} IN ACCESS SHARE MODE;`).join(' ')}
         SELECT ${prints.join(', ')}`,
      );
      if (expected.every((print, index) => row?.[`print${index}`] === print)) return relations;
      await query('ROLLBACK');
      await tables.refresh();
      tables.checkVersions(state(), snapshotter);
    }
  }
}

const textType = { kind: 'scalar', name: 'text' } as const;

function relationOf(relations: ReadonlyMap<string, Relation>, topic: string): Relation {
  const relation = relations.get(topic);
  if (relation !== undefined) return relation;
  throw new TidemarkError('TABLE_UNKNOWN', `${topic} is not captured`, { place: { table: topic } });
}

/** The rows of a table as its topic has them. */
function rowsOf(relation: Relation): string {
  const columns = relation.table.columns.map(({ name }) => identifier(name)).join(', ');
  const { where } = relation.selection;
  return `SELECT ${columns} FROM ${tableName(relation)}${where === null ? '' : ` WHERE (${where})`}`;
}

/** By its name where that gives just the captured columns and rows: only then does PostgreSQL know the key of what it groups. */
function fromItem(relation: Relation): FromItem {
  const { table, captured, selection } = relation;
  const all = captured.catalog.columns.map(({ name }) => name);
  const isTable =
    selection.where === null &&
    all.length === table.columns.length &&
    all.every((name, index) => table.columns[index]?.name === name);
  return { sql: isTable ? tableName(relation) : `(${rowsOf(relation)})`, isTable };
}
