import { describe, expect, it } from 'vitest';
import { Bench, clicks, table } from './harness.ts';

const users = table('users', { tenant: 'int*', name: 'text*', age: 'int' });
const visits = table('visits', { page: 'text' });

async function failing(line: string, tables = [clicks, users, visits]): Promise<string> {
  const bench = await Bench.open();
  await bench.write(`${line}\n`);
  bench.start(tables);
  return (await bench.failure()).message.replace(`${bench.path}:1: `, '');
}

describe('lines of several tables', () => {
  it('create, update and delete rows of the table that they name', async () => {
    const bench = await Bench.open();
    const lines = [
      '{"table":"clicks","row":{"id":1,"page":"/"}}',
      '{"op":"c","row":{"name":"ann","tenant":7},"table":"users"}',
      '{"table":"users","op":"u","row":{"tenant":7,"name":"ann","age":30}}',
      '{"table":"users","op":"d","row":{"tenant":7,"name":"ann","age":"whatever"}}',
      '{"table":"visits","row":{"page":"/x"}}',
      '{"table":"visits","row":{"page":"/x"}}',
    ];
    const text = `${lines.join('\n')}\n`;
    await bench.write(text);
    bench.start([clicks, users, visits]);
    await bench.reaches(text.length);
    expect((await bench.taken()).map(({ seq, topic, op, row }) => [seq, topic, op, row])).toEqual([
      [1, 'web.public.clicks', 'c', ['1', '/']],
      [2, 'web.public.users', 'c', ['7', 'ann', null]],
      [3, 'web.public.users', 'u', ['7', 'ann', '30']],
      [4, 'web.public.users', 'd', ['7', 'ann', null]],
      [5, 'web.public.visits', 'c', ['/x']],
      [6, 'web.public.visits', 'c', ['/x']],
    ]);
    const counts = bench.events.filter(({ type }) => type === 'source.changes');
    expect(counts).toContainEqual({
      type: 'source.changes',
      source: 'web',
      table: 'web.public.users',
      create: 1,
      update: 1,
      delete: 1,
      read: 0,
    });
    const newest = [];
    for await (const batch of bench.log.rows('web.public.users', { upToSeq: 6 })) newest.push(batch.count);
    expect(newest).toEqual([]);
  });

  it.each([
    ['{"id":1}', 'a line is {"table": "…", "row": {…}, "op": "c"|"u"|"d"}'],
    ['{"row":{"id":1}}', '"table" must be one of clicks, users, visits'],
    [
      '{"table":"visits","op":"d","row":{"page":"/"}}',
      '"op": "d" needs a key, and visits has none (give it one: key: [ … ])',
    ],
    ['{"table":"users","op":"d","row":{"tenant":7}}', 'users.name is missing'],
    [
      '{"table":"users","row":{"tenant":7,"name":"a","age":{}}}',
      'users.age is no integer: invalid input syntax for type integer: "{}"',
    ],
  ])('%s is malformed', async (line, message) => {
    expect(await failing(line)).toBe(message);
  });
});

describe('lines of one table', () => {
  it('may be envelopes, with or without its name', async () => {
    const bench = await Bench.open();
    const text =
      '{"id":1,"op":"d"}\n{"op":"u","row":{"id":2,"page":"row"}}\n{"table":"clicks","op":"d","row":{"id":1}}\n';
    await bench.write(text);
    bench.start();
    await bench.reaches(text.length);
    expect((await bench.taken()).map(({ op, row }) => [op, ...row])).toEqual([
      ['c', '1', null],
      ['u', '2', 'row'],
      ['d', '1', null],
    ]);
  });

  it('are never envelopes where a column has one of their names', async () => {
    const bench = await Bench.open();
    const text = '{"op":"d","row":{"id":1}}\n{"row":null,"op":"x"}\n';
    await bench.write(text);
    bench.start([table('ops', { op: 'text', row: 'json' })]);
    await bench.reaches(text.length);
    expect(await bench.rows()).toEqual([
      ['d', '{"id":1}'],
      ['x', null],
    ]);
  });

  it('of a key that came before replace its row', async () => {
    const bench = await Bench.open();
    const text = '{"id":1,"page":"/a"}\n{"id":1,"page":"/b"}\n';
    await bench.write(text);
    bench.start();
    await bench.reaches(text.length);
    let rows = 0;
    for await (const { count } of bench.log.rows('web.public.clicks', { upToSeq: 2 })) rows += count;
    expect(rows).toBe(1);
  });

  it('with a key too long for the log are refused', async () => {
    const text = table('t', { k: 'text*' });
    expect(await failing(`{"k":"${'x'.repeat(70_000)}"}`, [text])).toMatch(
      /^the key of t has 70002 bytes; 65535 at most$/,
    );
  });
});
