import { mkdir, readFile, rmdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { sourceNameOf, variableOf } from '../../cli/starter-file.ts';
import { folder, tidemark } from './harness.ts';

const unreachable = `
version: 1
name: shop
sources:
  shop:
    type: postgres
    url: \${URL}
    tables: [public.customers]
sinks:
  search: { type: sqlite, path: ./search.db, from: customers }
http: { port: 1 }
`;
const password = 'hunter2-of-shop';
const environment = { URL: `postgres://app:${password}@127.0.0.1:9/shop` };

test('help is quick: it loads no database, no server and no schema library', async () => {
  const directory = await folder();
  const hook = join(directory, 'hook.mjs');
  await writeFile(
    hook,
    `import { registerHooks } from 'node:module';
     registerHooks({ load(url, context, next) { process.stderr.write('loaded ' + url + '\\n'); return next(url, context); } });`,
  );
  const { code, stdout, stderr } = await tidemark(directory, ['--help'], {
    NODE_OPTIONS: `--import ${pathToFileURL(hook).href}`,
  });
  expect(code).toBe(0);
  expect(stdout).toContain('Usage: tidemark');
  expect(stderr).toContain('cli/program.ts');
  for (const heavy of [
    'fastify',
    'pino',
    'prom-client',
    '/pg/',
    'zod',
    'yaml',
    'lmdb',
    'connectors/',
    'sinks/',
    'log/embedded',
  ]) {
    expect(stderr, heavy).not.toContain(heavy);
  }
});

test('bad usage exits 2 and says what is wrong, without a stack', async () => {
  const directory = await folder(unreachable);
  for (const [args, text] of [
    [['nonsense'], "unknown command 'nonsense'"],
    [['help', 'nonsense'], "unknown command 'nonsense'"],
    [['status', '--nonsense'], "unknown option '--nonsense'"],
    [['wait'], "required option '--sink <name>'"],
    [['wait', '--sink', 'search'], 'either --position or --now'],
    [['wait', '--sink', 'search', '--now', '--position', '0/1'], 'either --position or --now'],
    [['wait', '--sink', 'search', '--now', '--timeout', 'soon'], '250ms, 10s or 5m'],
    [['run', '--until', 'doomsday'], 'caught-up'],
    [['tail'], "missing required argument 'topic'"],
    [['tail', 'orders', '--from', 'yesterday'], 'beginning, now'],
    [['tail', 'orders', '--follow'], 'no service is running'],
    [['topics', 'extra'], 'too many arguments'],
    [['wait', '--sink', 'search', '--position', 'zz'], "'zz' is not a PostgreSQL position"],
    [['wait', '--sink', 'serch', '--now'], "the file has no sink 'serch'"],
    [['wait', '--sink', 'search', '--now', '--source', 'erp'], "the file has no source 'erp'"],
    [['drop', '--source', 'erp'], "no source 'erp'"],
    [['status', '-c', ''], 'an empty name: there is no such file'],
    [['init', '--postgres', 'mysql://nowhere'], 'takes a URL'],
    [['init', '--postgres', 'postgres://h/%zz'], 'takes a URL'],
    [['status', '-c', 'missing.yaml'], 'missing.yaml: there is no such file'],
  ] as const) {
    const { code, stdout, stderr } = await tidemark(directory, args, environment);
    expect(code, `${args.join(' ')}\n${stderr}`).toBe(2);
    expect(stderr).toContain(text);
    expect(stderr).not.toMatch(/^\s+at .*:\d+:\d+\)?$/m);
    expect(stdout).toBe('');
  }
});

test('every mistake in the file is told at its place, with exit code 2', async () => {
  const directory = await folder('version: 2\nname: shop\nsourcs: {}\nhttp: { port: 99999 }\n');
  const { code, stderr } = await tidemark(directory, ['check', '--offline']);
  expect(code).toBe(2);
  expect(stderr).toMatch(/tidemark\.yaml:1:\d+: /);
  expect(stderr).toMatch(/tidemark\.yaml:3:1: .*sourcs/);
  expect(stderr).toMatch(/tidemark\.yaml:4:\d+: /);
  const json = await tidemark(directory, ['check', '--offline', '--json']);
  expect(json.code).toBe(2);
  const report = JSON.parse(json.stdout) as { ok: boolean; results: { subject: string }[] };
  expect(report.ok).toBe(false);
  expect(report.results.map(({ subject }) => subject)).toContainEqual(expect.stringMatching(/:3:1$/));
});

test('commands that need the service say so when none runs, with exit code 1', async () => {
  const directory = await folder(unreachable);
  for (const args of [['status'], ['wait', '--sink', 'search', '--now'], ['snapshot', '--table', 'customers']]) {
    const { code, stderr } = await tidemark(directory, args, environment);
    expect(code, stderr).toBe(1);
    expect(stderr).toContain('no running service answers at http://127.0.0.1:1');
    expect(stderr).toContain('tidemark run');
  }
  const json = await tidemark(directory, ['status', '--json'], environment);
  expect((JSON.parse(json.stderr) as { error: { code: string } }).error.code).toBe('SERVICE_UNREACHABLE');
});

test('a source that does not answer is an error of check, and its password is nowhere', async () => {
  const directory = await folder(unreachable);
  const check = await tidemark(directory, ['check'], environment);
  expect(check.code).toBe(1);
  expect(check.stdout).toMatch(/^error {4}shop: /m);
  const offline = await tidemark(directory, ['check', '--offline'], environment);
  expect(offline.stdout).toContain('0 errors');
  const outputs = [check, offline, await tidemark(directory, ['topics'], environment)];
  outputs.push(await tidemark(directory, ['run', '--until', 'nonsense'], environment));
  for (const { stdout, stderr } of outputs) expect(stdout + stderr).not.toContain(password);
});

test('check tells what stands in the way of a sink on this machine', async () => {
  const directory = await folder(unreachable);
  const pathOf = async (): Promise<{ code: number | null; stdout: string }> =>
    tidemark(directory, ['check', '--offline'], environment);
  await mkdir(join(directory, 'search.db'));
  expect(await pathOf()).toMatchObject({ code: 1, stdout: expect.stringContaining('search.db is a folder') });
  await rmdir(join(directory, 'search.db'));
  await mkdir(join(directory, 'data', 'log'), { recursive: true });
  await symlink(join(directory, 'data', 'log'), join(directory, 'link'));
  await writeFile(join(directory, 'tidemark.yaml'), unreachable.replace('./search.db', './link/search.db'));
  expect(await pathOf()).toMatchObject({ code: 1, stdout: expect.stringContaining('which belongs to the service') });
});

test('topics and tail of a deployment that never ran make nothing and say what there is', async () => {
  const directory = await folder(unreachable);
  const topics = await tidemark(directory, ['topics'], environment);
  expect(topics).toMatchObject({ code: 0, stdout: 'The log holds no topics yet.\n' });
  const tail = await tidemark(directory, ['tail', 'customers'], environment);
  expect(tail.code).toBe(1);
  expect(tail.stderr).toContain("there is no topic 'customers'");
  await expect(stat(join(directory, 'data'))).rejects.toThrow();
});

test('the starter file passes its own check, and is not written over another', async () => {
  const directory = await folder();
  expect((await tidemark(directory, ['init'])).code).toBe(0);
  const file = await readFile(join(directory, 'tidemark.yaml'), 'utf8');
  const shop = { SHOP_DATABASE_URL: environment.URL };
  const check = await tidemark(directory, ['check', '--offline'], shop);
  expect(check.code, check.stderr).toBe(0);
  const unset = await tidemark(directory, ['check', '--offline'], { SHOP_DATABASE_URL: undefined });
  expect(unset.code).toBe(2);
  expect(unset.stderr).toContain('SHOP_DATABASE_URL is not set');
  const again = await tidemark(directory, ['init']);
  expect(again.code).toBe(2);
  expect(again.stderr).toContain('--force');
  expect(await readFile(join(directory, 'tidemark.yaml'), 'utf8')).toBe(file);
});

test('names of databases become names of the file', () => {
  expect([variableOf('shop'), variableOf('my-shop_2')]).toEqual(['SHOP_DATABASE_URL', 'MY_SHOP_2_DATABASE_URL']);
  expect(['shop', 'my.shop', '9lives', 'views', ''].map(sourceNameOf)).toEqual([
    'shop',
    'my_shop',
    'db_9lives',
    'db_views',
    'db',
  ]);
});

test('the schema is JSON on stdout alone', async () => {
  const { code, stdout, stderr } = await tidemark(await folder(), ['schema']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ type: 'object', title: 'tidemark.yaml' });
  expect(stderr).toBe('');
});
