import fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Plan } from '../../../views/plan/plan.ts';
import { DiskStore } from '../../../views/state/disk.ts';
import type { Row } from '../../../views/value.ts';
import { changesOf, holds, holdsAfterBuild } from './maintenance.ts';
import * as plans from './plans.ts';
import { aggregate, aggregateCall, all, by, call, ref, scan } from './plans.ts';

const small = fc.option(fc.integer({ min: 0, max: 3 }), { freq: 6 });
const row: fc.Arbitrary<Row> = fc.tuple(small, small, fc.integer({ min: -2, max: 6 }));
const columns = { a: 'int4', b: 'int4', c: 'int4' } as const;

/** What each way of keeping state is used for; the operators themselves are tested over memory. */
const cases: Record<string, () => Plan> = {
  'a full join on an equality and more': () => {
    const [l, r] = [scan('left', columns), scan('right', columns)];
    const condition = all(call('=', ref(l, 'a'), ref(r, 'b')), call('<', ref(l, 'c'), ref(r, 'c')));
    return plans.join('full', l, r, condition);
  },
  'aggregates of every kind': () => {
    const input = scan('left', columns);
    return aggregate(input, ['a'], {
      n: aggregateCall('count', []),
      s: aggregateCall('sum', [ref(input, 'b')]),
      d: aggregateCall('count', [ref(input, 'b')], { distinct: true }),
      low: aggregateCall('min', [ref(input, 'c')]),
      items: aggregateCall('list', [ref(input, 'b')], { order: [by(ref(input, 'c'), true)] }),
    });
  },
  'the top of each': () => {
    const input = scan('left', columns);
    return plans.topN(input, { partition: ['a'], order: [by(ref(input, 'c'), true)], limit: 2, offset: 1 });
  },
  'an aggregate over a difference': () => {
    const [l, r] = [scan('left', columns), scan('right', columns)];
    const difference = plans.setDifference('except', true, l, r);
    return aggregate(difference, [], { n: aggregateCall('count', []) });
  },
};

describe('operators over LMDB', () => {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tidemark-operators-'));
  });
  afterAll(async () => rm(directory, { recursive: true, force: true }));

  let opened = 0;
  for (const [name, make] of Object.entries(cases)) {
    it(`give what the batch definition gives: ${name}`, async () => {
      await fc.assert(
        fc.asyncProperty(changesOf({ left: row, right: row }), async (batches) => {
          const path = join(directory, String(opened++));
          const store = await DiskStore.open({ path, cacheBytes: 1, dirtyMax: 4 });
          try {
            holds(plans.view('v', make()), batches, store);
          } finally {
            await store.close();
            await rm(path, { recursive: true, force: true });
          }
        }),
        { numRuns: 25 },
      );
    });

    it(`give it from a state that was built at once: ${name}`, async () => {
      await fc.assert(
        fc.asyncProperty(changesOf({ left: row, right: row }), async (batches) => {
          const path = join(directory, String(opened++));
          const store = await DiskStore.open({ path, cacheBytes: 1, dirtyMax: 4 });
          try {
            await holdsAfterBuild(plans.view('v', make()), batches, store, `${path}-sorting`);
          } finally {
            await store.close();
            await rm(path, { recursive: true, force: true });
          }
        }),
        { numRuns: 25 },
      );
    });
  }
});
