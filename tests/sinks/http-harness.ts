import { systemClock } from '../../base/clock.ts';
import type { Clock } from '../../base/clock.ts';
import { exchangeLimits } from '../../sinks/http/endpoint.ts';
import type { ExchangeLimits } from '../../sinks/http/endpoint.ts';
import { HttpTarget } from '../../sinks/http/http-target.ts';
import type { HttpSinkOptions } from '../../sinks/options.ts';
import { SinkGroup } from '../../sinks/sink-group.ts';
import { Sink } from '../../sinks/sink.ts';
import type { SinkDependencies } from '../../sinks/sink.ts';
import { Harness, caughtUp, table } from './harness.ts';
import { Receiver } from './http-receiver.ts';

export const orders = table('orders', { id: 'int8', customer: 'text', total: 'numeric' });

export function order(id: number, customer = 'Ada'): { id: string; customer: string; total: string } {
  return { id: String(id), customer, total: '1.50' };
}

/** A clock on which no pause is longer than 50 ms, but for that in which an endpoint has to answer. */
export function hastened(onSleep: (ms: number) => void = () => undefined, answerMs = exchangeLimits.answerMs): Clock {
  return {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic(),
    sleep: async (ms, signal) => {
      onSleep(ms);
      return systemClock.sleep(ms === answerMs ? ms : Math.min(ms, 50), signal);
    },
  };
}

type Changes = Partial<SinkDependencies> & { limits?: ExchangeLimits };

/** A log, a web server, and http sinks between them. */
export class HttpSuite {
  readonly harness: Harness;
  receiver: Receiver;
  #running: { stop: AbortController; done: Promise<void> }[] = [];

  private constructor(harness: Harness, receiver: Receiver) {
    this.harness = harness;
    this.receiver = receiver;
  }

  static async create(): Promise<HttpSuite> {
    return new HttpSuite(await Harness.create(), await Receiver.start());
  }

  async close(): Promise<void> {
    await this.stop();
    await this.receiver.stop();
    await this.harness.close();
  }

  run(changes: Partial<HttpSinkOptions> = {}, { limits = exchangeLimits, ...deps }: Changes = {}): SinkGroup {
    const options: HttpSinkOptions = {
      name: 'hook',
      type: 'http',
      url: this.receiver.url,
      secret: null,
      batch: 500,
      from: orders.topic,
      start: 'consistent',
      ...changes,
    };
    const given = this.harness.dependencies(deps);
    const group = new SinkGroup([new Sink(options, given)], new HttpTarget(options, given, limits), given);
    const control = new AbortController();
    this.#running.push({ stop: control, done: group.run(control.signal) });
    return group;
  }

  async stop(): Promise<void> {
    for (const { stop } of this.#running) stop.abort();
    for (const { done } of this.#running) await done;
    this.#running = [];
  }

  /** A sink that has had its start: one order. */
  async started(changes: Partial<HttpSinkOptions> = {}, deps: Changes = {}): Promise<SinkGroup> {
    this.harness.feeder.upsert(orders, order(1)).commitConsistent(orders);
    await this.harness.feeder.durable();
    const group = this.run(changes, deps);
    await caughtUp([group], 1);
    this.receiver.received.length = 0;
    return group;
  }

  /** Several transactions that the sink finds at once when it runs. */
  async backlog(...sizes: number[]): Promise<void> {
    let id = 100;
    for (const size of sizes) {
      for (let index = 0; index < size; index++) this.harness.feeder.upsert(orders, order(id++));
      this.harness.feeder.commit();
    }
    await this.harness.feeder.durable();
  }
}
