import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isTidemarkError, TidemarkError, messageOf } from '../base/errors.ts';
import { replaceFile } from '../base/files.ts';
import type { Files } from '../base/files.ts';

/** Who holds a data directory. Written for people and for commands that look for the running service. */
export interface LockOwner {
  readonly pid: number;
  readonly host: string;
  /** ISO 8601. */
  readonly startedAt: string;
  /** What it runs: `run`, `tail` … */
  readonly command: string;
  /** Where its HTTP API answers; null while it does not listen. */
  readonly http: string | null;
}

const lockName = 'lock';
const ownerName = 'owner.json';
const sqliteBusy = 5;
/** A look at whose the lock is takes it for an instant; whoever wants it meanwhile waits a little. */
const acquireWaitMs = 300;

/**
 * The right to a data directory, of one process at a time. SQLite's exclusive lock on a file of its own is the operating system's
 * advisory record lock, which Node has no call for: it goes with the process however that ends, so that nothing stale is ever left
 * to be judged by process ids, and it holds between containers that share the directory on one machine. `owner.json` beside it
 * only says whose it is.
 */
export class DataDirectoryLock {
  readonly #database: DatabaseSync;
  readonly #files: Files;
  readonly #directory: string;
  #owner: LockOwner;

  private constructor(database: DatabaseSync, files: Files, directory: string, owner: LockOwner) {
    this.#database = database;
    this.#files = files;
    this.#directory = directory;
    this.#owner = owner;
  }

  /** Takes the lock or throws DATA_DIR_LOCKED, naming the owner. Creates the directory when it is new. */
  static async acquire(options: {
    directory: string;
    files: Files;
    command: string;
    nowMs: number;
  }): Promise<DataDirectoryLock> {
    const { directory, files, command } = options;
    await makeDirectory(files, directory);
    const database = tryLock(join(directory, lockName), acquireWaitMs);
    if (!database) throw await lockedError(files, directory);
    const startedAt = new Date(options.nowMs).toISOString();
    const owner = { pid: process.pid, host: hostname(), startedAt, command, http: null };
    const lock = new DataDirectoryLock(database, files, directory, owner);
    await lock.#writeOwner();
    return lock;
  }

  get owner(): LockOwner {
    return this.#owner;
  }

  /** Tells other commands where this process answers. */
  async announce(http: string): Promise<void> {
    this.#owner = { ...this.#owner, http };
    await this.#writeOwner();
  }

  async release(): Promise<void> {
    if (!this.#database.isOpen) return;
    await this.#files.remove(join(this.#directory, ownerName)).catch(() => undefined);
    this.#database.close();
  }

  /** The lock holds without this file, and a full disk must not keep the service from starting and saying so. */
  async #writeOwner(): Promise<void> {
    const content = Buffer.from(`${JSON.stringify(this.#owner)}\n`);
    await replaceFile(this.#files, join(this.#directory, ownerName), content).catch(() => undefined);
  }
}

/** Who holds the directory now, or null when nobody does or nobody says. */
export async function lockOwner(files: Files, directory: string): Promise<LockOwner | null> {
  const path = join(directory, lockName);
  if (!(await files.exists(path))) return null;
  const database = tryLock(path, 0);
  if (database) {
    database.close();
    return null;
  }
  return readOwner(files, directory);
}

function tryLock(path: string, waitMs: number): DatabaseSync | null {
  const database = openDatabase(path, waitMs);
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database.close();
    if (isBusy(error)) return null;
    throw directoryError(path, error);
  }
}

function openDatabase(path: string, waitMs: number): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: waitMs });
  } catch (error) {
    throw directoryError(path, error);
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy;
}

async function makeDirectory(files: Files, directory: string): Promise<void> {
  try {
    await files.makeDirectory(directory);
  } catch (error) {
    throw directoryError(directory, error);
  }
}

function directoryError(path: string, error: unknown): TidemarkError {
  if (isTidemarkError(error)) return error;
  return new TidemarkError('DATA_DIR_UNUSABLE', `data_dir cannot be used: ${messageOf(error)}`, {
    hint: 'Check that the directory exists or can be made, and that this user may write to it.',
    place: { file: path },
    cause: error,
  });
}

async function lockedError(files: Files, directory: string): Promise<TidemarkError> {
  const owner = await readOwner(files, directory);
  const whose = owner
    ? `process ${owner.pid} on ${owner.host} (tidemark ${owner.command}, since ${owner.startedAt})`
    : 'another process';
  return new TidemarkError('DATA_DIR_LOCKED', `data_dir belongs to ${whose}`, {
    hint: 'Stop that process first, or give this deployment another data_dir.',
    place: { file: directory },
  });
}

async function readOwner(files: Files, directory: string): Promise<LockOwner | null> {
  try {
    const file = await files.open(join(directory, ownerName), 'read');
    try {
      const content = Buffer.alloc(await file.size());
      await file.read(content, 0);
      const owner: unknown = JSON.parse(content.toString());
      return isOwner(owner) ? owner : null;
    } finally {
      await file.close();
    }
  } catch {
    return null;
  }
}

function isOwner(value: unknown): value is LockOwner {
  return typeof value === 'object' && value !== null && 'pid' in value && 'startedAt' in value && 'http' in value;
}
