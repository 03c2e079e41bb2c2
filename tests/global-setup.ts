import type { TestProject } from 'vitest/node';
import { defaultMajor, postgres, startPostgres } from './servers/postgres.ts';
import { messageOf } from '../base/errors.ts';
import type { SharedPostgres } from './servers/suite.ts';

/** Starts the PostgreSQL that test files share; each of them makes its own database on it (tests/servers/suite.ts). */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const found = postgres.find();
  if (!found.found) return absent(project, found.reason);
  try {
    const server = await startPostgres({ major: defaultMajor });
    const { port, major, socketDirectory } = server;
    project.provide('postgres', { running: true, port, major, socketDirectory } satisfies SharedPostgres);
    return async () => server.stop('immediate');
  } catch (error) {
    return absent(project, messageOf(error));
  }
}

async function absent(project: TestProject, reason: string): Promise<() => Promise<void>> {
  project.provide('postgres', { running: false, reason } satisfies SharedPostgres);
  return async () => undefined;
}
