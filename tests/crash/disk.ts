import { setTimeout as delay } from 'node:timers/promises';
import type { File, Files } from '../../base/files.ts';
import { systemFiles } from '../../base/files.ts';
import type { FaultyFiles } from '../simulation/faulty-files.ts';

/** Longest time that a sync takes: wide enough for an acknowledgement that does not wait for it to slip past. */
const syncMsMax = 15;

export interface DiskOptions {
  readonly files: FaultyFiles;
  readonly random: () => number;
  /** Syncs answer and do nothing: the negative control. */
  readonly lying: boolean;
}

/** The folder of the disk. Everything elsewhere is the system's. */
export const diskDirectory = '/power-cut-disk';

/** A disk that takes its time to sync, and, with the power, loses what it did not. */
export function powerCutDisk({ files, random, lying }: DiskOptions): Files {
  const at = (path: string): Files => (isHere(path) ? files : systemFiles);
  const slow = (file: File): File => ({
    ...file,
    sync: async () => {
      await delay(random() * syncMsMax);
      if (!lying) await file.sync();
    },
  });
  return {
    open: async (path, mode) => {
      const file = await at(path).open(path, mode);
      return isHere(path) ? slow(file) : file;
    },
    list: async (path) => at(path).list(path),
    exists: async (path) => at(path).exists(path),
    makeDirectory: async (path) => at(path).makeDirectory(path),
    rename: async (from, to) => at(from).rename(from, to),
    remove: async (path) => at(path).remove(path),
    syncDirectory: async (path) => at(path).syncDirectory(path),
    space: async (path) => at(path).space(path),
  };
}

/** The folder's name is in the root folder, which is synced for its sake. */
function isHere(path: string): boolean {
  return path === '/' || path.startsWith(diskDirectory);
}
