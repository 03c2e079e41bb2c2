import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { systemFiles } from '../../base/files.ts';
import { parseConfig } from '../../config/load.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import type { Log } from '../../model/log.ts';
import { sinkPlans } from '../../service/sink-plans.ts';
import { Feeder } from '../sinks/harness.ts';
import { customers, temporaryDirectory } from './harness.ts';

async function openLog(directory: string): Promise<Log> {
  return openEmbeddedLog({ directory: join(directory, 'log'), files: systemFiles, clock: systemClock });
}

/** What a start does about the sinks of such a file. */
async function plan(log: Log, directory: string, sinks: string): Promise<void> {
  const text = `
version: 1
name: shop
sources:
  shop: { type: postgres, url: "postgres://localhost/shop", tables: [public.customers] }
  other: { type: postgres, url: "postgres://localhost/other", tables: [public.orders] }
${sinks}`;
  await writeFile(join(directory, 'tidemark.yaml'), text);
  const output = { write: (): boolean => true };
  await sinkPlans(parseConfig(text, join(directory, 'tidemark.yaml'), {}).sinks, {
    config: parseConfig(text, join(directory, 'tidemark.yaml'), {}),
    log,
    clock: systemClock,
    files: systemFiles,
    random: Math.random,
    report: () => undefined,
    output,
  });
}

test('a sink that has left the file, or follows another source, holds back no compaction from the next start on', async () => {
  const directory = await temporaryDirectory();
  const log = await openLog(directory);
  const feeder = new Feeder(log, await log.writer('shop'));
  for (let id = 0; id < 20; id++) {
    feeder.upsert(customers, { id: String(id), name: 'x' }).commit();
    feeder.delete(customers, { id: String(id), name: 'x' }).commit();
  }
  await feeder.durable();
  for (const name of ['sink:kept', 'sink:gone', 'sink:moved', 'visibility']) log.registerCursor('shop', name, 2);
  await log.close();

  const again = await openLog(directory);
  expect(again.cursorNames('shop').toSorted()).toEqual(['sink:gone', 'sink:kept', 'sink:moved', 'visibility']);
  await plan(
    again,
    directory,
    `sinks:
  kept: { type: ndjson, path: kept.ndjson, from: customers }
  moved: { type: ndjson, path: moved.ndjson, from: orders }
`,
  );
  expect(again.cursorNames('shop').toSorted()).toEqual(['sink:kept', 'visibility']);
  await again.close();

  const third = await openLog(directory);
  expect(third.cursorNames('shop').toSorted()).toEqual(['sink:kept', 'visibility']);
  await plan(third, directory, '');
  expect(third.cursorNames('shop')).toEqual(['visibility']);
  third.registerCursor('shop', 'visibility', null);
  await third.compact('shop');
  const [topic] = await third.topics();
  expect(topic).toMatchObject({ records: 0, compactedSeq: 40 });
  await third.close();
});
