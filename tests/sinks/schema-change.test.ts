import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SqliteSinkOptions } from '../../sinks/options.ts';
import type { SinkGroup } from '../../sinks/sink-group.ts';
import { Harness, caughtUp, table } from './harness.ts';

const v1 = table('people', { id: 'int8', name: 'text', age: 'int4' });

let harness: Harness;
let groups: SinkGroup[];
beforeEach(async () => {
  harness = await Harness.create();
  harness.feeder.upsert(v1, { id: '1', name: 'Ada', age: '36' });
  harness.feeder.upsert(v1, { id: '2', name: 'Bob', age: '7' }).commitConsistent(v1);
});
afterEach(async () => harness.close());

async function start(changes: Partial<SqliteSinkOptions> = {}): Promise<void> {
  groups = harness.run([
    {
      name: 'people',
      type: 'sqlite',
      path: harness.path('people.db'),
      from: v1.topic,
      table: 'people',
      search: [],
      start: 'consistent',
      ...changes,
    },
  ]);
  await caughtUp(groups, 1);
}

function query(sql: string): Record<string, unknown>[] {
  const db = new DatabaseSync(harness.path('people.db'), { readOnly: true });
  try {
    return db
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  } finally {
    db.close();
  }
}

const people = 'SELECT * FROM people ORDER BY id';

test('a column that is added is NULL in the rows that were there', async () => {
  await start();
  const v2 = table('people', { id: 'int8', name: 'text', age: 'int4', city: 'text' });
  harness.feeder.upsert(v2, { id: '3', name: 'Cyd', age: '1', city: 'Oslo' }).commit();
  await caughtUp(groups, 2);
  expect(query(people)).toEqual([
    { id: 1, name: 'Ada', age: 36, _seq: 1, city: null },
    { id: 2, name: 'Bob', age: 7, _seq: 1, city: null },
    { id: 3, name: 'Cyd', age: 1, _seq: 2, city: 'Oslo' },
  ]);
});

test('a column that is dropped goes, and one of the same name that comes later does not bring its values back', async () => {
  await start();
  const v2 = table('people', { id: 'int8', name: 'text' });
  const v3 = table('people', { id: 'int8', name: 'text', age: 'int4' }, [0], [1, 2, 9]);
  harness.feeder.upsert(v2, { id: '1', name: 'Ada' }).commit();
  harness.feeder.upsert(v3, { id: '1', name: 'Ada', age: '40' }).commit();
  await caughtUp(groups, 3);
  expect(query(people)).toEqual([
    { id: 1, name: 'Ada', _seq: 3, age: 40 },
    { id: 2, name: 'Bob', _seq: 1, age: null },
  ]);
});

test('columns that exchange their names keep their values, and so does the full-text index', async () => {
  const both = table('people', { id: 'int8', first: 'text', last: 'text' });
  const swapped = table('people', { id: 'int8', last: 'text', first: 'text' });
  harness.feeder.upsert(both, { id: '1', first: 'Ada', last: 'Lovelace' }).commit();
  await start({ search: ['first'] });
  await caughtUp(groups, 2);
  harness.feeder.upsert(swapped, { id: '3', first: 'Hopper', last: 'Grace' }).commit();
  await caughtUp(groups, 3);
  expect(query('SELECT id, first, last FROM people ORDER BY id')).toEqual([
    { id: 1, first: 'Lovelace', last: 'Ada' },
    { id: 2, first: '7', last: 'Bob' },
    { id: 3, first: 'Hopper', last: 'Grace' },
  ]);
  expect(query("SELECT rowid FROM people_search('lovelace')")).toEqual([{ rowid: 1 }]);
  expect(query("SELECT rowid FROM people_search('ada')")).toEqual([]);
});

test('a column that is retyped is kept as its new type', async () => {
  await start();
  const v2 = table('people', { id: 'int8', name: 'text', age: 'text' });
  harness.feeder.upsert(v2, { id: '2', name: 'Bob', age: 'seven' }).commit();
  await caughtUp(groups, 2);
  expect(query(people)).toEqual([
    { id: 1, name: 'Ada', age: '36', _seq: 1 },
    { id: 2, name: 'Bob', age: 'seven', _seq: 2 },
  ]);
});

test('another key is the key from then on', async () => {
  await start({ search: ['name'] });
  const v2 = table('people', { id: 'int8', name: 'text', age: 'int4' }, [1]);
  harness.feeder.upsert(v2, { id: '9', name: 'Bob', age: '8' }).commit();
  await caughtUp(groups, 2);
  expect(query('SELECT id, name, age FROM people ORDER BY name')).toEqual([
    { id: 1, name: 'Ada', age: 36 },
    { id: 9, name: 'Bob', age: 8 },
  ]);
  expect(query("SELECT people.id FROM people_search('bob') JOIN people ON people.rowid = people_search.rowid")).toEqual(
    [{ id: 9 }],
  );
});

test('a name that comes back is the column that it was', async () => {
  await start();
  const v2 = table('people', { id: 'int8', title: 'text', age: 'int4' });
  harness.feeder.upsert(v2, { id: '1', title: 'Eve', age: '1' }).commit();
  await caughtUp(groups, 2);
  expect(query('SELECT title FROM people ORDER BY id')).toEqual([{ title: 'Eve' }, { title: 'Bob' }]);
  harness.feeder.upsert(v1, { id: '2', name: 'Bea', age: '1' }).commit();
  await caughtUp(groups, 3);
  expect(query('SELECT name FROM people ORDER BY id')).toEqual([{ name: 'Eve' }, { name: 'Bea' }]);
});

test('deletes that quote rows of an older version leave the table as it is', async () => {
  await start();
  const v2 = table('people', { id: 'int8', name: 'text', age: 'int4', city: 'text' });
  harness.feeder.upsert(v2, { id: '3', name: 'Cyd', city: 'Oslo' }).commit();
  await caughtUp(groups, 2);
  harness.feeder.delete(v1, { id: '1' }).commit();
  await caughtUp(groups, 3);
  expect(query('SELECT id, city FROM people ORDER BY id')).toEqual([
    { id: 2, city: null },
    { id: 3, city: 'Oslo' },
  ]);
});

test('a change of columns and the rows of its transaction are seen at once', async () => {
  await start();
  const v2 = table('people', { id: 'int8', name: 'text', age: 'int4', city: 'text' });
  const reader = new DatabaseSync(harness.path('people.db'), { readOnly: true });
  reader.exec('BEGIN');
  expect(reader.prepare('SELECT count(*) AS n FROM people').get()).toEqual({ n: 2 });
  harness.feeder.upsert(v2, { id: '3', name: 'Cyd', city: 'Oslo' }).commit();
  await caughtUp(groups, 2);
  expect(reader.prepare('SELECT * FROM people WHERE id = 3').get()).toBeUndefined();
  expect(reader.prepare('SELECT seq FROM _tidemark').get()).toEqual({ seq: 1 });
  reader.exec('COMMIT');
  expect(reader.prepare('SELECT city FROM people WHERE id = 3').get()).toEqual({ city: 'Oslo' });
  reader.close();
});

test('a sink that asks for columns that came later is filled from the rows that were there before', async () => {
  const v2 = table('people', { id: 'int8', name: 'text', age: 'int4', city: 'text' });
  await harness.feeder.durable();
  harness.feeder.know(v2);
  await start({ columns: { id: 'id', town: 'city' }, search: ['town'] });
  expect(query(people)).toEqual([
    { id: 1, town: null, _seq: 1 },
    { id: 2, town: null, _seq: 1 },
  ]);
  harness.feeder.upsert(v2, { id: '2', name: 'Bob', age: '8', city: 'Oslo' }).commit();
  await caughtUp(groups, 2);
  expect(
    query("SELECT people.id FROM people_search('oslo') JOIN people ON people.rowid = people_search.rowid"),
  ).toEqual([{ id: 2 }]);
});
