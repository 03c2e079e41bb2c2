import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../config/load.ts';
import type { HttpSinkOptions } from '../../sinks/options.ts';
import { Harness, caughtUp, table } from './harness.ts';
import { Receiver, ok } from './http-receiver.ts';
import type { RequestBody } from './http-receiver.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/http-sink.md'), 'utf8');
const orders = table('orders', { id: 'int8', customer: 'text', total: 'numeric' });

function blocks(language: string): string[] {
  return [...page.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, 'g'))].map(([, code]) => code ?? '');
}

/** A block of the page as a module. */
async function load(code: string): Promise<Record<string, unknown>> {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-docs-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'snippet.ts');
  writeFileSync(file, `${code}\nexport const held = typeof rows === 'undefined' ? null : rows;\n`);
  return (await import(/* @vite-ignore */ pathToFileURL(file).href)) as Record<string, unknown>;
}

async function setUp(
  changes: Partial<HttpSinkOptions> = {},
): Promise<{ harness: Harness; receiver: Receiver; sink: HttpSinkOptions }> {
  const harness = await Harness.create();
  const receiver = await Receiver.start();
  onTestFinished(async () => {
    await harness.close();
    await receiver.stop();
  });
  const sink: HttpSinkOptions = {
    name: 'hook',
    type: 'http',
    url: receiver.url,
    secret: null,
    batch: 500,
    from: orders.topic,
    start: 'consistent',
    ...changes,
  };
  return { harness, receiver, sink };
}

test('the configuration of docs/http-sink.md is accepted', () => {
  const config = parseConfig(blocks('yaml')[0] ?? '', 'tidemark.yaml', { HOOK_SECRET: 'x' });
  expect(config.sinks).toMatchObject([{ type: 'http', secret: 'x', batch: 500 }]);
});

test('the request of docs/http-sink.md is what is sent', async () => {
  const { harness, receiver, sink } = await setUp();
  harness.feeder.upsert(orders, { id: '1', customer: 'Ada', total: '12.50' }).commitConsistent(orders);
  await harness.feeder.durable();
  const groups = harness.run([sink]);
  await caughtUp(groups, 1);
  harness.feeder.upsert(orders, { id: '2', customer: 'Grace', total: '7' });
  harness.feeder.delete(orders, { id: '1' }).commit();
  await caughtUp(groups, 2);
  expect(receiver.received[1]?.text).toBe(blocks('json')[0]?.trim());
});

test('an endpoint written as docs/http-sink.md has it holds each row once, after requests that came twice and in parts', async () => {
  const snippet = await load(blocks('ts')[0] ?? '');
  const take = snippet['take'] as (body: RequestBody) => void;
  const { harness, receiver, sink } = await setUp({ batch: 3 });
  receiver.behave = ({ body }, index) => {
    take(body);
    return index % 3 < 2 ? 'lost' : ok;
  };
  const { feeder } = harness;
  for (let id = 1; id <= 7; id++) feeder.upsert(orders, { id: String(id), customer: 'Ada', total: '1' });
  feeder.commitConsistent(orders);
  for (let id = 1; id <= 5; id++) {
    feeder.upsert(orders, { id: String(id), customer: 'Bob', total: '2' }, 'update').commit();
    feeder
      .delete(orders, { id: String(id) })
      .upsert(orders, { id: String(id + 10), customer: 'Cyd', total: '3' })
      .commit();
  }
  for (let id = 30; id < 38; id++) feeder.upsert(orders, { id: String(id), customer: 'Dan', total: '4' });
  feeder.commit();
  await feeder.durable();
  await caughtUp(harness.run([sink]), feeder.seq);
  const held = snippet['held'] as Map<number, { customer: string }>;
  const expected = ['Ada', 'Ada', ...Array.from({ length: 5 }, () => 'Cyd'), ...Array.from({ length: 8 }, () => 'Dan')];
  const names = [...held].toSorted(([a], [b]) => a - b).map(([, row]) => row.customer);
  expect(names).toEqual(expected);
});

test('the check of signatures of docs/http-sink.md takes ours, and nothing that was changed', async () => {
  const { isGenuine } = (await load(blocks('ts')[1] ?? '')) as {
    isGenuine: (headers: Record<string, unknown>, body: Buffer, secret: string) => boolean;
  };
  const { harness, receiver, sink } = await setUp({ secret: 'a secret' });
  harness.feeder.upsert(orders, { id: '1', customer: 'Ada', total: '1' }).commitConsistent(orders);
  await harness.feeder.durable();
  await caughtUp(harness.run([sink]), 1);
  const { headers, text } = receiver.received[0] ?? expect.fail('no request');
  expect(isGenuine(headers, Buffer.from(text), 'a secret')).toBe(true);
  expect(isGenuine(headers, Buffer.from(`${text} `), 'a secret')).toBe(false);
  expect(isGenuine(headers, Buffer.from(text), 'another')).toBe(false);
  const old = { ...headers, 'webhook-timestamp': String(Number(headers['webhook-timestamp']) - 301) };
  expect(isGenuine(old, Buffer.from(text), 'a secret')).toBe(false);
  expect(isGenuine({}, Buffer.from(text), 'a secret')).toBe(false);
});
