import { couldName, knownTables } from './known-tables.ts';
import type { KnownTable } from './known-tables.ts';
import { list } from './report.ts';
import type { Report } from './report.ts';
import { parseName } from './table-name.ts';
import { isMapping } from './yaml-tree.ts';
import type { Path, YamlMapping, YamlValue } from './yaml-tree.ts';

/** A sink's `columns` and `search`, and what the table that it takes rows from is known to have. */
export function checkColumns(
  name: string,
  sink: YamlMapping,
  sources: readonly [string, YamlValue][],
  report: Report,
): void {
  const path: Path = ['sinks', name];
  const written = writtenColumns(sink['columns']);
  checkWritten(written, path, report);
  if (sink['type'] === 'sqlite') checkSearched(written, sink, path, report);
  const table = tableOf(sink['from'], sources, report);
  if (table !== null) checkAgainstTable(written, table, sink, path, report);
}

/** A column as the sink calls it, and as its table does. */
export interface Written {
  readonly as: string;
  readonly column: string;
  /** What says so, within `columns`. */
  readonly step: string | number;
}

/** Null for all columns of the table. */
export function writtenColumns(columns: YamlValue | undefined): readonly Written[] | null {
  if (Array.isArray(columns)) {
    return columns.flatMap((column, step) => (typeof column === 'string' ? [{ as: column, column, step }] : []));
  }
  if (!isMapping(columns)) return null;
  return Object.entries(columns).flatMap(([as, column]) =>
    typeof column === 'string' ? [{ as, column, step: as }] : [],
  );
}

function checkWritten(written: readonly Written[] | null, path: Path, report: Report): void {
  const seen = new Set<string>();
  for (const { as, step } of written ?? []) {
    const at = [...path, 'columns', step];
    const folded = as.toLowerCase();
    if (folded === '_seq') report.key(at, "'_seq' is the sink's own column; name this one otherwise");
    if (seen.has(folded)) report.key(at, 'this column is already there above; names differ by more than case');
    seen.add(folded);
  }
}

function checkSearched(written: readonly Written[] | null, sink: YamlMapping, path: Path, report: Report): void {
  const searched = new Set<string>();
  list(sink['search']).forEach((column, index) => {
    if (typeof column !== 'string') return;
    const at = [...path, 'search', index];
    if (searched.has(column.toLowerCase())) report.value(at, 'this column is already there; remove one of the two');
    searched.add(column.toLowerCase());
    if (written === null || written.some(({ as }) => as === column)) return;
    const other = written.find(({ as }) => as.toLowerCase() === column.toLowerCase());
    const fix =
      other === undefined ? 'add it there, or remove it here' : 'write it with the same capitals and small letters';
    report.value(at, `this column is not among the sink's 'columns'; ${fix}`);
  });
}

/** The entry that describes the sink's table; null where the file leaves open which one that is. */
export function tableOf(
  from: YamlValue | undefined,
  sources: readonly [string, YamlValue][],
  report: Report,
): KnownTable | null {
  const wanted = typeof from === 'string' ? parseName(from) : null;
  if (wanted === null) return null;
  const matches = knownTables(sources, report).list.filter((table) => couldName(wanted, table));
  const [first] = matches;
  return first !== undefined && matches.length === 1 ? first : null;
}

/** What the file says of the table must fit what it says of the sink; the rest is known only when the source has been asked. */
function checkAgainstTable(
  written: readonly Written[] | null,
  { entry }: KnownTable,
  sink: YamlMapping,
  path: Path,
  report: Report,
): void {
  const excluded = list(entry['exclude']);
  for (const { column, step } of written ?? []) {
    if (excluded.includes(column))
      report.value(
        [...path, 'columns', step],
        "this column is in 'exclude' of its table; remove it from one of the two",
      );
  }
  if (written === null) {
    list(sink['search']).forEach((column, index) => {
      if (typeof column === 'string' && excluded.includes(column))
        report.value(
          [...path, 'search', index],
          "this column is in 'exclude' of its table; remove it from one of the two",
        );
    });
    return;
  }
  const missing = list(entry['key']).filter((column) => !written.some((one) => one.column === column));
  if (missing.length === 0 || entry['kind'] === 'stream') return;
  const names = missing.filter((column) => typeof column === 'string').join(', ');
  report.key([...path, 'columns'], `'columns' leaves out what the table's 'key' needs; add ${names}`);
}
