import { describe, expect, it } from 'vitest';
import { findingsOf } from '../../config/findings.ts';
import { parseConfig } from '../../config/load.ts';
import type { SinkConfig } from '../../config/sink-config.ts';

const head = `version: 1
name: shop
sources:
  shop: { type: postgres, url: postgres://h/shop, tables: [public.orders, { name: public.lines, key: [order_id, line_no] }, 'public.Odd'] }
views: { docs: { sql: SELECT 1 AS id, key: [id] } }
sinks:
`;

function sinksOf(...sinks: string[]): readonly SinkConfig[] {
  return parseConfig(head + sinks.map((sink) => `  ${sink}\n`).join(''), '/etc/shop/tidemark.yaml', {}).sinks;
}

/** The mistakes of a file with these sinks, each with the word at its place. */
function mistakes(...sinks: string[]): string[] {
  try {
    sinksOf(...sinks);
    return [];
  } catch (error) {
    return findingsOf(error).map(({ line, column, message }) => {
      const word = /^[^,\s]+/.exec(sinks[line - 7]?.slice(column - 3) ?? '')?.[0] ?? '';
      return `${word} ${message}`;
    });
  }
}

const redis = (rest: string): string => `a: { type: redis, url: redis://h, ${rest} }`;
const search = (rest: string): string => `a: { type: opensearch, url: http://h:9200, ${rest} }`;

describe('sinks on servers', () => {
  it('get the defaults of the documentation', () => {
    const shared = { columns: null, start: 'consistent', numbers: 'exact' };
    expect(
      sinksOf(
        'cache: { type: redis, url: redis://h, from: shop.public.orders }',
        'index: { type: elasticsearch, url: http://h:9200, from: docs }',
        'hook: { type: http, url: http://h/hook, from: orders }',
      ),
    ).toEqual([
      {
        ...shared,
        name: 'cache',
        type: 'redis',
        from: 'shop.public.orders',
        url: 'redis://h',
        key: 'orders:{*}',
        format: 'json',
        ttlMs: null,
        maxAtomicRows: 10_000,
      },
      {
        ...shared,
        name: 'index',
        type: 'elasticsearch',
        from: 'docs',
        url: 'http://h:9200',
        index: 'docs',
        mapping: null,
        settings: null,
        routing: null,
        refresh: 1_000,
      },
      { ...shared, name: 'hook', type: 'http', from: 'orders', url: 'http://h/hook', secret: null, batch: 500 },
    ]);
  });

  it('take what is written for them', () => {
    const [cache, index] = sinksOf(
      'cache: { type: redis, url: "rediss://u:p@h:6380/3", from: lines, key: "{{l}}:{order_id}:{line_no}", format: hash, ttl: 5m, max_atomic_rows: 7, numbers: string }',
      'index: { type: opensearch, url: "https://u:p@h", from: orders, index: shop-orders, mapping: { name: { type: text } }, settings: { number_of_replicas: 0 }, routing: tenant, refresh: 2s }',
    );
    expect(cache).toMatchObject({ format: 'hash', ttlMs: 300_000, maxAtomicRows: 7, numbers: 'string' });
    expect(index).toMatchObject({
      index: 'shop-orders',
      mapping: { name: { type: 'text' } },
      settings: { number_of_replicas: 0 },
      routing: 'tenant',
      refresh: 2_000,
    });
  });

  it.each([
    [redis('from: orders, url: x').replace('url: redis://h, ', ''), 'x this is no URL of Redis; write redis://'],
    ['a: { type: redis, url: redis://h/users, from: orders }', 'redis://h/users this is no URL of Redis'],
    ['a: { type: http, url: "ftp://h", from: orders }', '"ftp://h" this is no URL of a web server; write http'],
    [redis('from: orders, key: "o:{id"'), '"o:{id" braces enclose the name of a column'],
    [redis('from: orders, key: orders'), 'orders all rows would go under one key'],
    [
      redis('from: lines, key: "l:{order_id}"'),
      '"l:{order_id}" rows that differ in line_no alone would share a key; add',
    ],
    [
      redis('from: docs, key: "d:{name}"'),
      '"d:{name}" {name} is no part of the key, and deletes tell the key alone; write {id}',
    ],
    [
      redis('from: orders, key: "o:{idd}", columns: { id: order_id }'),
      '"o:{idd}" the sink has no column {idd}; write {id}',
    ],
    [redis('from: orders, ttl: 60'), "60 'ttl' must be a text, not a number; add a unit"],
    [redis('from: orders, ttl: 5ms'), "5ms 'ttl' is from 1s"],
    [redis('from: orders, max_atomic_rows: 0'), "0 'max_atomic_rows' must be at least 1"],
    [search('from: orders, index: Orders'), 'Orders an index is named in small letters'],
    [search('from: Odd'), "Odd no index can have the name 'Odd'; add one that can: index: odd"],
    [search('from: orders, refresh: often'), "often 'refresh' is commit, engine, or a duration"],
    [search('from: orders, columns: [id, name], routing: nam'), 'nam the sink has no column of this name; write name'],
    [
      search('from: orders, columns: [id], mapping: { nam: { type: text } }'),
      'nam: the sink has no column of this name',
    ],
    [search('from: orders, mapping: { properties: { a: {} } }'), "properties: write the fields right under 'mapping'"],
    [search('from: orders, format: json'), "format: unknown key 'format'"],
  ])('have their mistakes told: %s', (sink, message) => {
    expect(mistakes(sink)).toEqual([expect.stringContaining(message)]);
  });

  it('do not share keys or an index', () => {
    const other = (text: string): string => text.replace('a:', 'b:');
    expect(mistakes(redis('from: orders, key: "o:{id}"'), other(redis('from: orders, key: "o:{*}"')))).toEqual([
      expect.stringMatching(/^key: sinks 'a' and 'b' would write to the same place; give each its own 'key'/),
    ]);
    expect(mistakes(redis('from: orders, key: "o:{id}"'), other(redis('from: orders, key: "p:{id}"')))).toEqual([]);
    expect(mistakes(search('from: orders'), other(search('from: docs, index: orders')))).toEqual([
      expect.stringMatching(/^index: sinks 'a' and 'b' would write to the same place; give each its own 'index'/),
    ]);
    expect(
      mistakes(
        'a: { type: redis, url: redis://h:6379/0, from: orders }',
        'b: { type: redis, url: redis://h/1, from: orders }',
      ),
    ).toEqual([]);
  });

  it('log in to one Redis in one way, by whatever name it is called', () => {
    const own = 'a: { type: redis, url: redis://localhost:6379, from: orders }';
    const others = ['redis://u:p@127.0.0.1', 'rediss://127.0.0.1:6379/0', 'redis://127.0.0.1/1', 'redis://127.0.0.1'];
    const told = others.map((url) => mistakes(own, `b: { type: redis, url: "${url}", from: docs }`).length);
    expect(told).toEqual([1, 1, 0, 0]);
    expect(mistakes(own, 'b: { type: redis, url: redis://127.0.0.1/0, from: orders }')).toEqual([
      expect.stringContaining("'a' and 'b' would write to the same place"),
    ]);
  });

  it('sign requests with a key that is one', () => {
    const hook = (secret: string): string => `a: { type: http, url: "http://h", from: orders, secret: "${secret}" }`;
    expect(mistakes(hook('whsec_!!!'))).toEqual([expect.stringContaining('what follows whsec_ is no key in Base64')]);
    expect(mistakes(hook('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'))).toEqual([]);
    expect(mistakes(hook('what was agreed upon'))).toEqual([]);
  });
});
