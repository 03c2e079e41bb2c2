import { expect, it } from 'vitest';
import type { PostgresServer } from '../servers/postgres.ts';
import { describePostgresServer } from '../servers/suite.ts';
import { Difference } from './difference.ts';
import { crashServer, runCrash } from './harness.ts';
import type { CrashResult } from './harness.ts';

/** TIDEMARK_CRASH_SEED runs a seed again. */
const seed = Number(process.env['TIDEMARK_CRASH_SEED'] ?? Math.floor(Math.random() * 1e9));
console.log(`crash tests: seed ${seed}`);

async function run(server: PostgresServer, options: { kills: number; torn: boolean }): Promise<CrashResult> {
  const lines = [`seed ${seed}`];
  const say = (line: string): void => void lines.push(line);
  try {
    return await runCrash(server, { ...options, seed, minutes: 5, compareEvery: 5, keep: false, say });
  } catch (error) {
    if (error instanceof Error) error.message = `${lines.join('\n')}\n${error.message}`;
    throw error;
  }
}

describePostgresServer('kill -9', crashServer, (server) => {
  it('at ten random moments leaves log, sinks, views and feeds equal to the database, each transaction once and in order', async () => {
    const result = await run(server(), { kills: 10, torn: false });
    expect(result).toMatchObject({ kills: 10, comparisons: 2 });
    expect(result.matched).toBeGreaterThan(100);
    expect(result.reader.checked).toBeGreaterThan(10);
    expect(result.reader.commits).toBeGreaterThan(1);
    expect(result.views.compared).toBeGreaterThan(1);
    expect(result.reader.viewCommits).toBeGreaterThan(0);
  }, 480_000);
});

describePostgresServer('a sink whose commits are not atomic', crashServer, (server) => {
  it('is caught by the reader', async () => {
    const failure = await run(server(), { kills: 12, torn: true }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Difference);
    expect(String(failure)).toMatch(/the reader saw: .*(together -?\d+ instead of 0|counter|do not agree)/);
  }, 480_000);
});
