import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { SearchSuite } from '../servers/search-suite.ts';
import { until } from '../servers/process.ts';
import { table } from './harness.ts';
import { accountCount, accounts, feedRound, pad } from './search-accounts.ts';
import { deadlineMs, SearchFixture } from './search-harness.ts';

/** What readers see while the sink is written. */
export function readerTests(suite: SearchSuite): void {
  it('shows searches whole transactions only, and halves to those of an engine that refreshes by itself', async () => {
    const whole = await SearchFixture.create(suite, accounts, { refresh: 100 });
    const torn = await SearchFixture.create(suite, accounts, {
      refresh: 'engine',
      settings: { number_of_replicas: 0, refresh_interval: '50ms' },
    });
    try {
      const seen = await watch(whole, 12);
      expect(seen.filter(({ sum }) => sum !== 0)).toEqual([]);
      expect(seen.filter(({ low, high }) => low !== high)).toEqual([]);
      expect(new Set(seen.map(({ high }) => high)).size).toBeGreaterThan(3);
      expect(seen.map(({ high }) => high)).toEqual(seen.map(({ high }) => high).toSorted((a, b) => a - b));
      // The same eyes see halves where there are some.
      const control = await watch(torn, 12);
      expect(control.some(({ low, high }) => low !== high)).toBe(true);
    } finally {
      await whole.close();
      await torn.close();
    }
  });

  it('moves searches by nothing but its own refresh: no get, flush, full buffer or change of a mapping does', async () => {
    const name = suite.name('quiet');
    const index = `/${name}`;
    await suite.request('PUT', index, {
      settings: { index: { refresh_interval: '-1', number_of_replicas: 0, 'translog.flush_threshold_size': '1mb' } },
    });
    const write = async (from: number, count: number): Promise<void> => {
      const lines = Array.from(
        { length: count },
        (_, n) => `{"index":{"_id":"${from + n}"}}\n{"t":"${pad.repeat(5)}"}\n`,
      );
      const { body } = await suite.request('POST', `${index}/_bulk`, lines.join(''));
      expect(body.errors).toBe(false);
    };
    const count = async (): Promise<number> => {
      const { body } = await suite.request('POST', `${index}/_search`, { size: 0, track_total_hits: true });
      return body.hits.total.value;
    };
    await write(0, 10);
    await suite.request('POST', `${index}/_refresh`);
    await write(10, 10);
    expect((await suite.request('GET', `${index}/_doc/15`)).body.found).toBe(true);
    await suite.request('POST', `${index}/_flush?force=true`);
    await suite.request('POST', `${index}/_update/3`, { doc: { more: 1 } });
    await suite.request('PUT', `${index}/_mapping`, { properties: { other: { type: 'long' } } });
    await suite.request('PUT', `${index}/_settings`, { index: { 'mapping.total_fields.limit': 1_200 } });
    // Several flushes, and segments enough to be merged.
    for (let round = 0; round < 15; round++) await write(20 + round * 1_000, 1_000);
    expect(await count()).toBe(10);
    await suite.request('POST', `${index}/_refresh`);
    expect(await count()).toBe(15_020);
    await suite.request('DELETE', index);
  });

  it('swaps a rebuilt index in while readers read: never empty, never older', async () => {
    const fixture = await SearchFixture.create(suite, accounts);
    try {
      feedRound(fixture.feeder, 1);
      fixture.run();
      await fixture.searchable();
      const first = await fixture.index();
      let swapped = false;
      const watching = poll(fixture, async () => swapped);
      await fixture.group?.rebuild(fixture.options.name);
      let round = 2;
      await until(
        'the swap',
        async () => {
          feedRound(fixture.feeder, round++);
          await fixture.reached(fixture.feeder.seq);
          return (await fixture.index()) !== first;
        },
        deadlineMs,
      );
      await fixture.searchable();
      swapped = true;
      const seen = await watching;
      expect(seen.filter(({ sum, low, high, count }) => sum !== 0 || low !== high || count !== accountCount)).toEqual(
        [],
      );
      expect(seen.map(({ high }) => high)).toEqual(seen.map(({ high }) => high).toSorted((a, b) => a - b));
      expect(seen.at(-1)?.high).toBe(round - 1);
      // The index before stays, the one before that goes.
      const second = await fixture.index();
      await fixture.group?.rebuild(fixture.options.name);
      await until('the second swap', async () => ![first, second].includes(await fixture.index()), deadlineMs);
      await until('the first index to go', async () => (await suite.request('HEAD', `/${first}`)).status === 404);
      expect((await suite.request('HEAD', `/${second}`)).status).toBe(200);
    } finally {
      await fixture.close();
    }
  });

  it('shows whole transactions while the writer is killed again and again', async () => {
    const fixture = await SearchFixture.create(suite, accounts);
    // The log is the child's.
    await fixture.harness.log.close();
    let child = startChild(fixture);
    try {
      const state = { done: false };
      await nextRound(child);
      await nextRound(child);
      const watching = poll(fixture, async () => state.done);
      for (let kill = 0; kill < 4; kill++) {
        await nextRound(child);
        // It is at work on the next round.
        const gone = once(child, 'exit');
        child.kill('SIGKILL');
        await gone;
        child = startChild(fixture);
        await nextRound(child);
      }
      child.send('end');
      const last = await lastRound(child);
      state.done = true;
      const seen = await watching;
      expect(seen.filter(({ sum, low, high, count }) => sum !== 0 || low !== high || count !== accountCount)).toEqual(
        [],
      );
      expect(seen.map(({ high }) => high)).toEqual(seen.map(({ high }) => high).toSorted((a, b) => a - b));
      expect(seen.at(-1)?.high).toBe(last);
    } finally {
      child.kill('SIGKILL');
      await rm(fixture.harness.directory, { recursive: true, force: true });
    }
  });

  it('is seen from its first rows on where that is asked for', async () => {
    const rows = table('eager', { id: 'int8' });
    const fixture = await SearchFixture.create(suite, rows, { start: 'eager', refresh: 'commit' });
    try {
      fixture.feeder.upsert(rows, { id: '1' }, 'read').commit(undefined, true);
      fixture.run();
      await until('the first row', async () => (await fixture.source('1')) !== null, deadlineMs);
      expect(await fixture.find({ match_all: {} })).toEqual(['1']);
      fixture.feeder.upsert(rows, { id: '2' }, 'read').commitConsistent(rows);
      await fixture.reached(fixture.feeder.seq);
      // Refreshed before its position moves.
      expect(await fixture.find({ match_all: {} })).toEqual(['1', '2']);
    } finally {
      await fixture.close();
    }
  });
}

interface Seen {
  readonly count: number;
  readonly sum: number;
  /** Lowest and highest round that an account was changed in: one and the same in a whole state. */
  readonly low: number;
  readonly high: number;
}

/** Delivers rounds of transfers and returns what searches saw meanwhile. */
async function watch(fixture: SearchFixture, rounds: number): Promise<Seen[]> {
  feedRound(fixture.feeder, 1);
  fixture.run();
  await fixture.searchable();
  let done = false;
  const watching = poll(fixture, async () => done);
  for (let round = 2; round <= rounds; round++) {
    feedRound(fixture.feeder, round);
    await fixture.reached(fixture.feeder.seq);
  }
  await fixture.searchable();
  done = true;
  return watching;
}

async function poll(fixture: SearchFixture, isDone: () => Promise<boolean>): Promise<Seen[]> {
  const seen: Seen[] = [];
  const query = {
    size: 0,
    track_total_hits: true,
    aggs: { sum: { sum: { field: 'balance' } }, low: { min: { field: 'round' } }, high: { max: { field: 'round' } } },
  };
  for (let last = false; !last;) {
    last = await isDone();
    const path = `/${fixture.options.index}/_search?request_cache=false`;
    const { status, body, text } = await fixture.suite.request('POST', path, query);
    if (status !== 200) throw new Error(text);
    const { sum, low, high } = body.aggregations;
    seen.push({ count: body.hits.total.value, sum: sum.value, low: low.value, high: high.value });
  }
  return seen;
}

function startChild(fixture: SearchFixture): ChildProcess {
  const args = [fixture.harness.directory, JSON.stringify(fixture.options), fixture.deployment];
  return fork(join(import.meta.dirname, 'search-child.ts'), args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

/** The next round that the child has begun. */
async function nextRound(child: ChildProcess): Promise<unknown> {
  const [message] = await once(child, 'message');
  return message;
}

async function lastRound(child: ChildProcess): Promise<number> {
  for (;;) {
    const message = await nextRound(child);
    if (typeof message === 'object' && message !== null && 'last' in message) return Number(message.last);
  }
}
