import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { describePostgres } from '../servers/suite.ts';
import { temporaryDirectory } from './harness.ts';
import { Verified, startLoad } from './verify-harness.ts';

const tables = '[public.customers, public.orders, { name: public.lines, exclude: [secret] }]';

const views = `views:
  order_docs:
    key: [id]
    sql: |
      WITH open_lines AS (SELECT * FROM shop.public.lines)
      SELECT o.id, o.placed, c.name AS customer, orders.total,
             json_agg(json_build_object('no', l.line_no, 'qty', l.qty, 'tags', l.tags) ORDER BY l.line_no) AS lines
      FROM public.orders o JOIN "customers" c ON c.id = o.customer_id
      JOIN orders ON orders.id = o.id LEFT JOIN open_lines l ON l.order_id = o.id
      GROUP BY o.id, o.placed, c.name, orders.total
  spending:
    key: [customer]
    sql: SELECT customer, count(*) AS orders, sum(total) AS total, string_agg(id::text, ',') AS ids FROM order_docs GROUP BY customer; -- a view over a view
  newest:
    key: [id]
    sql: SELECT id, placed FROM orders ORDER BY placed DESC LIMIT 10
  mean:
    key: [customer_id]
    sql: SELECT customer_id, sum(total::float8) AS total FROM orders GROUP BY customer_id
sinks:
  docs: { type: sqlite, path: ./sinks.db, from: order_docs, table: docs }
  spent: { type: sqlite, path: ./sinks.db, from: spending, table: spent }
  newest: { type: sqlite, path: ./sinks.db, from: newest, table: newest }
  mean: { type: sqlite, path: ./sinks.db, from: mean, table: mean }`;

const none = { missing: [], extra: [], different: [] };

describePostgres('verify of sinks of views', (database) => {
  beforeAll(async () => {
    await database.query(`
      CREATE TABLE customers (id bigint PRIMARY KEY, name text, balance numeric(12,2));
      CREATE TABLE orders (id int PRIMARY KEY, customer_id bigint, placed timestamptz, total numeric(12,2));
      CREATE TABLE lines (order_id int, line_no int, qty numeric, tags text[], secret text, PRIMARY KEY (order_id, line_no));
      INSERT INTO customers SELECT n, 'customer ' || n, 0 FROM generate_series(1, 400) n;
      INSERT INTO orders SELECT n, 1 + n % 300, timestamptz '2026-01-01 00:00Z' + n * interval '1 hour', n * 1.10 FROM generate_series(1, 2000) n;
      INSERT INTO lines SELECT 1 + n / 3, n % 3, n * 0.5, ARRAY['a', NULL, 'b"c'], 'hidden' FROM generate_series(0, 5000) n;
      ANALYZE`);
  });

  it('compares a view with its own SQL at the source, through other views, in whatever order rows are put together', async () => {
    const verified = await Verified.start(database, tables, views);
    await verified.caughtUp();
    const docs = await verified.verify('docs');
    expect(docs).toMatchObject({ against: 'query', rows: 2_000, ...none, notes: [] });
    // The order in which string_agg meets the ids is the server's own.
    expect(await verified.verify('spent')).toMatchObject({ against: 'query', rows: 300, ...none, notes: [] });

    verified.meddle(`DELETE FROM docs WHERE id % 100 = 0; UPDATE docs SET lines = replace(lines, '"qty"', '"quantity"') WHERE id % 100 = 1;
      UPDATE spent SET ids = replace(ids, '1', '2') WHERE customer = 'customer 7';
      UPDATE spent SET ids = substr(ids, 2) || substr(ids, 1, 1) WHERE customer = 'customer 8'`);
    expect(await verified.verify('docs', true)).toMatchObject({
      counts: { missing: 20, extra: 0, different: 20 },
      repaired: 40,
      log_differs: 0,
    });
    expect(await verified.verify('docs')).toMatchObject(none);
    expect(await verified.verify('spent', true)).toMatchObject({
      different: expect.toSatisfy(
        (keys: string[]) => keys.toSorted().join() === '{"customer":"customer 7"},{"customer":"customer 8"}',
      ),
      repaired: 2,
    });
    expect(await verified.verify('spent')).toMatchObject(none);
  }, 240_000);

  it('raises no false alarm while the tables change, and finds what was changed in the sink', async () => {
    const verified = await Verified.start(database, tables, views);
    await verified.caughtUp();
    const load = startLoad(database, 'customers', { rows: 200, perSecond: 300 });
    try {
      for (let run = 0; run < 5; run++) expect(await verified.verify('docs'), `run ${run}`).toMatchObject(none);
      verified.meddle('DELETE FROM docs WHERE id IN (250, 251)');
      // Customers 251 and 252, which nobody changes.
      expect(await verified.verify('docs', true)).toMatchObject({ missing: ['{"id":250}', '{"id":251}'], repaired: 2 });
    } finally {
      await load.stop();
    }
  }, 240_000);

  it('compares in two halves what the tables do not determine, and what is made of several sources', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'notes.ndjson'), '{"id":301,"note":"good"}\n{"id":302,"note":"late"}\n');
    const erp = `  erp:
    type: ndjson
    path: ${directory}/notes.ndjson
    tables: { notes: { columns: { id: bigint, note: text }, key: [id] } }
`;
    const noted = `${views}
  noted: { type: sqlite, path: ./sinks.db, from: noted, table: noted }
  notes: { type: sqlite, path: ./sinks.db, from: notes, table: notes }`.replace(
      'views:\n',
      'views:\n  noted: { key: [id], sql: "SELECT c.id, c.name, n.note FROM customers c JOIN notes n ON n.id = c.id" }\n',
    );
    const verified = await Verified.start(database, tables, erp + noted);
    await verified.caughtUp();
    const [several, limited, summed, lines] = [
      await verified.verify('noted'),
      await verified.verify('newest'),
      await verified.verify('mean'),
      await verified.verify('notes'),
    ];
    expect(several).toMatchObject({
      against: 'log',
      rows: 2,
      ...none,
      notes: [expect.stringContaining('several sources')],
    });
    expect(several.tables).toEqual([
      { table: 'shop.public.customers', rows: expect.any(Number), missing: 0, extra: 0, different: 0 },
    ]);
    expect(limited).toMatchObject({ against: 'log', rows: 10, ...none, notes: [expect.stringContaining('LIMIT')] });
    expect(summed).toMatchObject({
      against: 'log',
      rows: 300,
      ...none,
      notes: [expect.stringContaining('floating point')],
    });
    expect(lines).toMatchObject({ against: 'log', rows: 2, ...none, tables: [] });
    verified.meddle(`DELETE FROM noted WHERE id = 301; UPDATE notes SET note = 'bad' WHERE id = 302`);
    expect(await verified.verify('noted', true)).toMatchObject({ missing: ['{"id":301}'], repaired: 1 });
    expect(await verified.verify('notes', true)).toMatchObject({ different: ['{"id":302}'], repaired: 1 });
    expect(verified.rows('SELECT note FROM notes ORDER BY id')).toEqual([['good'], ['late']]);
  }, 240_000);
});
