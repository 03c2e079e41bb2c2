import { describe, expect, it } from 'vitest';
import { findingsOf } from '../../config/findings.ts';
import { parseConfig } from '../../config/load.ts';

const right = `version: 1
name: web
sources:
  web:
    type: ndjson
    path: ./clicks.ndjson
    tables:
      clicks:
        columns: { id: bigint, at: timestamptz }
        key: [id]
sinks:
  local: { type: sqlite, path: ./out.db, from: clicks }
`;

function mistakesWith(from: string, to: string): string[] {
  try {
    parseConfig(right.replace(from, to), '/etc/tidemark.yaml', {});
    return [];
  } catch (error) {
    return findingsOf(error).map(({ line, column, message }) => `${line}:${column}: ${message}`);
  }
}

describe('a source of lines in the file', () => {
  it('has its tables with their types, and a path from the folder of the file', () => {
    const [source] = parseConfig(right, '/etc/tidemark.yaml', {}).sources;
    expect(source).toMatchObject({
      type: 'ndjson',
      path: '/etc/clicks.ndjson',
      tables: [
        {
          schema: 'public',
          table: 'clicks',
          kind: 'table',
          key: ['id'],
          columns: [
            { name: 'id', type: { declared: 'bigint' } },
            { name: 'at', type: { declared: 'timestamp with time zone' } },
          ],
        },
      ],
    });
    const keyless = parseConfig(
      right.replace('        key: [id]\n', '').replace('./clicks.ndjson', '"-"'),
      '/x.yaml',
      {},
    );
    expect(keyless.sources[0]).toMatchObject({ path: '-', tables: [{ kind: 'stream', key: [] }] });
  });

  it.each([
    [
      'bigint',
      'biginteger',
      '9:24: this is no type of SQL that values can be read into; write bigint, text, numeric(12,2), timestamptz …',
    ],
    ['bigint', '7', "9:24: 'id' must be a text, not a number; put quotes around it"],
    ['[id]', '[ip]', '10:15: no such column is declared; write id'],
    ['[id]', '[id, id]', '10:19: this column is already there; remove one of the two'],
    ['[id]', '[]', '10:14: name at least one column, or leave the key out'],
    ['{ id: bigint, at: timestamptz }', '{}', '9:18: name at least one column'],
    [
      '        columns: { id: bigint, at: timestamptz }\n',
      '',
      "8:7: 'columns' is missing; add, for example, `columns: { id: bigint, url: text }`",
    ],
    ['    path: ./clicks.ndjson\n', '', "4:3: 'path' is missing; add, for example, `path: ./clicks.ndjson`"],
    [
      'path: ./clicks.ndjson',
      'path: ./clicks.ndjson\n    slot: a',
      "7:5: unknown key 'slot'; the keys here are type, path, tables",
    ],
    [
      '      clicks:',
      '      public.clicks:',
      '8:7: a table of lines is named without dots, quotes, spaces, * and ?, by 63 characters at most',
    ],
    ['./clicks.ndjson', './out.db', "6:11: sink 'local' writes this file; give one of the two another"],
    ['from: clicks', 'from: klicks', '12:48: no source has this table; write clicks'],
    [
      'sinks:',
      '  more: { type: ndjson, path: "-", tables: { a: { columns: { x: int } } } }\n  less: { type: ndjson, path: "-", tables: { b: { columns: { x: int } } } }\nsinks:',
      "12:31: source 'more' reads standard input already; give this one a file",
    ],
  ])('where %s became %s is told its mistake', (from, to, mistake) => {
    expect(mistakesWith(from, to)).toEqual([mistake]);
  });

  it('is told what its tables look like', () => {
    expect(mistakesWith(/ {4}tables:[^]*(?=sinks)/.exec(right)?.[0] ?? '', '    tables: [public.clicks]\n')).toContain(
      "7:13: 'tables' must be a mapping of names, not a list",
    );
    expect(mistakesWith(/ {4}tables:[^]*(?=sinks)/.exec(right)?.[0] ?? '', '')).toContain(
      "4:3: 'tables' is missing; add, for example, `tables: { clicks: { columns: { id: bigint, url: text }, key: [id] } }`",
    );
  });
});
