import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { connectTo, describePostgres, describePostgresServer } from './suite.ts';
import { postgresMajors } from './postgres.ts';

describePostgres('a test file with a database on the shared server', (database) => {
  it('reads and writes in a database of its own, with values as text', async () => {
    await database.query('CREATE TABLE t (id int); INSERT INTO t VALUES (1)');
    expect(await database.query('SELECT id, current_database() AS name FROM t')).toEqual([
      { id: '1', name: database.name },
    ]);
  });

  it('may leave a slot behind', async () => {
    const rows = await database.query(`SELECT pg_create_logical_replication_slot('left_behind', 'pgoutput')`);
    expect(rows).toHaveLength(1);
  });
});

for (const major of postgresMajors) {
  describePostgresServer(`PostgreSQL ${major}`, { major, settings: { work_mem: '5MB' } }, (server) => {
    it('starts with the settings asked for, listens on loopback alone and comes back after a kill and a restart', async () => {
      const running = server();
      expect(await ask(running.url(), 'SHOW work_mem')).toBe('5MB');
      expect(await ask(running.url(), 'SHOW wal_level')).toBe('logical');
      expect(await ask(running.url(), 'SHOW listen_addresses')).toBe('127.0.0.1');
      expect(await ask(running.url(), 'SHOW server_version')).toMatch(new RegExp(`^${major}\\.`));
      await ask(running.url(), 'CREATE TABLE kept AS SELECT 7 AS n');
      const { port, pid } = running;
      await running.kill();
      await running.start();
      expect(running.port).toBe(port);
      expect(running.pid).not.toBe(pid);
      await running.restart({ work_mem: '6MB' });
      expect(await ask(running.url(), 'SHOW work_mem')).toBe('6MB');
      expect(await ask(running.url(), 'SELECT n FROM kept')).toBe('7');
    });
  });
}

describePostgresServer('a server that asks for passwords', { auth: 'scram-sha-256' }, (server) => {
  it('refuses a wrong one', async () => {
    const url = server().url();
    await expect(ask(url.replace(':postgres@', ':wrong@'), 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    expect(await ask(url, 'SELECT 1')).toBe('1');
  });

  it('leaves nothing behind when it is stopped', async () => {
    const { directory, pid } = server();
    await server().stop();
    expect(existsSync(directory)).toBe(false);
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });
});

async function ask(url: string, sql: string): Promise<string | null> {
  const client = await connectTo(url);
  try {
    const { rows } = await client.query<Record<string, string>>(sql);
    return Object.values(rows[0] ?? {})[0] ?? null;
  } finally {
    await client.end();
  }
}
