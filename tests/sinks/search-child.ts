/**
 * A process that is to be killed: it writes rounds of transfers into a log and delivers them to a search engine, until it is killed or, when
 * told so on its standard input, until searches see the last round. Arguments: folder of the log, the sink's options as JSON, deployment.
 */
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { systemFiles } from '../../base/files.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import { createSinkGroups } from '../../sinks/create-groups.ts';
import type { SearchSinkOptions } from '../../sinks/options.ts';
import { SearchTarget } from '../../sinks/search/search-target.ts';
import { Feeder } from './harness.ts';
import { feedRound } from './search-accounts.ts';

const [directory = '', json = '', name = ''] = process.argv.slice(2);
const options = JSON.parse(json) as SearchSinkOptions;
const log = await openEmbeddedLog({ directory: join(directory, 'log'), files: systemFiles, clock: systemClock });
const feeder = new Feeder(log, await log.writer('shop'));
const deps = { log, clock: systemClock, files: systemFiles, random: Math.random, report: () => undefined };
const [group] = createSinkGroups(
  [options],
  { ...deps, name, directory: join(directory, 'sinks'), onError: 'dead_letter' },
  { search: SearchTarget },
);
const stop = new AbortController();
const running = group?.run(stop.signal);
const told = new AbortController();
process.on('message', () => told.abort());
const reached = (seq: number): boolean => (group?.status()[0]?.seq ?? 0) >= seq;
while (!told.signal.aborted) {
  feedRound(feeder, feeder.seq + 1);
  await feeder.durable();
  while (!reached(feeder.seq - 1)) await systemClock.sleep(5);
  process.send?.(feeder.seq);
}
while (!reached(feeder.seq)) await systemClock.sleep(5);
stop.abort();
// A clean stop refreshes the index.
await running;
await log.close();
process.send?.({ last: feeder.seq });
process.disconnect();
