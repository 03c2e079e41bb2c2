import type { Config } from '../config/config.ts';
import { describePostgresTables } from '../connectors/postgres/describe.ts';
import type { Table } from '../model/table.ts';
import { ndjsonTables } from './ndjson-plan.ts';
import { postgresTarget } from './source-plan.ts';

/** The tables that the sources select; not all of them when a source did not answer. */
export interface DescribedTables {
  readonly byTopic: ReadonlyMap<string, Table>;
  readonly isComplete: boolean;
}

/** The tables that the sources select, as they are now. A source that does not answer is left out. */
export async function describeTables(config: Config): Promise<DescribedTables> {
  const byTopic = new Map<string, Table>();
  let isComplete = true;
  for (const source of config.sources) {
    try {
      const tables =
        source.type === 'ndjson' ? ndjsonTables(source) : await describePostgresTables(await postgresTarget(source));
      for (const table of tables) byTopic.set(table.topic, table);
    } catch {
      isComplete = false;
    }
  }
  return { byTopic, isComplete };
}
