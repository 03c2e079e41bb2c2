import { readFile, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { describePostgres } from '../servers/suite.ts';
import type { TestDatabase } from '../servers/suite.ts';
import { folder, start, tidemark, until } from './harness.ts';
import type { Ended, Running } from './harness.ts';

let deployments = 0;

/** A deployment with a table in a sqlite file, and the program run on it as a user does. */
class Deployment {
  readonly directory: string;
  readonly #environment: NodeJS.ProcessEnv;

  private constructor(directory: string, environment: NodeJS.ProcessEnv) {
    this.directory = directory;
    this.#environment = environment;
  }

  static async create(database: TestDatabase, table: string): Promise<Deployment> {
    const directory = await folder(`
version: 1
name: ${`vc${++deployments}_${database.name}`.slice(0, 40)}
sources:
  shop: { type: postgres, url: "\${URL}", tables: [public.${table}] }
sinks:
  local: { type: sqlite, path: ./sinks.db, from: ${table}, table: rows }
http: { port: 0 }
`);
    return new Deployment(directory, { URL: database.url });
  }

  async run(): Promise<Running> {
    const run = start(this.directory, ['run'], this.#environment);
    await until('the service runs', () => run.stderr().includes('tidemark is running') || run.child.exitCode !== null);
    const wait = await this.command('wait', '--sink', 'local', '--now', '--timeout', '120s');
    expect(wait.code, wait.stderr + run.stderr()).toBe(0);
    return run;
  }

  async command(...args: string[]): Promise<Ended> {
    return tidemark(this.directory, args, this.#environment);
  }

  start(...args: string[]): Running {
    return start(this.directory, args, this.#environment);
  }

  async stop(run: Running): Promise<void> {
    run.child.kill('SIGTERM');
    expect((await run.ended).code, run.stderr()).toBe(143);
  }

  file<T>(work: (file: DatabaseSync) => T): T {
    const file = new DatabaseSync(join(this.directory, 'sinks.db'), { timeout: 10_000 });
    try {
      return work(file);
    } finally {
      file.close();
    }
  }
}

describePostgres('tidemark verify', (database) => {
  beforeAll(async () => {
    await database.query(`
      CREATE TABLE small (id bigint PRIMARY KEY, name text);
      INSERT INTO small VALUES (1, 'Ada'), (2, 'Bob'), (900719925474099377, 'Cyd');
      CREATE TABLE many (id int PRIMARY KEY, name text);
      INSERT INTO many SELECT n, 'name ' || n FROM generate_series(1, 50000) n;
      ANALYZE`);
  });

  it('tells equal from different by its exit code, names the keys with all their digits, and repairs', async () => {
    const deployment = await Deployment.create(database, 'small');
    const run = await deployment.run();
    const equal = await deployment.command('verify', '--sink', 'local');
    expect(equal).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('local equals its table: 3 rows'),
      stderr: '',
    });
    deployment.file((file) =>
      file.exec("UPDATE rows SET name = 'x'; DELETE FROM rows WHERE id = 2; INSERT INTO rows VALUES (9, 'y', 1)"),
    );
    const text = await deployment.command('verify', '--sink', 'local');
    expect(text.code).toBe(1);
    expect(text.stdout).toMatch(/1 missing: \{"id":2\}\n {2}1 extra: \{"id":9\}\n {2}2 different: \{"id":1\}, /);
    const json = await deployment.command('verify', '--sink', 'local', '--json');
    expect(json.code).toBe(1);
    expect(json.stdout).toContain('{"sink":"local","rows":3,"missing":[{"id":2}],"extra":[{"id":9}],');
    expect(json.stdout).toContain('"different":[{"id":1},{"id":900719925474099377}],"repaired":0');
    const repair = await deployment.command('verify', '--sink', 'local', '--repair', '--json');
    expect(repair.code, repair.stderr).toBe(0);
    expect(JSON.parse(repair.stdout)).toMatchObject({ repaired: 4 });
    await deployment.stop(run);

    // Without a service the command does the work itself.
    deployment.file((file) => file.exec("UPDATE rows SET name = 'x' WHERE id = 1"));
    const alone = await deployment.command('verify', '--sink', 'local', '--json');
    expect(alone.code, alone.stderr).toBe(1);
    expect(JSON.parse(alone.stdout)).toMatchObject({ different: [{ id: 1 }] });
    expect(await deployment.command('verify', '--sink', 'local', '--repair')).toMatchObject({ code: 0, stderr: '' });
    expect(await deployment.command('verify', '--sink', 'nothing')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("the file has no sink 'nothing'"),
    });
  }, 240_000);

  it('leaves a sink that it can repair when the service is killed in the middle of a repair', async () => {
    const deployment = await Deployment.create(database, 'many');
    const run = await deployment.run();
    deployment.file((file) => file.exec("UPDATE rows SET name = 'x'"));
    const wrong = (): number =>
      deployment.file((file) => Number(file.prepare("SELECT count(*) AS n FROM rows WHERE name = 'x'").get()?.['n']));
    const repair = deployment.start('verify', '--sink', 'local', '--repair');
    await until('the repair has begun', () => wrong() < 50_000);
    run.child.kill('SIGKILL');
    expect((await repair.ended).code).toBe(1);
    // What it had committed are whole commits of the repair.
    expect((50_000 - wrong()) % 2_000).toBe(0);
    const again = await deployment.run();
    const rest = await deployment.command('verify', '--sink', 'local', '--repair', '--json');
    expect(rest.code, rest.stderr).toBe(0);
    expect(wrong()).toBe(0);
    expect(await deployment.command('verify', '--sink', 'local')).toMatchObject({ code: 0 });
    await deployment.stop(again);
  }, 300_000);
});

describePostgres('tidemark verify of a view that was changed and changed back', (database) => {
  it('compares with the columns that it has now', async () => {
    await database.query(
      `CREATE TABLE orders (id int PRIMARY KEY, status text, total int); INSERT INTO orders SELECT n, 's' || n, n FROM generate_series(1, 50) n`,
    );
    const deployment = await Deployment.create(database, 'orders');
    const path = join(deployment.directory, 'tidemark.yaml');
    const file = (await readFile(path, 'utf8')).replace('from: orders', 'from: v');
    for (const columns of ['id, status', 'id, status, total', 'id, status']) {
      const views = `views:\n  v: { sql: "SELECT ${columns} FROM orders", key: [id] }\nsinks:`;
      await writeFile(path, file.replace('sinks:', views));
      const caughtUp = await deployment.command('run', '--until', 'caught-up');
      expect(caughtUp.code, caughtUp.stderr).toBe(0);
      const verified = await deployment.command('verify', '--sink', 'local');
      expect(verified, columns).toMatchObject({ code: 0, stderr: '' });
      await database.query(`UPDATE orders SET status = status || '.' WHERE id < 10`);
    }
  });
});

describePostgres('tidemark verify of a million rows', (database) => {
  it('takes memory that does not depend on their number, and shows how far it is', async () => {
    await database.query(`CREATE TABLE million (id int PRIMARY KEY, name text, at timestamptz);
      INSERT INTO million SELECT n, 'name ' || n, timestamptz '2026-01-01Z' + n * interval '1s' FROM generate_series(1, 1000000) n; ANALYZE`);
    const deployment = await Deployment.create(database, 'million');
    const run = await deployment.run();
    const { pid } = run.child;
    const peak = async (): Promise<number> => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
    };
    const before = await peak();
    expect(await deployment.command('verify', '--sink', 'local', '--json')).toMatchObject({ code: 0 });
    deployment.file((file) => file.exec('DELETE FROM rows WHERE id % 1000 = 0'));
    const found = await deployment.command('verify', '--sink', 'local', '--json');
    expect(found.code).toBe(1);
    expect(JSON.parse(found.stdout)).toMatchObject({ counts: { missing: 1_000 }, cut: false });
    // MiB: a generous bound on what a million rows would take as objects.
    expect((await peak()) - before).toBeLessThan(250);
    await deployment.stop(run);
  }, 1_200_000);
});
