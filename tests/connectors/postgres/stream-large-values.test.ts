import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, it, describe, onTestFinished } from 'vitest';
import { LargeValueStore } from '../../../connectors/postgres/large-values.ts';

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'tidemark-large-'));
  onTestFinished(async () => rm(path, { recursive: true, force: true }));
  return path;
}

type Step =
  | { readonly do: 'put'; readonly key: number; readonly sizes: readonly (number | null)[] }
  | { readonly do: 'commit' | 'abort' | 'settle' | 'crash' | 'relieve' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      key: fc.integer({ min: 0, max: 5 }),
      sizes: fc.array(fc.option(fc.integer({ min: 0, max: 3_000 })), { maxLength: 4 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('commit' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('abort' as const, 'settle' as const, 'relieve' as const, 'crash' as const),
    }),
  },
);

/** Keys short, empty and longer than LMDB takes. */
const keys = [
  Buffer.from('a'),
  Buffer.alloc(0),
  Buffer.alloc(600, 7),
  Buffer.alloc(600, 8),
  Buffer.from([0]),
  Buffer.from('é\0'),
];
const topics = ['shop.public.a', 'shop.public.b'];

type Model = Map<string, ReadonlyMap<number, string | null>>;

class Expected {
  /** What the newest durable state of the store on disk must hold at least, by transaction. */
  readonly durable: Model = new Map();
  committed: { seq: number; entries: Model }[] = [];
  open: Model = new Map();
  seq = 0;

  visible(): Model {
    return new Map([...this.durable, ...this.committed.flatMap(({ entries }) => [...entries]), ...this.open]);
  }
}

function held(store: LargeValueStore): Model {
  const found: Model = new Map();
  for (const topic of topics) {
    for (const [index, key] of keys.entries()) {
      const values = store.get(topic, key);
      if (values === null) continue;
      found.set(
        `${topic} ${index}`,
        new Map([...values].map(([id, value]) => [id, value === null ? null : value.toString('latin1')])),
      );
    }
  }
  return found;
}

function sorted(model: Model): unknown[] {
  return [...model].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

describe('values that the stream may leave out', () => {
  it('are held as the log has them, through aborts, huge transactions and crashes', async () => {
    const path = await directory();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        const file = join(path, String(++run));
        let store = await LargeValueStore.open(file, 4_000);
        const model = new Expected();
        const settle = async (): Promise<void> => {
          await store.settle(model.seq);
          for (const { entries } of model.committed)
            for (const [name, values] of entries) model.durable.set(name, values);
          model.committed = [];
        };
        for (const [index, taken] of steps.entries()) {
          if (taken.do === 'put') {
            const topic = topics[index % 2] ?? '';
            const key = keys[taken.key] ?? Buffer.alloc(0);
            const values = taken.sizes.map(
              (size, column) => [column + 1, size === null ? null : Buffer.alloc(size, index)] as const,
            );
            store.put(topic, key, new Map(values));
            const texts = values.map(([id, value]) => [id, value === null ? null : value.toString('latin1')] as const);
            model.open.set(`${topic} ${taken.key}`, new Map(texts));
          } else if (taken.do === 'commit') {
            store.commit(++model.seq);
            model.committed.push({ seq: model.seq, entries: model.open });
            model.open = new Map();
          } else if (taken.do === 'abort') {
            await store.abort();
            model.open = new Map();
          } else if (taken.do === 'settle' || taken.do === 'relieve') {
            await settle();
            // As the decoder does: what is committed is settled first, then the open transaction makes room.
            if (taken.do === 'relieve') await store.relieve();
          } else {
            await store.close();
            store = await LargeValueStore.open(file, 4_000);
            // What was not settled is read from the log again.
            expect(sorted(held(store))).toEqual(sorted(model.durable));
            model.committed = [];
            model.open = new Map();
            model.seq = store.seq;
          }
          expect(sorted(held(store))).toEqual(sorted(model.visible()));
        }
        await store.close();
        await rm(file, { recursive: true, force: true });
      }),
      { numRuns: 40 },
    );
  });

  it('give their room back when they are settled', async () => {
    const store = await LargeValueStore.open(join(await directory(), 'store'), 10_000);
    store.put('t', Buffer.from('k'), new Map([[1, Buffer.alloc(20_000, 'x')]]));
    expect(store.isFull).toBe(true);
    await store.relieve();
    expect(store.isFull).toBe(false);
    expect(store.get('t', Buffer.from('k'))?.get(1)?.length).toBe(20_000);
    store.commit(1);
    expect(store.hasPending).toBe(true);
    await store.settle(1);
    expect(store.hasPending).toBe(false);
    expect(store.seq).toBe(1);
    expect(store.get('t', Buffer.from('k'))?.get(1)?.length).toBe(20_000);
    await store.close();
  });
});
