/**
 * Delivers a log to a SQLite file and to a feed while the parent limits the size of the files that this process may write (prlimit), as
 * a full disk would. Tells its parent the status of the sinks after every change of it.
 */
import { DatabaseSync } from 'node:sqlite';
import { readFileSync } from 'node:fs';
import type { SinkOptions } from '../../sinks/options.ts';
import { Harness, table, until } from './harness.ts';

// Its default is to end the process; with a handler the write fails instead.
process.on('SIGXFSZ', () => undefined);
const rows = 20_000;
const orders = table('orders', { id: 'int8', note: 'text' });
const harness = await Harness.create({ segmentBytes: 256 * 1024 });
for (let id = 1; id <= rows; id++) {
  harness.feeder.upsert(orders, { id: String(id), note: `note ${id} ${'x'.repeat(60)}` });
  if (id % 1000 === 0) harness.feeder.commitConsistent(orders);
}
await harness.feeder.durable();
process.send?.('ready');
await new Promise((resolve) => process.once('message', resolve));

const options: SinkOptions[] = [
  {
    name: 'local',
    type: 'sqlite',
    path: harness.path('all.db'),
    from: orders.topic,
    table: 'orders',
    search: ['note'],
    start: 'eager',
  },
  { name: 'feed', type: 'ndjson', path: harness.path('feed'), from: orders.topic, start: 'eager' },
];
const groups = harness.run(options);
const failed = new Set<string>();
await until('both sinks meet the limit', () => {
  for (const group of groups) for (const { name, error } of group.status()) if (error !== null) failed.add(name);
  return failed.size === 2;
});
process.send?.('full');
await until('both sinks recover', () =>
  groups.every((group) => group.status().every((sink) => sink.seq === harness.feeder.seq && sink.error === null)),
);
await harness.stop();
const db = new DatabaseSync(harness.path('all.db'));
const held = db
  .prepare("SELECT count(*) AS n, sum(id) AS sum, (SELECT count(*) FROM orders_search('note')) AS found FROM orders")
  .get();
db.exec("INSERT INTO orders_search(orders_search, rank) VALUES ('integrity-check', 1)");
db.close();
const feed = readFileSync(harness.path('feed'), 'utf8').split('\n');
process.send?.({
  ...held,
  lines: feed.filter((line) => line.startsWith('{"op"')).length,
  commits: feed.filter((line) => line.startsWith('{"commit"')).length,
});
await harness.close();
