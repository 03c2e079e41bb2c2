import { TidemarkError } from '../base/errors.ts';
import type { Config, SourceConfig, TableConfig } from '../config/config.ts';
import type { SinkConfig } from '../config/sink-config.ts';
import { namesTable, parseName, partMatches } from '../config/table-name.ts';
import { topicOf } from '../model/table.ts';
import { viewTopic, viewsStream } from '../views/port.ts';

/** The topic that a sink follows, with the stream (the source) that writes it. */
export interface SinkTopic {
  readonly topic: string;
  readonly stream: string;
  /** The view that it is the result of, if it is. */
  readonly view?: string;
}

type NamedTable = readonly [source: string, schema: string, table: string];

/**
 * The topic that `from` means: a view, or any unambiguous ending of a table's name. Tables that the file spells out come first, then those
 * that a pattern could match, then those that the log holds already. CONFIG_INVALID when that leaves none or several.
 */
export function topicOfSink(sink: SinkConfig, config: Config, logged: readonly NamedTable[]): SinkTopic {
  const view = config.views.find(({ name }) => sink.from === name || sink.from === viewTopic(name));
  if (view) return { topic: viewTopic(view.name), stream: viewsStream, view: view.name };
  const written = config.sources.flatMap((source) =>
    source.tables
      .filter((table) => !table.isPattern)
      .map(({ schema, table }): NamedTable => [source.name, schema, table]),
  );
  const candidates = [
    () => written.filter((table) => namesTable(sink.from, table)),
    () => logged.filter((table) => table[0] !== viewsStream && namesTable(sink.from, table)),
    () => config.sources.flatMap((source) => byPattern(sink.from, source)),
  ];
  for (const candidate of candidates) {
    const found = distinct(candidate());
    const only = found[0];
    if (only === undefined) continue;
    if (found.length > 1) throw ambiguous(sink, found);
    return { topic: topicOf(...only), stream: only[0] };
  }
  throw new TidemarkError(
    'CONFIG_INVALID',
    `sink '${sink.name}': 'from: ${sink.from}' names no view and no table of a source`,
    {
      hint: 'Write the whole name: <source>.<schema>.<table>.',
      place: { sink: sink.name, file: config.file },
    },
  );
}

/** The tables of a source that `from` could mean by its patterns: what it leaves open must stand in the pattern literally. */
function byPattern(from: string, source: SourceConfig): NamedTable[] {
  const parts = parseName(from)?.map(({ text }) => text) ?? [];
  const table = parts.at(-1);
  const schema = parts.at(-2);
  const isOther = parts.length > 2 && parts[0] !== source.name;
  if (table === undefined || parts.length > 3 || isOther) return [];
  return source.tables
    .filter((entry) => entry.isPattern && partMatches(patternOf(entry.table), table))
    .filter((entry) => (schema === undefined ? !isGlob(entry.schema) : partMatches(patternOf(entry.schema), schema)))
    .map((entry): NamedTable => [source.name, schema ?? entry.schema, table]);
}

function patternOf(text: string): { text: string; isPattern: boolean } {
  return { text, isPattern: isGlob(text) };
}

function isGlob(text: TableConfig['schema']): boolean {
  return /[*?]/.test(text);
}

function distinct(tables: readonly NamedTable[]): NamedTable[] {
  return [...new Map(tables.map((table) => [topicOf(...table), table])).values()];
}

function ambiguous(sink: SinkConfig, found: readonly NamedTable[]): TidemarkError {
  const names = found.map((table) => topicOf(...table)).join(', ');
  return new TidemarkError('CONFIG_INVALID', `sink '${sink.name}': 'from: ${sink.from}' may be any of ${names}`, {
    hint: 'Write the whole name.',
    place: { sink: sink.name },
  });
}
