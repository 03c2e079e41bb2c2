import { describe, expect, it } from 'vitest';
import { findingsOf } from '../../config/findings.ts';
import { loadConfig, parseConfig } from '../../config/load.ts';

const good = `version: 1
name: shop
sources:
  shop:
    type: postgres
    url: postgres://app:s3cret@db.example/shop
    tables: [public.customers, public.orders]
sinks:
  local: { type: sqlite, path: ./search.db, from: customers }
`;

/** The mistakes of a text, as the user reads them, without the file's name. */
function mistakes(text: string, environment: Record<string, string> = {}): string[] {
  try {
    parseConfig(text, '/etc/tidemark.yaml', environment);
    return [];
  } catch (error) {
    return findingsOf(error).map(({ line, column, message }) => `${line}:${column}: ${message}`);
  }
}

/** The good file with one part replaced. */
function mistakesWith(part: string, replacement: string): string[] {
  expect(good).toContain(part);
  return mistakes(good.replace(part, replacement));
}

describe('a file with mistakes', () => {
  it('is refused with all of them at once, each at its line and column with what to write instead', () => {
    const text = `version: 1
name: shop
sources:
  shop:
    type: postgres
    url: \${SHOP_URL}
    tabels: [public.customers]
    tables: [customers]
    heartbeat: 10
sinks:
  local: { type: sqlite, path: ./search.db, from: customers, start: eagre }
http: { host: 0.0.0.0 }
`;
    expect(mistakes(text)).toEqual([
      '6:10: the environment variable SHOP_URL is not set; set it, or write ${SHOP_URL:-default}',
      "7:5: unknown key 'tabels'; write 'tables'",
      '8:14: a table is named by its schema and itself: public.orders, \'public.order_*\' or public."Order Lines"',
      "9:16: 'heartbeat' must be a text, not a number; add a unit: 10s",
      "11:69: 'start' must be one of consistent, eager; write eager",
      "12:15: an address that others can reach needs a 'token'; write token: ${TIDEMARK_TOKEN} beside it",
    ]);
  });

  it('names the file as the user wrote it, on every line, and exits with 2', () => {
    const thrown = thrownBy(() => parseConfig('version: 3\nnome: x\n', 'conf/my.yaml', {}));
    expect(thrown).toMatchObject({ code: 'CONFIG_INVALID', exitCode: 2 });
    expect(thrown.message.split('\n')).toEqual([
      "conf/my.yaml:1:1: 'name' is missing; add, for example, `name: shop`",
      'conf/my.yaml:1:1: \'sources\' is missing; add, for example, `sources: { shop: { type: postgres, url: "${DATABASE_URL}", tables: [public.orders] } }`',
      "conf/my.yaml:1:10: 'version' must be 1",
      "conf/my.yaml:2:1: unknown key 'nome'; write 'name'",
    ]);
  });

  it.each([
    [
      'a missing key',
      '    url: postgres://app:s3cret@db.example/shop\n',
      '',
      ["4:3: 'url' is missing; add, for example, `url: postgres://user:password@host:5432/database`"],
    ],
    [
      'an empty key',
      '  local: { type: sqlite, path: ./search.db, from: customers }\n',
      '',
      ["8:1: 'sinks' is empty; give it a value or remove it"],
    ],
    [
      'a key given twice',
      'name: shop\n',
      'name: shop\nname: other\n',
      ['3:1: this key is already there above; remove one of the two'],
    ],
    ['a tab', '    type: postgres', '\ttype: postgres', ['5:1: tabs cannot indent; use spaces']],
    ['an open quote', 'name: shop', 'name: "shop', [expect.stringMatching(/^\d+:\d+: /)]],
    [
      'a list that is a text',
      '[public.customers, public.orders]',
      'public.customers',
      ["7:13: 'tables' must be a list, not a text; put it in brackets: [ … ]"],
    ],
    [
      'a URL of another database',
      'postgres://app:s3cret@db.example/shop',
      'mysql://app:s3cret@db.example/shop',
      [expect.stringMatching(/^6:10: this is no PostgreSQL URL; write postgres:/)],
    ],
    [
      'a text that is a number',
      'name: shop',
      'name: 12',
      ["2:7: 'name' must be a text, not a number; put quotes around it"],
    ],
    ['a name with a dot', '  shop:\n', '  sh.op:\n', [expect.stringMatching(/^4:3: a name begins with a letter/)]],
    ['a source named views', '  shop:\n', '  views:\n', [expect.stringMatching(/^4:3: 'views' is taken/)]],
    [
      'a name that hides in JavaScript',
      'name: shop',
      '__proto__: { name: x }\nname: shop',
      ['2:1: this cannot be a key; write a name, then a colon'],
    ],
    [
      'a start position without snapshot never',
      '    tables:',
      '    start_at: 0/1\n    tables:',
      [expect.stringMatching(/^7:5: 'start_at' skips what was there/)],
    ],
    [
      'a position that is none',
      '    tables:',
      '    snapshot: { mode: never }\n    start_at: "12"\n    tables:',
      [expect.stringMatching(/^8:15: this is no PostgreSQL position/)],
    ],
    [
      'a table named twice',
      '[public.customers, public.orders]',
      '[public.customers, { name: public.customers }]',
      ['7:32: this table is already there above; remove one of the two'],
    ],
    [
      'a key column that is excluded',
      '[public.customers, public.orders]',
      '[{ name: public.customers, key: [id], exclude: [id] }]',
      ["7:46: a column of 'key' cannot be in 'exclude' too"],
    ],
    [
      'a sink of a table nobody has',
      'from: customers',
      'from: custmers',
      ['9:51: no source has this table; write customers'],
    ],
    [
      'a searched column that is not written',
      'from: customers',
      'from: customers, columns: [id], search: [name]',
      [expect.stringMatching(/^9:86: this column is not among/)],
    ],
    [
      "a column that takes the sink's own name",
      'from: customers',
      'from: customers, columns: { _seq: id }',
      [expect.stringMatching(/^9:73: '_seq' is the sink's own/)],
    ],
    [
      'a watermark above the stop',
      'name: shop',
      'name: shop\ndisk: { warn: 97% }',
      ["3:1: 'warn' must be below 'stop'"],
    ],
    [
      'a reserved table',
      'from: customers',
      'from: customers, table: _tidemark',
      [expect.stringMatching(/^9:69: tables that begin with/)],
    ],
    [
      'a certificate without its key',
      '    tables:',
      '    tls: { cert: a.pem }\n    tables:',
      ["7:5: 'cert' and 'key' belong together; give both or neither"],
    ],
  ])('tells %s at its place', (_, part, replacement, expected) => {
    expect(mistakesWith(part, replacement)).toEqual(expected);
  });

  it('tells what a later version will know from what nobody knows', () => {
    expect(mistakesWith('type: postgres', 'type: mysql\n    server_id: 5')).toEqual([
      "5:11: type 'mysql' is not supported by this version; this version has postgres, ndjson",
    ]);
    expect(mistakesWith('name: shop', 'name: shop\nlog: { type: kafka, brokers: [a] }')).toEqual([
      "3:14: type 'kafka' is not supported by this version; this version has embedded",
    ]);
  });

  it('tells a sink whose table could be one of several', () => {
    const second = '  other: { type: postgres, url: postgres://h2/x, tables: [public.customers] }\nsinks:\n';
    expect(mistakesWith('sinks:\n', second)).toEqual([
      '10:51: this could be shop.public.customers or other.public.customers; write the one that is meant',
    ]);
    expect(
      mistakes(good.replace('sinks:\n', second).replace('from: customers', 'from: other.public.customers')),
    ).toEqual([]);
  });

  it.each([
    [
      'one table of one file',
      'sqlite, path: ./search.db, table: CUSTOMERS',
      "10:35: sinks 'local' and 'two' would write to the same place; give each its own 'table'",
    ],
    [
      'one file as two kinds of file',
      'ndjson, path: search.db',
      '10:35: another sink of another type writes to this file; give each its own',
    ],
  ])('tells two sinks that write to %s', (_, sink, expected) => {
    const text = good.replace('  local:', `  local:`) + `  two:   { type: ${sink}, from: customers }\n`;
    expect(mistakes(text)).toEqual([
      expected.replace('10:35', `10:${sink.indexOf('path: ') + '  two:   { type: path: '.length + 1}`),
    ]);
  });

  it('tells two feeds to standard output, which would be mixed', () => {
    const feeds = '  a: { type: ndjson, path: "-", from: customers }\n  b: { type: ndjson, path: "-", from: orders }\n';
    expect(mistakes(good + feeds)).toEqual([
      "11:28: sinks 'a' and 'b' would write to the same place; give each its own 'path'",
    ]);
  });

  it('tells two sources whose slot would be the same one on the same server', () => {
    const text = good.replace(
      'sinks:\n',
      '  other: { type: postgres, url: postgres://db.example/b, slot: tidemark_shop_shop, tables: [public.b] }\nsinks:\n',
    );
    expect(mistakes(text)).toEqual([
      "8:58: sources 'shop' and 'other' would share one slot; give each its own 'slot' and 'publication'",
    ]);
  });

  it('says so when it is missing, empty, no mapping, not text or bent on exhausting memory', async () => {
    await expect(loadConfig('/nowhere/tidemark.yaml', {})).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: '/nowhere/tidemark.yaml: there is no such file',
    });
    await expect(loadConfig('/', {})).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(mistakes('')).toEqual(['1:1: the file is empty; `tidemark init` writes one to begin with']);
    expect(mistakes('# only a comment\n')).toHaveLength(1);
    expect(mistakes('- a\n')).toEqual(['1:1: the file must be a mapping of keys, such as `version: 1`']);
    expect(mistakes('['.repeat(20_000))).toHaveLength(1);
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x,x]',
      ...'bcdefghi'.split('').map((key, index) => `${key}: &${key} [${`*${'abcdefghi'[index] ?? 'a'},`.repeat(10)}]`),
    ];
    expect(mistakes(bomb.join('\n'))).toEqual([expect.stringContaining('its aliases multiply without end')]);
    expect(mistakes('a: &a { b: *a }')).not.toEqual([]);
  });
});

describe('a secret', () => {
  it('is in no message, wherever it was put by mistake', () => {
    const places = [
      'url: hunter22hunter22',
      'url: "postgres://app:hunter22@db:port/x"',
      'url: postgres://app:hunter22@/x',
      'hunter22 hunter22: x',
      'type: postgres://app:hunter22@db/x',
      'url postgres://app:hunter22@db/x',
      'url: "postgres://app:hunter22@db/x',
      'url: postgres://app:hunter22@db/x: 5',
      'url: [postgres://app:hunter22@db/x]',
      'url: {postgres://app:hunter22@db/x}',
      'slot: ${PASSWORD}',
      'heartbeat: ${PASSWORD}',
      'tables: [hunter22hunter22]',
      'url: !hunter22 x',
      'url: *hunter22',
    ];
    for (const place of places) {
      const text = `version: 1\nname: x\nsources:\n  s:\n    ${place}\n`;
      const { message, hint } = thrownBy(() => parseConfig(text, 'f', { PASSWORD: 'Hunter22!' }));
      expect(`${message}${hint ?? ''}`.toLowerCase(), place).not.toContain('hunter22');
    }
  });
});

function thrownBy(work: () => unknown): Error & { code: string; hint?: string } {
  try {
    work();
  } catch (error) {
    return error as Error & { code: string; hint?: string };
  }
  throw new Error('nothing was thrown');
}
