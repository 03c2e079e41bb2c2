import { describe, expect, it } from 'vitest';
import { findingsOf } from '../../config/findings.ts';
import { parseConfig } from '../../config/load.ts';

const head = `version: 1
name: shop
data_dir: ./data
sources:
  shop:
    type: postgres
    url: postgres://app@db.example/shop
    tables: [public.orders, { name: public.lines, key: [order_id, line_no], exclude: [secret] }]
sinks:
`;

/** The mistakes of a file with these sinks, each line of which is one sink. */
function mistakes(...sinks: string[]): string[] {
  try {
    parseConfig(head + sinks.map((sink) => `  ${sink}\n`).join(''), '/etc/shop/tidemark.yaml', {});
    return [];
  } catch (error) {
    return findingsOf(error).map(({ line, column, message }) => `${line}:${column}: ${message}`);
  }
}

const sqlite = (path: string): string => `a: { type: sqlite, path: ${path}, from: orders }`;
const ndjson = (path: string): string => `a: { type: ndjson, path: ${path}, from: orders }`;
const at = (message: string): unknown => expect.stringMatching(new RegExp(`^10:28: .*${message}.*; `, 's'));

function pair(first: string, second: string, path = './a.db'): string[] {
  return mistakes(
    `a: { type: sqlite, path: ./a.db, from: orders, table: ${first} }`,
    `b: { type: sqlite, path: ${path}, from: lines, table: ${second} }`,
  );
}

function columns(rest: string, from = 'lines'): string[] {
  return mistakes(`a: { type: sqlite, path: a.db, from: ${from}, ${rest} }`);
}

describe('the path of a sink', () => {
  it.each(['.', '..', '/', './data/', './data/.', './data/..', '"  "', './data'])('is no folder: %s', (path) => {
    expect(mistakes(sqlite(path))).toEqual([at('folder')]);
    expect(mistakes(ndjson(path))).toEqual([at('folder')]);
  });

  it.each([
    ['""', 'must not be empty'],
    ['":memory:"', 'lost with the process'],
    ['file:search.db', 'URI'],
    ['"a\\0b.db"', 'NUL'],
    ['"-"', 'standard output'],
    ['tidemark.yaml', 'configuration file'],
    ['/etc', "folder of 'data_dir', or one above it"],
    [`./${'n'.repeat(250)}`, 'too long'],
  ])('is one that SQLite can make a lasting file of, which %s is not', (path, message) => {
    expect(mistakes(sqlite(path))).toEqual(expect.arrayContaining([at(message)]));
  });

  it.each([
    'log',
    'log/search.db',
    'sinks/search.db',
    'sources/shop/search.db',
    'views/x.db',
    'owner.json',
    'owner.json.new',
    'lock',
    'lock-journal',
    '../data/LOG/x.db',
  ])('is not one of the files that the service keeps in data_dir: %s', (path) => {
    expect(mistakes(sqlite(`./data/${path}`))).toEqual([at('in data_dir belongs to the service')]);
    expect(mistakes(ndjson(`./data/${path}`))).toEqual([at('in data_dir belongs to the service')]);
  });

  it('is no device, which a feed would put a file in the place of', () => {
    expect(mistakes(ndjson('/dev/null'))).toEqual([at('device')]);
    expect(mistakes(ndjson('/dev/stdout'))).toEqual([at('device')]);
    expect(mistakes(sqlite('/dev/shm/search.db'))).toEqual([]);
  });

  it.each(['./data/search.db', './data/logs/x.db', './log/x.db', './data/lock.db', '-.db', './data/..db'])(
    'may be anything else: %s',
    (path) => {
      expect(mistakes(sqlite(path))).toEqual([]);
    },
  );

  it.each([
    ['one file as two kinds of file', 'sqlite, path: ./a.db', 'ndjson, path: a.db', 'another sink of another type'],
    ['one path, one as its folder', 'sqlite, path: ./a', 'ndjson, path: ./a/b', 'one is a folder of the other'],
    ['a database and its side file', 'sqlite, path: ./a', 'ndjson, path: ./a-wal', "the name of the other's side file"],
    ['a feed and its replacement', 'ndjson, path: ./a.new', 'ndjson, path: ./a', "the name of the other's side file"],
  ])('is told where two sinks write to %s', (_, first, second, message) => {
    const sinks = [`a: { type: ${first}, from: orders }`, `b: { type: ${second}, from: lines }`];
    expect(mistakes(...sinks)).toEqual([expect.stringMatching(new RegExp(`^11:28: .*${message}.*; `))]);
    expect(mistakes(...sinks.toReversed())).toHaveLength(1);
  });
});

describe('the tables of one SQLite file', () => {
  it.each(['__new', '__new__new', '_search', '_SEARCH_Data', '_search_config', '_search_insert', '__new_search_idx'])(
    'are not what a sink makes beside its own: orders%s',
    (suffix) => {
      const told = [
        expect.stringMatching(/^11:5\d: sinks 'a' and 'b' share a file, and sink 'a' keeps .*; write another/),
      ];
      expect(pair('orders', `Orders${suffix}`)).toEqual(told);
      expect(pair(`Orders${suffix}`, 'orders')).toEqual([expect.stringContaining("sink 'b' keeps this name")]);
      expect(pair('orders', `orders${suffix}`, './b.db')).toEqual([]);
    },
  );

  it('are told from each other without regard to case, as SQLite does', () => {
    expect(pair('orders', 'ORDERS')).toEqual([expect.stringContaining("give each its own 'table'")]);
  });

  it.each(['orders_searches', 'orders_search_log', 'orders_new', 'orders__newer', 'order'])(
    'may be called %s',
    (table) => {
      expect(pair('orders', table)).toEqual([]);
    },
  );

  it('are not called what SQLite and the bookkeeping keep, by default neither', () => {
    const text =
      head.replace('public.orders', 'public._Tidemark_x') + '  a: { type: sqlite, path: a.db, from: _Tidemark_x }\n';
    expect(() => parseConfig(text, '/etc/tidemark.yaml', {})).toThrow(/:10:40: tables that begin with .* with 'table'/);
  });

  it('have a name', () => {
    expect(mistakes('a: { type: sqlite, path: a.db, from: orders, table: "" }')).toHaveLength(1);
    expect(mistakes('a: { type: sqlite, path: a.db, from: orders, table: "a\\0b" }')).toEqual([
      expect.stringMatching(/^10:55: .*NUL/),
    ]);
  });
});

describe('the columns of a sink', () => {
  it.each(['rank', 'RowId', 'orders_search', 'ORDERS__new_search'])(
    'are not searched under a name that FTS5 keeps: %s',
    (column) => {
      expect(columns(`search: [id, ${column}]`, 'orders')).toEqual([
        expect.stringMatching(/^10:61: .*keeps this name for itself; rename the column with columns: \{ /),
      ]);
    },
  );

  it('hold the key that the file names', () => {
    expect(columns('columns: [order_id, sku]')).toEqual([
      "10:47: 'columns' leaves out what the table's 'key' needs; add line_no",
    ]);
    expect(columns('columns: { a: order_id, b: line_no }')).toEqual([]);
    expect(columns('columns: [sku]', 'orders')).toEqual([]);
  });

  it('are not those that the file leaves out', () => {
    expect(columns('columns: [order_id, line_no, secret]')).toEqual([
      expect.stringMatching(/^10:76: this column is in 'exclude' of its table; /),
    ]);
    expect(columns('search: [secret]')).toEqual([expect.stringContaining("in 'exclude' of its table")]);
  });

  it('are searched by the very name that they are given', () => {
    expect(columns('columns: { order_id: order_id, line_no: line_no, Title: t }, search: [title]')).toEqual([
      expect.stringContaining('the same capitals'),
    ]);
  });
});
