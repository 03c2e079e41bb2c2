import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { LineCutter } from '../../model/lines.ts';

/** What `split` gives, but for blank lines, which are counted and not handed over. */
function expected(text: string): [number, string][] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.flatMap((line, index): [number, string][] => (/^[\0- ]*$/.test(line) ? [] : [[index + 1, line]]));
}

it('cuts lines wherever the input is cut, and keeps nothing of a piece that is filled anew', () => {
  const letter = fc.constantFrom('a', 'é', '\u{1F600}', '\n', '\n', ' ', 'bcdefgh');
  fc.assert(
    fc.property(fc.array(letter, { maxLength: 60 }), fc.array(fc.integer({ min: 1, max: 9 })), (letters, sizes) => {
      const bytes = Buffer.from(letters.join(''));
      const cutter = new LineCutter();
      const seen: [number, string][] = [];
      const take = (line: { bytes: Buffer; start: number; end: number; number: number }): void =>
        void seen.push([line.number, line.bytes.toString('utf8', line.start, line.end)]);
      const memory = Buffer.alloc(64);
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const size = sizes[turn % Math.max(1, sizes.length)] ?? 64;
        const length = bytes.copy(memory, 0, at, Math.min(at + size, at + memory.length));
        cutter.feed(memory.subarray(0, length), take);
        memory.fill(0xff);
        at += length;
      }
      cutter.end(take);
      expect(seen).toEqual(expected(letters.join('')));
    }),
    { numRuns: 2000 },
  );
});
