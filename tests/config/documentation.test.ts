import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { configJsonSchema } from '../../config/json-schema.ts';
import type { JsonSchema } from '../../config/json-schema.ts';
import { parseConfig } from '../../config/load.ts';
import { page, withTables } from './key-table.ts';

describe('docs/configuration.md', () => {
  const text = readFileSync(page, 'utf8');

  it('lists every key with its default (`node tests/config/key-table.ts` writes it)', () => {
    expect(text).toBe(withTables(text));
  });

  it('begins with a file that is right', () => {
    const example = /```yaml\n(.*?)```/s.exec(text)?.[1] ?? '';
    expect(parseConfig(example, 'tidemark.yaml', { SHOP_DATABASE_URL: 'postgres://h/d' }).sinks).toHaveLength(1);
  });
});

describe('the JSON Schema', () => {
  it('describes every key, and lets a variable stand where a value of a special form does', () => {
    const schema = configJsonSchema();
    expect(undescribed(schema, '')).toEqual([]);
    expect(schema).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      required: ['version', 'name', 'sources'],
      additionalProperties: false,
    });
    const port = schema.properties?.['http']?.properties?.['port'];
    expect(port).toMatchObject({ default: 7070, anyOf: [{ type: 'integer' }, { type: 'string' }] });
  });
});

function undescribed(schema: JsonSchema, path: string): string[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => [
    ...(inner.description === undefined ? [`${path}${key}`] : []),
    ...undescribed(inner, `${path}${key}.`),
  ]);
  const nested = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), schema.items, schema.additionalProperties];
  return [...own, ...nested.flatMap((inner) => (typeof inner === 'object' ? undescribed(inner, path) : []))];
}
