/**
 * Delivers one transaction of many rows and tells how much memory that took: the highest resident size while it went through, less
 * the size before. In a process of its own, so that nothing else is measured. Argument: the number of rows.
 */
import { DatabaseSync } from 'node:sqlite';
import { systemClock } from '../../base/clock.ts';
import type { SinkOptions } from '../../sinks/options.ts';
import { Harness, table } from './harness.ts';

const rows = Number(process.argv[2]);
const harness = await Harness.create();
const { feeder } = harness;
const bench = table('bench', { id: 'int8', a: 'int4', d: 'text', g: 'text' });
const small = table('small', { id: 'int8' });
feeder.upsert(small, { id: '1' }).upsert(bench, { id: '0' }).commitConsistent(bench, small);
await feeder.durable();

const path = harness.path('sink.db');
const common = { type: 'sqlite', path, search: ['d'], start: 'consistent' } as const;
const options: SinkOptions[] = [
  { ...common, name: 'bench', from: bench.topic, table: 'bench' },
  { ...common, name: 'small', from: small.topic, table: 'small', search: [] },
  { name: 'feed', type: 'ndjson', path: harness.path('feed'), from: bench.topic, start: 'consistent' },
];
const before = await deliver(1);
for (let id = 1; id <= rows; id++) {
  feeder.upsert(bench, {
    id: String(id),
    a: String(id % 1000),
    d: `customer ${id % 5000} ${'d'.repeat(20)}`,
    g: 'g'.repeat(60),
  });
  if (feeder.pendingBytes > 500_000) {
    feeder.piece();
    await feeder.drained();
  }
}
feeder.upsert(small, { id: '2' }).commit();
await feeder.durable();
await systemClock.sleep(50);
const idle = process.memoryUsage().rss;
const peak = await deliver(2);
process.send?.({ growthMiB: (Math.max(peak, before) - idle) / 1024 / 1024 });
await harness.close();

/** Runs the sinks until they hold transaction `seq`; returns the highest resident size meanwhile. */
async function deliver(seq: number): Promise<number> {
  const groups = harness.run(options);
  let highest = 0;
  const reader = new DatabaseSync(path, { timeout: 1_000 });
  while (!groups.every((group) => group.status().every((sink) => sink.seq >= seq))) {
    highest = Math.max(highest, process.memoryUsage().rss);
    if (seq === 2) checkWhole(reader);
    await systemClock.sleep(20);
  }
  if (seq === 2) checkWhole(reader);
  reader.close();
  await harness.stop();
  return highest;
}

/** A reader sees nothing or all of the transaction, in both tables. */
function checkWhole(reader: DatabaseSync): void {
  const row = reader.prepare('SELECT (SELECT max(id) FROM bench) AS highest, (SELECT count(*) FROM small) AS n').get();
  const whole = row?.['n'] === 1 ? row['highest'] === 0 : row?.['highest'] === rows;
  if (!whole) throw new RangeError(`half a transaction is visible: ${JSON.stringify(row)}`);
}
