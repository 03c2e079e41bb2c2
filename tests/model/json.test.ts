import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DataType } from '../../model/data-type.ts';
import { scalar } from '../../model/data-type.ts';
import { columnJsonEncoder, keyJsonEncoder, rowJsonEncoder } from '../../model/json.ts';
import { ByteWriter } from '../../model/json-writer.ts';
import { packRow } from '../../model/row.ts';
import type { Table } from '../../model/table.ts';

const arrayOf = (element: DataType): DataType => ({ kind: 'array', element, delimiter: ',' });
const pair: DataType = {
  kind: 'composite',
  fields: [
    { name: 'a "b"', type: scalar('int4') },
    { name: 'c', type: arrayOf(scalar('text')) },
  ],
};

function tableOf(columns: Readonly<Record<string, DataType>>, key: number[] = []): Table {
  return {
    source: 'shop',
    schema: 'public',
    name: 'orders',
    topic: 'shop.public.orders',
    kind: 'table',
    columns: Object.entries(columns).map(([name, type], index) => ({
      id: index + 1,
      name,
      type,
      declared: type.kind === 'scalar' ? type.name : type.kind,
      nullable: true,
    })),
    key,
  };
}

const orders = tableOf(
  {
    id: scalar('int8'),
    'the "name"\n': scalar('text'),
    paid: scalar('bool'),
    doc: scalar('json'),
    lines: arrayOf(pair),
  },
  [1, 0],
);
const order = packRow(['9007199254740993', 'Zoë "Z"', 't', '{"a":\r\n 1}', '{"(1,\\"{x,NULL}\\")",NULL}']);
const orderJson =
  '{"id":9007199254740993,"the \\"name\\"\\n":"Zoë \\"Z\\"","paid":true,"doc":{"a":\r\n 1},"lines":[{"a \\"b\\"":1,"c":["x",null]},null]}';

/** Anything that might once stand where a type's text should be. */
const anything = fc.oneof(
  fc.string({ unit: fc.constantFrom(...Array.from('{}(),"\\[]=: NULLtf01-.eE+5;')), maxLength: 30 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
);

describe('JSON of rows', () => {
  it('has the columns by name, in order, with every digit', () => {
    const encoder = rowJsonEncoder(orders);
    expect(encoder.stringify(order, 0)).toBe(orderJson);
    expect(encoder.encode(order, 0).toString()).toBe(orderJson);
    expect(encoder.stringify(packRow([null, null, null, null, null]), 0)).toBe(
      '{"id":null,"the \\"name\\"\\n":null,"paid":null,"doc":null,"lines":null}',
    );
    expect(rowJsonEncoder(tableOf({})).stringify(Buffer.alloc(0), 0)).toBe('{}');
  });

  it('has the chosen columns in the chosen order by the chosen names; keys have the key', () => {
    const columns = [
      { index: 2, name: 'ok' },
      { index: 0, name: 'no' },
    ];
    expect(rowJsonEncoder(orders, { columns }).stringify(order, 0)).toBe('{"ok":true,"no":9007199254740993}');
    expect(keyJsonEncoder(orders).stringify(order, 0)).toBe(
      '{"the \\"name\\"\\n":"Zoë \\"Z\\"","id":9007199254740993}',
    );
  });

  it('keeps numbers that a double would round in quotes where that is asked for, and only these', () => {
    const encoder = rowJsonEncoder(tableOf({ n: scalar('numeric'), a: arrayOf(scalar('int8')) }), {
      numbers: 'string',
    });
    const written = (n: string, a = '{}'): unknown => JSON.parse(encoder.stringify(packRow([n, a]), 0));
    expect(written('9007199254740993', '{1,9007199254740993}')).toEqual({
      n: '9007199254740993',
      a: [1, '9007199254740993'],
    });
    expect(written('-9007199254740991')).toEqual({ n: -9_007_199_254_740_991, a: [] });
    expect(written('12345678901234.567')).toEqual({ n: '12345678901234.567', a: [] });
    const decimals = fc.tuple(fc.boolean(), fc.bigInt({ min: 0n, max: 10n ** 20n }), fc.nat({ max: 20 }));
    fc.assert(
      fc.property(decimals, ([negative, digits, scale]) => {
        const whole = String(digits).padStart(scale + 1, '0');
        const point = whole.length - scale;
        const text = `${negative ? '-' : ''}${whole.slice(0, point)}${scale > 0 ? `.${whole.slice(point)}` : ''}`;
        const { n } = written(text) as { n: string | number };
        if (typeof n === 'string') expect([n, digits > 10n ** 15n]).toEqual([text, true]);
        else expect(significant(Math.abs(n).toExponential().replace(/e.*/, ''))).toBe(significant(String(digits)));
      }),
    );
  });

  it('is one line where lines are asked for, and the same document', () => {
    const line = rowJsonEncoder(orders, { singleLine: true }).stringify(order, 0);
    expect(line).toBe(orderJson.replace('\r\n', '  '));
    const nested = tableOf({ docs: arrayOf(scalar('json')) });
    const row = packRow(['{"{\\n \\"a\\":1}","[1,\n2]"}'.replace('\\n', '\n')]);
    expect(rowJsonEncoder(nested, { singleLine: true }).stringify(row, 0)).toBe('{"docs":[{  "a":1},[1, 2]]}');
  });

  it('is written one row after the other into one buffer, however long they are', () => {
    const table = tableOf({ t: scalar('text'), a: arrayOf(scalar('text')) });
    const encoder = rowJsonEncoder(table);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.nat(3000)), { maxLength: 8 }), (rows) => {
        const into = new ByteWriter(1);
        const expected = rows.map(([text, times]) => ({ t: text.repeat(times), a: [text] }));
        for (const { t, a } of expected) {
          const quoted = `{"${(a[0] ?? '').replaceAll(/["\\]/g, '\\$&')}"}`;
          encoder.write(packRow(['', t, quoted]), 1, into);
          into.text('\n');
        }
        const got = into.bytes().toString().split('\n').slice(0, -1);
        expect(got.map((line) => JSON.parse(line) as unknown)).toEqual(expected);
      }),
    );
  });
});

describe('a value without a JSON', () => {
  const malformed: Readonly<Record<string, [DataType, readonly string[]]>> = {
    array: [
      arrayOf(scalar('int4')),
      ['', '{', '}', '{1', '1,2}', '{1,}', '{,1}', '{1}}', '{1}x', '{{1}2}', '{"1}', '{"1"2}', '[0:1{1}', '{"a\\'],
    ],
    composite: [
      pair,
      ['', '(', ')', '()', '(1)', '(1,{},)', '(1,{}', '1,{})', '(1,"{}"', '(1,"{}"x)', '(1,{x)', '(1,{})x', '("'],
    ],
    'array of composites': [arrayOf(pair), ['{(1}', '{"(1,x)"}', '{"(1,{})x"}']],
  };

  it.each(Object.entries(malformed))(
    'as a damaged %s names its column, or passes as its text',
    (_name, [type, texts]) => {
      const table = tableOf({ id: scalar('int4'), value: type });
      for (const text of texts) {
        const row = packRow(['1', text]);
        expect(() => rowJsonEncoder(table).stringify(row, 0), text).toThrow(
          expect.objectContaining({ code: 'VALUE_INVALID', message: expect.stringContaining("'value'") as unknown }),
        );
        const got = rowJsonEncoder(table, { poison: 'text' }).stringify(row, 0);
        expect(got).toBe(JSON.stringify({ id: 1, value: text }));
      }
    },
  );

  it('as bytes that are not UTF-8 names its column, or passes byte for byte', () => {
    const bytes = Buffer.from('22fffe61c3', 'hex');
    for (const type of [scalar('text'), scalar('json'), scalar('timestamp'), scalar('int4')]) {
      const table = tableOf({ naïve: scalar('text'), value: type });
      const row = packRow(['é', bytes]);
      expect(() => rowJsonEncoder(table).encode(row, 0)).toThrow(
        expect.objectContaining({
          code: 'VALUE_INVALID',
          place: { source: 'shop', table: 'shop.public.orders' },
          message: expect.stringMatching(/'value' .* is not valid UTF-8/) as unknown,
        }),
      );
      const got = rowJsonEncoder(table, { poison: 'text' }).encode(row, 0);
      expect(got.includes(bytes.subarray(1))).toBe(true);
    }
    const encoder = columnJsonEncoder(tableOf({ value: scalar('text') }), 0);
    expect(() => encoder.stringify(bytes, 0, bytes.length)).toThrow(expect.objectContaining({ code: 'VALUE_INVALID' }));
    expect(encoder.stringify(bytes, 3, 4)).toBe('"a"');
  });

  it('leaves the output as it was before its row', () => {
    const table = tableOf({ a: scalar('text'), b: arrayOf(scalar('text')) });
    const into = new ByteWriter();
    const encoder = rowJsonEncoder(table);
    encoder.write(packRow(['x', '{y}']), 0, into);
    const before = into.bytes().toString();
    expect(() => encoder.write(packRow(['x', '{']), 0, into)).toThrow(/column 'b'/);
    expect(() => encoder.write(packRow([Buffer.of(0x80), '{}']), 0, into)).toThrow(/column 'a'/);
    expect(into.bytes().toString()).toBe(before);
  });

  it('is a document all the same when taken as text, whatever stands in whatever column', () => {
    const types: DataType[] = [
      ...(['bool', 'int8', 'numeric', 'float8', 'text', 'timestamptz', 'date', 'bytea', 'other'] as const).map(scalar),
      arrayOf(scalar('numeric')),
      { kind: 'array', element: scalar('int2'), delimiter: ' ' },
      pair,
      arrayOf(pair),
      { kind: 'composite', fields: [] },
    ];
    const table = tableOf(Object.fromEntries(types.map((type, index) => [`c${index}`, type])));
    const encoder = rowJsonEncoder(table, { poison: 'text' });
    const row = fc.array(fc.option(anything), { minLength: types.length, maxLength: types.length });
    fc.assert(
      fc.property(row, (values) => {
        const document = JSON.parse(encoder.stringify(packRow(values), 0)) as Record<string, unknown>;
        expect(Object.keys(document)).toEqual(table.columns.map(({ name }) => name));
      }),
      { numRuns: 1000 },
    );
  });
});

/** The digits of a number without the zeros at its end, wherever its point is. */
function significant(text: string): string {
  return text.replace('.', '').replace(/0+$/, '');
}
