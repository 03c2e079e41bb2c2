import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import type { PipelineEvent } from '../../model/events.ts';
import type { Log, LogWriter } from '../../model/log.ts';
import { FaultyFiles } from '../simulation/faulty-files.ts';
import { readFrom, write } from './fixtures.ts';

const stream = 'shop';
const directory = '/data/log';

async function fill(writer: LogWriter, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    write(writer, [{ table: 'orders', key: n % 5, value: n % 3 === 0 ? null : 'v'.repeat(100) }]);
    await writer.durable();
  }
}

async function open(files: FaultyFiles, events: PipelineEvent[] = [], compactBytes = 4000): Promise<Log> {
  return openEmbeddedLog({
    directory,
    files,
    clock: systemClock,
    segmentBytes: 1000,
    compactBytes,
    retainBytes: 20_000,
    report: (event) => events.push(event),
  });
}

test('a slow sink holds compaction back, and after the retention limit is given the net, not single transactions', async () => {
  const log = await open(new FaultyFiles());
  const writer = await log.writer(stream);
  await fill(writer, 10);
  log.registerCursor(stream, 'slow', 5);
  await fill(writer, 20);
  await log.compact(stream);
  expect((await readFrom(log, stream, 5)).map((tx) => tx.kind)).toEqual(
    Array.from({ length: 25 }, () => 'transaction'),
  );
  await fill(writer, 200);
  await log.compact(stream);
  const [net] = await readFrom(log, stream, 5);
  expect(net?.kind).toBe('net');
  expect(net?.changes.some((change) => change.value === null)).toBe(true);
  await log.close();
});

test('a sink that is forgotten holds nothing back any more', async () => {
  const log = await open(new FaultyFiles());
  const writer = await log.writer(stream);
  await fill(writer, 20);
  log.registerCursor(stream, 'gone', 3);
  log.registerCursor(stream, 'gone', null);
  await log.compact(stream);
  expect((await readFrom(log, stream, 3)).map((tx) => tx.kind)).toEqual(['full']);
  await log.close();
});

test('cursors are remembered when the log is opened again', async () => {
  const files = new FaultyFiles();
  const log = await open(files);
  const writer = await log.writer(stream);
  await fill(writer, 10);
  log.registerCursor(stream, 'slow', 2);
  await log.close();
  const again = await open(files);
  await again.compact(stream);
  expect((await readFrom(again, stream, 2)).every((tx) => tx.kind === 'transaction')).toBe(true);
  await again.close();
});

test('the log compacts by itself, says so, and leaves no file behind that it does not need', async () => {
  const files = new FaultyFiles();
  const events: PipelineEvent[] = [];
  const log = await open(files, events);
  const writer = await log.writer(stream);
  await fill(writer, 300);
  await log.compact(stream);
  await log.close();
  expect(events.filter((event) => event.type === 'log.compacted').length).toBeGreaterThan(1);
  expect(events.filter((event) => event.type === 'source.notice')).toEqual([]);
  const names = await files.list(`${directory}/${stream}`);
  expect(names.map((name) => name.slice(name.lastIndexOf('.')))).toEqual(['.base', '.segment', '.json']);
});

test('a compaction that the disk has no room for leaves the log and its writer as they were', async () => {
  const files = new FaultyFiles();
  const log = await open(files, [], Infinity);
  const writer = await log.writer(stream);
  await fill(writer, 25);
  const before = await readFrom(log, stream, 0);
  // Room for the head of the next segment, not for the base.
  files.budgetBytes = 800;
  await expect(log.compact(stream)).rejects.toMatchObject({ code: 'DISK_FULL' });
  files.budgetBytes = Infinity;
  expect(await readFrom(log, stream, 0)).toEqual(before);
  await fill(writer, 1);
  await log.compact(stream);
  expect((await readFrom(log, stream, 0)).map((tx) => [tx.seq, tx.kind])).toEqual([[26, 'full']]);
  await log.close();
});

async function segmentsOf(files: FaultyFiles): Promise<string[]> {
  const names = await files.list(`${directory}/${stream}`);
  return names.filter((name) => name.endsWith('.segment')).map((name) => `${directory}/${stream}/${name}`);
}

test('a deleted segment is missed when the log is opened, and named, with what there is to do', async () => {
  const files = new FaultyFiles();
  const log = await open(files);
  await fill(await log.writer(stream), 25);
  await log.close();
  const [, second = '', third] = await segmentsOf(files);
  await files.remove(second);
  await expect(open(files)).rejects.toMatchObject({
    code: 'LOG_CORRUPT',
    message: `${directory}/${stream}/00000002-*.segment is missing: ${third} follows it`,
    hint: expect.stringMatching(/^Restore data_dir from a backup, or stop the service, delete the log directory/),
  });
});

test('a segment that is cut is named, with the byte at which it ends', async () => {
  const files = new FaultyFiles();
  const log = await open(files);
  await fill(await log.writer(stream), 25);
  await log.close();
  const [, second = ''] = await segmentsOf(files);
  const file = await files.open(second, 'write');
  await file.truncate(500);
  await file.close();
  await expect(open(files)).rejects.toMatchObject({
    code: 'LOG_CORRUPT',
    message: expect.stringContaining(`${second} is damaged at byte 500: the file ends here and was `),
  });
});

test('a segment that is deleted while the log is open is named to who reads it', async () => {
  const files = new FaultyFiles();
  const log = await open(files);
  const writer = await log.writer(stream);
  await fill(writer, 25);
  const [first = ''] = await segmentsOf(files);
  await files.remove(first);
  await expect(readFrom(log, stream, 0)).rejects.toMatchObject({
    code: 'LOG_CORRUPT',
    message: `${first} is missing: it was there when the log was opened`,
  });
  await log.close();
});

test('a log that ends before what is asked for names the file in which it ends', async () => {
  const files = new FaultyFiles();
  const log = await open(files);
  await fill(await log.writer(stream), 25);
  const last = (await segmentsOf(files)).at(-1);
  await expect(readFrom(log, stream, 99)).rejects.toMatchObject({
    code: 'LOG_BEHIND',
    message: `transaction 99 of shop was asked for, but the log ends at 25, in ${last}`,
    hint: expect.stringContaining('delete the log directory'),
  });
  await log.close();
});
