import type { DataType } from '../../model/data-type.ts';
import type { SearchSinkOptions } from '../options.ts';
import type { SinkColumn, SinkShape } from '../port.ts';
import { unfit } from '../unfit.ts';

export type Field = Readonly<Record<string, unknown>>;

/** Longest text of a keyword, in characters: what is longer is found by its words only. */
const keywordCharactersMax = 256;
/** The engines' own limit of fields; raised where the derived ones alone come near it. */
const fieldsMax = 1000;
const spareFields = 500;

const text: Field = { type: 'text', fields: { keyword: { type: 'keyword', ignore_above: keywordCharactersMax } } };

/**
 * How dates are printed here and read by both engines: 2026-11-21, with time 2026-11-21T14:10:00.123456, with zone …+00:00. What no date of
 * theirs can hold (infinity, years before Christ or beyond 9999) is in `_source` and in no index: `ignore_malformed`.
 */
const date: Field = { type: 'date', format: 'strict_date_optional_time', ignore_malformed: true };

/**
 * The field for a column, or null where only the values tell: of json, whose members become fields as they come (dynamicRules).
 *
 * - All integers are long, so that widening a column builds nothing anew.
 * - numeric is double: it sorts, ranges and sums as users expect. The index has 15 digits of it, `_source` all; NaN and infinities, which
 *   are strings in JSON, are in `_source` alone. `mapping` takes another type: scaled_float, keyword.
 * - bytea is `\x…` text, which engines' binary type does not read; kept, not searched.
 */
export function fieldOf(type: DataType): Field | null {
  if (type.kind === 'array') return fieldOf(type.element);
  if (type.kind === 'composite') {
    const properties = type.fields.flatMap(({ name, type: inner }) => {
      const field = fieldOf(inner);
      return field === null ? [] : [[name, field]];
    });
    return { type: 'object', properties: Object.fromEntries(properties) as unknown };
  }
  switch (type.name) {
    case 'bool':
      return { type: 'boolean' };
    case 'int2':
    case 'int4':
    case 'int8':
      return { type: 'long' };
    case 'numeric':
    case 'float4':
    case 'float8':
      return { type: 'double', ignore_malformed: true };
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return date;
    case 'uuid':
    case 'time':
    case 'timetz':
    case 'interval':
      return { type: 'keyword', ignore_above: keywordCharactersMax };
    case 'bytea':
      return { type: 'keyword', index: false, doc_values: false };
    case 'json':
    case 'jsonb':
      return null;
    default:
      return text;
  }
}

/**
 * Members of json columns: as the engines would map them by themselves, except that a fraction is a double rather than a float, and that
 * text is never taken for a date because the first one looked like one.
 */
const dynamicRules = {
  dynamic: true,
  date_detection: false,
  numeric_detection: false,
  dynamic_templates: [
    { fractions: { match_mapping_type: 'double', mapping: { type: 'double' } } },
    { texts: { match_mapping_type: 'string', mapping: text } },
  ],
};

/** The fields of columns that the sink's `mapping` does not give itself. */
export function derivedFields(columns: readonly SinkColumn[], options: SearchSinkOptions): Record<string, Field> {
  const given = givenFields(options);
  const fields: Record<string, Field> = {};
  for (const { name, type } of columns) {
    const field = fieldOf(type);
    if (field !== null && !(name in given)) fields[name] = field;
  }
  return fields;
}

function givenFields({ mapping }: SearchSinkOptions): Readonly<Record<string, unknown>> {
  return mapping === null ? {} : (wholeMapping(mapping) ?? mapping);
}

/** `properties` of a mapping that was given as engines print it, rather than as fields by name. */
function wholeMapping(mapping: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> | null {
  const { properties } = mapping;
  if (typeof properties !== 'object' || properties === null || 'type' in properties) return null;
  return properties as Record<string, unknown>;
}

/** What an index is created with, before its columns are known: rules, the sink's own fields, and whose it is. */
export function mappingOf(options: SearchSinkOptions, owner: Field): Field {
  const whole = options.mapping !== null && wholeMapping(options.mapping) !== null ? options.mapping : {};
  return { ...dynamicRules, ...whole, _meta: { tidemark: owner }, properties: givenFields(options) };
}

/** Settings of the index. Ours come last where delivery depends on them. */
export function settingsOf(options: SearchSinkOptions): Record<string, unknown> {
  return {
    number_of_shards: 1,
    ...flattened(options.settings ?? {}),
    // Refreshed by us, between commits, so that searches see no half of one; while an index is filled, not at all.
    refresh_interval: '-1',
    /*
     * For so long the engine remembers, in memory, the version of what was deleted, and refuses an older write of it. There is one writer,
     * in order; this is for a request that was given up (engine-client.ts waits a minute) and is carried out late all the same.
     */
    gc_deletes: '10m',
  };
}

/** Why the settings are none that delivery can rely on, or null. */
export function settingsProblem({ settings }: SearchSinkOptions): string | null {
  const durability = flattened(settings ?? {})['translog.durability'];
  if (durability === undefined || durability === 'request') return null;
  return 'translog.durability must be request, or a power cut would take rows that the sink is known to hold';
}

/** How often the engine refreshes the index by itself, once it is readable: null is the engine's own default. */
export function engineRefresh({ settings }: SearchSinkOptions): unknown {
  return flattened(settings ?? {})['refresh_interval'] ?? null;
}

/** Settings by their names below `index.`, however they were nested. */
function flattened(settings: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  const add = (prefix: string, value: Readonly<Record<string, unknown>>): void => {
    for (const [name, inner] of Object.entries(value)) {
      const path = prefix === '' ? name : `${prefix}.${name}`;
      if (typeof inner === 'object' && inner !== null && !Array.isArray(inner)) add(path, inner as typeof value);
      else result[path.replace(/^index\./, '')] = inner;
    }
  };
  add('', settings);
  return result;
}

/** How many fields the index must have room for, or null when the engine's limit is enough. */
export function fieldLimit(columns: readonly SinkColumn[], { settings }: SearchSinkOptions): number | null {
  const wanted = columns.reduce((sum, { type }) => sum + fieldsOf(type), 0) + spareFields;
  const isGiven = 'mapping.total_fields.limit' in flattened(settings ?? {});
  return isGiven || wanted <= fieldsMax ? null : wanted;
}

function fieldsOf(type: DataType): number {
  if (type.kind === 'array') return fieldsOf(type.element);
  if (type.kind === 'composite') return type.fields.reduce((sum, field) => sum + fieldsOf(field.type), 1);
  return 2;
}

/** Names that engines keep for themselves at the top of a document. */
const metadata = new Set(
  '_id _index _source _type _routing _field_names _ignored _meta _seq_no _version _primary_term _size _tier _data_stream_timestamp _doc_count _nested_path _tsid _ignored_source _inference_fields'.split(
    ' ',
  ),
);

/** SINK_TARGET when documents of the shape are none that the engine would take, or that could be told apart. */
export function checkShape(options: SearchSinkOptions, topic: string, { columns, key }: SinkShape): void {
  const { name: sink } = options;
  if (key.length === 0) {
    throw unfit('SINK_TARGET', `Sink '${sink}' takes rows of ${topic}, which has no key to name documents by`, {
      hint: 'Declare `key` for the table in `tables` of its source, or take a view with a key, then start again.',
      place: { sink, table: topic },
    });
  }
  const reserved = columns.find(({ name }) => metadata.has(name) || /^\.|\.$|\.\.|^\s*$/.test(name));
  if (reserved !== undefined) {
    throw unfit(
      'SINK_TARGET',
      `Sink '${sink}' has a column '${reserved.name}', a name that ${options.type} does not take`,
      {
        hint: 'Give it another name with `columns: { new_name: old_name, … }`, then start again.',
        place: { sink, table: topic },
      },
    );
  }
}

/** Position in the columns of the one that routes, or -1. SINK_TARGET when deletes would not tell where a document is. */
export function routingColumn(options: SearchSinkOptions, { columns, key }: SinkShape, shards: number): number {
  const { name: sink, routing } = options;
  if (routing === null) return -1;
  const position = columns.findIndex(({ name }) => name === routing);
  if (position >= 0 && (key.includes(position) || shards === 1)) return position;
  const why = position < 0 ? 'which it does not have' : 'which is not part of its key';
  throw unfit('SINK_TARGET', `Sink '${sink}' routes by column '${routing}', ${why}`, {
    hint: 'Over several shards a row must stay where its key says: route by a column of the key, or leave `routing` out; then start again.',
    place: { sink },
  });
}
