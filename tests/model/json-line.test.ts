import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  JsonLineScanner,
  jsonAbsent,
  jsonEscaped,
  jsonFalse,
  jsonNested,
  jsonNull,
  jsonString,
  jsonTrue,
} from '../../model/json-line.ts';

const names = ['id', 'from', 'größe', 'a"b', ''];

function read(line: string): Record<string, unknown> {
  const scanner = new JsonLineScanner(names);
  // Bytes around the line must not be looked at.
  const bytes = Buffer.from(`}"9${line}9"{`);
  scanner.scan(bytes, 3, bytes.length - 3);
  const row: Record<string, unknown> = {};
  for (const [member, name] of names.entries()) {
    const kind = scanner.kind[member];
    if (kind === jsonAbsent) continue;
    if (kind === jsonNull) row[name] = null;
    else if (kind === jsonTrue || kind === jsonFalse) row[name] = kind === jsonTrue;
    else if (kind === jsonString || kind === jsonEscaped) row[name] = scanner.text(member);
    else row[name] = JSON.parse(scanner.text(member));
    if (kind === jsonNested) expect(typeof row[name]).toBe('object');
  }
  return row;
}

describe('the scanner of JSON lines', () => {
  it('finds what JSON.parse finds, however members are ordered and spaced', () => {
    const object = fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), fc.jsonValue(), {
      noNullPrototype: true,
    });
    const spaces = fc.constantFrom(undefined, 1, '\t');
    fc.assert(
      fc.property(object, spaces, (value, space) => {
        const known = Object.fromEntries(Object.entries(value).filter(([name]) => names.includes(name)));
        expect(read(JSON.stringify(value, null, space))).toEqual(JSON.parse(JSON.stringify(known)));
      }),
      { numRuns: 500 },
    );
  });

  it('refuses exactly what JSON.parse refuses, wherever a line is damaged', () => {
    const line =
      '{"id": -12.5e+3, "from":"a\\u0041\\n", "x":{"y":[1,{"z":"}\\""}]},"größe":null,"a\\"b":true,"":false}';
    const damage = fc.record({
      at: fc.nat(line.length - 1),
      remove: fc.nat(2),
      insert: fc.constantFrom('', '"', '\\', ',', '0', 'e', '\u0001', '}'),
    });
    fc.assert(
      fc.property(damage, ({ at, remove, insert }) => {
        const damaged = line.slice(0, at) + insert + line.slice(at + remove);
        let isObject = true;
        try {
          JSON.parse(damaged);
        } catch {
          isObject = false;
        }
        if (isObject) read(damaged);
        else expect(() => read(damaged)).toThrow('not a JSON object');
      }),
      { numRuns: 2000 },
    );
  });

  it('takes the last of several members of one name, and says where a line is wrong', () => {
    expect(read('{"id":1,"id":2}')).toEqual({ id: 2 });
    expect(() => read('{"id":01}')).toThrow('not a number, at byte 7, before "01}"');
    expect(() => read('[1]')).toThrow('an object is expected, at byte 1');
    expect(() => read('{"id":1')).toThrow("',' or '}' is expected, at its end");
  });
});
