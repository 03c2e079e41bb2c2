import fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemFiles } from '../../../base/files.ts';
import { ValueReader, ValueWriter } from '../../../views/state/codec.ts';
import { SortSpace } from '../../../views/state/sorter.ts';
import type { StateKey } from '../../../views/value.ts';

const key = fc.oneof(
  fc.constantFrom<StateKey>(null, true, '', 'a', 'ab', 'i1;i2;', -1, 2.5, 12345678901234567890n),
  fc.nat({ max: 40 }),
  fc.string(),
  fc.string({ minLength: 30, maxLength: 40 }).map((text) => `the same beginning of them all ${text}`),
  fc.string({ maxLength: 3 }).map((text) => text.repeat(20_000)),
);

describe('a sorter', () => {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tidemark-sorter-'));
  });
  afterAll(async () => rm(directory, { recursive: true, force: true }));

  let runs = 0;
  it('gives entries in the order of the bytes of their keys, and as they came where keys are equal, from memory and files', async () => {
    const entries = fc.array(fc.record({ key, spill: fc.boolean() }), { maxLength: 200, size: 'max' });
    await fc.assert(
      fc.asyncProperty(entries, fc.nat({ max: 20 }), async (given, spillEvery) => {
        const folder = { files: systemFiles, directory: join(directory, String(runs++)) };
        const space = new SortSpace(0, folder);
        const sorter = space.sorter();
        for (const [index, { key: one, spill }] of given.entries()) {
          sorter.begin(one).value(index);
          sorter.end();
          if (spill && index % 20 < spillEvery) await space.relieve();
        }
        const expected = given
          .map((entry, index) => ({ bytes: bytesOf(entry.key), index }))
          .toSorted((a, b) => a.bytes.compare(b.bytes) || a.index - b.index);
        // Twice: others may want the same.
        for (let time = 0; time < 2; time++) {
          const cursor = sorter.read();
          const reader = new ValueReader();
          const found: unknown[] = [];
          while (!cursor.next()) await cursor.load();
          while (!cursor.isOver) {
            const { buffer, keyStart, keyEnd } = cursor.current;
            const bytes = Buffer.from(buffer.subarray(keyStart, keyEnd));
            const isSame = found.length > 0 && bytes.equals((found.at(-1) as { bytes: Buffer }).bytes);
            expect(cursor.isSameKey).toBe(isSame);
            found.push({ bytes, index: cursor.payload(reader).value() });
            while (!cursor.next()) await cursor.load();
          }
          expect(found).toEqual(expected);
        }
        await space.close();
        expect(await systemFiles.exists(folder.directory)).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it('puts entries without a key last, apart from all that have one', async () => {
    const space = new SortSpace(1e9, { files: systemFiles, directory: join(directory, 'none') });
    const sorter = space.sorter();
    for (const one of [undefined, 'x'.repeat(159), null, undefined, '\u00ff', 7]) {
      sorter.begin(one).value(one === undefined ? 'none' : 'some');
      sorter.end();
    }
    const cursor = sorter.read();
    const found: unknown[] = [];
    while (!cursor.next()) await cursor.load();
    while (!cursor.isOver) {
      found.push(cursor.payload(new ValueReader()).value());
      while (!cursor.next()) await cursor.load();
    }
    expect(found).toEqual(['some', 'some', 'some', 'some', 'none', 'none']);
    await space.close();
  });
});

function bytesOf(value: StateKey): Buffer {
  const writer = new ValueWriter(64);
  writer.value(value);
  return Buffer.from(writer.buffer.subarray(0, writer.at));
}
