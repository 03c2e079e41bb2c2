import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { systemFiles } from '../../base/files.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import { FaultyFiles } from '../simulation/faulty-files.ts';
import type { LogHome } from './conformance.ts';
import { logConformance } from './conformance.ts';

/** With segments so short that everything happens at their borders too. */
const small = { segmentBytes: 2000, compactBytes: 100_000, retainBytes: 300_000 };

async function onDisk(): Promise<LogHome> {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-log-'));
  return {
    open: async () => openEmbeddedLog({ directory: join(directory, 'log'), files: systemFiles, clock: systemClock }),
    dispose: async () => rm(directory, { recursive: true }),
  };
}

async function inMemory(): Promise<LogHome> {
  const files = new FaultyFiles();
  return {
    open: async () => openEmbeddedLog({ directory: '/data/log', files, clock: systemClock, ...small }),
    dispose: async () => undefined,
  };
}

logConformance('embedded log', onDisk);
logConformance('embedded log with short segments', inMemory);
