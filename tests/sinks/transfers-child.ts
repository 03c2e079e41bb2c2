/**
 * A process that is to be killed: it writes transfers between two tables into a log, and delivers both tables to one SQLite file.
 * Every transaction adds to one table what it takes from the other, in several pieces, so the sum over both is 0 at every commit.
 * Arguments: folder, `atomic` or `torn` (commits in the middle of transactions: the negative control).
 */
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { systemFiles } from '../../base/files.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import { ChangeCursor } from '../../model/change.ts';
import type { Log } from '../../model/log.ts';
import { unpackRow } from '../../model/row.ts';
import type { ChangeSet } from '../../sinks/change-set.ts';
import type { SqliteSinkOptions } from '../../sinks/options.ts';
import { noneRejected } from '../../sinks/port.ts';
import type { RejectedRow } from '../../sinks/port.ts';
import { SinkGroup } from '../../sinks/sink-group.ts';
import { Sink } from '../../sinks/sink.ts';
import { SqliteTarget } from '../../sinks/sqlite/sqlite-target.ts';
import { Feeder } from './harness.ts';
import { accountsPerTable, sides } from './transfers.ts';
import { WrappedTarget } from './wrapped-target.ts';

/** Commits after every row: what a sink without transactions would do. */
class TornTarget extends WrappedTarget<SqliteTarget> {
  override async apply(sink: string, changes: ChangeSet, from: number, to: number): Promise<readonly RejectedRow[]> {
    for (let index = from; index < to; index++) {
      await this.inner.apply(sink, changes, index, index + 1);
      await this.inner.commit([], { epoch: 0, seq: 0, position: null, timeMs: 0 });
      await systemClock.sleep(1);
      await this.inner.begin();
    }
    return noneRejected;
  }
}

async function readBalances(log: Log): Promise<number[][]> {
  const balances = sides.map(() => Array.from({ length: accountsPerTable }, () => 0));
  const record = new ChangeCursor();
  const reader = log.read('shop', { fromSeq: 0, follow: false });
  for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
    for (const { changes } of batch.pieces) {
      record.reset(changes.bytes);
      while (record.next()) {
        const side = log.table(record.schemaId)?.topic === sides[0].topic ? 0 : 1;
        const [id, balance] = unpackRow(record.bytes, record.afterStart, 2);
        const of = balances[side];
        if (of) of[Number(id)] = Number(balance);
      }
    }
  }
  await reader.close();
  return balances;
}

function transfer(feeder: Feeder, balances: number[][]): void {
  const rows = 2 + Math.floor(Math.random() * 30);
  for (let row = 0; row < rows; row++) {
    const amount = Math.floor(Math.random() * 1000);
    for (const side of [0, 1] as const) {
      const of = balances[side] ?? [];
      const id = Math.floor(Math.random() * accountsPerTable);
      const balance = (of[id] ?? 0) + (side === 0 ? amount : -amount);
      of[id] = balance;
      feeder.upsert(sides[side], { id: String(id), balance: String(balance) }, 'update');
    }
    if (row % 5 === 0) feeder.piece();
  }
  feeder.commit();
}

const [directory = '', mode = 'atomic'] = process.argv.slice(2);
const log = await openEmbeddedLog({ directory: join(directory, 'log'), files: systemFiles, clock: systemClock });
const balances = await readBalances(log);
const feeder = new Feeder(log, await log.writer('shop'));
if (feeder.seq === 0) {
  for (const side of sides) {
    for (let id = 0; id < accountsPerTable; id++) feeder.upsert(side, { id: String(id), balance: '0' });
  }
  feeder.commitConsistent(...sides);
}
const options: SqliteSinkOptions[] = sides.map(({ name, topic }) => ({
  name,
  type: 'sqlite',
  path: join(directory, 'sink.db'),
  from: topic,
  table: name,
  search: [],
  start: 'consistent',
}));
const deps = {
  name: 'test',
  log,
  clock: systemClock,
  files: systemFiles,
  random: Math.random,
  report: () => undefined,
  directory: join(directory, 'sinks'),
  onError: 'stop',
} as const;
const sqlite = new SqliteTarget(options, deps);
const sinks = options.map((option) => new Sink(option, deps));
const group = new SinkGroup(sinks, mode === 'torn' ? new TornTarget(sqlite) : sqlite, deps);
void group.run(new AbortController().signal);
process.send?.('running');
for (;;) {
  transfer(feeder, balances);
  await feeder.durable();
  // Lets the sink keep up, so that a kill finds it in the middle of its work and not far behind.
  while ((sinks[0]?.visible?.seq ?? 0) < feeder.seq - 20) await systemClock.sleep(1);
}
