import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { TidemarkError } from '../base/errors.ts';

/** Where a client program of PostgreSQL is (npm brings the server alone), or null, which is told on stderr. */
export function findClientProgram(name: 'psql' | 'pg_recvlogical'): string | null {
  const debian = '/usr/lib/postgresql';
  const majors = existsSync(debian) ? readdirSync(debian).toSorted((one, other) => Number(other) - Number(one)) : [];
  const folders = [
    ...majors.map((major) => join(debian, major, 'bin')),
    ...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
  ];
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
  if (found === null) {
    console.error(
      `there is no ${name} here, so its figure has no reference (Debian: apt-get install postgresql-client)`,
    );
  }
  return found;
}

/** Runs a program to its end and returns the seconds that it took; what it prints is thrown away. */
export async function timed(program: string, args: readonly string[]): Promise<number> {
  const start = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new TidemarkError('INTERNAL', `${program} ended with ${String(code)}: ${stderr}`);
  return (performance.now() - start) / 1000;
}
