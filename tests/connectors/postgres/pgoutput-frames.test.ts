import * as fc from 'fast-check';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { postgresMajors } from '../../servers/postgres.ts';
import { connectTo, describePostgresServer } from '../../servers/suite.ts';
import { outcome, readAll, unchanged } from './pgoutput-messages.ts';
import type { Told } from './pgoutput-messages.ts';

/** Every kind of message that a server sends, in one slot's backlog. */
const workload = [
  `CREATE TYPE mood AS ENUM ('calm', 'wild')`,
  `CREATE TABLE plain (id int PRIMARY KEY, note text, mood mood)`,
  `CREATE TABLE whole (a int, b text)`,
  `ALTER TABLE whole REPLICA IDENTITY FULL`,
  `CREATE TABLE big (id int PRIMARY KEY, body text, n int)`,
  `ALTER TABLE big ALTER body SET STORAGE EXTERNAL`,
  `CREATE PUBLICATION frames FOR ALL TABLES`,
  `SELECT pg_create_logical_replication_slot('frames', 'pgoutput')`,
  `INSERT INTO plain VALUES (1, 'one', 'calm'), (2, NULL, NULL), (3, '', 'wild')`,
  `UPDATE plain SET note = 'uno' WHERE id = 1`,
  `UPDATE plain SET id = 20 WHERE id = 2`,
  `DELETE FROM plain WHERE id = 3`,
  `INSERT INTO whole VALUES (1, 'x'), (NULL, NULL)`,
  `UPDATE whole SET b = 'y' WHERE a = 1`,
  `DELETE FROM whole WHERE a IS NULL`,
  `INSERT INTO big VALUES (1, repeat('lorem', 1000), 0)`,
  `UPDATE big SET n = 1`,
  `SELECT pg_logical_emit_message(true, 'prefix', 'content')`,
  `SELECT pg_logical_emit_message(false, 'prefix', 'content')`,
  `ALTER TABLE plain ADD COLUMN later numeric DEFAULT 1.50`,
  `INSERT INTO plain VALUES (4, 'four', 'calm', 7)`,
  `TRUNCATE plain, whole`,
  `BEGIN; INSERT INTO big SELECT g, repeat('z', 300), g FROM generate_series(10, 400) g; SAVEPOINT a;
   INSERT INTO big SELECT g, repeat('y', 300), g FROM generate_series(500, 900) g; ROLLBACK TO a;
   INSERT INTO plain VALUES (5, 'after', NULL, 0); UPDATE big SET n = -1 WHERE id < 100; COMMIT`,
  `BEGIN; INSERT INTO big SELECT g, repeat('w', 300), g FROM generate_series(1000, 1400) g; TRUNCATE whole; ROLLBACK`,
  `BEGIN; INSERT INTO plain VALUES (6, 'two-phase', NULL, 0); PREPARE TRANSACTION 'p1'`,
  `COMMIT PREPARED 'p1'`,
];

async function peek(client: Client, options: Record<string, string>): Promise<Buffer[]> {
  const pairs = Object.entries({ publication_names: 'frames', ...options }).flat();
  const list = pairs.map((word) => `'${word}'`).join(', ');
  const { rows } = await client.query<{ data: string }>(
    `SELECT data FROM pg_logical_slot_peek_binary_changes('frames', NULL, NULL, ${list})`,
  );
  return rows.map(({ data }) => Buffer.from(data.slice(2), 'hex'));
}

/** The protocols of a server, with the options that make it send the most kinds of messages. */
function protocolsOf(major: number): Record<string, string>[] {
  return [
    { proto_version: '1', messages: 'true' },
    { proto_version: '2', messages: 'true', streaming: 'on' },
    { proto_version: '3', messages: 'true', streaming: 'on' },
    ...(major >= 16 ? [{ proto_version: '4', messages: 'true', streaming: 'parallel', origin: 'any' }] : []),
  ];
}

/** The changes of committed transactions alone, in commit order, whichever way the server sent them. */
function committed(told: readonly Told[]): Told[] {
  const open = new Map<number, { subXid: number; message: string }[]>();
  const result: Told[] = [];
  let streamXid = 0;
  for (const message of told) {
    if (message.what === 'streamStart') streamXid = message.xid;
    else if (message.what === 'streamed') {
      const kept = open.get(streamXid) ?? [];
      kept.push({ subXid: message.xid, message: message.message });
      open.set(streamXid, kept);
    } else if (message.what === 'streamAbort') {
      const left = (open.get(message.xid) ?? []).filter(({ subXid }) => subXid !== message.subXid);
      open.set(message.xid, message.subXid === message.xid ? [] : left);
    } else if (message.what === 'streamCommit') {
      result.push(...readAll((open.get(message.xid) ?? []).map((kept) => Buffer.from(kept.message, 'latin1'))));
    } else result.push(message);
  }
  return result.filter(
    ({ what }) => what === 'insert' || what === 'update' || what === 'delete' || what === 'truncate',
  );
}

for (const major of postgresMajors) {
  describePostgresServer(`the replication stream of PostgreSQL ${major}`, { major }, (server) => {
    let client: Client;
    const frames = new Map<string, Buffer[]>();

    beforeAll(async () => {
      client = await connectTo(server().url());
      for (const statement of workload) await client.query(statement);
      await client.query(`SET logical_decoding_work_mem = '64kB'`);
      for (const options of protocolsOf(major)) {
        frames.set(String(options['proto_version']), await peek(client, options));
      }
    });
    afterAll(async () => client?.end());

    it('is read whole in every protocol version, with the same changes', () => {
      const [first, ...others] = [...frames.values()].map((messages) => committed(readAll(messages)));
      expect(others).toHaveLength(major >= 16 ? 3 : 2);
      for (const other of others) expect(other).toEqual(first);
      const kinds = new Set(readAll([...frames.values()].flat()).map(({ what }) => what));
      expect([...kinds].toSorted()).toEqual([
        'begin',
        'commit',
        'delete',
        'insert',
        'relation',
        'streamAbort',
        'streamCommit',
        'streamStart',
        'streamStop',
        'streamed',
        'truncate',
        'update',
      ]);
    });

    it('tells old rows, NULLs, empty strings and values that it left out apart', () => {
      const told = readAll(frames.get('1') ?? []);
      const of = (what: Told['what']): Told[] => told.filter((message) => message.what === what);
      expect(of('insert').slice(0, 3)).toMatchObject([
        { row: ['1', 'one', 'calm'] },
        { row: ['2', null, null] },
        { row: ['3', '', 'wild'] },
      ]);
      expect(of('update').slice(0, 4)).toMatchObject([
        { old: 'none', before: null, row: ['1', 'uno', 'calm'] },
        { old: 'key', before: ['2', null, null], row: ['20', null, null] },
        { old: 'full', before: ['1', 'x'], row: ['1', 'y'] },
        { old: 'none', row: ['1', unchanged, '1'] },
      ]);
      expect(of('delete')).toMatchObject([
        { old: 'key', before: ['3', null, null] },
        { old: 'full', before: [null, null] },
      ]);
    });

    it('damaged anywhere is refused or read, and nothing hangs or looks past a message', () => {
      // One of each kind and shape is worth more than many alike.
      const byShape = new Map<string, Buffer>();
      for (const message of [...frames.values()].flat()) {
        byShape.set(`${message[0]} ${Math.min(message.length, 64)}`, message);
      }
      const messages = fc.constantFrom(...byShape.values());
      const damage = fc.oneof(
        fc.record({ at: fc.nat(400), byte: fc.integer({ min: 0, max: 255 }), cut: fc.constant(-1) }),
        fc.record({ at: fc.constant(0), byte: fc.constant(-1), cut: fc.nat(400) }),
      );
      fc.assert(
        fc.property(
          messages,
          fc.array(damage, { minLength: 1, maxLength: 4 }),
          fc.boolean(),
          (message, damages, streaming) => {
            let bytes = Buffer.from(message);
            for (const { at, byte, cut } of damages) {
              if (cut >= 0) bytes = bytes.subarray(0, cut);
              else if (at < bytes.length) bytes[at] = byte;
            }
            const first = outcome(bytes, 0, streaming);
            if (typeof first === 'string') expect(first).toBe('SOURCE_PROTOCOL');
            expect(outcome(bytes, 0x6e, streaming)).toEqual(first);
            expect(outcome(bytes, 0x4e, streaming)).toEqual(first);
          },
        ),
        { numRuns: 3_000 },
      );
    });
  });
}
