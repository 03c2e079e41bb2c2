import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { postgres } from './postgres.ts';
import { until } from './process.ts';

const owner = `
  import { startPostgres } from '${join(import.meta.dirname, 'postgres.ts')}';
  const { pid, directory } = await startPostgres();
  console.log(JSON.stringify({ pid, directory }));
  if (process.argv.includes('stay')) setInterval(() => undefined, 1000);
`;

it.runIf(postgres.find().found).for([
  { end: 'is killed', stays: true },
  { end: 'ends without stopping its server', stays: false },
])('a process that $end leaves no server and no folder behind', async ({ stays }) => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', owner, ...(stays ? ['stay'] : [])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  const [line] = (await once(lines, 'line')) as [string];
  const { pid, directory } = JSON.parse(line) as { pid: number; directory: string };
  const ended = once(child, 'exit');
  if (stays) {
    expect(existsSync(directory)).toBe(true);
    child.kill('SIGKILL');
  }
  await ended;
  await until('the folder to go', () => !existsSync(directory));
  await until('the server to end', () => !isAlive(pid));
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
