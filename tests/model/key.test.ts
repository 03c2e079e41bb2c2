import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scalar } from '../../model/data-type.ts';
import { keyEncodingOf, keySizeMax, writeKeyNull, writeKeyPart } from '../../model/key.ts';
import type { KeyEncoding } from '../../model/key.ts';

/** A key column: its value, and the text in which it travels. */
type Part = { readonly encoding: KeyEncoding; readonly value: bigint | boolean | Buffer | null };

function textOf(value: bigint | boolean | Buffer): Buffer {
  if (Buffer.isBuffer(value)) return value;
  return Buffer.from(typeof value === 'bigint' ? value.toString() : value ? 't' : 'f');
}

function encode(parts: readonly Part[]): Buffer {
  const texts = parts.map(({ value }) => (value === null ? null : textOf(value)));
  const size = texts.reduce((sum, text) => sum + keySizeMax(text?.length ?? 0), 0);
  // A guard behind the promised size, and a value that begins in the middle of its buffer, as in a row.
  const into = Buffer.alloc(size + 8, 0x99);
  let at = 0;
  parts.forEach(({ encoding }, index) => {
    const text = texts[index] ?? null;
    if (text === null) {
      at = writeKeyNull(into, at);
      return;
    }
    const from = Buffer.concat([Buffer.from('9-'), text, Buffer.from('9')]);
    at = writeKeyPart(encoding, from, 2, 2 + text.length, into, at);
  });
  expect(at).toBeLessThanOrEqual(size);
  expect(into.subarray(size)).toEqual(Buffer.alloc(8, 0x99));
  return into.subarray(0, at);
}

function textPart(value: string): Part {
  return { encoding: 'text', value: Buffer.from(value, 'latin1') };
}

/** The order of the values themselves: NULL last. */
function compareValues(a: Part['value'], b: Part['value']): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  if (Buffer.isBuffer(a) && Buffer.isBuffer(b)) return Buffer.compare(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}

const int8Min = -(2n ** 63n);
const int8Max = 2n ** 63n - 1n;

/** Where encodings of integers go wrong: at powers of ten and two, and where a double ends. */
const edges = [
  0n,
  ...Array.from({ length: 19 }, (_, power) => 10n ** BigInt(power)),
  ...Array.from({ length: 63 }, (_, power) => 2n ** BigInt(power)),
  int8Max,
];
const aroundEdges = [
  ...new Set(edges.flatMap((edge) => [edge - 1n, edge, edge + 1n, -edge - 1n, -edge, 1n - edge])),
].filter((value) => value >= int8Min && value <= int8Max);
const integers = fc.oneof(
  fc.constantFrom(...aroundEdges),
  fc.bigInt({ min: int8Min, max: int8Max }),
  fc.bigInt({ min: -300n, max: 300n }),
);
const texts = fc.oneof(
  fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
  fc
    .array(fc.constantFrom(0, 1, 0x10, 0x30, 0x61, 0x80, 0xfe, 0xff), { maxLength: 5 })
    .map((bytes) => Buffer.from(bytes)),
);
const columns: Readonly<Record<KeyEncoding, Arbitrary<Part['value']>>> = {
  int: integers,
  bool: fc.boolean(),
  text: texts,
};
const encodings = fc.array(fc.constantFrom<KeyEncoding>('int', 'bool', 'text'), { minLength: 1, maxLength: 4 });
const twoKeys = encodings.chain((types) => {
  const key = fc.tuple(
    ...types.map((encoding) => fc.option(columns[encoding], { freq: 4 }).map((value): Part => ({ encoding, value }))),
  );
  return fc.tuple(key, key);
});

describe('keys', () => {
  it('sort by their bytes as integers sort by value, over the whole range of int8', () => {
    const sorted = aroundEdges.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    for (let index = 1; index < sorted.length; index++) {
      const [low = 0n, high = 0n] = [sorted[index - 1], sorted[index]];
      const order = Buffer.compare(
        encode([{ encoding: 'int', value: low }]),
        encode([{ encoding: 'int', value: high }]),
      );
      expect(order, `${low} before ${high}`).toBe(-1);
    }
    fc.assert(
      fc.property(integers, integers, (a, b) => {
        const order = Buffer.compare(encode([{ encoding: 'int', value: a }]), encode([{ encoding: 'int', value: b }]));
        expect(order).toBe(compareValues(a, b));
      }),
      { numRuns: 2000 },
    );
  });

  it('of several columns sort as their columns do, one after the other, NULL last', () => {
    fc.assert(
      fc.property(twoKeys, ([a, b]) => {
        const expected = a
          .map((part, index) => compareValues(part.value, b[index]?.value ?? null))
          .find((order) => order !== 0);
        expect(Math.sign(Buffer.compare(encode(a), encode(b)))).toBe(Math.sign(expected ?? 0));
      }),
      { numRuns: 5000 },
    );
  });

  it('of different rows are never the same bytes, not even with NULs in text beside a NULL', () => {
    const nothing: Part = { encoding: 'text', value: null };
    const first = encode([textPart('a'), nothing, textPart('y\x000z')]);
    expect(first).not.toEqual(encode([textPart('a\x000y'), nothing, textPart('z')]));
  });

  it('are the same bytes for one value in int2, int4 and int8', () => {
    for (const name of ['int2', 'int4', 'int8'] as const) expect(keyEncodingOf(scalar(name))).toBe('int');
    expect(keyEncodingOf(scalar('bool'))).toBe('bool');
    expect(keyEncodingOf(scalar('numeric'))).toBe('text');
    expect(keyEncodingOf({ kind: 'array', element: scalar('int4'), delimiter: ',' })).toBe('text');
  });

  it('keep a value apart that is no integer at all', () => {
    const garbage = [
      '',
      '-',
      'x',
      '1x',
      '12345678901234567890123456789',
      '1234567890123456x',
      '9'.repeat(300),
      '1.5',
      'NaN',
    ];
    const keys = garbage.map((value) => {
      const into = Buffer.alloc(keySizeMax(value.length));
      return into.subarray(0, writeKeyPart('int', Buffer.from(value), 0, value.length, into, 0)).toString('hex');
    });
    expect(new Set(keys).size).toBe(garbage.length);
    expect(keys).not.toContain(encode([{ encoding: 'int', value: 0n }]).toString('hex'));
  });
});
