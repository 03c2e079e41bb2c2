import * as fc from 'fast-check';
import type { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { isTidemarkError } from '../../base/errors.ts';
import { createSinkGroups } from '../../sinks/create-groups.ts';
import { loadTargets } from '../../sinks/load-targets.ts';
import type { RedisSinkOptions } from '../../sinks/options.ts';
import type { SinkGroup } from '../../sinks/sink-group.ts';
import { describeRedis } from '../servers/redis-suite.ts';
import { Harness, caughtUp, table, until } from './harness.ts';

const tables = [
  table('orders', { id: 'int8', customer: 'text' }),
  table('notes', { id: 'int8', body: 'text' }),
] as const;

const change = fc.record({
  table: fc.constantFrom(0 as const, 1 as const),
  id: fc.integer({ min: 1, max: 9 }).map(String),
  value: fc.option(fc.string({ maxLength: 12 }), { nil: null, freq: 3 }),
});
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ changes: fc.array(change, { minLength: 1, maxLength: 8 }) }) },
    {
      weight: 2,
      arbitrary: fc.tuple(fc.constantFrom('pause', 'resume', 'rebuild'), fc.constantFrom('orders', 'notes')),
    },
    { weight: 1, arbitrary: fc.constantFrom('restart', 'compact', 'cut') },
  ),
  { minLength: 1, maxLength: 25 },
);
type Step = typeof steps extends fc.Arbitrary<(infer T)[]> ? T : never;

/** Delivery of which a test can let go as it likes. */
class Delivery {
  readonly #harness: Harness;
  readonly #options: readonly RedisSinkOptions[];
  groups: readonly SinkGroup[] = [];
  #stop: () => Promise<void> = async () => undefined;

  constructor(harness: Harness, options: readonly RedisSinkOptions[]) {
    this.#harness = harness;
    this.#options = options;
  }

  async start(): Promise<void> {
    const classes = await loadTargets(this.#options);
    this.groups = createSinkGroups(this.#options, this.#harness.dependencies(), classes);
    const stop = new AbortController();
    const running = this.groups.map(async (group) => group.run(stop.signal));
    this.#stop = async () => {
      stop.abort();
      await Promise.all(running);
    };
  }

  async stop(): Promise<void> {
    await this.#stop();
  }
}

describeRedis('sinks on one Redis', { persistence: 'none' }, (suite) => {
  it('equal their tables, whatever the transactions, commands, restarts and lost connections', async () => {
    const redis = suite.client();
    await fc.assert(
      fc.asyncProperty(steps, async (run) => {
        await redis.flushall();
        const harness = await Harness.create({ segmentBytes: 2048 });
        const delivery = new Delivery(harness, optionsOf(suite.url));
        try {
          await play(harness, delivery, run, redis);
        } finally {
          await delivery.stop();
          await harness.close();
        }
      }),
      { numRuns: 15, endOnFailure: true },
    );
  });
});

function optionsOf(url: string): RedisSinkOptions[] {
  const shared = { type: 'redis', url, ttlMs: null, maxAtomicRows: 10, start: 'consistent' } as const;
  return [
    { ...shared, name: 'orders', from: tables[0].topic, key: 'o:{id}', format: 'json' },
    { ...shared, name: 'notes', from: tables[1].topic, key: 'n:{*}', format: 'hash' },
  ];
}

async function play(harness: Harness, delivery: Delivery, run: readonly Step[], redis: Redis): Promise<void> {
  const { feeder, log } = harness;
  const models = [new Map<string, string>(), new Map<string, string>()] as const;
  feeder.know(...tables).commitConsistent(...tables);
  await feeder.durable();
  await delivery.start();
  for (const step of run) {
    if (Array.isArray(step)) await obey(delivery.groups, ...step);
    else if (step === 'compact') await feeder.durable().then(async () => log.compact('shop'));
    else if (step === 'cut') await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    else if (typeof step === 'string') await delivery.stop().then(async () => delivery.start());
    else commit(harness, step.changes, models);
  }
  await feeder.durable();
  for (const name of ['orders', 'notes']) await obey(delivery.groups, 'resume', name);
  await caughtUp(delivery.groups, feeder.seq);
  await until('nothing is being built', () =>
    delivery.groups.every((group) => group.status().every(({ rebuild }) => rebuild === null)),
  );
  const held = await Promise.all([
    Promise.all([...Array(9).keys()].map(async (id) => redis.get(`o:${id + 1}`))),
    Promise.all([...Array(9).keys()].map(async (id) => redis.hget(`n:${id + 1}`, 'body'))),
  ]);
  const expected = models.map((model) => [...Array(9).keys()].map((id) => model.get(String(id + 1)) ?? null));
  expect(held[0].map((row) => (row === null ? null : (JSON.parse(row) as { customer: string }).customer))).toEqual(
    expected[0],
  );
  expect(held[1]).toEqual(expected[1]);
}

function commit(
  { feeder }: Harness,
  changes: readonly { table: 0 | 1; id: string; value: string | null }[],
  models: readonly [Map<string, string>, Map<string, string>],
): void {
  for (const { table: which, id, value } of changes) {
    const column = which === 0 ? 'customer' : 'body';
    if (value !== null) feeder.upsert(tables[which], { id, [column]: value });
    else if (models[which].has(id)) feeder.delete(tables[which], { id, [column]: models[which].get(id) ?? null });
    if (value === null) models[which].delete(id);
    else models[which].set(id, value);
  }
  feeder.commit({ step: 'x' });
}

async function obey(groups: readonly SinkGroup[], what: string, name: string): Promise<void> {
  const [group] = groups;
  if (what !== 'rebuild') return group?.pause(name, what === 'pause');
  await group?.rebuild(name).catch((error: unknown) => {
    if (!isTidemarkError(error, 'SINK_PAUSED')) throw error;
  });
}
