import { beforeAll, expect, it } from 'vitest';
import { typeCases, typesSetup } from '../connectors/postgres/types-cases.ts';
import { describePostgres } from '../servers/suite.ts';
import { Verified } from './verify-harness.ts';

const none = { missing: [], extra: [], different: [] };

describePostgres('verify of values and keys', (database) => {
  const keyTypes = [
    'bigint',
    'numeric',
    'double precision',
    'text',
    'character(5)',
    'bytea',
    'uuid',
    'timestamptz',
    'interval',
    'mood',
  ];
  const keyed = typeCases.filter(({ type }) => keyTypes.includes(type));

  beforeAll(async () => {
    await database.query(typesSetup);
    const columns = typeCases.map(({ type }, index) => `c${index} ${type}`);
    await database.query(
      `CREATE TABLE wide (id int PRIMARY KEY, ${columns.join(', ')}); INSERT INTO wide SELECT generate_series(0, 60)`,
    );
    for (const [index, { type, values }] of typeCases.entries()) {
      const cases = values.map((_, id) => `WHEN ${id} THEN $${id + 1}::text::${type}`);
      await database.query(`UPDATE wide SET c${index} = CASE id ${cases.join(' ')} END`, values);
    }
    for (const [index, { type, values }] of keyed.entries()) {
      await database.query(`CREATE TABLE keys_${index} (k ${type}, half int, n int, PRIMARY KEY (k, half))`);
      for (const value of values) {
        const sql = `INSERT INTO keys_${index} SELECT $1::text::${type}, half, 1 FROM generate_series(1, 2) half ON CONFLICT DO NOTHING`;
        await database.query(sql, [value]);
      }
    }
  });

  it('takes no value of any type for another, as content and as key, and finds each one changed', async () => {
    const names = ['wide', ...[...keyed.keys()].map((index) => `keys_${index}`)];
    const sinks = names.map((name) => `  ${name}: { type: sqlite, path: ./sinks.db, from: ${name}, table: ${name} }`);
    const verified = await Verified.start(database, '[public.wide, "public.keys_*"]', `sinks:\n${sinks.join('\n')}`);
    await verified.caughtUp();
    expect(keyed).toHaveLength(keyTypes.length);
    expect(await verified.verify('wide')).toMatchObject({ rows: 61, ...none });
    for (const [index, { type }] of keyed.entries()) {
      const table = `keys_${index}`;
      const [[rows = 0] = []] = verified.rows(`SELECT count(*) FROM ${table}`) as number[][];
      expect(await verified.verify(table), type).toMatchObject({ rows, ...none });
      verified.meddle(`UPDATE ${table} SET n = 2 WHERE half = 1; DELETE FROM ${table} WHERE half = 2`);
      const { counts, repaired } = await verified.verify(table, true);
      expect([counts, repaired], type).toEqual([{ missing: rows / 2, extra: 0, different: rows / 2 }, rows]);
      verified.meddle(`UPDATE ${table} SET half = 3 WHERE half = 1`);
      const { missing, extra } = await verified.verify(table, true);
      expect(extra, type).toEqual(missing.map((key) => key.replace('"half":1', '"half":3')));
      expect(verified.rows(`SELECT count(*) FROM ${table} WHERE half = 3`), type).toEqual([[0]]);
    }
  }, 240_000);
});

describePostgres('verify of tables', (database) => {
  beforeAll(async () => {
    await database.query(`
      CREATE TABLE plain (id int PRIMARY KEY, name text, secret text, old text, twice int GENERATED ALWAYS AS (id * 2) STORED);
      INSERT INTO plain SELECT n, 'name ' || n, 'secret', 'old' FROM generate_series(1, 1000) n;
      CREATE TABLE keyless (a int, b text);
      ALTER TABLE keyless REPLICA IDENTITY FULL;
      INSERT INTO keyless SELECT n / 3, 'b' FROM generate_series(0, 299) n;
      CREATE TABLE clicks (id int PRIMARY KEY, page text);
      INSERT INTO clicks SELECT n, '/' || n FROM generate_series(1, 50) n;
      CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
      CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
      CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);
      INSERT INTO parted SELECT n, 'v' FROM generate_series(0, 199) n`);
  });

  const tables =
    '[{ name: public.plain, exclude: [secret], where: "id <= 900" }, public.keyless, public.parted, { name: public.clicks, kind: stream, key: [id] }]';
  const sinks = `sinks:
  plain: { type: sqlite, path: ./sinks.db, from: plain, table: plain, columns: { id: id, title: name } }
  keyless: { type: sqlite, path: ./sinks.db, from: keyless, table: keyless }
  parted: { type: sqlite, path: ./sinks.db, from: parted, table: parted }
  clicks: { type: sqlite, path: ./sinks.db, from: clicks, table: clicks }
  feed: { type: ndjson, path: ./feed.ndjson, from: plain }`;

  it('sees rows and columns as the file has them: row filter, excluded and chosen columns, other names, partitions', async () => {
    const verified = await Verified.start(database, tables, sinks);
    await verified.caughtUp();
    expect(await verified.verify('plain')).toMatchObject({ rows: 900, ...none });
    expect(await verified.verify('parted')).toMatchObject({ rows: 200, ...none });
    await database.query(`ALTER TABLE plain ADD COLUMN extra int DEFAULT 7; ALTER TABLE plain DROP COLUMN old;
      UPDATE plain SET name = 'new' WHERE id = 5; UPDATE parted SET id = id + 100 WHERE id = 50 AND false`);
    expect(await verified.verify('plain')).toMatchObject({ rows: 900, ...none });
    verified.meddle("UPDATE plain SET title = 'wrong' WHERE id IN (5, 6)");
    expect(await verified.verify('plain', true)).toMatchObject({ different: ['{"id":5}', '{"id":6}'], repaired: 2 });
    expect(verified.rows('SELECT title FROM plain WHERE id IN (5, 6) ORDER BY id')).toEqual([['new'], ['name 6']]);
    await expect(verified.verify('feed')).rejects.toMatchObject({ code: 'SINK_UNREADABLE' });
    await expect(verified.verify('nothing')).rejects.toMatchObject({ code: 'SINK_UNKNOWN' });
  }, 240_000);

  it('counts rows that are alike in a table without a key', async () => {
    const verified = await Verified.start(database, tables, sinks);
    await verified.caughtUp();
    expect(await verified.verify('keyless')).toMatchObject({ rows: 300, ...none });
    verified.meddle(`DELETE FROM keyless WHERE rowid IN (SELECT rowid FROM keyless WHERE a = 5 LIMIT 2);
      INSERT INTO keyless (a, b, _seq) VALUES (7, 'b', 1), (7, 'b', 1), (1000, 'b', 1)`);
    const found = await verified.verify('keyless', true);
    expect(found).toMatchObject({ counts: { missing: 2, extra: 3, different: 0 }, repaired: 5 });
    expect(found.missing).toEqual(['{"a":5,"b":"b"}']);
    expect(await verified.verify('keyless')).toMatchObject(none);
  }, 240_000);

  it('lets a stream keep what its table has deleted', async () => {
    const verified = await Verified.start(database, tables, sinks);
    await verified.caughtUp();
    await database.query('DELETE FROM clicks WHERE id <= 20');
    verified.meddle('DELETE FROM clicks WHERE id IN (20, 21)');
    const found = await verified.verify('clicks', true);
    expect(found).toMatchObject({ rows: 30, counts: { missing: 1, extra: 0, different: 0 }, repaired: 1 });
    expect(found.notes).toEqual([expect.stringContaining('19 rows are in the sink alone')]);
    expect(verified.rows('SELECT count(*) FROM clicks')).toEqual([[49]]);
  }, 240_000);

  it('says when the log itself differs from the table, and a repair reads the table again', async () => {
    const verified = await Verified.start(database, tables, sinks);
    await verified.caughtUp();
    const { publication } = await publicationOf(database);
    // Within one transaction, a publication that leaves updates out for as long as it makes some.
    await database.query(`BEGIN; ALTER PUBLICATION ${publication} SET (publish = 'insert');
      UPDATE plain SET name = 'unseen' WHERE id <= 3; DELETE FROM plain WHERE id = 4;
      ALTER PUBLICATION ${publication} SET (publish = 'insert, update, delete, truncate'); COMMIT`);
    const found = await verified.verify('plain');
    expect(found).toMatchObject({ counts: { missing: 0, extra: 1, different: 3 }, log_differs: 4, repaired: 0 });
    expect(found.notes).toEqual([expect.stringContaining('tidemark snapshot --table shop.public.plain')]);
    expect(await verified.verify('plain', true)).toMatchObject({ log_differs: 4, repaired: 4 });
    expect(await verified.verify('plain')).toMatchObject(none);
    expect(verified.rows('SELECT id, title FROM plain WHERE id <= 5 ORDER BY id')).toEqual([
      [1, 'unseen'],
      [2, 'unseen'],
      [3, 'unseen'],
      [5, 'new'],
    ]);
  }, 240_000);
});

async function publicationOf(database: { query(sql: string): Promise<Record<string, string | null>[]> }) {
  const rows = await database.query('SELECT pubname FROM pg_publication WHERE pubupdate ORDER BY oid DESC LIMIT 1');
  return { publication: rows[0]?.['pubname'] ?? '' };
}
