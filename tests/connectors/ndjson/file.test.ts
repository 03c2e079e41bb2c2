import { rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bench, clicks, table, until } from './harness.ts';

const one = '{"id":1,"page":"/a"}\n';
const two = '{"id":2,"page":"/b"}\n';

/** A source that has taken two lines. */
async function followed(): Promise<Bench> {
  const bench = await Bench.open();
  await bench.write(one + two);
  bench.start();
  await bench.reaches(one.length + two.length);
  return bench;
}

describe('a file of lines', () => {
  it('gives each line a transaction of its own, at the byte after it', async () => {
    const bench = await Bench.open();
    await bench.write(`${one}\n  \n${two}`);
    bench.start();
    await bench.reaches(one.length + 4 + two.length);
    expect(await bench.taken()).toEqual([
      { seq: 1, position: '21', topic: 'web.public.clicks', op: 'c', row: ['1', '/a'] },
      { seq: 2, position: '46', topic: 'web.public.clicks', op: 'c', row: ['2', '/b'] },
    ]);
  });

  it('is followed as it grows', async () => {
    const bench = await Bench.open();
    await bench.write(one);
    const source = bench.start();
    await bench.reaches(one.length);
    await bench.append(two);
    await bench.reaches(one.length + two.length);
    expect(await bench.rows()).toEqual([
      ['1', '/a'],
      ['2', '/b'],
    ]);
    await until(() => source.status().lagSeconds === 0);
    expect(source.status()).toMatchObject({ lagBytes: 0, consistent: true, error: null });
  });

  it('waits for the rest of its last line, and takes one without a line end once it is whole', async () => {
    const bench = await Bench.open();
    await bench.write(`${one}{"id":2,"pa`);
    const source = bench.start();
    await bench.reaches(one.length);
    expect(await source.currentPosition()).toBe(String(one.length));
    await bench.append('ge":"{"');
    await until(() => source.status().lagBytes === 18);
    expect(await bench.rows()).toHaveLength(1);
    await bench.append('}');
    await bench.reaches(one.length + 19);
    expect(await source.currentPosition()).toBe(String(one.length + 19));
    await bench.append(`\n{"id":3}`);
    await bench.reaches(one.length + 28);
    expect(await bench.rows()).toEqual([
      ['1', '/a'],
      ['2', '{'],
      ['3', null],
    ]);
  });

  it('is waited for while it is not there, which the status tells', async () => {
    const bench = await Bench.open();
    const source = bench.start();
    await until(() => source.status().error !== null);
    expect(source.status().error).toMatchObject({ code: 'SOURCE_UNREACHABLE' });
    await expect(source.currentPosition()).rejects.toMatchObject({ code: 'SOURCE_UNREACHABLE' });
    expect(source.status().consistent).toBe(true);
    await bench.write(one);
    await bench.reaches(one.length);
    expect(source.status().error).toBeNull();
    expect(bench.events.filter(({ type }) => type === 'source.retrying')).toHaveLength(1);
  });

  it('makes its tables known and consistent before there is a row, over a restart too', async () => {
    const bench = await Bench.open();
    await bench.write('');
    const source = bench.start();
    await until(() => source.status().consistent);
    await bench.reopen();
    expect(bench.log.table(1)).toMatchObject({ topic: 'web.public.clicks', kind: 'table', key: [0] });
    expect(bench.log.state('web').get('consistent:web.public.clicks')).toBe('{"seq":0}');
  });

  it('goes on at its position after a restart', async () => {
    const bench = await Bench.open();
    await bench.write(one);
    bench.start();
    await bench.reaches(one.length);
    await bench.reopen();
    await bench.append(two);
    bench.start();
    await bench.reaches(one.length + two.length);
    expect((await bench.taken()).map(({ seq, row }) => [seq, row[0]])).toEqual([
      [1, '1'],
      [2, '2'],
    ]);
  });

  it('has lines longer than what is read in one go', async () => {
    const bench = await Bench.open();
    const long = 'x'.repeat(1_000_000);
    await bench.write(`${one}{"id":2,"page":"${long}"}\n{"id":3,"page":"${long}"}`);
    bench.start();
    await bench.reaches((await stat(bench.path)).size);
    expect((await bench.rows()).map(([id, page]) => [id, page?.length])).toEqual([
      ['1', 2],
      ['2', long.length],
      ['3', long.length],
    ]);
  });

  it('is taken once and whole however it comes, and however often the service stops', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => !text.includes('\0')),
          { maxLength: 40 },
        ),
        fc.array(fc.nat(400), { maxLength: 6 }),
        async (pages, cuts) => {
          const bench = await Bench.open();
          const bytes = Buffer.from(pages.map((page, id) => `${JSON.stringify({ id, page })}\n`).join(''));
          await bench.write('');
          let at = 0;
          for (const cut of [...cuts, bytes.length]) {
            const end = Math.min(bytes.length, at + cut);
            await writeFile(bench.path, bytes.subarray(at, end), { flag: 'a' });
            const source = bench.start();
            await until(async () => {
              const position = await source.currentPosition().catch(() => null);
              return position !== null && bench.log.frontier('web').position === position;
            });
            await (cut % 2 === 0 ? bench.reopen() : bench.stop());
            at = end;
          }
          expect(await bench.rows()).toEqual(pages.map((page, id) => [String(id), page]));
          expect((await bench.taken()).map(({ seq }) => seq)).toEqual(pages.map((_, id) => id + 1));
        },
      ),
      { numRuns: 15 },
    );
  });
});

describe('a file that is not the one it was', () => {
  it('stops the source when it is shorter than what was taken', async () => {
    const bench = await followed();
    await truncate(bench.path, one.length);
    const failure = await bench.failure();
    expect(failure).toMatchObject({ code: 'SOURCE_IDENTITY', place: { position: '42' } });
    expect(failure.message).toBe(`${bench.path} has 21 bytes, and 42 have been taken from it: it was cut or replaced`);
    expect(failure.hint).toMatch(/give the source another name/);
  });

  it('stops the source when other bytes stand before the position, at once or after a restart', async () => {
    const bench = await followed();
    await bench.write(`${one}${two.replace('/b', '/c')}{"id":3}\n`);
    expect(await bench.failure()).toMatchObject({ code: 'SOURCE_IDENTITY' });
    await bench.reopen();
    bench.start();
    expect(await bench.failure()).toMatchObject({ code: 'SOURCE_IDENTITY' });
    expect(await bench.rows()).toHaveLength(2);
    await bench.write(`${one}${two}{"id":3}\n`);
    bench.start();
    await bench.reaches(51);
    expect(await bench.rows()).toHaveLength(3);
  });

  it('is waited for while it is away, and goes on when it is back', async () => {
    const bench = await followed();
    await rename(bench.path, `${bench.path}.away`);
    await until(() => bench.source?.status().error?.code === 'SOURCE_UNREACHABLE');
    await writeFile(`${bench.path}.away`, '{"id":3}\n', { flag: 'a' });
    await rename(`${bench.path}.away`, bench.path);
    await bench.reaches(51);
    await rm(bench.path);
    expect(await bench.rows()).toHaveLength(3);
  });
});

describe('a malformed line', () => {
  it.each([
    ['{"id":2', /:2: not a JSON object: .*, at its end$/],
    ['{"id":2}}', /:2: not a JSON object: the line goes on after the object/],
    ['[2]', /:2: not a JSON object: an object is expected/],
    ['{"id":"two"}', /:2: clicks\.id is no bigint: invalid input syntax for type bigint: "two"$/],
    ['{"id":9223372036854775808}', /:2: clicks\.id is no bigint: .*out of range/],
    ['{"page":"/b"}', /:2: clicks\.id is missing$/],
    ['{"id":null}', /:2: clicks\.id is null$/],
    ['{"id":2,"page":"\\u0000"}', /:2: clicks\.page holds the character NUL/],
    ['{"commit":true}', /:2: every line is a transaction of its own/],
    ['{"op":"x","row":{"id":2}}', /:2: "op" must be "c", "u" or "d"$/],
    ['{"table":"klicks","row":{"id":2}}', /:2: "table" must be one of clicks$/],
  ])('%s stops the source at its place, which goes on once it is corrected', async (line, message) => {
    const bench = await Bench.open();
    await bench.write(`${one}\n${line}\n{"id":3}\n`.replace('\n\n', '\n'));
    bench.start();
    const failure = await bench.failure();
    expect(failure.code).toBe('SOURCE_LINE');
    expect(failure.message).toMatch(message);
    expect(failure.message.startsWith(`${bench.path}:`)).toBe(true);
    expect(await bench.rows()).toEqual([['1', '/a']]);
    await bench.write(`${one}{"id":22}\n{"id":3}\n`);
    bench.start();
    await bench.reaches(40);
    expect(await bench.rows()).toEqual([
      ['1', '/a'],
      ['22', null],
      ['3', null],
    ]);
  });

  it('is counted with blank lines and after a restart, and may not be UTF-8', async () => {
    const bench = await Bench.open();
    await bench.write(`\n${one}\n\n${two}`);
    bench.start();
    await bench.reaches(45);
    await bench.reopen();
    await writeFile(bench.path, Buffer.from('\n{"id":3,"page":"\xff"}\n', 'latin1'), { flag: 'a' });
    bench.start();
    expect((await bench.failure()).message).toBe(`${bench.path}:7: not valid UTF-8`);
  });
});

describe('tables declared otherwise than before', () => {
  it('may have columns more and fewer, which are NULL where they were not taken', async () => {
    const bench = await Bench.open();
    await bench.write(one);
    bench.start();
    await bench.reaches(one.length);
    await bench.reopen();
    await bench.append('{"id":2,"page":"/b","user":7}\n');
    bench.start([table('clicks', { user: 'int', id: 'bigint*' })]);
    await bench.reaches(51);
    expect(bench.log.table(2)?.columns.map(({ id, name }) => [id, name])).toEqual([
      [3, 'user'],
      [1, 'id'],
    ]);
    expect((await bench.taken()).at(-1)?.row).toEqual(['7', '2']);
  });

  it.each([
    [table('clicks', { id: 'int*', page: 'text' }), /column id was bigint, and is integer$/],
    [table('clicks', { id: 'bigint', page: 'text*' }), /its key was \(id\), and is \(page\)$/],
    [table('clicks', { id: 'bigint', page: 'text' }), /its key was \(id\), and is none$/],
  ])('must keep types and key', async (changed, message) => {
    const bench = await Bench.open();
    await bench.write(one);
    bench.start([clicks]);
    await bench.reaches(one.length);
    await bench.stop();
    bench.start([changed]);
    const failure = await bench.failure();
    expect(failure.code).toBe('TABLE_CHANGED');
    expect(failure.message).toMatch(message);
  });
});
