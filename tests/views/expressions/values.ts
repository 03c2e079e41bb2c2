import fc from 'fast-check';

/** Texts of values of each type, the edges of its range among them. */
export const samples: Readonly<Record<string, readonly string[]>> = {
  bool: ['t', 'f'],
  int2: ['0', '1', '-1', '2', '7', '100', '32767', '-32768'],
  int4: ['0', '1', '-1', '2', '3', '-7', '10', '65536', '2147483647', '-2147483648', '46341'],
  int8: [
    '0',
    '1',
    '-1',
    '5',
    '-12',
    '4294967296',
    '9007199254740991',
    '9007199254740992',
    '9007199254740993',
    '-9007199254740993',
    '9223372036854775807',
    '-9223372036854775808',
    '3037000500',
    '16777217',
  ],
  numeric: [
    '0',
    '0.00',
    '1',
    '-1',
    '1.0',
    '1.50',
    '-2.5',
    '0.5',
    '3',
    '0.1',
    '-0.015',
    '99.995',
    '12345.6789',
    '1e-7',
    '0.00000000000000000001',
    '9007199254740991',
    '9007199254740993.5',
    '-90071992547409.915',
    '123456789012345678901234567890.123456789',
    '99999999999999999999',
    '10000',
    '0.0001',
    '1e30',
    'NaN',
    'Infinity',
    '-Infinity',
    '32767.5',
    '2147483647.4',
    '-2147483648.5',
    '9223372036854775807.5',
  ],
  float4: [
    '0',
    '-0',
    '1',
    '-1.5',
    '0.1',
    '3.4028235e+38',
    '1e-45',
    'NaN',
    'Infinity',
    '-Infinity',
    '16777216',
    '100000.5',
    '1e+10',
    '123456.7',
  ],
  float8: [
    '0',
    '-0',
    '1',
    '-1',
    '0.5',
    '1.5',
    '2.5',
    '-2.5',
    '0.1',
    '1e-7',
    '0.0001',
    '0.00001',
    '123456789012345',
    '1234567890123456',
    '1e+15',
    '1.7976931348623157e+308',
    '5e-324',
    '1e+22',
    'NaN',
    'Infinity',
    '-Infinity',
    '2147483647.5',
    '3.3333333333333335',
    '1e+200',
  ],
  text: [
    '',
    ' ',
    'a',
    'abc',
    'ABC',
    ' abc ',
    'Hello, wide World',
    '12',
    '-3.5',
    'NaN',
    'true',
    'äöü ÄÖÜ ß',
    'Ǆ ŉ İ ı Σς',
    '日本語',
    '😀x😀',
    'a😀b',
    '￿',
    '\u{10000}',
    'a%b_c',
    'a\\b',
    "it's",
    '"quoted"',
    'one,two,,four',
    'aaaa',
    'tab\there',
    'new\nline',
    'xyzzy  ',
    '2024-02-29',
    '{1,2}',
  ],
  varchar: ['', 'abc', 'abc  ', 'Zürich', '42'],
  bpchar: ['', 'abc', 'abc  ', '  x ', '7  '],
  bytea: ['\\x', '\\x00', '\\xff00', '\\x616263'],
  uuid: [
    '00000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  ],
};

/** A text of a value of the type: an edge, or any. */
export function valueText(type: string): fc.Arbitrary<string> {
  const edges = fc.constantFrom(...(samples[type] ?? ['']));
  const others = anyText[type];
  return others === undefined ? edges : fc.oneof({ weight: 2, arbitrary: edges }, { weight: 1, arbitrary: others });
}

const digits = (max: number): fc.Arbitrary<string> =>
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: max }).map((list) => list.join(''));

const anyText: Readonly<Record<string, fc.Arbitrary<string>>> = {
  int2: fc.integer({ min: -32768, max: 32767 }).map(String),
  int4: fc.integer({ min: -2147483648, max: 2147483647 }).map(String),
  int8: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  numeric: fc
    .tuple(fc.constantFrom('', '-'), digits(22), fc.option(digits(12)))
    .map(([sign, whole, fraction]) => canonical(`${sign}${BigInt(whole)}${fraction === null ? '' : `.${fraction}`}`)),
  float8: fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .filter((value) => Math.abs(value) < 1e15 && Math.abs(value) > 1e-4)
    .map(String),
  float4: fc
    .float({ noNaN: true, noDefaultInfinity: true })
    .filter((value) => Number.isInteger(value * 8) && Math.abs(value) < 1e5)
    .map(String),
  // Rare letters are left out: which case they have depends on the year of the C library's Unicode, and of Node's.
  text: fc
    .string({ unit: 'grapheme', maxLength: 8 })
    .filter(
      (text) =>
        !text.includes('\0') && !/[[\p{L}\p{M}]--[A-\u024f\u0391-\u03a1\u03a3-\u03c9\u0410-\u044f]]/v.test(text),
    ),
};

function canonical(text: string): string {
  return /^-0(\.0*)?$/.test(text) ? text.slice(1) : text;
}
