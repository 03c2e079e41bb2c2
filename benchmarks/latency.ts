import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Client } from 'pg';
import { present } from '../base/assert.ts';
import { systemClock } from '../base/clock.ts';
import { figure } from './figure.ts';
import type { Figure } from './figure.ts';
import { makeTable, onPostgres } from './pg-load.ts';
import { ServiceProcess } from './service-process.ts';

const commitsPerSecond = 1_000;
/** Connections that commit; each has a range of ids of its own. */
const connections = 8;
const idsPerConnection = 1_000_000_000;
const pollMs = 1;

/** The first part warms up and is not counted. */
const warmUp = 0.1;

/**
 * 1,000 commits a second for 20 s × scale, each an insert of one row: from the moment at which it is due until another connection sees it
 * in the SQLite file, against the database's answer to it. The server syncs every commit.
 */
export async function run(options: { scale: number }): Promise<Figure[]> {
  const commits = Math.max(200, Math.round(options.scale * 20 * commitsPerSecond));
  return onPostgres(
    async ({ url, client, directory }) => {
      await makeTable(client, 'bench', 0);
      const folder = join(directory, 'service');
      const service = await ServiceProcess.start(folder, { name: 'latency', url, tables: ['bench'] });
      await service.caughtUp('bench');
      service.takePeak();
      const cpuBefore = service.cpuMicros;
      const times = newTimes(commits);
      await Promise.all([watchSink(join(folder, 'sink.db'), times), commitSteadily(url, times)]);
      const measured = { cpuMicros: service.cpuMicros - cpuBefore, n: commits, rssBytes: service.takePeak().rss };
      await service.stop();
      return [50, 99].map((percent) =>
        figure(
          `latency-p${percent}`,
          'ms',
          { value: percentile(times, times.visible, percent), ...measured },
          { name: 'the commit itself', value: percentile(times, times.answered, percent) },
        ),
      );
    },
    { fsync: true },
  );
}

/** Of each commit, by its number, in milliseconds of performance.now(). */
interface Times {
  readonly due: Float64Array;
  readonly answered: Float64Array;
  readonly visible: Float64Array;
}

function newTimes(commits: number): Times {
  return {
    due: new Float64Array(commits),
    answered: new Float64Array(commits),
    visible: new Float64Array(commits),
  };
}

/** Commit n goes to connection n modulo their number, and its id counts up in that connection's range. */
function idOf(commit: number): number {
  return (commit % connections) * idsPerConnection + Math.floor(commit / connections);
}

/** Commits when it is time, whether or not those before have been answered: a slow moment is not hidden by doing less. */
async function commitSteadily(url: string, { due, answered }: Times): Promise<void> {
  const clients = await Promise.all(
    Array.from({ length: connections }, async () => {
      const client = new Client(url);
      await client.connect();
      return client;
    }),
  );
  // A connection's commits follow one another.
  const busy = clients.map(async () => {});
  const start = performance.now() + 50;
  for (let commit = 0; commit < due.length;) {
    const dueNow = Math.floor(((performance.now() - start) * commitsPerSecond) / 1000);
    for (; commit < Math.min(dueNow, due.length); commit++) {
      due[commit] = start + (commit * 1000) / commitsPerSecond;
      const number = commit;
      const client = present(clients[commit % connections], 'a connection');
      busy[commit % connections] = present(busy[commit % connections], 'a connection').then(async () =>
        insert(client, number, answered),
      );
    }
    await systemClock.sleep(pollMs);
  }
  await Promise.all(busy);
  await Promise.all(clients.map(async (client) => client.end()));
}

async function insert(client: Client, commit: number, answered: Float64Array): Promise<void> {
  await client.query({
    name: 'insert',
    text: "INSERT INTO bench VALUES ($1, 1, 2, 3.25, 'forty characters of text, more or less ok', now(), true, $2)",
    values: [idOf(commit), 'g'.repeat(60)],
  });
  answered[commit] = performance.now();
}

/** Looks every millisecond how far each connection's rows are to be seen, until all are. */
async function watchSink(path: string, { visible }: Times): Promise<void> {
  const database = new DatabaseSync(path, { readOnly: true });
  const newest = database.prepare('SELECT max(id) AS id FROM bench WHERE id >= ? AND id < ?');
  const seen = Array.from({ length: connections }, () => 0);
  for (let left = visible.length; left > 0;) {
    for (let connection = 0; connection < connections; connection++) {
      const from = connection * idsPerConnection;
      const id = newest.get(from, from + idsPerConnection)?.['id'];
      if (typeof id !== 'number') continue;
      const now = performance.now();
      for (let place = seen[connection] ?? 0; place <= id - from; place++, left--) {
        visible[place * connections + connection] = now;
      }
      seen[connection] = id - from + 1;
    }
    await systemClock.sleep(pollMs);
  }
  database.close();
}

function percentile({ due }: Times, until: Float64Array, percent: number): number {
  const first = Math.floor(due.length * warmUp);
  const sorted = until
    .subarray(first)
    .map((time, index) => time - (due[first + index] ?? 0))
    .toSorted();
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? Number.NaN;
}
