import { beforeAll, expect, it } from 'vitest';
import { describePostgres } from '../servers/suite.ts';
import { Verified, startLoad } from './verify-harness.ts';

const sinks = `sinks:
  local: { type: sqlite, path: ./sinks.db, from: customers, table: customers, search: [name] }`;

const equal = {
  missing: [],
  extra: [],
  different: [],
  cut: false,
  repaired: 0,
  log_differs: 0,
  order_only: 0,
  unsettled: 0,
};

describePostgres('verify of a table sink', (database) => {
  beforeAll(async () => {
    await database.query(`
      CREATE TABLE customers (id bigint PRIMARY KEY, name text, balance numeric(12,2));
      INSERT INTO customers SELECT n, 'customer ' || n, n / 4.0 FROM generate_series(1, 20000) n;
      ANALYZE`);
  });

  it('finds nothing where a sink equals its table, and lists what is missing, extra and different where it does not', async () => {
    const verified = await Verified.start(database, '[public.customers]', sinks);
    await verified.caughtUp();
    expect(await verified.verify('local')).toMatchObject({ sink: 'local', against: 'table', rows: 20_000, ...equal });

    verified.meddle(`DELETE FROM customers WHERE id % 20 = 0;
      UPDATE customers SET name = name || '!' WHERE id % 20 = 1;
      UPDATE customers SET balance = NULL WHERE id = 7;
      INSERT INTO customers (id, name, _seq) VALUES (900719925474099312, 'nobody', 1)`);
    const found = await verified.verifyJson('local');
    expect(found['counts']).toEqual({ missing: 1_000, different: 1_001, extra: 1 });
    expect(found['missing']).toHaveLength(1_000);
    expect(found['missing']).toContainEqual({ id: 20 });
    expect(found['different']).toContainEqual({ id: 7 });

    const repaired = await verified.verify('local', true);
    expect(repaired).toMatchObject({ repaired: 2_002, extra: ['{"id":900719925474099312}'] });
    expect(await verified.verify('local')).toMatchObject({ rows: 20_000, ...equal });
    expect(verified.rows("SELECT count(*) FROM customers_search('customer')")).toEqual([[20_000]]);
  }, 240_000);
});

describePostgres('verify while 500 commits a second go on', (database) => {
  beforeAll(async () => {
    await database.query(`
      CREATE TABLE customers (id bigint PRIMARY KEY, name text, balance numeric(12,2));
      INSERT INTO customers SELECT n, 'customer ' || n, n / 4.0 FROM generate_series(1, 20000) n;
      ANALYZE`);
  });

  it('raises no false alarm in 20 runs, and lists exactly the rows that were changed behind its back', async () => {
    const verified = await Verified.start(database, '[public.customers]', sinks);
    await verified.caughtUp();
    // Every key is changed again and again, those of a fifth of the table.
    const load = startLoad(database, 'customers', { rows: 4_000, perSecond: 500 });
    try {
      for (let run = 0; run < 20; run++) {
        expect(await verified.verify('local'), `run ${run}`).toMatchObject({ missing: [], extra: [], different: [] });
      }
      const commits = load.commits();
      verified.meddle(`DELETE FROM customers WHERE id > 10000 AND id % 10 = 0;
        UPDATE customers SET balance = -1 WHERE id > 10000 AND id % 10 = 1`);
      const found = await verified.verify('local', true);
      expect(found).toMatchObject({ counts: { missing: 1_000, extra: 0, different: 1_000 }, repaired: 2_000 });
      expect(found.missing).toContain('{"id":10010}');
      expect(await verified.verify('local')).toMatchObject({ missing: [], extra: [], different: [] });
      expect(load.commits()).toBeGreaterThan(commits);
    } finally {
      await load.stop();
    }
    await verified.caughtUp();
    expect(await verified.verify('local')).toMatchObject({ ...equal, unsettled: 0 });
  }, 300_000);
});
