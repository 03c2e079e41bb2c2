import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { describePostgres } from '../servers/suite.ts';
import { freePort } from '../servers/process.ts';
import { root } from './shop.ts';

const page = readFileSync(join(root, 'docs/postgres.md'), 'utf8');

/** The page's only block in a language. */
function block(language: string): string {
  const blocks = [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))];
  expect(blocks.length).toBe(1);
  return blocks[0]?.[1] ?? '';
}

describePostgres('a role with the privileges of docs/postgres.md', (database) => {
  it('is enough for tidemark to check, read and follow the tables', { timeout: 120_000 }, async () => {
    const tables = ['customers', 'orders'];
    for (const table of tables) {
      await database.query(`CREATE TABLE ${table} (id bigint PRIMARY KEY, name text)`);
      await database.query(`INSERT INTO ${table} VALUES (1, 'one')`);
    }
    // Roles belong to the whole server: this one's name must not meet another run's.
    const role = `tidemark_${database.name}`;
    await database.query(block('sql').replaceAll(/\btidemark\b/g, role));
    const directory = mkdtempSync(join(tmpdir(), 'privileges-'));
    onTestFinished(async () => {
      rmSync(directory, { recursive: true, force: true });
      await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    });
    const file = join(directory, 'tidemark.yaml');
    // Slots belong to the whole server, too; publications to the database.
    const own = `type: postgres\n    slot: slot_${database.name}\n    publication: tidemark_shop_shop`;
    writeFileSync(file, `${block('yaml').replace('type: postgres', own)}http: { port: ${await freePort()} }\n`);
    const url = database.urlAs(role);
    const tidemark = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
      spawnSync(join(root, 'tidemark'), [...args, '-c', file], {
        encoding: 'utf8',
        env: { ...process.env, SHOP_DATABASE_URL: url },
      });
    const done = (...args: string[]): string => {
      const { status, stdout, stderr } = tidemark(...args);
      expect(status, `${stdout}${stderr}`).toBe(0);
      return stdout;
    };
    expect(done('check')).toMatch(/ 0 errors\n$/);
    done('run', '--until', 'caught-up');
    await database.query(`INSERT INTO customers VALUES (2, 'two')`);
    done('run', '--until', 'caught-up');
    expect(done('tail', 'customers').trimEnd().split('\n')).toHaveLength(2);

    await database.query(`REVOKE SELECT ON orders FROM ${role}`);
    const refused = tidemark('check');
    expect(refused.stdout).toContain('public.orders: may not be read');
    expect(refused.status).toBe(1);
  });
});
