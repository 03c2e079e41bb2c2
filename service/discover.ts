import { discoverPostgresTables } from '../connectors/postgres/discover.ts';

/** A table as `init` offers it. */
export interface FoundTable {
  readonly schema: string;
  readonly name: string;
  /** Whether rows can be told apart in the stream: a primary key, or a replica identity that stands in for it. */
  readonly hasKey: boolean;
  readonly rowsEstimated: number;
  readonly columns: readonly { readonly name: string; readonly isText: boolean }[];
}

/** The tables that the user of the URL may read. Errors are those of the connector. */
export async function discoverTables(url: string): Promise<FoundTable[]> {
  return discoverPostgresTables(url);
}
