import { describe, expect, it } from 'vitest';
import { until } from './harness.ts';
import { Deployment, apply, docs } from './views-harness.ts';

const keyed = `
  names: { key: [name], sql: "SELECT name, id FROM customers" }
  amounts: { key: [name, total], sql: "SELECT c.name, o.total, count(*) AS n FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.name, o.total" }
  shares: { key: [id], sql: "SELECT id, 100 / size AS share FROM customers" }
  all_names: { sql: "SELECT name FROM customers" }`;
const feeds = `
  names: { type: ndjson, path: ./names.ndjson, from: names }
  shares: { type: ndjson, path: ./shares.ndjson, from: shares }`;

async function folded(deployment: Deployment, feed: string): Promise<unknown[]> {
  const rows = new Map<string, unknown>();
  for (const { changes } of await deployment.feed(feed)) apply(rows, changes);
  return [...rows.values()];
}

function row(view: string, value: unknown): unknown {
  return { status: 200, view, seq: 1, row: value };
}

function none(view: string): unknown {
  return { status: 404, view, seq: 1, row: null };
}

describe('rows of views, looked up over HTTP', () => {
  it('are found by keys of any type and of any characters, of one column and of several', async () => {
    const deployment = await Deployment.create(docs + keyed, feeds);
    const name = 'a|b\\c/d?e=%20&ö\u{1F600}"#';
    await deployment.write('erp', { id: 10, customer_id: 1, total: 1.5 }, { id: 11, customer_id: 2, total: -7 });
    await deployment.write(
      'shop',
      { id: 1, name, size: 2 },
      { id: 2, name: '', size: 1 },
      { id: 3, name: '..', size: 4 },
    );
    await deployment.start();
    await deployment.caughtUp('names');
    const found = async (view: string, ...key: string[]): Promise<unknown> => {
      const { status, body } = await deployment.row(view, ...key);
      return { status, ...(JSON.parse(body) as object) };
    };
    expect(await found('docs', '1')).toEqual(row('docs', { id: 1, name, orders: 1, total: 1.5 }));
    expect(await found('docs', '+1')).toEqual(row('docs', { id: 1, name, orders: 1, total: 1.5 }));
    expect(await found('docs', '9')).toEqual(none('docs'));
    expect(await found('docs', '-9223372036854775808')).toEqual(none('docs'));
    expect(await found('names', name)).toEqual(row('names', { name, id: 1 }));
    expect(await found('names', '')).toEqual(row('names', { name: '', id: 2 }));
    expect(await found('names', 'nobody')).toEqual(none('names'));
    expect(await found('amounts', name, '1.50')).toEqual(row('amounts', { name, total: 1.5, n: 1 }));
    expect(await found('amounts', '', '-7.0')).toEqual(row('amounts', { name: '', total: -7, n: 1 }));
    expect(await found('amounts', name, '1.51')).toEqual(none('amounts'));

    const refused = async (
      status: number,
      code: string,
      message: string,
      view: string,
      ...key: string[]
    ): Promise<void> => {
      expect(await found(view, ...key)).toEqual({ status, error: { code, message, hint: expect.anything() } });
    };
    await refused(404, 'VIEW_UNKNOWN', "there is no view 'doc'", 'doc', '1');
    expect((await deployment.row('doc', '1')).body).toContain('Known views: docs, names, amounts, shares, all_names.');
    await refused(400, 'REQUEST_INVALID', "view 'amounts' is not looked up by 1 values", 'amounts', name);
    expect((await deployment.row('amounts', name)).body).toContain('Its key is (name, total).');
    expect((await deployment.row('all_names', name)).body).toContain('It has no key: declare one.');
    for (const [view, ...key] of [
      ['docs', 'x'],
      ['docs', '1.5'],
      ['docs', ''],
      ['docs', '9223372036854775808'],
      ['amounts', '', 'x'],
    ] as const) {
      const { status, body } = await deployment.row(view, ...key);
      expect([status, body]).toEqual([
        400,
        expect.stringMatching(/"'[^']*' is not a (bigint|numeric), as (id|total) is"/),
      ]);
    }
  });

  it('are told not to be there yet while a source of the view has not been read, and come when it has', async () => {
    const deployment = await Deployment.create(docs, '\n  feed: { type: ndjson, path: ./feed.ndjson, from: docs }');
    await deployment.write('shop', { id: 1, name: 'Ada', size: 1 });
    await deployment.start();
    await until('the source of customers is read', async () => {
      const { body } = await deployment.get('/api/v1/status');
      const { sources } = JSON.parse(body) as { sources: { name: string; consistent: boolean }[] };
      return sources.some(({ name, consistent }) => name === 'shop' && consistent);
    });
    const early = await deployment.row('docs', '1');
    expect(early.status, early.body).toBe(409);
    expect(JSON.parse(early.body)).toMatchObject({
      error: { code: 'VIEW_FAILED', message: expect.stringContaining("view 'docs'") },
    });
    expect(await deployment.feed('feed')).toEqual([]);
    await deployment.write('erp', { id: 10, customer_id: 1, total: 3 });
    await deployment.caughtUp('feed');
    expect(JSON.parse((await deployment.row('docs', '1')).body)).toMatchObject({
      row: { id: 1, orders: 1, total: 3 },
    });
  });
});

describe('rows that a view cannot hold', () => {
  it('with a key twice are both named, the others of the view wait, other views go on, until the rows differ', async () => {
    const deployment = await Deployment.create(keyed, feeds);
    await deployment.write('erp');
    await deployment.write('shop', { id: 1, name: 'Ada', size: 1 }, { id: 2, name: 'Bob', size: 2 });
    await deployment.start();
    await deployment.caughtUp('names');
    await deployment.write('shop', { id: 3, name: 'Bob', size: 4 });
    await deployment.write('shop', { id: 4, name: 'Cyd', size: 5 });
    await deployment.caughtUp('shares');
    const message = "two rows have the key (name): ('Bob', 2) and ('Bob', 3)";
    expect(await folded(deployment, 'shares')).toHaveLength(4);
    expect(await folded(deployment, 'names')).toEqual([
      { name: 'Ada', id: 1 },
      { name: 'Bob', id: 2 },
    ]);
    const status = await deployment.command('status', '--json');
    expect(JSON.parse(status.stdout)).toMatchObject({
      ready: false,
      reasons: [`view names: ${message}`],
      views: expect.arrayContaining([
        expect.objectContaining({
          name: 'names',
          error: { code: 'VIEW_KEY', message, hint: expect.stringContaining('last good commit') },
        }),
        expect.objectContaining({ name: 'shares', error: null }),
      ]),
    });
    expect(await deployment.get('/readyz')).toMatchObject({ status: 503, body: expect.stringContaining(message) });
    expect(await deployment.row('names', 'Bob')).toMatchObject({
      status: 409,
      body: expect.stringContaining(message),
    });
    expect(await deployment.row('shares', '4')).toMatchObject({ status: 200 });

    // It is remembered over a restart, and over a crash.
    await deployment.stop('SIGKILL');
    await deployment.start();
    await deployment.caughtUp('shares');
    await until('the view is red again', async () => (await deployment.get('/readyz')).body.includes(message));
    await deployment.write('shop', { id: 2, name: 'Bea', size: 2 });
    await until('the view holds its rows', async () => (await folded(deployment, 'names')).length === 4);
    expect(await folded(deployment, 'names')).toEqual(
      expect.arrayContaining([
        { name: 'Ada', id: 1 },
        { name: 'Bea', id: 2 },
        { name: 'Bob', id: 3 },
        { name: 'Cyd', id: 4 },
      ]),
    );
    expect(await deployment.get('/readyz')).toMatchObject({ status: 200 });
    expect(await deployment.row('names', 'Bob')).toMatchObject({
      status: 200,
      body: expect.stringContaining('"id":3'),
    });
  });

  it('because an expression fails on them are left out and told, and come back when they are mended', async () => {
    const deployment = await Deployment.create(keyed, feeds);
    await deployment.write('erp');
    await deployment.write('shop', { id: 1, name: 'Ada', size: 0 }, { id: 2, name: 'Bob', size: 2 });
    const run = await deployment.start();
    await deployment.caughtUp('shares');
    expect(await folded(deployment, 'shares')).toEqual([{ id: 2, share: 50 }]);
    expect(run.stderr()).toMatch(/"view":"shares","row":"[^\n]*\[1,[^\n]*"reason":"division by zero"/);
    expect(await deployment.get('/readyz')).toMatchObject({
      status: 503,
      body: expect.stringContaining('"view shares: an expression fails on 1 of its rows"'),
    });
    expect((await deployment.command('status')).stdout).toMatch(/shares +1 +\d+ .* 1 +consistent/);
    expect((await deployment.get('/metrics')).body).toMatch(/tidemark_view_dead_letters\{view="shares"\} 1\n/);
    expect(await deployment.row('shares', '1')).toMatchObject({ status: 404 });

    await deployment.write('shop', { id: 3, name: 'Cyd', size: 4 });
    await deployment.caughtUp('shares');
    expect(await folded(deployment, 'shares')).toEqual([
      { id: 2, share: 50 },
      { id: 3, share: 25 },
    ]);
    await deployment.stop();
    await deployment.start();
    await deployment.caughtUp('shares');
    expect(await deployment.get('/readyz')).toMatchObject({ status: 503 });
    await deployment.write('shop', { id: 1, name: 'Ada', size: 10 });
    await deployment.caughtUp('shares');
    expect(await deployment.get('/readyz')).toMatchObject({ status: 200 });
    expect(await deployment.row('shares', '1')).toMatchObject({
      status: 200,
      body: expect.stringContaining('"share":10}'),
    });
  });
});
