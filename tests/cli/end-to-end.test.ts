import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { describePostgres } from '../servers/suite.ts';
import type { TestDatabase } from '../servers/suite.ts';
import { folder, start, tidemark, until } from './harness.ts';
import type { Running } from './harness.ts';

const password = 'pw-that-nobody-may-see';
let deployments = 0;

/** A deployment of its own for a test: a name of its own is a slot of its own. */
async function deployment(
  database: TestDatabase,
  table = 'customers',
): Promise<{ directory: string; environment: NodeJS.ProcessEnv; name: string }> {
  const name = `cli${++deployments}_${database.name}`.slice(0, 40);
  const directory = await folder(`
version: 1
name: ${name}
sources:
  shop:
    type: postgres
    url: \${SHOP_DATABASE_URL}
    tables: [public.${table}]
sinks:
  search: { type: sqlite, path: ./search.db, from: ${table}, search: [name] }
  feed: { type: ndjson, path: ./feed.ndjson, from: ${table} }
http: { port: 0 }
`);
  const url = new URL(database.url);
  url.password = password;
  return { directory, environment: { SHOP_DATABASE_URL: url.href }, name };
}

async function running(directory: string, environment: NodeJS.ProcessEnv): Promise<Running> {
  const run = start(directory, ['run'], environment);
  await until('the service runs', () => run.stderr().includes('tidemark is running') || run.child.exitCode !== null);
  return run;
}

function rows(directory: string): unknown[] {
  const database = new DatabaseSync(join(directory, 'search.db'), { readOnly: true });
  try {
    return database
      .prepare('SELECT id, name FROM customers ORDER BY id')
      .all()
      .map((row) => ({ ...row }));
  } finally {
    database.close();
  }
}

describePostgres('the commands against a database', (database) => {
  beforeAll(async () => {
    await database.query(`
      CREATE TABLE customers (id bigint PRIMARY KEY, name text);
      CREATE TABLE notes (body text);
      INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bob');
      ANALYZE`);
  });

  it('run --until caught-up copies everything and exits 0; topics and tail then read the log by themselves', async () => {
    const { directory, environment } = await deployment(database);
    const run = await tidemark(directory, ['run', '--until', 'caught-up'], environment);
    expect(run.code, run.stderr).toBe(0);
    expect(run.stdout).toBe('');
    expect(rows(directory)).toEqual([
      { id: 1, name: 'Ada' },
      { id: 2, name: 'Bob' },
    ]);
    const topics = await tidemark(directory, ['topics', '--json'], environment);
    expect(JSON.parse(topics.stdout)).toMatchObject({ topics: [{ topic: 'shop.public.customers', records: 2 }] });
    const tail = await tidemark(directory, ['tail', 'customers'], environment);
    const events = tail.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { op: string; after: unknown });
    expect(events.map(({ op, after }) => [op, after])).toEqual([
      ['r', { id: 1, name: 'Ada' }],
      ['r', { id: 2, name: 'Bob' }],
    ]);
    // `tidemark tail … | head -1`: nobody reads on, and that is no failure.
    const head = start(directory, ['tail', 'customers'], environment);
    head.child.stdout?.destroy();
    expect(await head.ended).toMatchObject({ code: 0, stderr: '' });
    const full = await start(directory, ['tail', 'customers'], environment, 'exec >/dev/full').ended;
    expect(full).toMatchObject({ code: 1, stderr: expect.stringContaining('standard output cannot be written') });
    expect(await tidemark(directory, ['tail', 'customers', '--count', '0'], environment)).toMatchObject({
      code: 0,
      stdout: '',
    });
    const one = await tidemark(directory, ['tail', 'customers', '--count', '1'], environment);
    expect(one.stdout.trimEnd().split('\n')).toHaveLength(1);
    const drop = await tidemark(directory, ['drop', '--source', 'shop'], environment);
    expect(drop).toMatchObject({ code: 0, stdout: expect.stringContaining('slot') });
  });

  it('a service is waited on, asked, followed and stopped with 143', async () => {
    const { directory, environment, name } = await deployment(database);
    const run = await running(directory, environment);
    const command = async (...args: string[]) => tidemark(directory, args, environment);

    const wait = await command('wait', '--sink', 'search', '--now', '--timeout', '20s', '--json');
    expect(wait.code, wait.stderr + run.stderr()).toBe(0);
    expect(JSON.parse(wait.stdout)).toEqual({
      sink: 'search',
      position: expect.any(String),
      waited_ms: expect.any(Number),
    });
    expect(rows(directory)).toHaveLength(2);

    const follow = start(directory, ['tail', 'customers', '--from', 'now', '--follow', '--count', '1'], environment);
    await database.query("INSERT INTO customers VALUES (3, 'Cyd')");
    const [lsn] = await database.query('SELECT pg_current_wal_insert_lsn() AS lsn');
    const atLsn = await command('wait', '--sink', 'search', '--position', lsn?.['lsn'] ?? '', '--timeout', '20s');
    expect(atLsn.code, atLsn.stderr).toBe(0);
    expect(rows(directory)).toHaveLength(3);
    // The tail may have begun after that insert; it shows the next one then.
    const feeding = setInterval(() => void database.query("UPDATE customers SET name = name || '!' WHERE id = 3"), 100);
    const followed = await follow.ended;
    clearInterval(feeding);
    expect(followed.code).toBe(0);
    expect(JSON.parse(followed.stdout)).toMatchObject({ after: { id: 3 }, source: { table: 'customers' } });

    const late = await command('wait', '--sink', 'search', '--position', 'FFFFFF/0', '--timeout', '200ms');
    expect(late.code).toBe(3);
    expect(late.stderr).toContain('did not reach FFFFFF/0 in 200 ms');
    expect((await command('wait', '--sink', 'nothing', '--now')).code).toBe(2);
    expect((await command('wait', '--sink', 'search', '--position', 'banana')).code).toBe(2);

    const snapshot = await command('snapshot', '--table', 'customers', '--json');
    expect(snapshot.code, snapshot.stderr).toBe(0);
    expect(JSON.parse(snapshot.stdout)).toMatchObject({ table: 'shop.public.customers', source: 'shop' });
    expect((await command('snapshot', '--table', 'nothing')).stderr).toContain("there is no table 'nothing'");

    const status = await command('status', '--json');
    expect(JSON.parse(status.stdout)).toMatchObject({
      name,
      ready: true,
      sinks: [{ consistent: true }, { consistent: true }],
    });
    expect((await command('status')).stdout).toMatch(/search +sqlite/);

    const second = await command('run');
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`data_dir belongs to process ${run.child.pid}`);
    expect((await command('drop', '--source', 'shop')).stderr).toContain('data_dir belongs to');

    run.child.kill('SIGTERM');
    const ended = await run.ended;
    expect(ended.code).toBe(143);
    expect(ended.stderr).toContain('tidemark has stopped');
    expect((await command('drop', '--source', 'shop')).code).toBe(0);
    for (const { stdout, stderr } of [wait, atLsn, late, snapshot, status, second, ended]) {
      expect(stdout + stderr).not.toContain(password);
    }
    expect(await readFile(join(directory, 'feed.ndjson'), 'utf8')).not.toContain(password);
  });

  it('SIGINT stops cleanly with 130, and kill -9 leaves a directory that starts again', async () => {
    const { directory, environment } = await deployment(database);
    const first = await running(directory, environment);
    first.child.kill('SIGKILL');
    await first.ended;
    const second = await running(directory, environment);
    expect(
      (await tidemark(directory, ['wait', '--sink', 'search', '--now', '--timeout', '20s'], environment)).code,
    ).toBe(0);
    second.child.kill('SIGINT');
    expect((await second.ended).code).toBe(130);
    expect((await tidemark(directory, ['drop', '--source', 'shop'], environment)).code).toBe(0);
  });

  it('init finds the tables, keeps the password out, and the file works', async () => {
    const directory = await folder();
    const url = new URL(database.url);
    url.password = password;
    const init = await tidemark(directory, ['init', '--postgres', url.href]);
    expect(init.code, init.stderr).toBe(0);
    const file = await readFile(join(directory, 'tidemark.yaml'), 'utf8');
    expect(file).toContain('- public.customers');
    expect(file).toContain('# - { name: public.notes, kind: stream }');
    expect(file + init.stdout).not.toContain(password);
    const variable = /\$\{(\w+)\}/.exec(file)?.[1] ?? '';
    const check = await tidemark(directory, ['check', '--json'], { [variable]: url.href });
    const report = JSON.parse(check.stdout) as { results: { level: string; message: string; subject: string }[] };
    const errors = report.results.filter(({ level, subject }) => level === 'error' && subject !== 'http');
    expect(errors, check.stdout).toEqual([]);
    expect(check.stdout + check.stderr).not.toContain(password);
  });

  it('check tells columns that a sink names and the database does not have', async () => {
    const { directory, environment } = await deployment(database);
    const file = join(directory, 'tidemark.yaml');
    const text = (await readFile(file, 'utf8'))
      .replace('search: [name]', 'search: [nme]')
      .replace('path: ./feed.ndjson', 'path: ./feed.ndjson, columns: { id: id, who: nam }');
    await writeFile(file, text);
    const check = await tidemark(directory, ['check'], environment);
    expect(check.code, check.stderr).toBe(1);
    expect(check.stdout).toMatch(/^error +search: search: public\.customers has no column nme\n +It has id, name\.$/m);
    expect(check.stdout).toMatch(/^error +feed: columns: public\.customers has no column nam$/m);
  });

  it('a source that fails for good ends run --until caught-up with 1 and the remedy', async () => {
    const { directory, environment } = await deployment(database);
    const missing = { SHOP_DATABASE_URL: environment['SHOP_DATABASE_URL']?.replace(/\/[^/]*$/, '/no_such_database') };
    const run = await tidemark(directory, ['run', '--until', 'caught-up'], missing);
    expect(run.code, run.stderr).toBe(1);
    expect(run.stderr).toContain('no_such_database');
    expect(run.stderr).not.toContain(password);
  });

  it('a disk that refuses writes is told with the way out, and nothing is lost when there is room again', async () => {
    await database.query(`
      CREATE TABLE big (id bigint PRIMARY KEY, name text);
      INSERT INTO big SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i`);
    const { directory, environment } = await deployment(database, 'big');
    // 1,000 blocks are half a megabyte, or a whole one in some shells: less than the table either way.
    const limited = start(directory, ['run', '--until', 'caught-up'], environment, 'ulimit -f 1000');
    const full = await limited.ended;
    expect(full.code, full.stderr).toBe(1);
    expect(full.stderr).toContain('DISK_FULL');
    expect(full.stderr).toMatch(/Make room/);
    const roomy = await tidemark(directory, ['run', '--until', 'caught-up'], environment);
    expect(roomy.code, roomy.stderr).toBe(0);
    const search = new DatabaseSync(join(directory, 'search.db'), { readOnly: true });
    expect({ ...search.prepare('SELECT count(*) AS rows, sum(id) AS sum FROM big').get() }).toEqual({
      rows: 20_000,
      sum: 200_010_000,
    });
    search.close();
    expect((await tidemark(directory, ['drop', '--source', 'shop'], environment)).code).toBe(0);
  });

  it('a running service whose log met a full disk goes on by itself once there is room', async () => {
    await database.query(`
      CREATE TABLE large (id bigint PRIMARY KEY, name text);
      INSERT INTO large SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i`);
    const { directory, environment } = await deployment(database, 'large');
    const run = start(directory, ['run'], environment, 'ulimit -S -f 1000');
    await until('the disk is full', () => run.stderr().includes('DISK_FULL'));
    execFileSync('prlimit', ['--pid', String(run.child.pid), '--fsize=unlimited:unlimited']);
    const wait = ['wait', '--sink', 'search', '--now', '--timeout', '20s'];
    await until('it went on', async () => (await tidemark(directory, wait, environment)).code === 0);
    const search = new DatabaseSync(join(directory, 'search.db'), { readOnly: true });
    const sum = search.prepare('SELECT count(*) AS rows, sum(id) AS sum FROM large').get();
    search.close();
    expect({ ...sum }).toEqual({ rows: 20_000, sum: 200_010_000 });
    run.child.kill('SIGTERM');
    expect((await run.ended).code).toBe(143);
    expect((await tidemark(directory, ['drop', '--source', 'shop'], environment)).code).toBe(0);
  });
});
