import { TidemarkError } from '../base/errors.ts';
import type { Files } from '../base/files.ts';
import type { Config, NdjsonSourceConfig } from '../config/config.ts';
import { NdjsonSource } from '../connectors/ndjson/ndjson-source.ts';
import type { NdjsonTable, NdjsonTarget } from '../connectors/ndjson/options.ts';
import { StandardInput } from '../connectors/ndjson/standard-input.ts';
import { declaredTable } from '../connectors/ndjson/tables.ts';
import type { ColumnType } from '../model/column-type.ts';
import type { Report } from '../model/events.ts';
import type { Log } from '../model/log.ts';
import { offsetOrder } from '../model/position.ts';
import type { Table } from '../model/table.ts';
import { RowError } from '../views/expressions/expression.ts';
import { compileInput } from '../views/expressions/input.ts';
import { typeFromName } from '../views/expressions/resolve.ts';
import { textOf } from '../views/expressions/text.ts';
import { eventOrigin } from './event-origin.ts';
import type { ServiceDeps } from './service.ts';
import type { SourcePlan } from './source-unit.ts';

/** What the service runs for lines of JSON. */
export function ndjsonPlan(
  source: NdjsonSourceConfig,
  deps: ServiceDeps & { log: Log; report: Report; config: Config },
): SourcePlan {
  const { log, clock, files, report, config, stdin } = deps;
  const options = { ...ndjsonTarget(source, files), log, clock, report };
  // Of the process, not of one run: what has come is not to be had again.
  const input = source.path === '-' ? new StandardInput(stdin ?? (() => process.stdin)) : null;
  return {
    name: source.name,
    type: source.type,
    order: offsetOrder,
    origin: eventOrigin(source.name, config),
    build: () => new NdjsonSource(options, input),
  };
}

/** What is needed to look at the lines. */
export function ndjsonTarget(source: NdjsonSourceConfig, files: Files): NdjsonTarget {
  return { name: source.name, path: source.path, files, tables: tablesOf(source) };
}

/** The tables that the file declares, as a log that has never seen them would have them. */
export function ndjsonTables(source: NdjsonSourceConfig): Table[] {
  return tablesOf(source).map((table) => declaredTable(source.name, table));
}

function tablesOf({ tables }: NdjsonSourceConfig): NdjsonTable[] {
  return tables.map(({ table, kind, columns, key }) => ({
    name: table,
    kind,
    key,
    columns: columns.map(({ name, type }) => ({
      name,
      type: type.type,
      declared: type.declared,
      input: columnInput(type),
    })),
  }));
}

/** From any text that PostgreSQL reads into the type to the one that it prints for the value; VALUE_INVALID with its words for other text. */
export function columnInput({ name, modifiers, isArray }: ColumnType): (text: string) => string {
  const { type, typmod } = typeFromName([name], modifiers, isArray ? 1 : 0, 0);
  const input = compileInput(type, typmod);
  return (given) => {
    try {
      return textOf(input(given), type);
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      throw new TidemarkError('VALUE_INVALID', error.message);
    }
  };
}
