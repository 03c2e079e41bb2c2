import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { systemFiles } from '../../base/files.ts';
import type { EmbeddedLogOptions } from '../../log/embedded/embedded-log.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import { FaultyFiles } from '../simulation/faulty-files.ts';
import type { LogHome } from './conformance.ts';
import { logConformance } from './conformance.ts';
import { modelTest } from './model-test.ts';

async function onDisk(): Promise<LogHome> {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-log-'));
  return {
    open: async () => openEmbeddedLog({ directory: join(directory, 'log'), files: systemFiles, clock: systemClock }),
    dispose: async () => rm(directory, { recursive: true }),
  };
}

function inMemory(limits: Pick<EmbeddedLogOptions, 'segmentBytes' | 'compactBytes' | 'retainBytes'>) {
  return async (): Promise<LogHome> => {
    const files = new FaultyFiles();
    return {
      open: async () => openEmbeddedLog({ directory: '/data/log', files, clock: systemClock, ...limits }),
      dispose: async () => undefined,
    };
  };
}

logConformance('embedded log', onDisk);
// Segments so short that everything happens at their borders too.
logConformance('embedded log with short segments', inMemory({ segmentBytes: 2000 }));
modelTest(
  'embedded log that compacts by itself',
  inMemory({ segmentBytes: 500, compactBytes: 3000, retainBytes: 20_000 }),
);
