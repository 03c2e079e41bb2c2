import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StandardInput } from '../../../connectors/ndjson/standard-input.ts';
import { Bench, Typed, until } from './harness.ts';

function typed(): { typed: Typed; input: StandardInput } {
  const source = new Typed();
  return { typed: source, input: new StandardInput(() => source.read()) };
}

describe('lines on standard input', () => {
  it('are taken as they come, the last one without its end too, and the end is known', async () => {
    const bench = await Bench.open();
    const { typed: keyboard, input } = typed();
    const source = bench.start(undefined, input);
    let isOver = false;
    const ended = source.ended().then(() => (isOver = true));
    keyboard.type('{"id":1}\n{"id"');
    await bench.reaches(9);
    expect(await source.currentPosition()).toBe('9');
    keyboard.type(':2}\n{"id":3}');
    await bench.reaches(18);
    expect(isOver).toBe(false);
    keyboard.end();
    await ended;
    expect(await source.currentPosition()).toBe('26');
    await bench.reaches(26);
    expect(await bench.rows()).toEqual([
      ['1', null],
      ['2', null],
      ['3', null],
    ]);
    expect(source.status()).toMatchObject({ position: '26', lagBytes: 0, lagSeconds: 0, consistent: true });
  });

  it('count on from where the last process ended', async () => {
    const bench = await Bench.open();
    for (const [index, text] of ['{"id":1}\n', '{"id":2}\n'].entries()) {
      const { typed: keyboard, input } = typed();
      bench.start(undefined, input);
      keyboard.type(text);
      keyboard.end();
      await bench.reaches(9 * (index + 1));
      await bench.reopen();
    }
    expect((await bench.taken()).map(({ seq, position, row }) => [seq, position, row[0]])).toEqual([
      [1, '9', '1'],
      [2, '18', '2'],
    ]);
  });

  it('are not lost while the source is paused in its process', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(60), fc.boolean()), { maxLength: 12 }), async (steps) => {
        const bench = await Bench.open();
        const { typed: keyboard, input } = typed();
        const text = Array.from({ length: 40 }, (_, id) => `{"id":${id}}\n`).join('');
        bench.start(undefined, input);
        let at = 0;
        for (const [length, pauses] of steps) {
          if (length > 0) keyboard.type(text.slice(at, at + length));
          at = Math.min(text.length, at + length);
          if (!pauses) continue;
          await bench.stop();
          bench.start(undefined, input);
        }
        keyboard.type(`${text.slice(at)} `);
        keyboard.end();
        await bench.reaches(text.length);
        expect(await bench.rows()).toEqual(Array.from({ length: 40 }, (_, id) => [String(id), null]));
      }),
      { numRuns: 20 },
    );
  });

  it('stop the source at a malformed one, and again when it is tried again', async () => {
    const bench = await Bench.open();
    const { typed: keyboard, input } = typed();
    bench.start(undefined, input);
    keyboard.type('{"id":1}\n\n');
    await bench.reaches(10);
    keyboard.type('{"id":2}\n{"id":"x"}\n{"id":4}\n');
    const message = 'standard input:4: clicks.id is no bigint: invalid input syntax for type bigint: "x"';
    expect(await bench.failure()).toMatchObject({ code: 'SOURCE_LINE', message });
    bench.start(undefined, input);
    expect(await bench.failure()).toMatchObject({ code: 'SOURCE_LINE', message });
    expect(await bench.rows()).toEqual([
      ['1', null],
      ['2', null],
    ]);
  });

  it('that end within one are malformed there', async () => {
    const bench = await Bench.open();
    const { typed: keyboard, input } = typed();
    bench.start(undefined, input);
    keyboard.type('{"id":1}\n{"id":');
    keyboard.end();
    expect((await bench.failure()).message).toMatch(/^standard input:2: not a JSON object: /);
    await until(async () => (await bench.rows()).length === 1);
  });
});
