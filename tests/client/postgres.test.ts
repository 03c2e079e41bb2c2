import { Pool } from 'pg';
import type { PoolClient } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pgPosition, withPosition } from '../../client/postgres.ts';
import { describePostgres } from '../servers/suite.ts';
import { Deployment } from './deployment.ts';

async function insert(client: PoolClient, id: number): Promise<number | null> {
  return (await client.query('INSERT INTO items VALUES ($1, $2)', [id, `item|${id}`])).rowCount;
}

describePostgres('a position of a commit of one’s own', (database) => {
  let pool: Pool;
  let deployment: Deployment;
  beforeAll(async () => {
    pool = new Pool({ connectionString: database.url, max: 2 });
    await pool.query('CREATE TABLE items (id int PRIMARY KEY, name text)');
    deployment = await Deployment.start(
      database.name,
      `sources: { shop: { type: postgres, url: "${database.url}", tables: [public.items] } }
views: { named: { key: [id, name], sql: "SELECT id, name, 12345678901234567890 AS big FROM items" } }
sinks: { copy: { type: sqlite, path: ./copy.db, from: named, table: named } }
`,
    );
  });
  afterAll(async () => {
    await deployment.stop();
    await pool.end();
  });
  test('covers that commit, and a view then has its row', async () => {
    const { result, position } = await withPosition(pool, async (client) => insert(client, 1));
    expect(result).toBe(1);
    await deployment.client.waitFor('copy', position, { timeoutMs: 60_000 });
    const row = await deployment.client.view('named', [1, 'item|1']);
    expect(row).toMatchObject({ view: 'named', row: { id: 1, name: 'item|1' } });
    expect(row?.json).toBe('{"id":1,"name":"item|1","big":12345678901234567890}');
    expect(await deployment.client.view('named', [2, 'item|2'])).toBeNull();
    await expect(deployment.client.view('nemad', 1)).rejects.toMatchObject({ code: 'VIEW_UNKNOWN', status: 404 });
  });

  test('is told by any connection, after the commit', async () => {
    await pool.query(`INSERT INTO items VALUES (10, 'ten')`);
    const waited = await deployment.client.waitFor('copy', await pgPosition(pool), { timeoutMs: 60_000 });
    expect(waited.sink).toBe('copy');
    expect(await deployment.client.view('named', [10, 'ten'])).not.toBeNull();
  });

  test('comes from a client of the other kind as well', async () => {
    const client = await database.connect();
    const sql = {
      unsafe: async (text: string) => (await client.query<Record<string, unknown>>(text)).rows,
      begin: async <T>(work: (transaction: { unsafe: (text: string) => Promise<unknown> }) => Promise<T>) => {
        await client.query('BEGIN');
        const result = await work(sql);
        await client.query('COMMIT');
        return result;
      },
    };
    const { result, position } = await withPosition(sql, async (transaction) => {
      await transaction.unsafe(`INSERT INTO items VALUES (20, 'twenty')`);
      return 'done';
    });
    expect(result).toBe('done');
    await deployment.client.waitFor('copy', position, { timeoutMs: 60_000 });
    expect(await deployment.client.view('named', [20, 'twenty'])).not.toBeNull();
  });

  test('is not told of what was rolled back, and the connection stays of use', async () => {
    const failing = withPosition(pool, async (client) => {
      await insert(client, 30);
      throw new RangeError('no');
    });
    await expect(failing).rejects.toThrow(RangeError);
    // The error of a statement that the work swallows: the server answers the COMMIT with ROLLBACK.
    const swallowed = withPosition(pool, async (client) => insert(client, 1).catch(() => 'swallowed'));
    await expect(swallowed).rejects.toMatchObject({ code: 'TRANSACTION_ROLLED_BACK' });
    const lost = withPosition(pool, async (client) => client.query('SELECT pg_terminate_backend(pg_backend_pid())'));
    await expect(lost).rejects.toThrow('terminating connection');
    expect(pool.idleCount).toBe(pool.totalCount);
    expect((await pool.query('SELECT count(*)::int AS count FROM items WHERE id = 30')).rows).toEqual([{ count: 0 }]);
  });
});
