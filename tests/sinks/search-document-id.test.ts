import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteWriter } from '../../model/json-writer.ts';
import type { ScalarName } from '../../model/data-type.ts';
import { packRow } from '../../model/row.ts';
import { IdWriter } from '../../sinks/search/document-id.ts';
import { comparable } from '../../sinks/search/json-text.ts';
import { table } from './harness.ts';

function idOf(types: readonly ScalarName[], values: readonly (string | null)[]): string {
  const of = table('ids', Object.fromEntries(types.map((type, index) => [`c${index}`, type])));
  const into = new ByteWriter(16);
  const sources = types.map((_, index) => index);
  new IdWriter(of, sources).write(packRow([...values]), 0, into);
  return JSON.parse(into.bytes().toString()) as string;
}

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }).map((value) => value.replaceAll('\0', '')),
  fc.string({ unit: fc.constantFrom('|', '\\', 'N', '"', 'a', '\n'), maxLength: 6 }),
  fc.string({ minLength: 500, maxLength: 530 }),
  fc.constant(null),
);

test('ids of different keys differ, are no longer than engines take, and are never empty', () => {
  for (const width of [1, 2, 3]) {
    const key = fc.array(text, { minLength: width, maxLength: width });
    fc.assert(
      fc.property(key, key, (one, other) => {
        const types = one.map((): ScalarName => 'text');
        const ids = [idOf(types, one), idOf(types, other)] as const;
        for (const id of ids) {
          expect(Buffer.byteLength(id)).toBeLessThanOrEqual(512);
          expect(id).not.toBe('');
        }
        expect(ids[0] === ids[1]).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
      { numRuns: 500 },
    );
  }
});

test('an id can be written by whoever looks for the document', () => {
  expect(idOf(['int8'], ['42'])).toBe('42');
  expect(idOf(['text'], ['a|b\\c "d"'])).toBe('a|b\\c "d"');
  expect(idOf(['int8', 'text'], ['42', 'a|b\\c "d"\n'])).toBe('42|a\\|b\\\\c "d"\n');
  expect(idOf(['int8', 'text'], ['42', null])).toBe('42|\\N');
  expect(idOf(['timestamptz'], ['2026-11-21 10:00:00+00'])).toBe('2026-11-21T10:00:00+00:00');
  expect(idOf(['text'], ['x'.repeat(513)])).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(idOf(['text'], ['"'.repeat(512)])).toBe('"'.repeat(512));
});

test('values that are equal as keys have one id', () => {
  for (const value of ['1.5', '1.50', '1.500']) expect(idOf(['numeric'], [value])).toBe('1.5');
  for (const value of ['100', '100.00']) expect(idOf(['numeric', 'int4'], [value, '1'])).toBe('100|1');
  for (const value of ['0', '-0', '0.0', '-0.00']) expect(idOf(['numeric'], [value])).toBe('0');
  expect(idOf(['float8'], ['-0'])).toBe('0');
  expect(idOf(['float8'], ['1e+20'])).toBe('1e+20');
  expect(idOf(['numeric'], ['-10'])).toBe('-10');
});

test('documents are compared by their members, whatever the order and the blanks between, to the digit', () => {
  expect(same('{"a":1,"b":"x"}', ' { "b" : "x" , "a" : 1 } ')).toBe(true);
  expect(same('{"a":1,"b":null}', '{"a":1}')).toBe(true);
  expect(same('{"a":1.0}', '{"a":1.00}')).toBe(false);
  expect(same('{"a":"n\\"ull, }"}', '{"a":"n\\"ull, }"}')).toBe(true);
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const document = JSON.stringify(value, null, 2);
      const kept = Object.entries(value).filter(([, member]) => member !== null);
      const members = JSON.parse(comparable(Buffer.from(document), 0));
      expect(members).toEqual(
        Object.fromEntries(kept.map(([name, member]) => [name, JSON.parse(JSON.stringify(member))])),
      );
    }),
  );
});

function same(one: string, other: string): boolean {
  return comparable(Buffer.from(one), 0) === comparable(Buffer.from(other), 0);
}
