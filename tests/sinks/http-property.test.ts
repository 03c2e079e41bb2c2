import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import type { Clock } from '../../base/clock.ts';
import { TidemarkError } from '../../base/errors.ts';
import { systemFiles } from '../../base/files.ts';
import type { File, Files } from '../../base/files.ts';
import { HttpTarget } from '../../sinks/http/http-target.ts';
import type { HttpSinkOptions } from '../../sinks/options.ts';
import { SinkGroup } from '../../sinks/sink-group.ts';
import { Sink } from '../../sinks/sink.ts';
import { Harness, caughtUp, table, until } from './harness.ts';
import { Receiver, ok } from './http-receiver.ts';
import type { Behaviour, Received } from './http-receiver.ts';

const accounts = table('accounts', { id: 'int8', balance: 'int8' });

/** What a user's endpoint does, by docs/http-sink.md alone. */
class Endpoint {
  rows = new Map<unknown, unknown>();
  seq = 0;
  readonly #keys = new Map<string, string>();
  #staged: Received['body'][] = [];

  take({ key, text, body }: Received): void {
    const before = this.#keys.get(key);
    if (before !== undefined) return expect(text, `two requests with key ${key}`).toBe(before);
    this.#keys.set(key, text);
    if (body.part !== undefined) {
      if (body.part === 1) this.#staged = [];
      expect(body.part).toBe(this.#staged.length + 1);
      this.#staged.push(body);
      if (body.last !== true) return;
    }
    const bodies = body.part === undefined ? [body] : this.#staged;
    if (body.snapshot === true) this.rows.clear();
    const from = body.snapshot === true ? -1 : this.seq;
    for (const change of bodies.flatMap(({ changes }) => changes)) {
      if (change.seq <= from) continue;
      if (change.op === 'delete') this.rows.delete(change.key['id']);
      else this.rows.set(change.key['id'], change.doc?.['balance']);
    }
    expect(body.seq).toBeGreaterThanOrEqual(this.seq);
    this.seq = body.seq;
  }
}

/** Files that refuse everything once their process has been killed. */
function mortal(): Files & { kill(): void } {
  let dead = false;
  const check = (): void => {
    if (dead) throw new TidemarkError('INTERNAL', 'killed');
  };
  const guard = <T extends object>(over: T): T =>
    new Proxy(over, {
      get: (of, name) => {
        const method: unknown = Reflect.get(of, name);
        if (typeof method !== 'function') return method;
        return async (...args: unknown[]) => {
          if (name !== 'close') check();
          const result: unknown = await Reflect.apply(method, of, args);
          return name === 'open' ? guard(result as File) : result;
        };
      },
    });
  return Object.assign(guard({ ...systemFiles }), { kill: () => void (dead = true) });
}

const hurried: Clock = {
  now: () => systemClock.now(),
  monotonic: () => systemClock.monotonic(),
  sleep: async (ms, signal) => systemClock.sleep(Math.min(ms, 2_000) / 20, signal),
};

/** Transactions that become durable together, each of moves from one account to another. */
type Step =
  | { readonly transactions: readonly (readonly (readonly [number, number])[])[] }
  | 'next request'
  | 'restart'
  | 'kill'
  | 'smaller requests';
const moves = fc.array(fc.tuple(fc.nat(9), fc.nat(9)), { minLength: 1, maxLength: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ transactions: fc.array(moves, { minLength: 1, maxLength: 5 }) }) },
  { weight: 6, arbitrary: fc.constant<Step>('next request') },
  { weight: 3, arbitrary: fc.constantFrom<Step>('restart', 'kill', 'kill', 'smaller requests') },
);
const behaviour = fc.constantFrom<Behaviour>(ok, ok, ok, ok, { status: 503 }, { status: 429 }, 'cut', 'lost', 'half');

function sumOf(rows: ReadonlyMap<unknown, unknown>): number {
  return [...rows.values()].reduce<number>((sum, balance) => sum + Number(balance), 0);
}

test('an endpoint that does what the documentation says holds each commit as it was, whatever happens on the way', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 40, size: 'max' }),
      fc.array(behaviour, { minLength: 1 }),
      async (steps, behaviours) => {
        const harness = await Harness.create();
        const receiver = await Receiver.start();
        try {
          await play(harness, receiver, steps, behaviours);
        } finally {
          await receiver.stop();
          await harness.close();
        }
      },
    ),
    { numRuns: 12, endOnFailure: true },
  );
});

async function play(
  harness: Harness,
  receiver: Receiver,
  steps: readonly Step[],
  behaviours: readonly Behaviour[],
): Promise<void> {
  const endpoint = new Endpoint();
  const failures: unknown[] = [];
  const keys = new Map<number, string>();
  receiver.behave = (request, index) => {
    for (const { seq } of request.body.part === undefined ? request.body.changes : []) {
      const before = keys.get(seq) ?? request.key;
      if (before !== request.key) failures.push(`transaction ${seq} came with key ${before} and with ${request.key}`);
      keys.set(seq, before);
    }
    // Something has to get through in the end.
    const chosen = (index % 7 === 6 ? undefined : behaviours[index % behaviours.length]) ?? ok;
    if (typeof chosen === 'object' ? chosen.status >= 300 : chosen === 'cut') return chosen;
    try {
      endpoint.take(request);
      expect(sumOf(endpoint.rows), request.text).toBe(0);
    } catch (error) {
      failures.push(error);
    }
    return chosen;
  };
  const { feeder } = harness;
  const balances = Array.from({ length: 10 }, () => 0);
  for (const id of balances.keys()) feeder.upsert(accounts, { id: String(id), balance: '0' });
  feeder.commitConsistent(accounts);
  let batch = 30;
  let running = run(harness, receiver.url, batch);
  for (const each of steps) {
    if (typeof each === 'object') {
      for (const transaction of each.transactions) {
        for (const [from, to] of transaction) {
          balances[from] = (balances[from] ?? 0) - 1;
          balances[to] = (balances[to] ?? 0) + 1;
          for (const id of [from, to]) {
            feeder.upsert(accounts, { id: String(id), balance: String(balances[id]) }, 'update');
          }
        }
        feeder.commit();
      }
      await feeder.durable();
    } else if (each === 'next request') {
      const { length } = receiver.received;
      const isDone = (): boolean => running.group.status()[0]?.seq === feeder.seq;
      await until('a request comes', () => receiver.received.length > length || isDone());
    } else {
      await running.end(each === 'kill');
      if (each === 'smaller requests') {
        batch = Math.max(1, batch - 9);
        keys.clear();
      }
      running = run(harness, receiver.url, batch);
    }
  }
  await caughtUp([running.group], feeder.seq);
  await running.end(false);
  expect(failures).toEqual([]);
  expect([...endpoint.rows].toSorted(([a], [b]) => Number(a) - Number(b)).map(([, balance]) => balance)).toEqual(
    balances,
  );
}

function run(
  harness: Harness,
  url: string,
  batch: number,
): { group: SinkGroup; end: (kill: boolean) => Promise<void> } {
  const files = mortal();
  const deps = harness.dependencies({ files, clock: hurried });
  const member: HttpSinkOptions = {
    name: 'hook',
    type: 'http',
    url,
    secret: null,
    batch,
    from: accounts.topic,
    start: 'consistent',
  };
  const group = new SinkGroup([new Sink(member, deps)], new HttpTarget(member, deps), deps);
  const control = new AbortController();
  const done = group.run(control.signal);
  const end = async (kill: boolean): Promise<void> => {
    if (kill) files.kill();
    control.abort();
    await done;
  };
  return { group, end };
}
