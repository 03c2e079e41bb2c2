import { fork } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('a transaction of 300,000 rows takes no more memory than a small one, and is seen whole', async () => {
  const child = fork(join(import.meta.dirname, 'large-child.ts'), ['300000'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const result = await new Promise<unknown>((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (code) => reject(new RangeError(`the child ended with ${code}`)));
  });
  // About 45 MB of rows, of which a sink holds a batch, SQLite's page cache and the statements' values.
  expect((result as { growthMiB: number }).growthMiB).toBeLessThan(80);
});
