import { beforeAll, describe, expect, it } from 'vitest';
import { describePostgres } from '../servers/suite.ts';
import { tidemark, until } from './harness.ts';
import { Deployment, apply, docs, sources } from './views-harness.ts';

const feed = '\n  feed: { type: ndjson, path: ./feed.ndjson, from: docs }';

/** Views with one mistake each, and what `check` says of it: where in the file, and what to write instead. */
const mistakes: readonly [name: string, yaml: string, place: string, message: string, fix: string][] = [
  [
    'column',
    'key: [id]\n    sql: |\n      SELECT c.id,\n             c.nmae\n      FROM customers c',
    '+4:14',
    'column c.nmae does not exist',
    'Did you mean name?',
  ],
  [
    'folded',
    'key: [id]\n    sql: >\n      SELECT id,\n      nmae FROM customers',
    '+4:7',
    'column "nmae" does not exist',
    'Did you mean name?',
  ],
  [
    'quoted',
    'key: [id]\n    sql: "SELECT id,\\n  nmae FROM customers"',
    '+2:25',
    'column "nmae" does not exist',
    'Did you mean name?',
  ],
  [
    'ambiguous',
    'key: [id]\n    sql: SELECT id FROM customers c JOIN orders o ON o.customer_id = c.id',
    '+2:17',
    'column reference "id" is ambiguous',
    'Write c.id or o.id.',
  ],
  [
    'mismatch',
    'key: [id]\n    sql: SELECT id FROM customers WHERE name > id',
    '+2:46',
    'operator does not exist: text > bigint',
    'There is int2 > int8, int4 > int8, int8 > int8 and text > text.',
  ],
  [
    'refused',
    'key: [id]\n    sql: SELECT id, row_number() OVER (ORDER BY id) AS n FROM customers',
    '+2:21',
    'a window function (row_number OVER) is not supported in views',
    'For the first rows of each group use DISTINCT ON, or LATERAL (SELECT … ORDER BY … LIMIT n).',
  ],
  [
    'table',
    'key: [id]\n    sql: SELECT id FROM custmers',
    '+2:25',
    'relation "custmers" does not exist',
    'Did you mean customers?',
  ],
  [
    'key',
    'key: [name, nr]\n    sql: SELECT id, name FROM customers',
    '+0:3',
    'the key names "nr", which is not a column of the view',
    'Its columns are id, name.',
  ],
  ['syntax', 'key: [id]\n    sql: SELECT id FRM customers', '+2:24', 'syntax error at or near "customers"', ''],
];

describe('check of views', () => {
  it('tells a mistake at its line and column of the file, and what to write instead', async () => {
    const deployment = await Deployment.create(docs, feed);
    await deployment.write('shop', { id: 1, name: 'Ada', size: 1 });
    await deployment.write('erp');
    const good = await deployment.command('check');
    expect(good.code, good.stdout).toBe(0);
    expect(good.stdout).toContain('ok       docs: sql: gives id, name, orders, total from erp, shop\n');
    // Before the view's own line stand three lines, those of the sources, and `views:`.
    const first = 3 + sources.split('\n').length - 1 + 2;
    for (const [name, yaml, place, message, fix] of mistakes) {
      await deployment.configure(`\n  ${name}:\n    ${yaml}${docs}`, feed);
      const { code, stdout } = await deployment.command('check');
      const [, line, column] = /^\+(\d+):(\d+)$/.exec(place) ?? [];
      const at = `tidemark.yaml:${first + Number(line)}:${column}`;
      expect(stdout).toContain(
        `error    ${name}: sql: view ${name}, ${at}: ${message}\n${fix === '' ? '' : `         ${fix}\n`}`,
      );
      expect(stdout).toContain('ok       docs: sql: gives');
      expect(code).toBe(1);
    }
  });

  it('warns of a join that compares every row with every row, and is content with it', async () => {
    const costly =
      '\n  pairs: { key: [a, b], sql: "SELECT c.id AS a, o.id AS b FROM customers c JOIN orders o ON o.total > c.size" }';
    const deployment = await Deployment.create(docs + costly, feed);
    await deployment.write('shop');
    await deployment.write('erp');
    const { code, stdout } = await deployment.command('check');
    expect(stdout).toContain(
      'warning  pairs: sql: joins shop.public.customers and erp.public.orders by no equality\n         A change',
    );
    expect(code).toBe(0);
    const json = JSON.parse((await deployment.command('check', '--json')).stdout) as unknown;
    expect(json).toMatchObject({ ok: true, warnings: 1 });
  });

  it('keeps a view with a mistake out, and those that use it, while the others run', async () => {
    const bad =
      '\n  bad: { key: [id], sql: "SELECT nr FROM customers" }\n  worse: { key: [nr], sql: "SELECT nr FROM bad" }';
    const deployment = await Deployment.create(docs + bad, feed);
    await deployment.write('shop', { id: 1, name: 'Ada', size: 1 });
    await deployment.write('erp');
    await deployment.start();
    await deployment.caughtUp('feed');
    const { views, ready } = JSON.parse((await deployment.command('status', '--json')).stdout) as {
      views: { name: string; error: { code: string; message: string } | null }[];
      ready: boolean;
    };
    expect(ready).toBe(false);
    expect(views.map(({ name, error }) => [name, error?.code, error?.message])).toEqual([
      ['docs', undefined, undefined],
      ['bad', 'VIEW_INVALID', expect.stringMatching(/^tidemark\.yaml:\d+:34: column "nr" does not exist$/)],
      ['worse', 'VIEW_INVALID', expect.stringMatching(/^tidemark\.yaml:\d+:\d+: relation "bad" does not exist$/)],
    ]);
    expect(await deployment.row('docs', '1')).toMatchObject({ status: 200 });
    expect(await deployment.row('bad', '1')).toMatchObject({
      status: 409,
      body: expect.stringContaining('VIEW_INVALID'),
    });
    const explained = await deployment.command('explain', 'bad', '--json');
    expect(explained.code).not.toBe(0);
    expect(explained.stderr).toContain('column \\"nr\\" does not exist');
  });
});

describePostgres('a view over a database and a file', (database) => {
  beforeAll(async () => {
    await database.query(`
      CREATE TABLE clients (id bigint PRIMARY KEY, name text NOT NULL);
      INSERT INTO clients SELECT i, 'client ' || i FROM generate_series(1, 50) i`);
  });

  it('is checked against both, joins both, and waits for a commit of either', async () => {
    const source = `db_${database.name.slice(-6).replaceAll(/\W/g, '_')}`;
    const both = `\n  ${source}: { type: postgres, url: "\${DB_URL}", tables: [public.clients] }${sources}`;
    const view = docs.replace('customers c', 'clients c');
    const deployment = await Deployment.create(view, feed, both, { DB_URL: database.url });
    await deployment.write('shop');
    await deployment.write('erp', { id: 10, customer_id: 7, total: 1.25 });
    const check = await deployment.command('check');
    expect(check.code, check.stdout).toBe(0);
    await deployment.start();
    // Asked before the view is bound, when any source could feed it: `shop` does not.
    const early = await deployment.command('wait', '--sink', 'feed', '--now', '--timeout', '60s');
    expect(early.code, early.stderr).toBe(0);
    await database.query("UPDATE clients SET name = 'Seven' WHERE id = 7");
    const [lsn] = await database.query('SELECT pg_current_wal_insert_lsn() AS lsn');
    const bytes = await deployment.write('erp', { id: 11, customer_id: 7, total: 2 });
    for (const [name, position] of [
      [source, lsn?.['lsn'] ?? ''],
      ['erp', String(bytes)],
    ] as const) {
      const wait = await deployment.command(
        'wait',
        '--sink',
        'feed',
        '--source',
        name,
        '--position',
        position,
        '--timeout',
        '20s',
      );
      expect(wait.code, wait.stderr).toBe(0);
    }
    const rows = new Map<string, unknown>();
    for (const { changes } of await deployment.feed('feed')) apply(rows, changes);
    expect(rows.size).toBe(50);
    expect(rows.get('{"id":7}')).toEqual({ id: 7, name: 'Seven', orders: 2, total: 3.25 });
    expect((await deployment.feed('feed')).at(-1)?.position).toMatchObject({ erp: String(bytes) });
    await database.query('DELETE FROM clients WHERE id = 7');
    await until('the row is gone', async () => (await deployment.row('docs', '7')).status === 404);
    await deployment.stop();
    expect((await tidemark(deployment.directory, ['drop', '--source', source], { DB_URL: database.url })).code).toBe(0);
  });
});
