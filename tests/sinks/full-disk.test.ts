import { execFileSync, fork } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('a full disk holds the sinks up; when there is room again they go on, and nothing is lost or doubled', async () => {
  const child = fork(join(import.meta.dirname, 'full-disk-child.ts'), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const limit = (bytes: string): void => {
    execFileSync('prlimit', ['--pid', String(child.pid), `--fsize=${bytes}:unlimited`]);
  };
  const result = await new Promise<unknown>((resolve, reject) => {
    child.once('exit', (code) => reject(new RangeError(`the child ended with ${code}`)));
    child.on('message', (message) => {
      if (message === 'ready') {
        limit('1000000');
        child.send('start');
      } else if (message === 'full') {
        limit('unlimited');
      } else {
        resolve(message);
      }
    });
  });
  expect(result).toEqual({ n: 20_000, sum: 200_010_000, found: 20_000, lines: 20_000, commits: 20 });
});
