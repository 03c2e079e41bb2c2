/**
 * The tables of docs/configuration.md, from the schema. `node tests/config/key-table.ts` writes them into the page; a test
 * fails when the page says something else.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configJsonSchema } from '../../config/json-schema.ts';
import type { JsonSchema } from '../../config/json-schema.ts';

export const page = join(import.meta.dirname, '../../docs/configuration.md');
const begin = '<!-- keys: begin (written by tests/config/key-table.ts) -->';
const end = '<!-- keys: end -->';

interface Group {
  readonly title: string;
  readonly rows: string[];
}

/** The page's text with the tables that the schema gives now. */
export function withTables(text: string): string {
  const from = text.indexOf(begin) + begin.length;
  const to = text.indexOf(end);
  return `${text.slice(0, from)}\n\n${tables()}\n\n${text.slice(to)}`;
}

function tables(): string {
  const groups: Group[] = [];
  collect(configJsonSchema(), '', 'The file', groups);
  return groups
    .map(
      ({ title, rows }) => `### ${title}\n\n| key | value | default | meaning |\n|---|---|---|---|\n${rows.join('\n')}`,
    )
    .join('\n\n');
}

/** One group for each mapping of keys; mappings of names and lists of mappings lead to groups of their own. */
function collect(schema: JsonSchema, path: string, title: string, into: Group[]): void {
  const group: Group = { title, rows: [] };
  into.push(group);
  for (const [key, own] of Object.entries(schema.properties ?? {})) {
    const at = path === '' ? key : `${path}.${key}`;
    group.rows.push(row(key, own, schema.required?.includes(key) === true));
    for (const { schema: inner, place } of mappingsIn(own, at)) {
      const type = inner.properties?.['type']?.const;
      collect(inner, place, `\`${place}\`${typeof type === 'string' ? ` of type \`${type}\`` : ''}`, into);
    }
  }
}

function mappingsIn(schema: JsonSchema, path: string): { schema: JsonSchema; place: string }[] {
  if (schema.properties) return [{ schema, place: path }];
  const choices = schema.anyOf ?? schema.oneOf ?? [];
  const named = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : null;
  return [
    ...choices.flatMap((choice) => mappingsIn(choice, path)),
    ...(schema.items ? mappingsIn(schema.items, `${path}[]`) : []),
    ...(named ? mappingsIn(named, `${path}.<name>`) : []),
  ];
}

function row(key: string, schema: JsonSchema, isRequired: boolean): string {
  const fallback = isRequired ? 'required' : showDefault(schema.default);
  const cells = [`\`${key}\``, valueOf(schema), fallback, schema.description ?? ''];
  return `| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`;
}

function valueOf(schema: JsonSchema): string {
  const choices = schema.anyOf?.filter(({ pattern }) => pattern !== String.raw`\$\{`) ?? [];
  if (choices.length > 0) return [...new Set(choices.map(valueOf))].join(' or ');
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const).replaceAll('"', '')}\``;
  if (schema.enum) return schema.enum.map((choice) => `\`${JSON.stringify(choice).replaceAll('"', '')}\``).join(', ');
  if (schema.type === 'array') return schema.items ? `list of ${plural(valueOf(schema.items))}` : 'list';
  if (schema.type === 'object') return 'mapping';
  if (schema.pattern?.includes('(ms|s|m|h)') === true) return 'duration';
  if (schema.pattern?.endsWith('%$') === true) return 'percentage';
  return schema.type === 'integer' ? 'whole number' : 'text';
}

function plural(value: string): string {
  return value === 'text or mapping' ? 'texts or mappings' : `${value}s`;
}

function showDefault(value: unknown): string {
  if (value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0))
    return '';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

if (import.meta.main) writeFileSync(page, withTables(readFileSync(page, 'utf8')));
