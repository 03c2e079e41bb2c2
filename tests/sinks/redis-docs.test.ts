import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { present } from '../../base/assert.ts';
import { parseConfig } from '../../config/load.ts';
import type { RedisSinkConfig } from '../../config/sink-config.ts';
import type { ScalarName } from '../../model/data-type.ts';
import { describeRedis } from '../servers/redis-suite.ts';
import { Harness, caughtUp, table } from './harness.ts';
import { RedisDelivery, redisSink } from './redis-harness.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/redis.md'), 'utf8');
const customers = table('customers', { id: 'int8', name: 'text', balance: 'numeric', active: 'bool' });

/** The page's commands, each with the reply that stands below it, if there is one. */
const commands = [...page.matchAll(/```redis\n([^]*?)\n```(?:\s*```text\n([^]*?)\n```)?/g)].map(
  ([, command = '', reply]) => ({ command: command.split(' '), reply }),
);
const yaml = /```yaml\n([^]*?)```/.exec(page)?.[1] ?? '';

describeRedis('docs/redis.md', {}, (suite) => {
  let harness: Harness;
  let client: Redis;
  let delivery: RedisDelivery | null = null;
  beforeEach(async () => {
    harness = await Harness.create();
    client = suite.client();
    await client.flushall();
  });
  afterEach(async () => {
    await delivery?.stop();
    delivery = null;
    await harness.close();
    client.disconnect();
  });

  it('tells what commands reply, for sinks of its file that run as the user it makes', async () => {
    const setUser = present(
      commands.find(({ command }) => command[0] === 'ACL'),
      'the command that makes the user',
    );
    await client.call('ACL', setUser.command.slice(1));
    const sinks = parseConfig(yaml, 'tidemark.yaml', {}).sinks.filter(
      (sink): sink is RedisSinkConfig => sink.type === 'redis',
    );
    expect(sinks.length).toBe(2);
    harness.feeder.upsert(customers, { id: '1', name: 'Ada Lovelace', balance: '12.50', active: 't' });
    harness.feeder.upsert(customers, { id: '2', name: 'Grace Hopper', balance: null, active: 'f' });
    harness.feeder.commitConsistent(customers);
    await harness.feeder.durable();
    const options = sinks.map(({ name, url, key, format, ttlMs, maxAtomicRows }) => {
      const here = url.replace('6379', String(suite.server.port));
      return redisSink(here, customers, { name, key, format, ttlMs, maxAtomicRows });
    });
    delivery = new RedisDelivery(harness, options, { name: 'shop' });
    await caughtUp(delivery.groups, 1);
    for (const { command, reply } of commands) {
      const [name = '', ...args] = command;
      const given = await client.call(name, args);
      if (reply === undefined) continue;
      const shown = Array.isArray(given) ? given.join('\n') : String(given);
      if (reply.endsWith('…')) expect(shown.startsWith(reply.slice(0, -1)), shown).toBe(true);
      else expect(shown).toBe(reply);
    }
  });

  it('spells keys as they are', async () => {
    const rows = [...page.matchAll(/^\| `([^`|]*\{[^`|]*\}[^`|]*)` \| (`[^|]*`) \| `([^`|]*)` \|$/gm)];
    expect(rows.length).toBe(5);
    for (const [, template = '', written = '', key = ''] of rows) {
      const values = [...written.matchAll(/`([^`]*)`/g)].map(([, value = '']) => value);
      const named = [...template.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
      const names = values.map((_, index) => named[index] ?? `column_${index}`);
      const typeOf = (name: string): ScalarName => (name === 'id' ? 'int8' : name === 'at' ? 'timestamptz' : 'text');
      const of = table(`t${template.length}`, Object.fromEntries(names.map((name) => [name, typeOf(name)])), [
        ...names.keys(),
      ]);
      harness.feeder.upsert(of, Object.fromEntries(names.map((name, index) => [name, values[index] ?? ''])));
      harness.feeder.commitConsistent(of);
      await harness.feeder.durable();
      const running = new RedisDelivery(harness, [redisSink(suite.url, of, { key: template })]);
      await caughtUp(running.groups, harness.feeder.seq);
      await running.stop();
      expect([template, await client.exists(key)]).toEqual([template, 1]);
    }
  });
});
