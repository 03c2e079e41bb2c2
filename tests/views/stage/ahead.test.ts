import { join } from 'node:path';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../../base/clock.ts';
import type { Clock } from '../../../base/clock.ts';
import type { Log } from '../../../model/log.ts';
import { vectorKey, viewsStream } from '../../../views/port.ts';
import type { PublishedVector } from '../../../views/port.ts';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import type { StateMeta } from '../../../views/stage/state-folder.ts';
import { DiskStore } from '../../../views/state/disk.ts';
import { until } from '../../servers/process.ts';
import { StageHarness, table } from './harness.ts';

const people = table('shop.public.people', { id: 'int8', name: 'text', note: 'text' });

beforeAll(loadSqlParser);

/** State ahead of the published vector is of no use after a kill: it would have to be made anew. */
it('publishes how far the inputs have come before state says so, when they change no result', async () => {
  const harness = await StageHarness.create(people);
  onTestFinished(async () => harness.close());
  const feed = await harness.feeder('shop');
  let timeMs = 0;
  const clock: Clock = {
    now: () => systemClock.now(),
    monotonic: () => timeMs,
    sleep: async (ms, signal) => systemClock.sleep(ms, signal),
  };
  const killed = { is: false };
  const stage = harness.start([{ name: 'names', key: ['id'], sql: 'SELECT id, name FROM people' }], {
    clock,
    log: withoutMarks(harness.log, killed),
  });
  feed.upsert(people, { id: '1', name: 'Ada', note: 'a' }, 'read').commitConsistent(people);
  await harness.caughtUp();
  timeMs = 990;
  feed.upsert(people, { id: '1', name: 'Ada', note: 'b' }).commit();
  await harness.caughtUp();
  timeMs = 1000;
  const last = feed.upsert(people, { id: '1', name: 'Ada', note: 'c' }).commit();
  await feed.writer.durable();
  await until('the transaction to be taken', () => stage.status()[0]?.lagSeconds === 0);
  killed.is = true;
  await harness.stop().catch((error: unknown) => expect(String(error)).toMatch(/killed/));
  const store = await DiskStore.open({ path: join(harness.directory, 'views', 'state') });
  const meta = JSON.parse(store.meta ?? '{}') as StateMeta;
  await store.close();
  const vector = JSON.parse(harness.log.state(viewsStream).get(vectorKey) ?? '{}') as PublishedVector;
  expect(last).toBe(3);
  expect(meta.sources['shop']?.seq).toBeLessThanOrEqual(vector.sources['shop']?.seq ?? 0);
});

/** A log whose marks fail once the program is killed. */
function withoutMarks(log: Log, killed: { readonly is: boolean }): Log {
  return new Proxy(log, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (name !== 'writer') return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      return async (stream: string) => {
        const writer = await target.writer(stream);
        const mark = writer.mark.bind(writer);
        writer.mark = (info) => {
          if (killed.is) throw new Error('killed');
          mark(info);
        };
        return writer;
      };
    },
  });
}
