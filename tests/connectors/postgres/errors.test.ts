import { createServer } from 'node:net';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TidemarkError } from '../../../base/errors.ts';
import { checkPostgres } from '../../../connectors/postgres/check.ts';
import type { Query } from '../../../connectors/postgres/session.ts';
import { readServer } from '../../../connectors/postgres/slot.ts';
import type { CheckResult } from '../../../model/source.ts';
import { freePort } from '../../servers/process.ts';
import { connectTo, describePostgresServer } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';
import type { PipelineOptions } from './harness.ts';

/** What a server answers that is older than any that can be had here. */
const older: Query = async () => [{ version: 120_022, wal_level: 'logical', standby: false }];

/** Starts a source that cannot go on, and gives what it says. */
async function failureOf(options: PipelineOptions, cleanUpUrl: string): Promise<TidemarkError> {
  const pipeline = await TestPipeline.create({ ...options, url: cleanUpUrl });
  pipeline.options = options;
  await pipeline.launch();
  return pipeline.failed();
}

/** Starts a source that goes on trying, and gives what it reports first. */
async function retryOf(
  options: PipelineOptions,
  cleanUpUrl: string,
): Promise<{ error: TidemarkError; pipeline: TestPipeline }> {
  const pipeline = await TestPipeline.create({ ...options, url: cleanUpUrl });
  pipeline.options = options;
  await pipeline.launch();
  const event = await pipeline.until('the source to report what is wrong', () =>
    pipeline.reports.find((report) => report.type === 'source.retrying'),
  );
  if (event.type !== 'source.retrying') throw new Error('unreachable');
  return { error: event.error, pipeline };
}

async function check(url: string, table = 'orders', slot = 'checked'): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  const selection = {
    schema: 'public',
    table,
    isPattern: false,
    kind: 'table',
    key: [],
    exclude: [],
    onSchemaChange: 'reread',
    where: null,
  } as const;
  for await (const result of checkPostgres({ name: 'shop', url, tables: [selection], slot, publication: slot }))
    results.push(result);
  return results;
}

function errorsOf(results: readonly CheckResult[]): CheckResult[] {
  return results.filter(({ level }) => level === 'error');
}

/** The SQL of a hint or fix: from its first statement on. */
function sqlOf(text: string | undefined): string {
  const match = /(?:ALTER|GRANT|CREATE|SELECT) [\s\S]*;/.exec(text ?? '');
  if (!match) throw new Error(`no SQL in: ${String(text)}`);
  return match[0];
}

describePostgresServer(
  'a source that cannot begin',
  { auth: 'scram-sha-256', settings: { max_replication_slots: 4 } },
  (server) => {
    let admin: Client;
    const as = (user: string, database = 'postgres'): string => server().url(database, user);
    const tables = ['public.orders'];

    beforeAll(async () => {
      admin = await connectTo(as('postgres'));
      await admin.query(`CREATE TABLE orders (id int PRIMARY KEY, n int); INSERT INTO orders VALUES (1, 1);
      CREATE TABLE bare (a int); CREATE TABLE nothing (id int PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING`);
    });
    afterAll(async () => admin?.end());

    it('says that the password is wrong, without telling it', async () => {
      const url = as('postgres').replace(':postgres@', ':hunter2@');
      const error = await failureOf({ url, tables }, as('postgres'));
      expect(error).toMatchObject({ code: 'SOURCE_AUTH', place: { source: 'shop' } });
      expect(error.hint).toContain('password');
      expect(`${error.message} ${String(error.hint)}`).not.toContain('hunter2');
      await expect(check(url)).rejects.toMatchObject({ code: 'SOURCE_AUTH' });
    });

    it('says that there is no such database or user', async () => {
      expect(await failureOf({ url: as('postgres', 'nowhere'), tables }, as('postgres'))).toMatchObject({
        code: 'SOURCE_AUTH',
      });
      expect(await failureOf({ url: as('nobody'), tables }, as('postgres'))).toMatchObject({ code: 'SOURCE_AUTH' });
    });

    it('goes on trying when nobody listens', async () => {
      const port = await freePort();
      const url = as('postgres').replace(`:${server().port}/`, `:${port}/`);
      const { error, pipeline } = await retryOf({ url, tables }, as('postgres'));
      expect(error.code).toBe('SOURCE_UNREACHABLE');
      expect(error.hint).toContain('host and port');
      expect(pipeline.source.status().error).toMatchObject({ code: 'SOURCE_UNREACHABLE' });
      await pipeline.stop();
    });

    it('prints the statements that its role lacks, which then do', async () => {
      await admin.query(
        `CREATE ROLE plain LOGIN PASSWORD 'plain'; REVOKE ALL ON orders FROM PUBLIC; DROP PUBLICATION IF EXISTS checked`,
      );
      const first = errorsOf(await check(as('plain')));
      expect(first.map(({ subject }) => subject)).toEqual([
        'shop: replication',
        'shop: public.orders',
        'shop: publication',
      ]);
      for (const { fix } of first) await admin.query(sqlOf(fix).replace(/\(managed services[\s\S]*\)/, ''));
      expect(errorsOf(await check(as('plain')))).toEqual([]);
      const pipeline = await TestPipeline.create({ url: as('postgres'), tables });
      pipeline.options = { url: as('plain'), tables };
      await pipeline.launch();
      // Its publication has another name than the one that was checked.
      const error = await pipeline.failed();
      expect(error).toMatchObject({ code: 'SOURCE_PRIVILEGE' });
      await admin.query(sqlOf(error.hint));
      await pipeline.stop().catch(() => undefined);
      await pipeline.start();
      await admin.query(`INSERT INTO orders VALUES (2, 2)`);
      await pipeline.settled('public.orders');
      await pipeline.stop();
    });

    it('says which privilege the role lacks for replication, and for a table', async () => {
      await admin.query(`CREATE ROLE reader LOGIN PASSWORD 'reader'; GRANT SELECT ON orders TO reader`);
      const noReplication = await failureOf({ url: as('reader'), tables }, as('postgres'));
      expect(noReplication.code).toBe('SOURCE_PRIVILEGE');
      expect(noReplication.hint).toBeDefined();
      await admin.query(
        `CREATE ROLE blind LOGIN REPLICATION PASSWORD 'blind'; CREATE TABLE hidden (id int PRIMARY KEY); ALTER TABLE hidden OWNER TO postgres; REVOKE ALL ON hidden FROM PUBLIC`,
      );
      const pipeline = await TestPipeline.create({ url: as('postgres'), tables: ['public.hidden'] });
      await admin.query(
        `CREATE PUBLICATION ${pipeline.slot} FOR TABLE ONLY hidden WITH (publish_via_partition_root = true)`,
      );
      pipeline.options = { url: as('blind'), tables: ['public.hidden'] };
      await pipeline.launch();
      const error = await pipeline.failed();
      expect(error).toMatchObject({ code: 'SOURCE_PRIVILEGE' });
      expect(error.message).toContain('hidden');
      await pipeline.stop().catch(() => undefined);
    });

    it('refuses a table that it could not tell rows of apart, and one that is not there', async () => {
      for (const table of ['bare', 'nothing']) {
        const error = await failureOf({ url: as('postgres'), tables: [`public.${table}`] }, as('postgres'));
        expect(error).toMatchObject({ code: 'TABLE_NO_KEY', place: { table: `public.${table}` } });
        expect(error.hint).toContain('REPLICA IDENTITY FULL');
        const [result] = errorsOf(await check(as('postgres'), table));
        expect(result?.subject).toBe(`shop: public.${table}`);
        // Any of the ways that the fix names will do; the second is a whole statement.
        const statement = /ALTER TABLE \S+ REPLICA IDENTITY FULL/.exec(result?.fix ?? '')?.[0] ?? '';
        await admin.query(statement);
        expect(errorsOf(await check(as('postgres'), table))).toEqual([]);
        // The application's own changes went on working all the while.
        await admin.query(`UPDATE ${table} SET ${table === 'bare' ? 'a' : 'id'} = 1`);
      }
      const unknown = await failureOf({ url: as('postgres'), tables: ['public.Orders'] }, as('postgres'));
      expect(unknown).toMatchObject({ code: 'TABLE_UNKNOWN' });
      expect(unknown.hint).toContain('case-sensitive');
      expect(errorsOf(await check(as('postgres'), 'Orders'))).toMatchObject([{ subject: 'shop: public.Orders' }]);
    });

    it('refuses a slot that is not its own', async () => {
      await admin.query(`SELECT pg_create_physical_replication_slot('physical_one')`);
      const [result] = errorsOf(await check(as('postgres'), 'orders', 'physical_one'));
      expect(result?.subject).toBe('shop: slot');
      const pipeline = await TestPipeline.create({ url: as('postgres'), tables });
      await admin
        .query(`SELECT pg_create_logical_replication_slot('${pipeline.slot}', 'test_decoding')`)
        .catch(async () => admin.query(`SELECT pg_create_physical_replication_slot('${pipeline.slot}')`));
      await pipeline.launch();
      expect(await pipeline.failed()).toMatchObject({ code: 'SLOT_FOREIGN' });
      await pipeline.stop().catch(() => undefined);
      await admin.query(`SELECT pg_drop_replication_slot('physical_one')`);
    });

    it('waits for a slot while all are taken, and begins when one is free', async () => {
      const taken: string[] = [];
      for (let slot = 0; slot < 8; slot++) {
        const name = `taken_${slot}`;
        const made = await admin.query(`SELECT pg_create_physical_replication_slot('${name}')`).catch(() => null);
        if (made === null) break;
        taken.push(name);
      }
      expect(errorsOf(await check(as('postgres')))).toMatchObject([{ subject: 'shop: slot' }]);
      const { error, pipeline } = await retryOf({ url: as('postgres'), tables }, as('postgres'));
      expect(error).toMatchObject({ code: 'SLOTS_EXHAUSTED' });
      expect(error.hint).toContain('max_replication_slots');
      for (const name of taken) await admin.query(`SELECT pg_drop_replication_slot('${name}')`);
      await pipeline.settled('public.orders');
      await pipeline.stop();
    });
  },
);

describePostgresServer(
  'a source on a server whose wal_level is replica',
  { settings: { wal_level: 'replica' } },
  (server) => {
    it('says so, with the statement that changes it', async () => {
      const admin = await connectTo(server().url());
      await admin.query('CREATE TABLE orders (id int PRIMARY KEY)');
      const error = await failureOf({ url: server().url(), tables: ['public.orders'] }, server().url());
      expect(error).toMatchObject({ code: 'SOURCE_SETTING', message: 'wal_level is replica, not logical' });
      const [result] = errorsOf(await check(server().url()));
      expect(result?.subject).toBe('shop: wal_level');
      expect(sqlOf(result?.fix)).toContain('ALTER SYSTEM SET wal_level');
      await admin.query(sqlOf(result?.fix).split(';')[0] ?? '');
      await admin.end();
      // The file of ALTER SYSTEM outranks the server's own settings.
      await server().restart();
      expect(errorsOf(await check(server().url()))).toEqual([]);
    });
  },
);

describePostgresServer('what stands between', {}, (server) => {
  it('is told from PostgreSQL when it is a pooler', async () => {
    // What pgbouncer answers to parameters that it does not know (its client.c), over a real socket.
    const pooler = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => {
        const fields = Buffer.from('SERROR\0C08P01\0Munsupported startup parameter: options\0\0');
        const head = Buffer.from([0x45, 0, 0, 0, 0]);
        head.writeUInt32BE(4 + fields.length, 1);
        socket.end(Buffer.concat([head, fields]));
      });
    });
    await new Promise<void>((resolve) => {
      pooler.listen(0, '127.0.0.1', resolve);
    });
    const address = pooler.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const url = server().url().replace(`:${server().port}/`, `:${port}/`);
    const error = await failureOf({ url, tables: ['public.orders'] }, server().url());
    expect(error).toMatchObject({ code: 'SOURCE_POOLER' });
    expect(error.hint).toContain('the server itself');
    await new Promise((resolve) => {
      pooler.close(resolve);
    });
  });

  it('is refused when the server is too old', async () => {
    const target = { name: 'shop', url: server().url(), tables: [], slot: 'a', publication: 'a' };
    await expect(readServer(target, older)).rejects.toMatchObject({
      code: 'SOURCE_VERSION',
      message: 'PostgreSQL 12 is too old',
    });
  });
});
