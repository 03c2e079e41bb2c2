import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskStore } from '../../../views/state/disk.ts';
import { MemoryStore } from '../../../views/state/memory.ts';
import { describeStateStore } from '../state-conformance.ts';

describeStateStore('memory', async () => ({
  open: async () => new MemoryStore(),
  reopen: null,
  dispose: async () => {},
}));

/** A crash is a copy of the files at some moment: LMDB promises that they are whole. */
async function onDisk(cacheBytes: number): ReturnType<Parameters<typeof describeStateStore>[1]> {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-state-'));
  let made = 0;
  let path = '';
  return {
    open: async () => {
      path = join(directory, String(made++));
      return DiskStore.open({ path, cacheBytes, dirtyMax: 4 });
    },
    reopen: async (store) => {
      const copy = join(directory, String(made++));
      await cp(path, copy, { recursive: true });
      await store.close();
      path = copy;
      return DiskStore.open({ path, cacheBytes, dirtyMax: 4 });
    },
    dispose: async () => rm(directory, { recursive: true, force: true }),
  };
}

describeStateStore('LMDB', async () => onDisk(64 * 1024 * 1024));
describeStateStore('LMDB, with hardly any cache', async () => onDisk(1));
