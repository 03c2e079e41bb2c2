import fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Plan } from '../../../views/plan/plan.ts';
import { MemoryStore } from '../../../views/state/memory.ts';
import type { Row } from '../../../views/value.ts';
import { changesOf, holdsAfterBuild } from './maintenance.ts';
import * as plans from './plans.ts';
import { aggregate, aggregateCall, all, by, call, lit, ref, scan } from './plans.ts';

const small = fc.option(fc.integer({ min: 0, max: 3 }), { freq: 6 });
const row: fc.Arbitrary<Row> = fc.tuple(small, small, fc.integer({ min: -2, max: 6 }));
const columns = { a: 'int4', b: 'int4', c: 'int4' } as const;
const both = (): [ReturnType<typeof scan>, ReturnType<typeof scan>] => [scan('left', columns), scan('right', columns)];

/** One for each way in which operators are put together. */
const cases: Record<string, () => Plan> = {
  ...Object.fromEntries(
    (['inner', 'left', 'full', 'semi', 'anti'] as const).flatMap((type) => [
      [
        `${type} join`,
        () => {
          const [l, r] = both();
          return plans.join(type, l, r, call('=', ref(l, 'a'), ref(r, 'b')));
        },
      ],
      [
        `${type} join with more conditions`,
        () => {
          const [l, r] = both();
          const condition = all(call('=', ref(l, 'a'), ref(r, 'b')), call('<', ref(l, 'c'), ref(r, 'c')));
          return plans.join(type, l, r, condition);
        },
      ],
    ]),
  ),
  'rows that fail': () => {
    const [l, r] = both();
    const quotients = plans.project(l, { d: call('/', ref(l, 'c'), ref(l, 'b')), a: ref(l, 'a') });
    return plans.join('left', quotients, r, call('=', ref(quotients, 'a'), ref(r, 'b')));
  },
  'an arrangement that two joins look up': () => {
    const [l, r] = both();
    const first = plans.join('inner', l, r, call('=', ref(l, 'a'), ref(r, 'a')));
    const third = scan('right', columns);
    return plans.join('left', first, third, call('=', ref(l, 'a'), ref(third, 'a')));
  },
  'a join with its own aggregate': () => {
    const [l] = both();
    const other = scan('left', columns);
    const sums = aggregate(other, ['a'], { s: aggregateCall('sum', [ref(other, 'b')]) });
    return plans.join('inner', l, sums, call('=', ref(l, 'a'), ref(sums, 'a')));
  },
  'an aggregate of everything over values and rows': () => {
    const [l] = both();
    const values: Plan = {
      kind: 'values',
      columns: [plans.column('v', 'int4')],
      rows: [[lit(1, 'int4')], [call('/', lit(1, 'int4'), lit(0, 'int4'))]],
    };
    const union = plans.union(plans.project(l, { x: ref(l, 'a') }), values);
    return aggregate(union, [], {
      n: aggregateCall('count', []),
      d: aggregateCall('count', [ref(union, 'x')], { distinct: true }),
      items: aggregateCall('list', [ref(union, 'x')], { order: [by(ref(union, 'x'), true)] }),
    });
  },
  'groups of groups': () => {
    const [l] = both();
    const inner = aggregate(l, ['a', 'b'], { low: aggregateCall('min', [ref(l, 'c')]) });
    return aggregate(inner, ['b'], {
      items: aggregateCall('list', [ref(inner, 'low')], { order: [by(ref(inner, 'low'), false)] }),
    });
  },
  'the top of each': () => {
    const [l] = both();
    return plans.topN(l, { partition: ['a'], order: [by(ref(l, 'c'), true)], limit: 2, offset: 1 });
  },
  'a difference': () => {
    const [l, r] = both();
    return plans.setDifference('except', true, l, r);
  },
  'an intersection': () => {
    const [l, r] = both();
    return plans.setDifference('intersect', false, l, r);
  },
};

describe('a state that was built at once is that of the same rows taken step by step', () => {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tidemark-build-'));
  });
  afterAll(async () => rm(directory, { recursive: true, force: true }));

  let opened = 0;
  for (const [name, make] of Object.entries(cases)) {
    it(name, async () => {
      const property = fc.asyncProperty(changesOf({ left: row, right: row }), async (batches) =>
        holdsAfterBuild(plans.view('v', make()), batches, new MemoryStore(), join(directory, String(opened++))),
      );
      await fc.assert(property, { numRuns: 15 });
    });
  }
});
