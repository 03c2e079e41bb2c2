import { basename, dirname } from 'node:path';
import type { File, Files } from '../../base/files.ts';

/**
 * Files in memory that forget like a machine that loses power: what was not synced may be there, in any subset and torn at any
 * byte; names that were not synced with their folder may be the old or the new ones. Harsher than real file systems, on purpose.
 */
export class FaultyFiles implements Files {
  /** Bytes that may still be written before the disk is full. */
  budgetBytes = Infinity;
  /** Writes, syncs and changes of names that may still happen before the machine stops. */
  stepsLeft = Infinity;
  /** Steps so far: a run without faults tells how many moments there are to crash at. */
  steps = 0;
  /** Syncs of files so far. */
  syncs = 0;
  /** Syncs that may still succeed before one fails with EIO. */
  syncsLeft = Infinity;
  readonly #root: DirectoryNode;

  constructor(root: DirectoryNode = new DirectoryNode()) {
    this.#root = root;
  }

  /** What is on the disk when the machine starts again after losing power now. The old files answer nothing any more. */
  crash(random: () => number): FaultyFiles {
    this.stepsLeft = 0;
    return new FaultyFiles(this.#root.survive(random));
  }

  /** Everything as a process that was killed leaves it: nothing is lost. */
  kill(): FaultyFiles {
    this.stepsLeft = 0;
    return new FaultyFiles(this.#root);
  }

  async open(path: string, mode: 'read' | 'write' | 'create'): Promise<File> {
    this.#alive();
    const directory = this.#directory(dirname(path));
    let node = directory.names.get(basename(path));
    if (node instanceof DirectoryNode) throw systemError('EISDIR', path);
    if (!node && mode !== 'create') throw systemError('ENOENT', path);
    if (mode === 'create') {
      this.#step();
      if (node) node.truncate(0);
      else directory.set(basename(path), (node = new FileNode()));
    }
    if (!node) throw systemError('ENOENT', path);
    return this.#handle(node);
  }

  #handle(node: FileNode): File {
    return {
      write: async (data, offset) => {
        await turn();
        this.#write(node, data, offset);
      },
      writev: async (data, offset) => {
        await turn();
        this.#write(node, Buffer.concat(data), offset);
      },
      read: async (into, offset) => {
        await turn();
        this.#alive();
        return node.read(into, offset);
      },
      sync: async () => {
        await turn();
        this.#step();
        this.syncs++;
        if (this.syncsLeft-- <= 0) throw systemError('EIO', 'sync');
        node.sync();
      },
      truncate: async (length) => {
        await turn();
        this.#step();
        node.truncate(length);
      },
      size: async () => node.size,
      close: async () => undefined,
    };
  }

  #write(node: FileNode, data: Buffer, offset: number): void {
    this.#step();
    const room = Math.min(data.length, this.budgetBytes);
    this.budgetBytes -= room;
    // The buffer belongs to the caller again once the call returns.
    node.write(Buffer.from(data.subarray(0, room)), offset);
    if (room < data.length) throw systemError('ENOSPC', 'write');
  }

  async list(directory: string): Promise<string[]> {
    return [...this.#directory(directory).names.keys()].toSorted();
  }

  async exists(path: string): Promise<boolean> {
    return this.#find(path) !== undefined;
  }

  async makeDirectory(path: string): Promise<void> {
    let node = this.#root;
    for (const name of partsOf(path)) {
      let next = node.names.get(name);
      if (!next) {
        this.#step();
        node.set(name, (next = new DirectoryNode()));
      }
      if (!(next instanceof DirectoryNode)) throw systemError('ENOTDIR', path);
      node = next;
    }
  }

  async rename(from: string, to: string): Promise<void> {
    await turn();
    this.#step();
    const node = this.#find(from);
    if (!node) throw systemError('ENOENT', from);
    if (dirname(from) !== dirname(to)) throw systemError('EXDEV', to);
    this.#directory(dirname(from)).rename(basename(from), basename(to), node);
  }

  async remove(path: string): Promise<void> {
    await turn();
    this.#step();
    if (this.#find(path)) this.#directory(dirname(path)).set(basename(path), null);
  }

  async syncDirectory(path: string): Promise<void> {
    await turn();
    this.#step();
    this.#directory(path).sync();
  }

  async space(): Promise<{ totalBytes: number; freeBytes: number }> {
    return { totalBytes: 2 ** 40, freeBytes: Math.min(this.budgetBytes, 2 ** 40) };
  }

  /** A file's bytes as they are now; writes to it do not show. */
  bytesOf(path: string): Buffer {
    const node = this.#find(path);
    if (!(node instanceof FileNode)) throw systemError('ENOENT', path);
    const bytes = Buffer.alloc(node.size);
    node.read(bytes, 0);
    return bytes;
  }

  /** Turns bits of one byte over, on the disk itself. */
  flip(path: string, offset: number, mask = 0x10): void {
    const node = this.#find(path);
    if (!(node instanceof FileNode)) throw systemError('ENOENT', path);
    node.flip(offset, mask);
  }

  /** A copy on which something can be tried. */
  copy(): FaultyFiles {
    return new FaultyFiles(this.#root.copy());
  }

  #find(path: string): FileNode | DirectoryNode | undefined {
    let node: FileNode | DirectoryNode | undefined = this.#root;
    for (const name of partsOf(path)) node = node instanceof DirectoryNode ? node.names.get(name) : undefined;
    return node;
  }

  #directory(path: string): DirectoryNode {
    const node = this.#find(path);
    if (!(node instanceof DirectoryNode)) throw systemError('ENOENT', path);
    return node;
  }

  #alive(): void {
    if (this.stepsLeft <= 0) throw systemError('EPOWER', 'the machine');
  }

  #step(): void {
    this.#alive();
    this.stepsLeft--;
    this.steps++;
  }
}

class FileNode {
  size = 0;
  #now: Buffer = Buffer.alloc(0);
  #disk: Buffer = Buffer.alloc(0);
  #unsynced: ({ offset: number; data: Buffer } | { length: number })[] = [];

  read(into: Buffer, offset: number): number {
    return this.#now.copy(into, 0, offset, Math.min(this.size, offset + into.length));
  }
  write(data: Buffer, offset: number): void {
    this.#now = put(this.#now, data, offset, this.size);
    this.size = Math.max(this.size, offset + data.length);
    this.#unsynced.push({ offset, data });
  }
  truncate(length: number): void {
    this.#now = resized(this.#now, this.size, length);
    this.size = length;
    this.#unsynced.push({ length });
  }
  sync(): void {
    for (const change of this.#unsynced) this.#disk = applied(this.#disk, change);
    this.#unsynced = [];
  }
  flip(offset: number, mask: number): void {
    this.sync();
    this.#disk[offset] = (this.#disk[offset] ?? 0) ^ mask;
    this.#now = Buffer.from(this.#disk);
  }
  survive(random: () => number): FileNode {
    const node = new FileNode();
    let disk: Buffer = Buffer.from(this.#disk);
    const mood = random();
    for (const change of this.#unsynced) {
      // Some crashes lose nearly everything, some nearly nothing, some a part of each write.
      if (random() > mood) continue;
      if ('length' in change) {
        disk = applied(disk, change);
        continue;
      }
      const { data, offset } = change;
      const torn = random() < 0.5;
      const start = torn && random() < 0.3 ? Math.floor(random() * data.length) : 0;
      const end = torn ? start + Math.floor(random() * (data.length - start + 1)) : data.length;
      if (end > start) disk = applied(disk, { offset: offset + start, data: data.subarray(start, end) });
      // A file may have grown before its data arrived: zeros.
      else if (random() < 0.2) disk = applied(disk, { length: Math.max(disk.length, offset + data.length) });
    }
    node.#disk = disk;
    node.#now = Buffer.from(disk);
    node.size = disk.length;
    return node;
  }
  copy(): FileNode {
    const node = new FileNode();
    node.#disk = Buffer.from(this.#now.subarray(0, this.size));
    node.#now = Buffer.from(node.#disk);
    node.size = this.size;
    return node;
  }
}

type Named = FileNode | DirectoryNode;

class DirectoryNode {
  names = new Map<string, Named>();
  #disk = new Map<string, Named>();
  #unsynced: { name: string; node: Named | null; gone?: string }[] = [];

  set(name: string, node: Named | null): void {
    this.#unsynced.push({ name, node });
    if (node) this.names.set(name, node);
    else this.names.delete(name);
  }
  rename(from: string, to: string, node: Named): void {
    this.#unsynced.push({ name: to, node, gone: from });
    this.names.delete(from);
    this.names.set(to, node);
  }
  sync(): void {
    this.#disk = new Map(this.names);
    this.#unsynced = [];
  }
  survive(random: () => number): DirectoryNode {
    const names = new Map(this.#disk);
    const mood = random();
    for (const { name, node, gone } of this.#unsynced) {
      if (random() > mood) continue;
      if (gone !== undefined) names.delete(gone);
      if (node) names.set(name, node);
      else names.delete(name);
    }
    const survivor = new DirectoryNode();
    for (const [name, node] of names) survivor.names.set(name, node.survive(random));
    survivor.sync();
    return survivor;
  }
  copy(): DirectoryNode {
    const copied = new DirectoryNode();
    for (const [name, node] of this.names) copied.names.set(name, node.copy());
    copied.sync();
    return copied;
  }
}

function applied(disk: Buffer, change: { offset: number; data: Buffer } | { length: number }): Buffer {
  if ('length' in change) return Buffer.from(resized(disk, disk.length, change.length).subarray(0, change.length));
  const size = Math.max(disk.length, change.offset + change.data.length);
  return put(disk, change.data, change.offset, disk.length).subarray(0, size);
}

/** `data` put at `offset` of a buffer of which `size` bytes are in use; room grows by doubling, gaps are zeros. */
function put(buffer: Buffer, data: Buffer, offset: number, size: number): Buffer {
  const end = offset + data.length;
  let into = buffer;
  if (end > buffer.length) {
    into = Buffer.alloc(Math.max(end, buffer.length * 2));
    buffer.copy(into, 0, 0, size);
  } else if (offset > size) {
    into.fill(0, size, offset);
  }
  data.copy(into, offset);
  return into;
}

function resized(buffer: Buffer, size: number, length: number): Buffer {
  if (length <= size) return buffer;
  return put(buffer, Buffer.alloc(length - size), size, size);
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

/** Lets others run, as a real file's call does. */
async function turn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

function systemError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}
