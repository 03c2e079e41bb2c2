import { mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCodeOf } from './errors.ts';

/** An open file. Offsets and lengths are bytes. */
export interface File {
  /** Writes all of `data` at `offset`. */
  write(data: Buffer, offset: number): Promise<void>;
  /** Writes the buffers one after the other from `offset`, in one system call where the platform can. */
  writev(data: Buffer[], offset: number): Promise<void>;
  /** Fills `into` from `offset`; returns the bytes read, fewer than asked only at the end of the file. */
  read(into: Buffer, offset: number): Promise<number>;
  /** Returns once everything written before the call survives a power cut. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** The files under data_dir. Passed in, so that a test can lose what was not synced. */
export interface Files {
  open(path: string, mode: 'read' | 'write' | 'create'): Promise<File>;
  list(directory: string): Promise<string[]>;
  exists(path: string): Promise<boolean>;
  /** Makes a folder and those above it that are missing; one that is there is left as it is. */
  makeDirectory(path: string): Promise<void>;
  /** Atomic replacement; durable only after `syncDirectory` of its folder. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes created, renamed and removed names of a folder durable. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes in all and bytes free on the disk that holds `path`. */
  space(path: string): Promise<{ totalBytes: number; freeBytes: number }>;
}

class SystemFile implements File {
  readonly #handle: FileHandle;
  constructor(handle: FileHandle) {
    this.#handle = handle;
  }
  async write(data: Buffer, offset: number): Promise<void> {
    let done = 0;
    while (done < data.length) {
      const { bytesWritten } = await this.#handle.write(data, done, data.length - done, offset + done);
      done += bytesWritten;
    }
  }
  async writev(data: Buffer[], offset: number): Promise<void> {
    const total = data.reduce((sum, part) => sum + part.length, 0);
    const { bytesWritten } = await this.#handle.writev(data, offset);
    // A short write (a full disk, a signal) is finished the plain way, which reports the reason when there is one.
    if (bytesWritten < total) await this.write(Buffer.concat(data).subarray(bytesWritten), offset + bytesWritten);
  }
  async read(into: Buffer, offset: number): Promise<number> {
    let done = 0;
    while (done < into.length) {
      const { bytesRead } = await this.#handle.read(into, done, into.length - done, offset + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }
  async sync(): Promise<void> {
    await this.#handle.datasync();
  }
  async truncate(length: number): Promise<void> {
    await this.#handle.truncate(length);
  }
  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }
  async close(): Promise<void> {
    await this.#handle.close();
  }
}

const openFlags = { read: 'r', write: 'r+', create: 'w+' } as const;

export const systemFiles: Files = {
  open: async (path, mode) => new SystemFile(await open(path, openFlags[mode], 0o600)),
  list: async (directory) => (await readdir(directory)).toSorted(),
  exists: async (path) =>
    stat(path).then(
      () => true,
      () => false,
    ),
  makeDirectory: makeFolder,
  rename: async (from, to) => rename(from, to),
  remove: async (path) => rm(path, { recursive: true, force: true }),
  syncDirectory: async (path) => {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  space: async (path) => {
    const { blocks, bavail, bsize } = await statfs(path);
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
  },
};

/**
 * Not mkdir's own `recursive`: below a folder that takes no entries and says ENOENT (/proc), libuv makes parent and child in turns
 * without end.
 */
async function makeFolder(path: string): Promise<void> {
  const error = await makeOne(path);
  if (error === null) return;
  const parent = dirname(path);
  if (systemCodeOf(error) !== 'ENOENT' || parent === path) throw error;
  if (!(await isFolder(parent))) await makeFolder(parent);
  const again = await makeOne(path);
  if (again !== null) throw again;
}

/** Why the folder could not be made; null when it is there. */
async function makeOne(path: string): Promise<unknown> {
  try {
    await mkdir(path, { mode: 0o700 });
    return null;
  } catch (error) {
    return (await isFolder(path)) ? null : error;
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Replaces a small file as a whole: after a crash at any point it holds either the old or the new content. */
export async function replaceFile(files: Files, path: string, content: Buffer): Promise<void> {
  const temporary = `${path}.new`;
  const file = await files.open(temporary, 'create');
  try {
    await file.write(content, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await files.rename(temporary, path);
  await files.syncDirectory(dirname(path));
}
