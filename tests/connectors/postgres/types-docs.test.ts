import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { present } from '../../../base/assert.ts';
import type { DataType } from '../../../model/data-type.ts';
import { describePostgres } from '../../servers/suite.ts';
import { typeCases, typesSetup } from './types-cases.ts';
import { printedBy, sessionSettings, typesByName } from './types-oracle.ts';

/** Values that readers ask about, as literals of their types. */
const extremes: readonly (readonly [type: string, literal: string])[] = [
  ['bigint', '-9223372036854775808'],
  ['numeric', '1e-20'],
  ['numeric', 'NaN'],
  ['real', '3.4028235e38'],
  ['double precision', '-0'],
  ['double precision', '5e-324'],
  ['double precision', 'Infinity'],
  ['character(5)', 'ab'],
  ['bytea', ''],
  ['date', 'infinity'],
  ['date', '0044-03-15 BC'],
  ['date', '5874897-12-31'],
  ['time', '24:00:00'],
  ['time with time zone', '12:00+00:00:01'],
  ['timestamp', '-infinity'],
  ['timestamp', '294276-12-31 23:59:59.999999'],
  ['timestamptz', '0044-03-15 12:00:00.5+00 BC'],
  ['interval', '-1 mon +1 day -00:00:01'],
  ['json', ' {"a":  1.0, "a": 2} '],
  ['jsonb', ' {"a":  1.0, "a": 2} '],
  ['integer[]', '{}'],
  ['integer[]', '[0:1]={1,2}'],
  ['integer[]', '{{1,2},{3,NULL}}'],
  ['text[]', '{NULL,"NULL","","a \\"b\\""}'],
  ['timestamptz[]', '{"2026-01-31 12:34:56+02",infinity}'],
  ['address', '(,"",{},)'],
  ['address[]', '{NULL}'],
  ['int4range', 'empty'],
  ['box[]', '{(3,4),(1,2);(7,8),(5,6)}'],
];

const file = join(import.meta.dirname, '../../../docs/types.md');

/** How tidemark names the type (model/data-type.ts). */
function nameOf(type: DataType): string {
  if (type.kind === 'scalar') return type.name;
  if (type.kind === 'array') return `array of ${nameOf(type.element)}`;
  return 'composite';
}

function code(text: string): string {
  return text === '' ? '(empty)' : `\`${text.replaceAll('|', '\\|').replaceAll('\n', '↵')}\``;
}

function replaceSection(document: string, name: string, body: string): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [start, end] = [document.indexOf(open), document.indexOf(close)];
  expect(start, open).toBeGreaterThanOrEqual(0);
  expect(end, close).toBeGreaterThan(start);
  return `${document.slice(0, start)}${open}\n${body}\n${document.slice(end)}`;
}

describePostgres('docs/types.md', (database) => {
  const query = async (sql: string, values?: readonly unknown[]) => database.query(sql, values);
  let types: Map<string, DataType>;

  beforeAll(async () => {
    await database.query(sessionSettings);
    await database.query(typesSetup);
    const names = [...typeCases.map(({ type }) => type), ...extremes.map(([type]) => type)];
    types = await typesByName(query, names);
  });

  async function table(rows: readonly (readonly [type: string, literal: string])[]): Promise<string> {
    const lines = ['| type | in tidemark | text | JSON |', '|---|---|---|---|'];
    for (const [type, literal] of rows) {
      const [printed] = await printedBy(query, type, [literal]);
      const { text, json } = present(printed, literal);
      lines.push(`| \`${type}\` | ${nameOf(present(types.get(type), type))} | ${code(text)} | ${code(json)} |`);
    }
    return lines.join('\n');
  }

  /** `UPDATE_DOCS=1 npx vitest run tests/connectors/postgres/types-docs` writes it anew. */
  it('tells for every type what the server prints', async () => {
    const document = readFileSync(file, 'utf8');
    let expected = replaceSection(document, 'setup', `\`\`\`sql\n${setupForPeople()}\n\`\`\``);
    expected = replaceSection(
      expected,
      'types',
      await table(typeCases.map(({ type, values }) => [type, present(values[0], type)])),
    );
    expected = replaceSection(expected, 'extremes', await table(extremes));
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(file, expected);
    else expect(document).toBe(expected);
  });
});

function setupForPeople(): string {
  return typesSetup
    .trim()
    .split('\n')
    .map((line) => line.trim())
    .join('\n');
}
