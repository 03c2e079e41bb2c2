import { join } from 'node:path';
import type { File, Files } from '../base/files.ts';

/** A change that a sink could not take. */
export interface DeadLetter {
  readonly sink: string;
  readonly topic: string;
  /** The row's key as JSON. */
  readonly key: string;
  readonly epoch: number;
  readonly seq: number;
  readonly reason: string;
  /** When it was set aside, in milliseconds since 1970. */
  readonly atMs: number;
}

/**
 * The dead letters of one sink: a file of JSON lines, synced before the cursor passes the rows that it names. A row that is met again
 * in a replay is kept once. A torn last line (a crash while it was written) is cut off: its row is met again.
 */
export class DeadLetters {
  readonly #files: Files;
  readonly #path: string;
  readonly #directory: string;
  #letters = new Map<string, DeadLetter>();
  #file: File | null = null;
  #size = 0;

  constructor(files: Files, directory: string, sink: string) {
    this.#files = files;
    this.#directory = directory;
    this.#path = join(directory, `${encodeURIComponent(sink)}.dead-letters.ndjson`);
  }

  get count(): number {
    return this.#letters.size;
  }

  list(): DeadLetter[] {
    return [...this.#letters.values()];
  }

  async load(): Promise<void> {
    this.#letters = new Map();
    if (!(await this.#files.exists(this.#path))) return;
    const file = await this.#open('write');
    const content = Buffer.alloc(await file.size());
    await file.read(content, 0);
    this.#size = content.lastIndexOf(0x0a) + 1;
    for (const line of content.toString('utf8', 0, this.#size).split('\n')) {
      if (line === '') continue;
      const letter = JSON.parse(line) as DeadLetter;
      this.#letters.set(identity(letter), letter);
    }
  }

  /** Returns once the letters survive a crash. */
  async add(letters: readonly DeadLetter[]): Promise<void> {
    const fresh = letters.filter((letter) => !this.#letters.has(identity(letter)));
    if (fresh.length === 0) return;
    if (this.#file === null) await this.#files.makeDirectory(this.#directory);
    const file = this.#file ?? (await this.#open('create'));
    const lines = Buffer.from(fresh.map((letter) => `${JSON.stringify(letter)}\n`).join(''));
    await file.write(lines, this.#size);
    await file.sync();
    await this.#files.syncDirectory(this.#directory);
    this.#size += lines.length;
    for (const letter of fresh) this.#letters.set(identity(letter), letter);
  }

  /** Forgets all of them: the sink is built anew. */
  async clear(): Promise<void> {
    if (this.#letters.size === 0) return;
    this.#letters = new Map();
    await this.#file?.truncate(0);
    await this.#file?.sync();
    this.#size = 0;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = null;
  }

  async #open(mode: 'write' | 'create'): Promise<File> {
    this.#file = await this.#files.open(this.#path, mode);
    return this.#file;
  }
}

function identity(letter: DeadLetter): string {
  return `${letter.epoch}:${letter.seq}:${letter.key}`;
}
