import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTidemarkError } from '../../base/errors.ts';
import { findingsOf } from '../../config/findings.ts';
import { parseConfig } from '../../config/load.ts';
import { namesTable, parseName, partMatches } from '../../config/table-name.ts';

const whole = `version: 1
name: shop
data_dir: ./data
sources:
  shop:
    type: postgres
    url: \${URL:-postgres://u@h/d}
    tables: [public.a, "public.b_*", { name: public.c, kind: stream, key: [id], exclude: [x] }]
    snapshot: { mode: initial, chunk_rows: \${ROWS}, parallel: 2 }
    heartbeat: 10s
sinks:
  local: &local { type: sqlite, path: ./a.db, from: a, search: [title], columns: { id: id, title: name } }
  feed: { type: ndjson, path: "-", from: shop.public.c }
http: { host: 127.0.0.1, port: 7070, token: 'secret!!' }
disk: { warn: 80%, stop: 95% }
log_level: info
`;

/** Either a configuration, or the one error of a bad file with at least one place inside the text. */
function judge(text: string): void {
  try {
    parseConfig(text, 'f.yaml', { ROWS: '5' });
  } catch (error) {
    if (!isTidemarkError(error, 'CONFIG_INVALID')) throw error;
    const lines = text.split(/\r\n|\n|\r/).length;
    expect(findingsOf(error).length).toBeGreaterThan(0);
    for (const { line, column } of findingsOf(error)) {
      expect(line).toBeGreaterThanOrEqual(1);
      expect(line).toBeLessThanOrEqual(lines + 1);
      expect(column).toBeGreaterThanOrEqual(1);
    }
  }
}

const snippet = fc.oneof(
  fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ': ',
    '- ',
    '"',
    "'",
    '\n',
    '\t',
    '  ',
    '&a ',
    '*a',
    '!!str ',
    '<<: *local',
    '${',
    '${X}',
    '$${',
    '? ',
    '|\n',
    '>\n',
    '%',
    '---\n',
    '...\n',
    '#',
    'null',
    '~',
    '1e999',
    '.nan',
    '0x1',
    'true',
    '\u0000',
    '\ue07b',
    '\ufeff',
    '__proto__: ',
    'constructor: ',
    'toString: ',
  ),
  fc.string({ unit: 'binary', maxLength: 6 }),
);

const edit = fc.record({ at: fc.nat(whole.length), remove: fc.nat(40), insert: snippet });

describe('any text at all', () => {
  it('is a configuration or a list of mistakes, never a crash', () => {
    expect(() => {
      judge(whole);
    }).not.toThrow();
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 6 }), (edits) => {
        judge(
          edits.reduce((text, { at, remove, insert }) => text.slice(0, at) + insert + text.slice(at + remove), whole),
        );
      }),
      { numRuns: 1500 },
    );
  });

  it('of random values in the place of any other is no crash either', () => {
    const places = whole.split(/(?<=[:,[{] )(?=[^ \n])/);
    fc.assert(
      fc.property(fc.nat(places.length - 1), fc.json({ maxDepth: 3 }), (index, value) => {
        judge(places.map((part, at) => (at === index ? part.replace(/^[^,\n}\]]*/, value) : part)).join(''));
      }),
      { numRuns: 500 },
    );
  });

  it('beyond the private characters that stand for variables is read as it is', () => {
    judge(`${whole}# \ue024\ue07b\n`);
    fc.assert(fc.property(fc.string({ unit: 'binary' }), judge), { numRuns: 300 });
  });
});

describe('a name', () => {
  const part = fc.string({ minLength: 1, unit: 'grapheme-ascii' });

  it('that is quoted is read as it was written, dots and all', () => {
    fc.assert(
      fc.property(part, part, (schema, table) => {
        const quoted = [schema, table].map((text) => `"${text.replaceAll('"', '""')}"`).join('.');
        expect(parseName(quoted)).toEqual([schema, table].map((text) => ({ text, isPattern: false })));
        expect(namesTable(quoted, ['s', schema, table])).toBe(true);
        expect(namesTable(quoted, ['s', schema, `${table}x`])).toBe(false);
      }),
    );
  });

  it('that is a pattern matches what the same regular expression does', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '_'), maxLength: 8 });
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '_', '*', '?'), maxLength: 6 });
    fc.assert(
      fc.property(pattern, letters, (text, name) => {
        const expected = new RegExp(`^${text.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(name);
        expect(partMatches({ text, isPattern: true }, name)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it.each(['', '.', 'a.', '.a', 'a..b', '"a', 'a b', '"a"b', 'a."'])('%j is none', (text) => {
    expect(parseName(text)).toBeNull();
  });
});
