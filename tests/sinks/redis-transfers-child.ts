/**
 * A process that is to be killed: it writes transfers between two tables into a log, and delivers both tables to one Redis. Every
 * transaction adds to one table what it takes from the other, so the sum over both is 0 at every commit.
 * Arguments: folder, URL, `atomic` or `torn` (commits after every row: the negative control), milliseconds to live: another number
 * than before has the sinks built anew from the whole log.
 */
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { systemFiles } from '../../base/files.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import { ChangeCursor } from '../../model/change.ts';
import { unpackRow } from '../../model/row.ts';
import type { ChangeSet } from '../../sinks/change-set.ts';
import type { Cursor, RejectedRow } from '../../sinks/port.ts';
import { noneRejected } from '../../sinks/port.ts';
import { RedisTarget } from '../../sinks/redis/redis-target.ts';
import { SinkGroup } from '../../sinks/sink-group.ts';
import { Sink } from '../../sinks/sink.ts';
import { Feeder } from './harness.ts';
import { redisSink } from './redis-harness.ts';
import { accountsPerTable, sides } from './redis-transfers.ts';
import { WrappedTarget } from './wrapped-target.ts';

/** What a sink would do that writes row by row, and then says that all is well. */
class TornTarget extends WrappedTarget<RedisTarget> {
  #cursor: Cursor = { epoch: 0, seq: 0, position: null, timeMs: 0 };

  override async apply(sink: string, changes: ChangeSet, from: number, to: number): Promise<readonly RejectedRow[]> {
    for (let index = from; index < to; index++) {
      await this.inner.apply(sink, changes, index, index + 1);
      if (this.#cursor.seq > 0) await this.inner.commit([sink], this.#cursor);
    }
    return noneRejected;
  }
  override async commit(sinks: readonly string[], cursor: Cursor): Promise<void> {
    this.#cursor = cursor;
    return this.inner.commit(sinks, cursor);
  }
}

const [directory = '', url = '', mode = 'atomic', ttl = '0'] = process.argv.slice(2);
const log = await openEmbeddedLog({ directory: join(directory, 'log'), files: systemFiles, clock: systemClock });
const feeder = new Feeder(log, await log.writer('shop'));
const balances = sides.map(() => Array.from({ length: accountsPerTable }, () => 0));
const record = new ChangeCursor();
for (const [side, { topic }] of sides.entries()) {
  for await (const batch of log.rows(topic, { upToSeq: feeder.seq })) {
    record.reset(batch.bytes);
    while (record.next()) {
      const [id, balance] = unpackRow(record.bytes, record.afterStart, 3);
      const of = balances[side];
      if (of) of[Number(id)] = Number(balance);
    }
  }
}
if (feeder.seq === 0) {
  for (const side of sides) {
    for (let id = 0; id < accountsPerTable; id++) feeder.upsert(side, { id: String(id), balance: '0', version: '0' });
  }
  feeder.commitConsistent(...sides);
}
let version = feeder.seq * 100;

/** Most transactions fit one step; some are staged, and some come in pieces. */
function transfer(): void {
  const rows = 1 + Math.floor(Math.random() ** 3 * 30);
  for (let row = 0; row < rows; row++) {
    const amount = Math.floor(Math.random() * 1000);
    for (const side of [0, 1] as const) {
      const of = balances[side] ?? [];
      const id = Math.floor(Math.random() * accountsPerTable);
      const balance = (of[id] ?? 0) + (side === 0 ? amount : -amount);
      of[id] = balance;
      const values = { id: String(id), balance: String(balance), version: String(++version) };
      feeder.upsert(sides[side], values, 'update');
    }
    if (row % 5 === 0) feeder.piece();
  }
  feeder.commit();
}

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
const options = sides.map((side) => redisSink(url, side, { maxAtomicRows: 20, ttlMs: Number(ttl) || null }));
const target = new RedisTarget(options, deps);
const sinks = options.map((option) => new Sink(option, deps));
const group = new SinkGroup(sinks, mode === 'torn' ? new TornTarget(target) : target, deps);
void group.run(new AbortController().signal);
process.send?.('running');
for (;;) {
  transfer();
  await feeder.durable();
  // Lets the sinks keep up, so that a kill finds them in the middle of their work and not far behind.
  while ((sinks[0]?.visible?.seq ?? 0) < feeder.seq - 20) await systemClock.sleep(1);
}
