import { join } from 'node:path';
import type { Client } from 'pg';
import type { Log } from '../../model/log.ts';
import type { PostgresServer } from '../servers/postgres.ts';
import { Difference } from './difference.ts';
import { ViewCheck, stateStanding } from './view-check.ts';
import type { Standing } from './view-check.ts';
import { checkViewFeed, viewObjects } from './view-feed.ts';
import { ViewOracle, createViews, viewRows } from './view-oracle.ts';
import { fedView, viewFiles } from './views.ts';

export interface ViewReport {
  /** Times that a file's sinks were compared with PostgreSQL's answers at their own commit, after a kill, and at how many commits. */
  readonly compared: number;
  /** Clean stops after which state was level with the results. */
  readonly levelStops: number;
  readonly commits: number;
  /** Newest step of the stream of results. */
  readonly step: number;
  readonly feedCommits: number;
  /** Rows of views equal in the last comparison with the database. */
  readonly rows: number;
  /** How state stood to the published results at the kills. */
  readonly standings: ReadonlyMap<Standing, number>;
}

/** The part of the crash run that looks at views. */
export class ViewRun {
  readonly #oracle: ViewOracle;
  readonly #client: Client;
  readonly #directory: string;
  readonly #checks = viewFiles.map((file) => new ViewCheck(file));
  readonly #standings = new Map<Standing, number>();
  #levelStops = 0;
  #feedCommits = 0;
  #rows = 0;

  private constructor(oracle: ViewOracle, client: Client, directory: string) {
    this.#oracle = oracle;
    this.#client = client;
    this.#directory = directory;
  }

  /** `client` is connected to the source. */
  static async create(server: PostgresServer, client: Client, directory: string): Promise<ViewRun> {
    await createViews(client);
    return new ViewRun(await ViewOracle.create(server), client, directory);
  }

  /** What a killed process left, in a copy: sinks equal PostgreSQL's answers at the commit that they name, and state is not ahead of them. */
  async look(copy: string, log: Log): Promise<string> {
    const standing = await stateStanding(copy, log);
    if (standing === 'ahead') throw new Difference('view state contains more than was published');
    this.#standings.set(standing, (this.#standings.get(standing) ?? 0) + 1);
    const found: string[] = [];
    for (const [index, check] of this.#checks.entries()) {
      found.push(`${viewFiles[index]?.file} ${await check.look(copy, log, this.#oracle)}`);
    }
    return `views: ${found.join('; ')}; state ${standing}`;
  }

  /** Everything has caught up, and the load pauses: state is not ahead of what was published, and sinks, topics and the feed equal the answers of the database itself. */
  async compare(copy: string, log: Log): Promise<void> {
    const standing = await stateStanding(copy, log);
    // Behind: the stop came while a table that is read again was being taken, which is not kept in part. That is rare.
    if (standing === 'level') this.#levelStops++;
    else if (standing !== 'behind') throw new Difference(`view state after a clean stop: ${standing}`);
    this.#rows = 0;
    for (const check of this.#checks) {
      await check.readToEnd(log);
      this.#rows += await check.compare(copy, 'its present state', async (view) => viewRows(this.#client, view));
    }
    const [check] = this.#checks;
    if (check === undefined) throw new Difference('no file holds views');
    const rows = await viewObjects(this.#client, fedView);
    this.#feedCommits = checkViewFeed(join(this.#directory, 'view-feed.ndjson'), fedView, rows, check.results);
  }

  async holdCompaction(directory: string): Promise<void> {
    for (const check of this.#checks) await check.holdCompaction(directory);
  }

  report(): ViewReport {
    return {
      compared: this.#checks.reduce((sum, { compared }) => sum + compared, 0),
      levelStops: this.#levelStops,
      commits: new Set(this.#checks.flatMap(({ commits }) => [...commits])).size,
      step: Math.max(0, ...this.#checks.map(({ results }) => results.seq)),
      feedCommits: this.#feedCommits,
      rows: this.#rows,
      standings: this.#standings,
    };
  }

  async end(): Promise<void> {
    await this.#oracle.close();
  }
}
