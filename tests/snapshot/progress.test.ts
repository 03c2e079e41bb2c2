import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IncompleteKeys } from '../../snapshot/incomplete.ts';
import { loadJob, newJob, rangeTask, rewind, storeJob } from '../../snapshot/job.ts';
import { StateChanges } from '../../snapshot/state-changes.ts';

const text = fc.string({ unit: 'binary' });

describe('a job', () => {
  it('comes back from the log as it was put there, ready to read what was not published', () => {
    const key = fc.option(fc.array(text, { minLength: 1, maxLength: 3 }), { nil: null });
    const ranges = fc.option(fc.array(fc.record({ after: key, upTo: key }), { maxLength: 4 }), { nil: null });
    fc.assert(
      fc.property(
        fc.record({
          ranges,
          where: fc.option(text, { nil: null }),
          keyless: fc.boolean(),
          ghostsBefore: fc.option(fc.nat(), { nil: null }),
          planned: fc.boolean(),
          barrier: fc.array(fc.nat().map(String)),
          rows: fc.nat(),
          rowsEstimated: fc.nat(),
        }),
        ({ ranges: left, rows, rowsEstimated, ...options }) => {
          const job = newJob('shop.public.t', 1, options);
          job.ranges = left?.map(rangeTask) ?? null;
          job.rows = rows;
          job.rowsEstimated = rowsEstimated;
          // Read ahead of what is published: not to be remembered.
          for (const range of job.ranges ?? []) {
            range.readAfter = ['further'];
            range.waiting = 2;
            range.readToEnd = true;
          }
          const loaded = loadJob('shop.public.t', storeJob(job), 2);
          expect(loaded).toMatchObject({ topic: 'shop.public.t', startedMs: 2, rows, rowsEstimated, ...options });
          expect(loaded.ranges).toEqual(left?.map(rangeTask) ?? null);
        },
      ),
    );
  });

  it('that is rewound reads again what was read and not published, and takes what is being read for stale', () => {
    const range = {
      ...rangeTask({ after: ['1'], upTo: ['9'] }),
      readAfter: ['5'],
      readToEnd: true,
      waiting: 2,
      reading: true,
    };
    rewind(range);
    expect(range).toEqual({
      after: ['1'],
      upTo: ['9'],
      readAfter: ['1'],
      readToEnd: false,
      waiting: 0,
      reading: true,
      attempt: 1,
    });
  });
});

describe('incomplete keys', () => {
  it('are known again after a restart from what the log has kept of them', () => {
    const key = fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
    const step = fc.record({
      do: fc.constantFrom('hold' as const, 'hold' as const, 'resolve' as const, 'resolveAll' as const),
      topic: fc.constantFrom('shop.public.a', 'shop.public.b:c'),
      key,
      value: text,
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const changes = new StateChanges();
        const keys = new IncompleteKeys(changes, new Map());
        const model = new Map<string, Map<string, string>>([
          ['shop.public.a', new Map()],
          ['shop.public.b:c', new Map()],
        ]);
        const state = new Map<string, string>();
        for (const { do: what, topic, key: held, value } of steps) {
          const of = model.get(topic);
          if (what === 'hold') {
            keys.hold(topic, held, [value]);
            if (of?.has(held) === false) of.set(held, value);
          } else if (what === 'resolve') {
            keys.resolve(topic, held);
            of?.delete(held);
          } else {
            keys.resolveAll(topic);
            of?.clear();
          }
          for (const [name, stored] of Object.entries(changes.take() ?? {})) {
            if (stored === null) state.delete(name);
            else state.set(name, stored);
          }
        }
        for (const known of [keys, new IncompleteKeys(new StateChanges(), state)]) {
          for (const [topic, of] of model) {
            expect(known.has(topic)).toBe(of.size > 0);
            expect(new Map(known.some(topic, 100).map(({ key: held, values }) => [held, values[0]]))).toEqual(of);
            for (const held of of.keys()) expect(known.includes(topic, held)).toBe(true);
          }
        }
      }),
    );
  });

  it('are handed out a few at a time', () => {
    const keys = new IncompleteKeys(new StateChanges(), new Map());
    for (let index = 0; index < 10; index++) keys.hold('t', String(index), [String(index)]);
    expect(keys.some('t', 3).map(({ key }) => key)).toEqual(['0', '1', '2']);
    expect(keys.some('other', 3)).toEqual([]);
    expect(keys.topics()).toEqual(['t']);
  });
});

describe('changes of state', () => {
  it('are taken once, the newest of each name', () => {
    const changes = new StateChanges();
    expect([changes.any, changes.take()]).toEqual([false, undefined]);
    changes.set('a', '1');
    changes.set('b', '2');
    changes.set('a', null);
    expect(changes.any).toBe(true);
    expect(changes.take()).toEqual({ a: null, b: '2' });
    expect(changes.take()).toBeUndefined();
  });
});
