import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import type { Column } from '../../../model/table.ts';
import { fingerprints } from '../../../views/stage/state-folder.ts';
import { StageHarness, table } from './harness.ts';
import type { Feeder, ViewText } from './harness.ts';

const people = table('shop.public.people', { id: 'int8', name: 'text', age: 'int4' });
const visits = table('shop.public.visits', { person: 'int8', place: 'text' }, []);

const names: ViewText = { name: 'people_names', key: ['id'], sql: 'SELECT id, name FROM people' };

/** What happens to topics when views, tables, state or rows are not what they were. */
describe('the stage', () => {
  let harness: StageHarness;
  let feed: Feeder;
  beforeAll(loadSqlParser);
  afterEach(async () => harness.close());

  async function start(...views: readonly ViewText[]): Promise<ReturnType<StageHarness['start']>> {
    harness = await StageHarness.create(people, visits);
    feed = await harness.feeder('shop');
    feed.upsert(people, { id: '1', name: 'Ada', age: '36' }).upsert(people, { id: '2', name: 'Bob', age: '17' });
    feed.commitConsistent(people, visits);
    const stage = harness.start(views);
    await harness.caughtUp();
    return stage;
  }

  it('takes a changed definition in by one commit of what differs', async () => {
    await start(names, { name: 'other', key: ['id'], sql: 'SELECT id FROM people' });
    await harness.stop();
    feed.upsert(people, { id: '3', name: 'Cid', age: '50' }).commit();
    const changed = { ...names, sql: 'SELECT id, name FROM people WHERE age > 18' };
    harness.start([changed, { name: 'added', key: ['id'], sql: 'SELECT id, age FROM people' }]);
    await harness.caughtUp();
    const commits = await harness.commits();
    expect(commits).toHaveLength(2);
    expect(commits[1]?.changes.filter(({ view }) => view === 'people_names')).toMatchObject([
      { before: null, after: { id: '3', name: 'Cid' } },
      { before: { id: '2', name: 'Bob' }, after: null },
    ]);
    expect(await harness.rows('added')).toHaveLength(3);
    expect(harness.log.state('views').get('consistent:views.added')).toBe('{"seq":2}');
  });

  it('writes every row anew when the columns of a view change, and keeps the identity of those that stay', async () => {
    await start(names);
    await harness.stop();
    harness.start([{ ...names, sql: 'SELECT id, age, name FROM people' }]);
    await harness.caughtUp();
    const commits = await harness.commits();
    expect(commits).toHaveLength(2);
    expect(commits[1]?.changes.map(({ after }) => after)).toEqual([
      { id: '1', age: '36', name: 'Ada' },
      { id: '2', age: '17', name: 'Bob' },
    ]);
    const versions = [1, 2, 3, 4]
      .map((id) => harness.log.table(id))
      .filter((one) => one?.topic === 'views.people_names');
    expect(versions.map((one) => one?.columns.map(({ id, name }) => [name, id]))).toEqual([
      [
        ['id', 1],
        ['name', 2],
      ],
      [
        ['id', 1],
        ['age', 3],
        ['name', 2],
      ],
    ]);
  });

  it('gives the same rows when its state is gone, and publishes nothing again', async () => {
    await start(names);
    await harness.stop();
    await rm(join(harness.directory, 'views'), { recursive: true });
    harness.start([names]);
    await harness.caughtUp();
    expect((await harness.commits()).flatMap(({ changes }) => changes)).toHaveLength(2);
    feed.delete(people, { id: '1' }).commit();
    await harness.caughtUp();
    expect(await harness.rows('people_names')).toEqual([{ id: '2', name: 'Bob' }]);
  });

  it('makes state anew that is damaged', async () => {
    await start(names);
    await harness.stop();
    await writeFile(join(harness.directory, 'views', 'state', 'data.mdb'), Buffer.alloc(65_536, 0x2a));
    harness.start([names]);
    feed.delete(people, { id: '1' }).commit();
    await harness.caughtUp();
    expect(await harness.rows('people_names')).toEqual([{ id: '2', name: 'Bob' }]);
  });

  it('refuses to look up what is no key of a view', async () => {
    const stage = await start(names, { name: 'keyless', sql: 'SELECT place FROM visits' });
    const refused = (key: string[], view = 'people_names'): unknown => {
      try {
        return stage.lookup(view, key);
      } catch (error) {
        return error instanceof Error ? error.message : error;
      }
    };
    expect(refused(['1', '2'])).toBe("view 'people_names' is not looked up by 2 values");
    expect(refused(['Ada'])).toBe("'Ada' is not a bigint, as id is");
    expect(refused(['9'.repeat(20)])).toBe(`'${'9'.repeat(20)}' is not a bigint, as id is`);
    expect(refused(['7'])).toEqual({ seq: 1, row: null });
    expect(refused(['x'], 'keyless')).toBe("view 'keyless' is not looked up by 1 values");
  });

  it('gives the same rows without state on disk', async () => {
    await start(names);
    await harness.stop();
    harness.start([names], { state: 'memory' });
    feed.upsert(people, { id: '1', name: 'Ada L', age: '36' }).commit();
    await harness.caughtUp();
    await harness.stop();
    harness.start([names], { state: 'memory' });
    await harness.caughtUp();
    expect((await harness.commits()).flatMap(({ changes }) => changes)).toHaveLength(3);
    expect(await harness.rows('people_names')).toEqual([
      { id: '1', name: 'Ada L' },
      { id: '2', name: 'Bob' },
    ]);
  });

  it('keeps a view at its last good commit while two rows have one key, and the others going', async () => {
    const stage = await start(
      { ...names, key: ['name'] },
      { name: 'ages', key: ['id'], sql: 'SELECT id, age FROM people' },
    );
    feed.upsert(people, { id: '3', name: 'Ada', age: '1' }).commit();
    await harness.caughtUp();
    feed.upsert(people, { id: '4', name: 'Dan', age: '2' }).commit();
    await harness.caughtUp();
    expect(stage.status()).toMatchObject(
      [
        { name: 'people_names', error: { code: 'VIEW_KEY', message: /\(1, 'Ada'\) and \(3, 'Ada'\)/ } },
        { name: 'ages', error: null },
      ].map(({ error, ...rest }) => ({
        ...rest,
        error: error && { ...error, message: expect.stringMatching(error.message) as unknown },
      })),
    );
    expect(await harness.rows('people_names')).toHaveLength(2);
    expect(await harness.rows('ages')).toHaveLength(4);
    // It stays so over a restart, and ends with the violation.
    await harness.stop();
    const again = harness.start([
      { ...names, key: ['name'] },
      { name: 'ages', key: ['id'], sql: 'SELECT id, age FROM people' },
    ]);
    await harness.caughtUp();
    expect(await harness.rows('people_names')).toHaveLength(2);
    feed.upsert(people, { id: '3', name: 'Cid', age: '1' }).commit();
    await harness.caughtUp();
    expect(again.status()[0]?.error).toBeNull();
    expect((await harness.rows('people_names')).map(({ name }) => name)).toEqual(['Ada', 'Bob', 'Cid', 'Dan']);
  });

  it('sets rows aside that cannot be read or evaluated, and takes them in again when they can', async () => {
    const stage = await start(names, { name: 'ratio', key: ['id'], sql: 'SELECT id, 100 / age AS r FROM people' });
    feed
      .upsert(people, { id: '1', name: 'Ada', age: '0' })
      .upsert(people, { id: '2', name: 'Bob', age: 'old' })
      .commit();
    await harness.caughtUp();
    expect(await harness.rows('ratio')).toEqual([]);
    expect(await harness.rows('people_names')).toEqual([{ id: '1', name: 'Ada' }]);
    expect(stage.status().map(({ deadLetters }) => deadLetters)).toEqual([1, 2]);
    expect(harness.events.filter(({ type }) => type === 'view.dead_letter')).toMatchObject([
      { view: 'people_names', reason: 'invalid input syntax for type integer: "old"' },
      { view: 'ratio', reason: 'invalid input syntax for type integer: "old"' },
      { view: 'ratio', reason: 'division by zero' },
    ]);
    await harness.stop();
    const again = harness.start([names, { name: 'ratio', key: ['id'], sql: 'SELECT id, 100 / age AS r FROM people' }]);
    feed.upsert(people, { id: '1', name: 'Ada', age: '50' }).delete(people, { id: '2' }).commit();
    await harness.caughtUp();
    expect(again.status().map(({ deadLetters }) => deadLetters)).toEqual([0, 0]);
    expect(await harness.rows('ratio')).toEqual([{ id: '1', r: '2' }]);
  });

  it('counts the rows of tables and of views without a key', async () => {
    await start({ name: 'places', sql: 'SELECT place FROM visits' });
    for (const person of ['1', '2', '3']) feed.upsert(visits, { person, place: 'park' }, 'create');
    feed.upsert(visits, { person: '1', place: 'zoo' }, 'create').commit();
    await harness.caughtUp();
    feed.delete(visits, { person: '2', place: 'park' }).commit();
    await harness.caughtUp();
    expect(await harness.rows('places')).toEqual([{ place: 'park' }, { place: 'park' }, { place: 'zoo' }]);
    await harness.stop();
    await rm(join(harness.directory, 'views'), { recursive: true });
    feed
      .delete(visits, { person: '3', place: 'park' })
      .upsert(visits, { person: '4', place: 'zoo' }, 'create')
      .commit();
    harness.start([{ name: 'places', sql: 'SELECT place FROM visits' }]);
    await harness.caughtUp();
    expect((await harness.commits()).map(({ changes }) => changes.length)).toEqual([0, 4, 1, 2]);
    expect(await harness.rows('places')).toEqual([{ place: 'park' }, { place: 'zoo' }, { place: 'zoo' }]);
  });

  it('is right after the log has been compacted behind it', async () => {
    await start(names);
    await harness.stop();
    feed.upsert(people, { id: '1', name: 'Ada L', age: '36' }).commit();
    feed.delete(people, { id: '2' }).upsert(people, { id: '3', name: 'Cid', age: '3' }).commit();
    harness.log.registerCursor('shop', 'views', null);
    await harness.log.compact('shop');
    harness.start([names]);
    await harness.caughtUp();
    const expected = [
      { id: '1', name: 'Ada L' },
      { id: '3', name: 'Cid' },
    ];
    expect(await harness.rows('people_names')).toEqual(expected);
    await harness.stop();
    await rm(join(harness.directory, 'views'), { recursive: true });
    harness.start([names]);
    await harness.caughtUp();
    expect(await harness.rows('people_names')).toEqual(expected);
    expect((await harness.commits()).flatMap(({ changes }) => changes)).toHaveLength(5);
  });

  it('keeps its state when a table gets a column that no view reads', async () => {
    const column = { ...people.columns[1], id: 9, name: 'added' } as Column;
    const wider = { ...people, columns: [...people.columns, column] };
    const other = { ...people, columns: people.columns.map((one) => (one.name === 'name' ? { ...one, id: 9 } : one)) };
    const joined = { name: 'joined', sql: 'SELECT p.name, v.place FROM people p JOIN visits v ON v.person = p.id' };
    const found: Record<string, string>[] = [];
    for (const one of [people, wider, other]) {
      harness = await StageHarness.create(one, visits);
      found.push(fingerprints(harness.options([joined, names])));
      await harness.close();
    }
    const [first, second, third] = found;
    expect(second).toEqual(first);
    expect(third).not.toEqual(first);
  });

  it('does not put a wrong answer where a column was that is gone', async () => {
    await start(names);
    const without = table('shop.public.people', { id: 'int8', years: 'int4' });
    const dropped = {
      ...without,
      columns: without.columns.map((column, index) => ({ ...column, id: index === 0 ? 1 : 9 })),
    };
    feed.upsert(dropped, { id: '1', years: '3' }).commit();
    await expect(harness.failure()).resolves.toMatchObject({
      code: 'VIEW_FAILED',
      message: 'a view uses column name of shop.public.people, which the table no longer has',
    });
    expect(await harness.rows('people_names')).toHaveLength(2);
  });
});
