import fc from 'fast-check';
import { stringify } from 'yaml';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../config/load.ts';
import type { ViewConfig } from '../../config/config.ts';

const head = 'version: 1\nname: shop\nsources:\n  shop: { type: postgres, url: postgres://h/d, tables: [public.a] }\n';
const tail = 'sinks:\n  f: { type: ndjson, path: ./f.ndjson, from: v }\n';
const styles = ['PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE', 'BLOCK_LITERAL', 'BLOCK_FOLDED'] as const;

function viewOf(text: string, environment: NodeJS.ProcessEnv = {}): ViewConfig {
  const [view] = parseConfig(text, '/etc/shop/tidemark.yaml', environment).views;
  if (view === undefined) throw new RangeError('no view');
  return view;
}

/** The text of the file from a place on. */
function textAt(text: string, place: string | null | undefined): string {
  const [, line, column] = /^tidemark\.yaml:(\d+):(\d+)$/.exec(place ?? '') ?? [];
  return (text.split('\n')[Number(line) - 1] ?? '').slice(Number(column) - 1);
}

describe('the SQL of a view', () => {
  it('is found again in the file, character by character, however YAML writes it', () => {
    const letter = fc.constantFrom('a', 'n', "'", '"', '\\', 'ö', '\u{1F600}', ' ', ' ', '\n', ',', '0', '(', ')');
    const words = fc.string({ unit: letter, minLength: 1, maxLength: 120 }).map((text) => `SELECT ${text};`);
    fc.assert(
      fc.property(words, fc.constantFrom(...styles), fc.constantFrom(20, 80), (sql, style, lineWidth) => {
        const written = stringify(
          { views: { v: { key: ['id'], sql } } },
          { defaultStringType: style, defaultKeyType: 'PLAIN', lineWidth },
        );
        const text = head + written + tail;
        const view = viewOf(text);
        expect(view.sql).toBe(sql);
        for (let index = 0; index < sql.length; index++) {
          const character = String.fromCodePoint(sql.codePointAt(index) ?? 0);
          if (/\s/.test(character)) continue;
          const found = textAt(text, view.placeOf?.(index));
          const bare = found.startsWith('\\') && character !== '\\' ? found.slice(1) : found;
          expect(bare.startsWith(character), `${index} ${character} in ${text}`).toBe(true);
          if (character.length === 2) index++;
        }
      }),
    );
  });

  it('is found as far as a variable, and behind it where its value stands in the file', () => {
    const text = `${head}views:\n  v: { key: [id], sql: "SELECT a, \${NAME} AS b" }\n${tail}`;
    const { placeOf, sql } = viewOf(text, { NAME: 'c' });
    expect(sql).toBe('SELECT a, c AS b');
    expect(placeOf?.(7)).toBe('tidemark.yaml:6:32');
    expect(placeOf?.(12)).toBeNull();
    expect(placeOf?.(null)).toBe('tidemark.yaml:6:3');
  });

  it('is found behind escapes of every length', () => {
    const sql = '"SELECT\\t\'\\xe9\\u00e9\\U0001F600\\"\\\\\' AS \\\n     b"';
    const text = `${head}views:\n  v: { key: [id], sql: ${sql} }\n${tail}`;
    const view = viewOf(text);
    expect(textAt(text, view.placeOf?.(view.sql.lastIndexOf('b')))).toBe('b" }');
    expect(textAt(text, view.placeOf?.(view.sql.length))).toBe('" }');
  });
});
