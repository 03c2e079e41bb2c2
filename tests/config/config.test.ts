import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Config } from '../../config/config.ts';
import { parseDuration } from '../../config/duration.ts';
import { loadConfig, parseConfig } from '../../config/load.ts';
import { redactUrl } from '../../config/redact-url.ts';

function parse(text: string, environment: Record<string, string> = {}): Config {
  return parseConfig(text, '/etc/shop/tidemark.yaml', environment);
}

const least = `version: 1
name: My-Shop
sources: { Main: { type: postgres, url: "postgres://h/db", tables: [public.orders] } }
`;

describe('a file with only what it must have', () => {
  it('gets every default of the documentation', () => {
    expect(parse(least)).toEqual({
      file: '/etc/shop/tidemark.yaml',
      name: 'My-Shop',
      dataDirectory: '/etc/shop/data',
      sources: [
        {
          type: 'postgres',
          name: 'Main',
          url: 'postgres://h/db',
          tables: [
            {
              schema: 'public',
              table: 'orders',
              isPattern: false,
              kind: 'table',
              key: null,
              exclude: [],
              onSchemaChange: 'reread',
              where: null,
            },
          ],
          slot: 'tidemark_my_shop_main',
          publication: 'tidemark_my_shop_main',
          snapshot: { mode: 'initial', chunkRows: 20_000, parallel: 2 },
          heartbeatMs: 10_000,
          startAt: null,
          tls: { ca: null, cert: null, key: null },
        },
      ],
      log: { type: 'embedded' },
      views: [],
      sinks: [],
      http: { host: '127.0.0.1', port: 7070, token: null },
      onError: 'dead_letter',
      disk: { warn: 0.8, stop: 0.95 },
      logLevel: 'info',
    });
  });

  it('gets slots that PostgreSQL allows and that differ, from names however long', () => {
    const long = 'n'.repeat(60);
    const slots = ['a', 'b'].map((name) => {
      const [source] = parse(least.replace('My-Shop', long).replace('Main', `${name}${long}`)).sources;
      return source?.type === 'postgres' ? source.slot : '';
    });
    for (const slot of slots) expect(slot).toMatch(/^[a-z0-9_]{1,63}$/);
    expect(new Set(slots).size).toBe(2);
  });
});

describe('a whole file', () => {
  it('means what the documentation says', () => {
    const config = parse(
      `version: 1
name: shop
data_dir: /var/lib/tidemark
sources:
  shop:
    type: postgres
    url: \${URL}
    tables:
      - "sales.order_?_*"
      - public."Order.Lines"
      - { name: public.clicks, kind: stream, key: [id, at], exclude: [ip], on_schema_change: stop, where: "id > 5" }
    slot: my_slot
    publication: My Publication
    snapshot: { mode: never, chunk_rows: \${ROWS}, parallel: 4 }
    start_at: 16/b374d848
    heartbeat: 250ms
    tls: { ca: certs/ca.pem, cert: /c.pem, key: /k.pem }
log: { type: embedded }
sinks:
  search: { type: sqlite, path: search.db, from: public.clicks, table: c, search: [title], columns: { id: id, title: name }, start: eager }
  same_file: { type: sqlite, path: ./search.db, from: 'public."Order.Lines"', columns: [a, b] }
  feed: { type: ndjson, path: "-", from: shop.sales.order_1_x }
http: { host: 0.0.0.0, port: \${PORT:-0}, token: \${TOKEN} }
on_error: stop
disk: { warn: 50%, stop: 100% }
log_level: debug
`,
      { URL: 'postgres://u:p%20w@h:5433/db?sslmode=require', ROWS: '5000', TOKEN: '12345678' },
    );
    expect(config).toMatchObject({
      dataDirectory: '/var/lib/tidemark',
      http: { host: '0.0.0.0', port: 0, token: '12345678' },
      onError: 'stop',
      disk: { warn: 0.5, stop: 1 },
      logLevel: 'debug',
    });
    expect(config.sources[0]).toMatchObject({
      url: 'postgres://u:p%20w@h:5433/db?sslmode=require',
      tables: [
        { schema: 'sales', table: 'order_?_*', isPattern: true },
        { schema: 'public', table: 'Order.Lines', isPattern: false },
        { kind: 'stream', key: ['id', 'at'], exclude: ['ip'], onSchemaChange: 'stop', where: 'id > 5' },
      ],
      slot: 'my_slot',
      publication: 'My Publication',
      snapshot: { mode: 'never', chunkRows: 5000, parallel: 4 },
      startAt: '16/B374D848',
      heartbeatMs: 250,
      tls: { ca: '/etc/shop/certs/ca.pem', cert: '/c.pem', key: '/k.pem' },
    });
    expect(config.sinks).toMatchObject([
      {
        name: 'search',
        path: '/etc/shop/search.db',
        table: 'c',
        search: ['title'],
        columns: [
          { column: 'id', as: 'id' },
          { column: 'name', as: 'title' },
        ],
        start: 'eager',
      },
      {
        name: 'same_file',
        table: 'Order.Lines',
        columns: [
          { column: 'a', as: 'a' },
          { column: 'b', as: 'b' },
        ],
      },
      { name: 'feed', type: 'ndjson', path: '-', columns: null, start: 'consistent' },
    ]);
  });

  it('is read from disk, with paths relative to it and not to the working directory', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-config-'));
    try {
      await writeFile(join(folder, 'tidemark.yaml'), least);
      expect((await loadConfig(join(folder, 'tidemark.yaml'), {})).dataDirectory).toBe(join(folder, 'data'));
      await writeFile(join(folder, 'tidemark.yaml'), Buffer.from([0x6e, 0xff, 0xfe]));
      await expect(loadConfig(join(folder, 'tidemark.yaml'), {})).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining('tidemark.yaml:1:1: the file is not UTF-8 text'),
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

function dataDirectory(text: string, environment: Record<string, string> = {}): string {
  return parse(`${least}data_dir: ${text}\n`, environment).dataDirectory;
}

describe('a variable', () => {
  it('is replaced in every style of text, with its default when it is unset or empty', () => {
    expect(dataDirectory('/${A}', { A: 'x' })).toBe('/x');
    expect(dataDirectory('"/${A}/${B:-y}"', { A: 'x' })).toBe('/x/y');
    expect(dataDirectory("'/${A:-y}'", { A: '' })).toBe('/y');
    expect(dataDirectory('/${A:-a: b, [c]}')).toBe('/a: b, [c]');
    expect(dataDirectory('/a${A:-}b')).toBe('/ab');
    expect(dataDirectory('|\n  /${A}', { A: 'x' })).toMatch(/^\/x/);
  });

  it('is replaced inside brackets, where YAML gives its characters another meaning', () => {
    const text = least
      .replace('"postgres://h/db"', '${URL}')
      .replace('[public.orders]', '[public.${T:-orders}, "${U}"]');
    const [source] = parse(text, { URL: 'postgres://u@h/d', U: 'public.x' }).sources;
    expect(source).toMatchObject({ url: 'postgres://u@h/d' });
    expect(source?.tables.map(({ table }) => table)).toEqual(['orders', 'x']);
  });

  it('is text whose own characters mean nothing', () => {
    expect(dataDirectory('/${A}', { A: '${B}: [#' })).toBe('/${B}: [#');
    expect(dataDirectory('/$${A}')).toBe('/${A}');
    expect(dataDirectory('/$A')).toBe('/$A');
    expect(parse(least.replace('My-Shop', '${N}'), { N: 'yes' }).name).toBe('yes');
  });

  it('that is not set is told where it stands, each of several in one text', () => {
    expect(() => dataDirectory('"/${A}/${B}"')).toThrow(
      '/etc/shop/tidemark.yaml:4:13: the environment variable A is not set; set it, or write ${A:-default}\n' +
        '/etc/shop/tidemark.yaml:4:18: the environment variable B is not set',
    );
    expect(() => dataDirectory('/${1}')).toThrow("4:12: '${' begins no variable");
  });

  it('that is no number is told where a number is wanted', () => {
    expect(() => parse(`${least}http: { port: \${PORT} }`, { PORT: 'http' })).toThrow(
      "4:15: 'port' must be a number, not a text",
    );
  });
});

describe('a duration', () => {
  it('is a whole number with a unit', () => {
    expect(['250ms', '10s', '5m', '1h', '0s'].map(parseDuration)).toEqual([250, 10_000, 300_000, 3_600_000, 0]);
    expect(['10', 's', '1.5s', '-1s', '10 s', '10d', ''].map(parseDuration)).toEqual(Array(7).fill(null));
  });
});

describe('a URL that is shown', () => {
  it('has lost its secrets, even when it cannot be read', () => {
    expect(redactUrl('postgres://app:s3cret@h:5432/db?sslmode=require')).toBe(
      'postgres://app:***@h:5432/db?sslmode=require',
    );
    expect(redactUrl('postgres://h/db?user=a&password=s3cret&sslkey=k')).toBe(
      'postgres://h/db?user=a&password=***&sslkey=***',
    );
    expect(redactUrl('postgres://app:s3@cret@h:port/db')).toBe('postgres://***@h:port/db');
    expect(redactUrl('postgres://h/db')).toBe('postgres://h/db');
  });
});
