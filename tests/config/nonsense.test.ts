import { expect, test } from 'vitest';
import { findingsOf } from '../../config/findings.ts';
import { loadConfig, parseConfig } from '../../config/load.ts';

const good = `version: 1
name: shop
sources:
  shop: { type: postgres, url: "postgres://app@db.example/shop", tables: [public.orders] }
`;

function mistakes(text: string): string[] {
  try {
    parseConfig(text, '/etc/tidemark.yaml', {});
    return [];
  } catch (error) {
    return findingsOf(error).map(({ line, column, message }) => `${line}:${column}: ${message}`);
  }
}

const source = (rest: string): string[] => mistakes(good.replace(' tables:', ` ${rest}, tables:`));

test.each(['0s', '0ms', '99ms', '25h', '999999999h'])(
  'a heartbeat of %s, which no timer keeps, is refused',
  (heartbeat) => {
    expect(source(`heartbeat: ${heartbeat}`)).toEqual([
      expect.stringMatching(/^4:\d+: 'heartbeat' is from 100ms to 24h; /),
    ]);
  },
);

test.each(['-1s', '1e3s', '10 s', '٣s', '1.5h', '9999999999s', '1d'])('%s is no duration', (heartbeat) => {
  expect(source(`heartbeat: ${heartbeat}`)).toEqual([expect.stringMatching(/^4:\d+: a duration is a whole number/)]);
});

test.each(['99999999999999999999', '1e400', '-1', '-0.5', '.nan', '.inf', '0x1FFFF', '"7070"', '70_70', 'null'])(
  'a port of %s is refused where it stands',
  (port) => {
    expect(mistakes(`${good}http: { port: ${port} }\n`)).toEqual([expect.stringMatching(/^5:(9|15): 'port' /)]);
  },
);

test('anchors are followed, and merge keys are told to be unknown', () => {
  const shared =
    'sinks:\n  a: { type: ndjson, path: "-", from: &t orders }\n  b: { type: ndjson, path: b, from: *t }\n';
  expect(mistakes(good + shared)).toEqual([]);
  const merged =
    'sinks:\n  a: &a { type: ndjson, path: a, from: orders }\n  b: { <<: *a, path: b, type: ndjson, from: orders }\n';
  expect(mistakes(good + merged)).toEqual(['7:8: merge keys are no part of YAML 1.2; write the keys out']);
});

test('the character NUL is in no name', () => {
  for (const text of [
    'tables: ["public.a\\0b"]',
    'tables: [{ name: public.a, key: ["a\\0"] }]',
    'tables: [{ name: public.a, where: "\\0" }]',
  ]) {
    expect(mistakes(good.replace('tables: [public.orders]', text)), text).toHaveLength(1);
  }
  expect(source('publication: "a\\0b"')).toHaveLength(1);
  expect(mistakes(`${good}data_dir: "a\\0b"\n`)).toEqual([expect.stringMatching(/^5:11: .*NUL/)]);
  expect(mistakes(good.replace('example/shop', 'example/a%00b'))).toHaveLength(1);
});

test('a publication is measured as PostgreSQL measures it', () => {
  expect(source(`publication: ${'é'.repeat(31)}`)).toEqual([]);
  expect(source(`publication: ${'é'.repeat(32)}`)).toEqual([expect.stringContaining('63 bytes')]);
});

test('a token that no header can carry is refused', () => {
  for (const token of ['"a b"', '"a\\nb"', 'schlüssel', '"\\0"', '""']) {
    expect(mistakes(`${good}http: { token: ${token} }\n`), token).toEqual([
      expect.stringMatching(/^5:16: a token holds/),
    ]);
  }
});

test('two sources on one server are told, however its port is written', () => {
  const second =
    '  other: { type: postgres, url: "postgres://db.example:5432/b", slot: tidemark_shop_shop, tables: [public.b] }\n';
  expect(mistakes(good + second)).toEqual([expect.stringContaining('would share one slot')]);
});

test('a file without an end is not read to it', async () => {
  await expect(loadConfig('/dev/zero', {})).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: '/dev/zero:1:1: the file is over 1 MiB; that is no configuration',
  });
});

test('a name that is empty is told as such', async () => {
  await expect(loadConfig('', {})).rejects.toMatchObject({ message: 'an empty name: there is no such file' });
});

test.each(['\ufeff', '\r\n', '--- # one\n', '%YAML 1.2\n---\n'])('a file may begin with %j', (start) => {
  expect(mistakes(start + good)).toEqual([]);
});

test('lines may end as they do on Windows, and places are still right', () => {
  expect(mistakes(`${good}nome: x\n`.replaceAll('\n', '\r\n'))).toEqual([
    expect.stringMatching(/^5:1: unknown key 'nome'/),
  ]);
});
