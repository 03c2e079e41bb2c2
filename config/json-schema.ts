import * as z from 'zod';
import { fileSchema } from './schema.ts';
import { isMapping } from './yaml-tree.ts';
import type { Path, YamlTree, YamlValue } from './yaml-tree.ts';

/** A JSON Schema, as far as this file's needs go. */
export interface JsonSchema {
  readonly title?: string;
  readonly type?: string;
  readonly description?: string;
  readonly const?: YamlValue;
  readonly enum?: readonly YamlValue[];
  readonly default?: YamlValue;
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
}

/** What an editor must accept in place of a value: a text with a variable in it. */
const variable = { type: 'string', pattern: String.raw`\$\{` } as const;

/** The schema of the file (JSON Schema 2020-12): what `tidemark schema` prints, for editors. */
export function configJsonSchema(): JsonSchema {
  const schema = z.toJSONSchema(fileSchema, {
    io: 'input',
    override: ({ jsonSchema, path }) => {
      const { type, pattern, enum: choices, default: fallback, description, ...rest } = jsonSchema;
      // Plain texts allow a variable as it is; a `type` stays strict, since it tells the alternatives apart, and so do keys, which hold none.
      const isRestricted =
        type === 'integer' || (type === 'string' && (pattern !== undefined || choices !== undefined));
      if (!isRestricted || path.at(-1) === 'propertyNames') return;
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key];
      const strict = {
        type,
        ...(pattern === undefined ? {} : { pattern }),
        ...(choices ? { enum: choices } : {}),
        ...rest,
      };
      jsonSchema.anyOf = [strict, { ...variable }];
      if (fallback !== undefined) jsonSchema.default = fallback;
      if (description !== undefined) jsonSchema.description = description;
    },
  });
  return { ...(schema as JsonSchema), title: 'tidemark.yaml' };
}

let cached: JsonSchema | undefined;

/** The keys that the mapping at `path` may have, for the `type` it says it is of. */
export function knownKeys(path: Path, tree: YamlTree): string[] {
  cached ??= z.toJSONSchema(fileSchema, { io: 'input' }) as JsonSchema;
  let schemas: readonly JsonSchema[] = [cached];
  path.forEach((step, index) => {
    schemas = branches(schemas, tree.at(path.slice(0, index))).flatMap((schema) => child(schema, step));
  });
  return [...new Set(branches(schemas, tree.at(path)).flatMap((schema) => Object.keys(schema.properties ?? {})))];
}

function branches(schemas: readonly JsonSchema[], value: YamlValue | undefined): JsonSchema[] {
  return schemas
    .flatMap((schema) => schema.anyOf ?? schema.oneOf ?? [schema])
    .filter(({ properties }) => {
      const wanted = properties?.['type']?.const;
      return wanted === undefined || !isMapping(value) || value['type'] === wanted;
    });
}

function child(schema: JsonSchema, step: string | number): JsonSchema[] {
  if (typeof step === 'number') return schema.items ? [schema.items] : [];
  const own = schema.properties?.[step];
  if (own) return [own];
  return typeof schema.additionalProperties === 'object' ? [schema.additionalProperties] : [];
}
