import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import type { Clock } from '../../base/clock.ts';
import { TidemarkError } from '../../base/errors.ts';
import { systemFiles } from '../../base/files.ts';
import type { File } from '../../base/files.ts';
import { nextLevel } from '../../service/disk-watch.ts';
import { customers, sqliteSink, startService, temporaryDirectory, until } from './harness.ts';

test('a failed source leaves sinks and http at work, and its reason in status', async () => {
  const { source, service, connected } = await startService({ sinks: (directory) => [sqliteSink(directory)] });
  await connected();
  source.feed.upsert(customers, { id: '1', name: 'Ada' }).commitConsistent(customers);
  source.fail(new TidemarkError('SLOT_LOST', 'the slot is gone', { hint: 'Read the tables again.' }));
  await until(async () => (await service.status()).sources[0]?.error !== null);
  await until(async () => (await service.status()).sinks[0]?.seq === 1);
  const status = await service.status();
  expect(status.ready).toBe(false);
  expect(status.sources[0]?.error).toEqual({
    code: 'SLOT_LOST',
    message: 'the slot is gone',
    hint: 'Read the tables again.',
  });
  expect(status.sinks[0]?.error).toBeNull();
});

test('a sink whose target is unusable turns red alone', async () => {
  const folder = await temporaryDirectory();
  await writeFile(join(folder, 'file'), '');
  const { source, service, connected } = await startService({
    sinks: (directory) => [sqliteSink(directory), sqliteSink(join(folder, 'file'), 'broken')],
  });
  await connected();
  source.feed.upsert(customers, { id: '1', name: 'Ada' }).commitConsistent(customers);
  await until(async () => (await service.status()).sinks.find(({ name }) => name === 'search')?.seq === 1);
  await until(async () => (await service.status()).sinks.some(({ error }) => error !== null));
  const { ready, reasons, sinks } = await service.status();
  expect(ready).toBe(false);
  expect(reasons).toHaveLength(1);
  expect(reasons[0]).toMatch(/^sink broken: /);
  expect(sinks.find(({ name }) => name === 'search')?.error).toBeNull();
});

test('a source pauses before the disk is full, and goes on when there is room', async () => {
  let freeBytes = 500;
  const files = { ...systemFiles, space: async () => ({ totalBytes: 1000, freeBytes }) };
  const { source, service, events, connected, logged } = await startService({
    files,
    disk: { warnPercent: 80, stopPercent: 95 },
  });
  await connected();
  freeBytes = 150;
  await until(() => logged.some((line) => line.includes('filling up')));
  expect(source.feeder).not.toBeNull();
  freeBytes = 40;
  await until(() => source.feeder === null);
  const { ready, sources } = await service.status();
  expect(ready).toBe(false);
  expect(sources[0]?.error).toMatchObject({ code: 'DISK_FULL', message: expect.stringContaining('96.0 % used') });
  freeBytes = 500;
  await until(() => source.feeder !== null);
  expect((await service.status()).ready).toBe(true);
  expect(source.runs).toBe(2);
  expect(events.filter(({ type }) => type === 'source.connected')).toHaveLength(2);
});

/** Pauses of seconds pass at once. */
const hasty: Clock = { ...systemClock, sleep: async (ms, signal) => systemClock.sleep(ms > 5_000 ? 20 : ms, signal) };

test('a log that the disk had no room for goes on by itself when there is some', async () => {
  let full = false;
  const refuse = (): void => {
    if (full) throw Object.assign(new RangeError('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  };
  const refusing = async (path: string, mode: 'read' | 'write' | 'create'): Promise<File> => {
    const file = await systemFiles.open(path, mode);
    return {
      read: async (into, offset) => file.read(into, offset),
      write: async (data, offset) => {
        refuse();
        await file.write(data, offset);
      },
      writev: async (data, offset) => {
        refuse();
        await file.writev(data, offset);
      },
      sync: async () => file.sync(),
      truncate: async (length) => file.truncate(length),
      size: async () => file.size(),
      close: async () => file.close(),
    };
  };
  const { source, service, connected, logged } = await startService({
    files: { ...systemFiles, open: refusing },
    clock: hasty,
    sinks: (directory) => [sqliteSink(directory)],
  });
  await connected();
  source.feed.upsert(customers, { id: '1', name: 'Ada' }).commitConsistent(customers);
  await source.feed.durable();
  full = true;
  source.feed.upsert(customers, { id: '2', name: 'Bob' }).commit();
  await source.feed.durable().catch((error: TidemarkError) => source.fail(error));
  await until(() => logged.some((line) => line.includes('DISK_FULL')));
  full = false;
  await until(() => source.runs > 1 && source.feeder !== null);
  expect((await service.status()).ready).toBe(true);
  expect(source.feed.seq).toBe(1);
  source.feed.upsert(customers, { id: '2', name: 'Bob' }).commit();
  await until(async () => (await service.status()).sinks[0]?.seq === 2);
});

test('a watermark is left only well below it', () => {
  const marks = { warnPercent: 80, stopPercent: 95 };
  expect(nextLevel('ok', 79.9, marks)).toBe('ok');
  expect(nextLevel('ok', 80, marks)).toBe('warn');
  expect(nextLevel('warn', 79.5, marks)).toBe('warn');
  expect(nextLevel('warn', 78.9, marks)).toBe('ok');
  expect(nextLevel('warn', 95, marks)).toBe('stop');
  expect(nextLevel('stop', 94.5, marks)).toBe('stop');
  expect(nextLevel('stop', 93.9, marks)).toBe('warn');
  expect(nextLevel('stop', 10, marks)).toBe('ok');
});

test('a stopped service has let everything go: the same directory starts again', async () => {
  const directory = await temporaryDirectory();
  const first = await startService({ directory });
  await first.connected();
  first.source.feed.upsert(customers, { id: '1', name: 'Ada' }).commitConsistent(customers);
  await expect(startService({ directory })).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
  await first.service.stop();
  const second = await startService({ directory });
  expect(second.service.pipeline.log.frontier('shop').seq).toBe(1);
});

test('a start that fails leaves nothing behind', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void taken.close());
  await once(taken, 'listening');
  const address = taken.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const directory = await temporaryDirectory();
  await expect(startService({ directory, http: { port } })).rejects.toMatchObject({
    code: 'HTTP_ADDRESS',
    message: expect.stringContaining('in use'),
  });
  await startService({ directory });
});

test('a log that is damaged refuses the start with its place', async () => {
  const directory = await temporaryDirectory();
  await systemFiles.makeDirectory(join(directory, 'log'));
  await writeFile(join(directory, 'log', 'log.json'), 'not a manifest');
  await expect(startService({ directory })).rejects.toMatchObject({ code: 'LOG_CORRUPT' });
});

test('a password never leaves the process, whoever quotes it', async () => {
  const password = 'hunter2&co';
  const started = await startService({ secrets: [password] });
  const { source, service, connected, get, logged } = started;
  await connected();
  const quoted = `server said: postgres://app:${encodeURIComponent(password)}@db/shop refused ${password}`;
  source.fail(new TidemarkError('SOURCE_PROTOCOL', quoted, { hint: `try ${password}` }));
  await until(async () => !(await service.status()).ready);
  const answers = await Promise.all(
    ['/readyz', '/api/v1/status', '/metrics', '/api/v1/wait?sink=nothing&position=now'].map(async (path) =>
      (await get(path)).text(),
    ),
  );
  for (const text of [...answers, ...logged, JSON.stringify(await service.status())]) {
    expect(text).not.toContain(password);
    expect(text).not.toContain(encodeURIComponent(password));
  }
  expect(logged.join('')).toContain('server said: postgres://app:***@db/shop refused ***');
});
