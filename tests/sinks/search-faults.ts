import { expect, it } from 'vitest';
import { ChangeCursor } from '../../model/change.ts';
import { ChangeSet } from '../../sinks/change-set.ts';
import type { Reply, SearchSuite } from '../servers/search-suite.ts';
import { until } from '../servers/process.ts';
import { Harness, table } from './harness.ts';
import { deadlineMs, jsonOf, SearchFixture } from './search-harness.ts';

const rows = table('rows', { id: 'int8', n: 'int8', pad: 'text' });
const pad = 'p'.repeat(200);

function row(id: number, n: number): { id: string; n: string; pad: string } {
  return { id: String(id), n: String(n), pad };
}

/** What becomes of a sink when things go wrong. */
export function faultTests(suite: SearchSuite): void {
  it('shows no reader an older row while everything is delivered once more', async () => {
    await withFixture(suite, async (fixture) => {
      for (let n = 1; n <= 60; n++) {
        for (let id = 0; id < 20; id++) fixture.feeder.upsert(rows, row(id, n), 'update');
        // Deleted, and come back, and deleted at the end.
        if (n % 7 === 0) fixture.feeder.delete(rows, row(100, n));
        else fixture.feeder.upsert(rows, row(100, n), 'update');
        if (n === 1) fixture.feeder.commitConsistent(rows);
        else fixture.feeder.commit();
      }
      fixture.feeder.delete(rows, row(100, 0)).commit();
      fixture.run();
      await fixture.searchable();
      const before = await fixture.contents();
      await fixture.stop();
      await rewind(fixture);
      const state = { done: false };
      const oldest: number[] = [];
      const reading = (async () => {
        while (!state.done) {
          const text = await fixture.source('3');
          oldest.push(text === null ? -1 : Number(JSON.parse(text).n));
        }
      })();
      fixture.run();
      await fixture.searchable();
      state.done = true;
      await reading;
      expect(Math.min(...oldest)).toBe(60);
      expect(await fixture.contents()).toEqual(before);
      expect(before.size).toBe(20);
    });
  });

  it('is exact after the engine was killed in the middle of a bulk', async () => {
    await withFixture(suite, async (fixture) => {
      fixture.feeder.upsert(rows, row(0, 0)).commitConsistent(rows);
      fixture.run();
      await fixture.searchable();
      const index = await fixture.index();
      const state = await feedMany(fixture, 20);
      await until('some of it to be written', async () => (await documentCount(fixture)) > 2_000, deadlineMs);
      await suite.server.kill();
      await until('the sink to notice', () => fixture.error() === 'SINK_FAILED', deadlineMs);
      await suite.server.start();
      await fixture.searchable();
      await expectEqual(fixture, state);
      expect(fixture.error()).toBeUndefined();
      // An engine that is still starting is not one that has lost the index.
      expect(await fixture.index()).toBe(index);
    });
  });

  it('goes on where it was after an engine that stood still, and writes what was refused for want of room', async () => {
    await withFixture(suite, async (fixture) => {
      fixture.feeder.upsert(rows, row(0, 0)).commitConsistent(rows);
      fixture.run();
      await fixture.searchable();
      const flood = await Flood.start(suite);
      const state = await feedMany(fixture, 10);
      await fixture.searchable();
      await flood.stop();
      expect(flood.refused).toBeGreaterThan(0);
      await expectEqual(fixture, state);
      expect(fixture.harness.events.filter(({ type }) => type === 'sink.retrying')).toEqual([]);
      suite.server.pause();
      fixture.feeder.upsert(rows, row(1, 99)).commit();
      suite.server.resume();
      await fixture.searchable();
      expect(JSON.parse((await fixture.source('1')) ?? '{}').n).toBe(99);
    });
  });

  it('stops the one of two writers that opened it first', async () => {
    await withFixture(suite, async (fixture) => {
      fixture.feeder.upsert(rows, row(1, 1)).commitConsistent(rows);
      fixture.run();
      await fixture.searchable();
      const other = new SearchFixture(suite, await Harness.create(), rows, {}, fixture.deployment);
      try {
        other.feeder.upsert(rows, row(1, 2)).commitConsistent(rows);
        other.run();
        await other.searchable();
        fixture.feeder.upsert(rows, row(1, 3)).commit();
        await until('the first to be stopped', () => fixture.error() === 'SINK_FENCED', deadlineMs);
        // What it had sent by then may have been taken (docs/opensearch.md); whatever the other writes now wins over it.
        other.feeder.upsert(rows, row(1, 4)).commit();
        await other.searchable();
        expect(JSON.parse((await other.source('1')) ?? '{}').n).toBe(4);
      } finally {
        await other.close();
      }
    });
  });

  it('builds anew what somebody deleted while it ran: the index, or the record of how far it is', async () => {
    await withFixture(suite, async (fixture) => {
      fixture.feeder.upsert(rows, row(1, 1)).commitConsistent(rows);
      fixture.run();
      await fixture.searchable();
      const first = await fixture.index();
      await suite.request('DELETE', `/${first}`);
      fixture.feeder.upsert(rows, row(2, 1)).commit();
      await until('another index', async () => ![first, ''].includes(await fixture.index()), deadlineMs);
      await fixture.searchable();
      expect([...(await fixture.contents()).keys()].toSorted()).toEqual(['1', '2']);
      expect((await suite.request('HEAD', `/${first}`)).status).toBe(404);
      const second = await fixture.index();
      await suite.request('DELETE', `/.tidemark-${fixture.deployment}`);
      fixture.feeder.upsert(rows, row(3, 1)).commit();
      await until('a third index', async () => ![second, ''].includes(await fixture.index()), deadlineMs);
      await fixture.searchable();
      expect([...(await fixture.contents()).keys()].toSorted()).toEqual(['1', '2', '3']);
    });
  });

  it('goes on with a rebuild that was cut off, and completes a swap that was', async () => {
    await withFixture(suite, async (fixture) => {
      fixture.feeder.upsert(rows, row(0, 0)).commitConsistent(rows);
      const state = await feedMany(fixture, 10);
      fixture.run();
      await fixture.searchable();
      const first = await fixture.index();
      await fixture.stop();
      fixture.run();
      await fixture.group?.rebuild('search');
      await until('a copy to be begun', async () => (await recordOf(fixture)).copy?.cursor.seq > 0, deadlineMs);
      await fixture.stop();
      const { copy, visible } = await recordOf(fixture);
      fixture.run();
      await until('the swap', async () => (await fixture.index()) !== first, deadlineMs);
      await fixture.searchable();
      // Not one begun anew, unless the rebuild was quicker than the stop.
      expect(await fixture.index()).toBe((copy ?? visible).index);
      await expectEqual(fixture, state);
      await fixture.stop();

      const second = await fixture.index();
      const move = (from: string, to: string): unknown => ({
        actions: [
          { remove: { index: from, alias: fixture.options.index } },
          { add: { index: to, alias: fixture.options.index } },
        ],
      });
      await suite.request('POST', '/_aliases', move(second, first));
      await setRecord(fixture, { swapping: true });
      fixture.run();
      await until('the alias to be where it belongs', async () => (await fixture.index()) === second, deadlineMs);
      await fixture.stop();
      // Somebody who moves it by hand is not overruled.
      await setRecord(fixture, { swapping: false });
      await suite.request('POST', '/_aliases', move(second, first));
      fixture.run();
      await until('the sink to fail', () => fixture.error() === 'SINK_TARGET', deadlineMs);
      expect(await fixture.index()).toBe(first);
      await suite.request('POST', '/_aliases', move(first, second));
      await until('the sink to go on', () => fixture.error() === undefined, deadlineMs);
    });
  });

  it("leaves somebody else's index and alias alone, and says what to do", async () => {
    for (const kind of ['index', 'alias'] as const) {
      const fixture = await SearchFixture.create(suite, rows);
      const { index } = fixture.options;
      const foreign = kind === 'index' ? index : suite.name('foreign');
      const aliases = kind === 'index' ? {} : { [index]: {} };
      await suite.request('PUT', `/${foreign}`, { aliases });
      await suite.request('PUT', `/${foreign}/_doc/1?refresh=true`, { mine: true });
      try {
        fixture.feeder.upsert(rows, row(1, 1)).commitConsistent(rows);
        fixture.run();
        await until('the sink to fail', () => fixture.error() === 'SINK_TARGET', deadlineMs);
        const { body } = await suite.request('GET', `/${index}/_search`);
        expect(body.hits.hits.map((hit: { _source: unknown }) => hit._source)).toEqual([{ mine: true }]);
        await suite.request('DELETE', `/${foreign}`);
        await fixture.searchable();
        expect(await fixture.source('1')).toBe(jsonOf(rows, row(1, 1)));
      } finally {
        await fixture.close();
      }
    }
  });

  it('tells what was altered behind its back, repairs it, and lets later changes win', async () => {
    await withFixture(suite, async (fixture) => {
      for (let id = 1; id <= 50; id++) fixture.feeder.upsert(rows, row(id, 1));
      const seq = fixture.feeder.commitConsistent(rows);
      fixture.run();
      await fixture.searchable();
      const index = await fixture.index();
      // An update adds to the version, a delete takes the document, an index call without a version makes one that is nobody's.
      for (let turn = 0; turn < 3; turn++) await suite.request('POST', `/${index}/_update/7`, { doc: { n: turn } });
      await suite.request('DELETE', `/${index}/_doc/8`);
      await suite.request('PUT', `/${index}/_doc/999`, row(999, 1));
      await suite.request('POST', `/${index}/_refresh`);
      const wanted = await rowsAt(fixture, seq);
      const expected = new Map(
        fixture.target.expect('search', wanted, 0, wanted.count).map(({ key, text }) => [key, text]),
      );
      const held = await fixture.contents();
      const keys = [...new Set([...held.keys(), ...expected.keys()])].filter(
        (key) => held.get(key) !== expected.get(key),
      );
      expect(keys.toSorted()).toEqual(['7', '8', '999']);
      const plan = async (): Promise<{ rows: ChangeSet; extra: string[] }> => ({ rows: wanted, extra: ['999'] });
      for (let turn = 0; turn < 2; turn++) await fixture.group?.repair('search', plan);
      await fixture.target.makeSearchable('search');
      expect(await fixture.contents()).toEqual(expected);
      for (const id of [7, 8, 999]) fixture.feeder.upsert(rows, row(id, 5));
      fixture.feeder.commit();
      await fixture.searchable();
      for (const id of ['7', '8', '999']) expect(JSON.parse((await fixture.source(id)) ?? '{}').n).toBe(5);
    });
  });
}

async function withFixture(suite: SearchSuite, body: (fixture: SearchFixture) => Promise<void>): Promise<void> {
  const fixture = await SearchFixture.create(suite, rows);
  try {
    await body(fixture);
  } finally {
    await fixture.close();
  }
}

/** Sets the record back to the beginning: delivery hands everything over again. */
async function rewind(fixture: SearchFixture): Promise<void> {
  const { visible } = await recordOf(fixture);
  await setRecord(fixture, { visible: { ...visible, cursor: { ...visible.cursor, seq: 1 } } });
}

/** What the engine keeps of the sink. */
async function recordOf(fixture: SearchFixture): Promise<Reply['body']> {
  return (await fixture.suite.request('GET', `/.tidemark-${fixture.deployment}/_doc/search`)).body._source;
}

async function setRecord(fixture: SearchFixture, changes: Record<string, unknown>): Promise<void> {
  const changed = { ...(await recordOf(fixture)), ...changes };
  const { status } = await fixture.suite.request('PUT', `/.tidemark-${fixture.deployment}/_doc/search`, changed);
  expect(status).toBe(200);
}

/** Transactions of 1,000 changes; returns what there should be at their end. */
async function feedMany(fixture: SearchFixture, transactions: number): Promise<Map<number, number>> {
  const state = new Map<number, number>([[0, 0]]);
  for (let n = 1; n <= transactions; n++) {
    for (let change = 0; change < 1_000; change++) {
      const id = (n * 397 + change * 31) % 9_000;
      if (change % 10 === 9 && state.has(id)) {
        fixture.feeder.delete(rows, row(id, n));
        state.delete(id);
      } else {
        fixture.feeder.upsert(rows, row(id, n), 'update');
        state.set(id, n);
      }
    }
    fixture.feeder.commit();
  }
  await fixture.feeder.durable();
  return state;
}

async function expectEqual(fixture: SearchFixture, state: ReadonlyMap<number, number>): Promise<void> {
  const held = [...(await fixture.contents())].map(([key, text]) => `${key} ${JSON.parse(text).n}`);
  expect(held.toSorted()).toEqual([...state].map(([id, n]) => `${id} ${n}`).toSorted());
}

/** Documents in the index, whether searches see them or not. */
async function documentCount(fixture: SearchFixture): Promise<number> {
  const { body } = await fixture.suite.request('GET', `/${fixture.options.index}/_stats/indexing`);
  return body._all?.primaries?.indexing?.index_total ?? 0;
}

/** The rows that the log has at `seq`. */
async function rowsAt(fixture: SearchFixture, seq: number): Promise<ChangeSet> {
  const set = new ChangeSet(rows.topic);
  const record = new ChangeCursor();
  for await (const { bytes } of fixture.harness.log.rows(rows.topic, { upToSeq: seq })) {
    record.reset(Buffer.from(bytes));
    while (record.next()) set.add(record, seq, false, false);
  }
  return set;
}

/** A flood ends by itself: on a slow machine it would keep everybody out for good. */
const refusalsMax = 200;

/** Writes of somebody else's, more than the engine has room for. */
class Flood {
  refused = 0;
  #stopped = false;
  readonly #writers: Promise<void>[] = [];

  static async start(suite: SearchSuite): Promise<Flood> {
    const flood = new Flood();
    const index = suite.name('flood');
    const settings = { index: { number_of_shards: 3, number_of_replicas: 0, refresh_interval: '-1' } };
    await suite.request('PUT', `/${index}`, { settings });
    const lines = `{"index":{}}\n{"t":"${pad}"}\n`.repeat(100);
    for (let writer = 0; writer < 12; writer++) flood.#writers.push(flood.#write(suite, index, lines));
    await until('the engine to be full', () => flood.refused > 0, deadlineMs);
    return flood;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#writers);
  }

  async #write(suite: SearchSuite, index: string, lines: string): Promise<void> {
    while (!this.#stopped && this.refused < refusalsMax) {
      const { status, text } = await suite.request('POST', `/${index}/_bulk?filter_path=errors,items.*.status`, lines);
      if (status === 429 || text.includes(':429')) this.refused++;
    }
  }
}
