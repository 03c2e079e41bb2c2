import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { findClientProgram, timed } from './client-programs.ts';
import { faster, figure, Stopwatch } from './figure.ts';
import type { Figure, Measured } from './figure.ts';
import {
  BenchSource,
  changesPerTransaction,
  dropSlot,
  makeTable,
  onPostgres,
  rowsBeforeBacklog,
  sourceName,
  writeBacklog,
} from './pg-load.ts';

/** Either way alone: all of the backlog by the one, or by the other. */
const modes = [
  { name: 'pg-stream-catch-up', catchUpBytes: 1 },
  { name: 'pg-stream-streaming', catchUpBytes: Infinity },
];
const slot = 'backlog';

interface Backlog {
  readonly url: string;
  readonly client: Client;
  readonly directory: string;
  readonly transactions: number;
  readonly endLsn: string;
}

/**
 * The standard backlog from the slot to the durable embedded log, from the connection's beginning on, worked off by COPY and by
 * streaming alone. Each run reads a copy of the slot into a copy of the log, as does pg_recvlogical into /dev/null; the better of two.
 */
export async function run(options: { scale: number }): Promise<Figure[]> {
  const transactions = Math.max(3, Math.round(options.scale * 3_000));
  const receiver = findClientProgram('pg_recvlogical');
  return onPostgres(async ({ url, client, directory }) => {
    await makeTable(client, 'bench', rowsBeforeBacklog);
    const before = await BenchSource.open(join(directory, 'before'), { url, table: 'bench', slot });
    before.start();
    await before.until('the first snapshot', () => before.source.status().consistent);
    await before.stop();
    const { endLsn } = await writeBacklog(client, 'bench', transactions);
    const backlog: Backlog = { url, client, directory, transactions, endLsn };
    const best = new Map<string, Measured>();
    let reference = 0;
    for (let round = 0; round < (options.scale < 0.1 ? 1 : 2); round++) {
      for (const mode of modes) {
        if (receiver !== null) reference = Math.max(reference, await receive(receiver, backlog));
        const measured = await follow(backlog, `${mode.name}-${round}`, mode.catchUpBytes);
        best.set(mode.name, faster(best.get(mode.name) ?? null, measured));
      }
    }
    return [...best].map(([name, measured]) =>
      figure(name, 'changes/s', measured, receiver === null ? null : { name: 'pg_recvlogical', value: reference }),
    );
  });
}

/** Changes a second of pg_recvlogical. */
async function receive(program: string, { url, client, transactions, endLsn }: Backlog): Promise<number> {
  await client.query(`SELECT pg_copy_logical_replication_slot($1, 'reference')`, [slot]);
  const seconds = await timed(program, [
    `--dbname=${url}`,
    '--slot=reference',
    '--start',
    '--no-loop',
    '--file=/dev/null',
    `--endpos=${endLsn}`,
    '--option=proto_version=1',
    `--option=publication_names=${sourceName}`,
  ]);
  await dropSlot(client, 'reference');
  return (transactions * changesPerTransaction) / seconds;
}

async function follow(backlog: Backlog, name: string, catchUpBytes: number): Promise<Measured> {
  const { url, client, transactions } = backlog;
  const directory = join(backlog.directory, name);
  await cp(join(backlog.directory, 'before'), directory, { recursive: true });
  await client.query(`SELECT pg_copy_logical_replication_slot($1, 'measured')`, [slot]);
  const bench = await BenchSource.open(directory, { url, table: 'bench', slot: 'measured', catchUpBytes });
  const end = bench.log.frontier(sourceName).seq + transactions;
  const watch = new Stopwatch();
  bench.start();
  await bench.until('the end of the backlog', () => bench.log.frontier(sourceName).seq >= end);
  const measured = watch.rate(transactions * changesPerTransaction);
  await bench.stop();
  await dropSlot(client, 'measured');
  return measured;
}
