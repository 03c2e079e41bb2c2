import { expect, onTestFinished, test } from 'vitest';
import type { Config } from '../../config/config.ts';
import { parseConfig } from '../../config/load.ts';
import { checkSinkServers } from '../../service/check-servers.ts';
import { checkSinkColumns } from '../../service/check-sink.ts';
import { Receiver } from '../sinks/http-receiver.ts';

function configOf(...sinks: string[]): Config {
  const text = `version: 1
name: shop
sources: { shop: { type: postgres, url: postgres://h/shop, tables: [public.lines] } }
sinks:
${sinks.map((sink) => `  ${sink}\n`).join('')}`;
  return parseConfig(text, '/etc/shop/tidemark.yaml', {});
}

async function results(config: Config): Promise<string[]> {
  const found: string[] = [];
  for await (const { level, subject, message } of checkSinkServers(config))
    found.push(`${level} ${subject}: ${message}`);
  return found;
}

test('check connects to what requests go to, sends nothing, and shows no password', async () => {
  const receiver = await Receiver.start();
  onTestFinished(async () => receiver.stop());
  const url = receiver.url.replace('http://', 'http://app:hunter2@');
  expect(await results(configOf(`hook: { type: http, from: lines, url: "${url}" }`))).toEqual([
    `ok hook: url: http://app:***@127.0.0.1:${receiver.port}/hook can be connected to; nothing was sent`,
  ]);
  expect(receiver.received).toEqual([]);
  await receiver.stop();
  const [refused] = await results(configOf(`hook: { type: http, from: lines, url: "${url}" }`));
  expect(refused).toMatch(
    /^error hook: url: http:\/\/app:\*\*\*@127\.0\.0\.1:\d+\/hook cannot be reached: .*ECONNREFUSED/,
  );
});

test('check says which server does not answer', async () => {
  const found = await results(configOf('cache: { type: redis, from: lines, url: "redis://:hunter2@127.0.0.1:1" }'));
  expect(found).toEqual([expect.stringMatching(/^error cache: url: .*127\.0\.0\.1:1/)]);
  expect(found.join('\n')).not.toContain('hunter2');
});

test('check holds keys, routing and mappings against the columns that the table has', () => {
  const config = configOf(
    'right: { type: redis, url: redis://h, from: lines, key: "l:{order}:{line_no}", columns: { order: order_id, line_no: line_no } }',
    'partly: { type: redis, url: redis://h, from: lines, key: "m:{order_id}" }',
    'other: { type: redis, url: redis://h, from: lines, key: "o:{*}:{sku}" }',
    'index: { type: elasticsearch, url: http://h, from: lines, routing: tenant, mapping: { sku: { type: keyword } } }',
  );
  const shape = { name: 'public.lines', columns: ['order_id', 'line_no', 'sku'], key: ['order_id', 'line_no'] };
  const found = config.sinks.flatMap((sink) => [
    ...checkSinkColumns(sink, config, new Map([['shop.public.lines', shape]])),
  ]);
  expect(found.map(({ subject, message, fix }) => `${subject}: ${message} (${fix})`)).toEqual([
    'partly: key: rows that differ in line_no alone would share a key (Write {order_id}:{line_no}, or {*} for the whole key.)',
    'other: key: sku is no part of the key of public.lines, and deletes tell the key alone (Write {order_id}:{line_no}, or {*} for the whole key.)',
    'index: index: the sink has no column tenant (It has order_id, line_no, sku.)',
  ]);
  const keyless = { ...shape, key: [] };
  const [first] = config.sinks.flatMap((sink) => [
    ...checkSinkColumns(sink, config, new Map([['shop.public.lines', keyless]])),
  ]);
  expect(first).toMatchObject({ subject: 'right: from', message: 'public.lines has no key' });
});
