import { existsSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Stage } from '../../../views/port.ts';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import { until } from '../../cli/harness.ts';
import { StageHarness, table } from './harness.ts';
import type { Feeder, ViewText } from './harness.ts';

const people = table('shop.public.people', { id: 'int8', name: 'text', age: 'int4' });
const visits = table('shop.public.visits', { person: 'int8', place: 'text' }, []);
const names: ViewText = { name: 'people_names', key: ['id'], sql: 'SELECT id, name FROM people' };
const adults: ViewText = { ...names, sql: 'SELECT name || age::text AS name, age, id FROM people WHERE age > 18' };
const unchanged: ViewText = { name: 'ages', key: ['id'], sql: 'SELECT id, age FROM people' };
/** A table that has not been read yet: with this view, nothing is published before it has. */
const waiting: ViewText = { name: 'places', sql: 'SELECT place FROM visits' };

function row(stage: Stage, view: string, key: string): unknown {
  try {
    const { seq, row: found } = stage.lookup(view, [key]);
    return [seq, found];
  } catch (error) {
    return error instanceof Error ? error.message : error;
  }
}

describe('look-ups while a changed view is made anew', () => {
  let harness: StageHarness;
  let feed: Feeder;
  beforeAll(loadSqlParser);
  afterEach(async () => harness.close());

  const old = (): string => join(harness.directory, 'views', 'state-old');

  async function published(): Promise<void> {
    harness = await StageHarness.create(people, visits);
    feed = await harness.feeder('shop');
    feed.upsert(people, { id: '1', name: 'Ada', age: '36' }).upsert(people, { id: '2', name: 'Bob', age: '17' });
    feed.commitConsistent(people);
    harness.start([names, unchanged]);
    await harness.caughtUp();
  }

  it('find what is published, until the new results take its place in one commit', async () => {
    await published();
    await harness.stop();
    let stage = harness.start([adults, unchanged, waiting]);
    await until('the old results can be looked up', () => Array.isArray(row(stage, 'ages', '1')));
    feed.upsert(people, { id: '1', name: 'Ada L', age: '37' }, 'update').commit();
    expect(row(stage, 'people_names', '1')).toEqual([1, '{"id":1,"name":"Ada"}']);
    expect(row(stage, 'people_names', '2')).toEqual([1, '{"id":2,"name":"Bob"}']);
    expect(row(stage, 'people_names', '3')).toEqual([1, null]);
    expect(row(stage, 'people_names', 'x')).toBe("'x' is not a bigint, as id is");
    expect(row(stage, 'ages', '1')).toEqual([1, '{"id":1,"age":36}']);
    expect(row(stage, 'places', '1')).toBe("view 'places' has no published result yet");

    // Nor are they lost by a stop on the way, and a definition that is changed again.
    await harness.stop();
    stage = harness.start([{ ...adults, sql: `${adults.sql} AND id > 0` }, unchanged, waiting]);
    await until('they still can', () => Array.isArray(row(stage, 'ages', '1')));
    expect(row(stage, 'people_names', '2')).toEqual([1, '{"id":2,"name":"Bob"}']);
    expect(existsSync(old())).toBe(true);

    feed.upsert(visits, { person: '1', place: 'Bern' }).commitConsistent(visits);
    await harness.caughtUp();
    expect(row(stage, 'people_names', '1')).toEqual([2, '{"name":"Ada L37","age":37,"id":1}']);
    expect(row(stage, 'people_names', '2')).toEqual([2, null]);
    expect(row(stage, 'ages', '1')).toEqual([2, '{"id":1,"age":37}']);
    await until('the old state is gone', () => !existsSync(old()));
    expect(await harness.commits()).toHaveLength(2);
  });

  it('find nothing where the state before was behind what was published', async () => {
    await published();
    await harness.stop();
    const state = join(harness.directory, 'views', 'state');
    await cp(state, `${state}-behind`, { recursive: true });
    harness.start([names, unchanged]);
    feed.upsert(people, { id: '1', name: 'Ada L', age: '37' }, 'update').commit();
    await harness.caughtUp();
    await harness.stop();
    await rm(state, { recursive: true });
    await cp(`${state}-behind`, state, { recursive: true });
    const stage = harness.start([adults, unchanged, waiting]);
    await until('it has begun', () => stage.engine !== null);
    expect(row(stage, 'people_names', '1')).toBe("view 'people_names' has no published result yet");
    expect(existsSync(old())).toBe(false);
    feed.commitConsistent(visits);
    await harness.caughtUp();
    expect(row(stage, 'people_names', '1')).toEqual([3, '{"name":"Ada L37","age":37,"id":1}']);
  });
});
