import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemFiles } from '../../base/files.ts';
import { DataDirectoryLock, lockOwner } from '../../service/lock.ts';
import { temporaryDirectory } from './harness.ts';

const root = join(import.meta.dirname, '..', '..');
const node = join(root, 'node_modules', '.bin', 'node');

async function acquire(directory: string): Promise<DataDirectoryLock> {
  return DataDirectoryLock.acquire({ directory, files: systemFiles, command: 'run', nowMs: Date.now() });
}

/** Another process that takes the lock and keeps it until it is killed. */
async function otherOwner(directory: string): Promise<ChildProcess> {
  const program = `
    const { DataDirectoryLock } = await import(${JSON.stringify(join(root, 'service', 'lock.ts'))});
    const { systemFiles } = await import(${JSON.stringify(join(root, 'base', 'files.ts'))});
    globalThis.lock = await DataDirectoryLock.acquire({
      directory: ${JSON.stringify(directory)}, files: systemFiles, command: 'run', nowMs: Date.now() });
    process.stdout.write('locked');
    setInterval(() => {}, 1000);`;
  const child = spawn(node, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

test('a second process is refused, and told whose the directory is', async () => {
  const directory = await temporaryDirectory();
  const child = await otherOwner(directory);
  const owner = await lockOwner(systemFiles, directory);
  expect(owner).toMatchObject({ pid: child.pid, command: 'run', http: null });
  await expect(acquire(directory)).rejects.toMatchObject({
    code: 'DATA_DIR_LOCKED',
    message: expect.stringContaining(`process ${child.pid}`),
    hint: expect.stringContaining('another data_dir'),
  });
});

test('a lock left behind by kill -9 is taken over at once', async () => {
  const directory = await temporaryDirectory();
  const child = await otherOwner(directory);
  child.kill('SIGKILL');
  await once(child, 'exit');
  // What the dead process wrote about itself is still there, and means nothing.
  expect(await systemFiles.exists(join(directory, 'owner.json'))).toBe(true);
  expect(await lockOwner(systemFiles, directory)).toBeNull();
  const lock = await acquire(directory);
  expect((await lockOwner(systemFiles, directory))?.pid).toBe(process.pid);
  await lock.release();
});

test('an owner file that names a living process does not keep a free directory', async () => {
  const directory = await temporaryDirectory();
  // A process id that was given to somebody else after a reboot.
  await writeFile(join(directory, 'owner.json'), JSON.stringify({ pid: process.ppid, startedAt: '2020', http: null }));
  await (await acquire(directory)).release();
});

test('the lock is free again after its release, and says where the service answers meanwhile', async () => {
  const directory = await temporaryDirectory();
  const lock = await acquire(directory);
  await lock.announce('http://127.0.0.1:7070');
  expect(await lockOwner(systemFiles, directory)).toMatchObject({ http: 'http://127.0.0.1:7070' });
  await expect(acquire(directory)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
  await lock.release();
  expect(await lockOwner(systemFiles, directory)).toBeNull();
  await (await acquire(directory)).release();
});

test('a data directory that is a file is told as such', async () => {
  const directory = await temporaryDirectory();
  await writeFile(join(directory, 'file'), '');
  await expect(acquire(join(directory, 'file'))).rejects.toMatchObject({ code: 'DATA_DIR_UNUSABLE' });
  await mkdir(join(directory, 'odd', 'lock'), { recursive: true });
  await expect(acquire(join(directory, 'odd'))).rejects.toMatchObject({ code: 'DATA_DIR_UNUSABLE' });
});
