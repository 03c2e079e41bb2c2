import { list, mapping, tableName } from './report.ts';
import type { Report } from './report.ts';
import { parseName, partMatches } from './table-name.ts';
import type { NamePart } from './table-name.ts';
import type { YamlMapping, YamlValue } from './yaml-tree.ts';

/** An entry of a source's `tables`. */
export interface KnownTable {
  readonly source: string;
  readonly parts: readonly NamePart[];
  /** What the entry says besides the name; empty where it is the name alone. */
  readonly entry: YamlMapping;
}

/** The entries of `tables` of all sources; not the whole of them where one could not be understood. */
export function knownTables(
  sources: readonly [string, YamlValue][],
  report: Report,
): { list: KnownTable[]; isWhole: boolean } {
  const found: KnownTable[] = [];
  let isWhole = sources.length > 0;
  for (const [source, value] of sources) {
    if (mapping(value)['type'] === 'ndjson') {
      const tables = Object.entries(mapping(mapping(value)['tables']));
      if (tables.length === 0) isWhole = false;
      for (const [table, entry] of tables) {
        if (parseName(table)?.length !== 1) isWhole = false;
        const parts = ['public', table].map((text) => ({ text, isPattern: false }));
        found.push({ source, parts, entry: mapping(entry) });
      }
      continue;
    }
    const entries = list(mapping(value)['tables']);
    if (entries.length === 0 || mapping(value)['type'] !== 'postgres') isWhole = false;
    entries.forEach((entry, index) => {
      const own = tableName(entry);
      const parts = own === null ? null : parseName(own);
      const path = ['sources', source, 'tables', index];
      if (parts?.length === 2 && !report.isBroken(path) && !report.isBroken([...path, 'name']))
        found.push({ source, parts, entry: mapping(entry) });
      else isWhole = false;
    });
  }
  return { list: found, isWhole };
}

/** Whether `from` could mean the table, or one that its pattern matches. */
export function couldName(wanted: readonly NamePart[], { source, parts }: KnownTable): boolean {
  if (wanted.length > 3) return false;
  const all = [{ text: source, isPattern: false }, ...parts].slice(-wanted.length);
  return wanted.every((part, index) => {
    const own = all[index];
    return own !== undefined && partMatches(own, part.text);
  });
}

export function isPattern({ parts }: KnownTable): boolean {
  return parts.some((part) => part.isPattern);
}

export function fullName({ source, parts }: KnownTable): string {
  return [source, ...parts.map(({ text }) => text)].join('.');
}
