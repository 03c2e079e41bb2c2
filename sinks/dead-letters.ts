import { dirname, join } from 'node:path';
import type { File, Files } from '../base/files.ts';

/** A change that a sink could not take. */
export interface DeadLetter {
  readonly sink: string;
  readonly topic: string;
  /** Which row: a hash of its key's bytes, or of the whole row's where there is no key. */
  readonly row: string;
  /** The row's key as JSON, for people: what is not UTF-8 in it is not exact. */
  readonly key: string;
  readonly epoch: number;
  readonly seq: number;
  readonly reason: string;
  /** When it was set aside, in milliseconds since 1970. */
  readonly atMs: number;
}

/** A later change of the row has been written, so its letters are of no concern any more. */
interface Settled {
  readonly settled: string;
}

/**
 * The dead letters of one sink: a file of JSON lines, synced before the cursor passes the rows that it names. A row that is met again
 * in a replay is kept once. What a crash left of lines that were being written is cut off: their rows are met again.
 */
export class DeadLetters {
  readonly #files: Files;
  readonly #path: string;
  readonly #directory: string;
  #letters = new Map<string, DeadLetter>();
  /** The identities of each row's letters. */
  readonly #rows = new Map<string, string[]>();
  #file: File | null = null;
  #size = 0;
  /** The end of what is being done to the file: letters are let go by command while others come. */
  #last: Promise<void> = Promise.resolve();

  constructor(files: Files, directory: string, sink: string) {
    this.#files = files;
    this.#directory = directory;
    this.#path = join(directory, `${encodeURIComponent(sink)}.dead-letters.ndjson`);
  }

  get count(): number {
    return this.#letters.size;
  }

  /** In the order in which they came. */
  list(): DeadLetter[] {
    return [...this.#letters.values()];
  }

  async load(): Promise<void> {
    return this.#inTurn(async () => this.#load());
  }

  async #load(): Promise<void> {
    await this.#close();
    this.#letters = new Map();
    this.#rows.clear();
    if (!(await this.#files.exists(this.#path))) return;
    const file = await this.#open('write');
    const content = Buffer.alloc(await file.size());
    await file.read(content, 0);
    this.#size = 0;
    for (let end = content.indexOf(0x0a); end >= 0; end = content.indexOf(0x0a, this.#size)) {
      const entry = parseEntry(content.toString('utf8', this.#size, end));
      if (entry === null) break;
      this.#take(entry);
      this.#size = end + 1;
    }
    if (this.#size === content.length) return;
    await file.truncate(this.#size);
    await file.sync();
  }

  #take(entry: DeadLetter | Settled): void {
    if ('settled' in entry) {
      for (const id of this.#rows.get(entry.settled) ?? []) this.#letters.delete(id);
      this.#rows.delete(entry.settled);
      return;
    }
    const id = identity(entry);
    if (!this.#letters.has(id)) this.#rows.set(entry.row, [...(this.#rows.get(entry.row) ?? []), id]);
    this.#letters.set(id, entry);
  }

  /** Whether there is a letter of that row. */
  concerns(row: string): boolean {
    return this.#rows.has(row);
  }

  /** Forgets the letters of the settled rows, then adds the others. Returns once that survives a crash. */
  async update(letters: readonly DeadLetter[], settledRows: readonly string[]): Promise<void> {
    return this.#inTurn(async () => this.#update(letters, settledRows));
  }

  async #update(letters: readonly DeadLetter[], settledRows: readonly string[]): Promise<void> {
    const settling = new Set(settledRows);
    const fresh = letters.filter((letter) => settling.has(letter.row) || !this.#letters.has(identity(letter)));
    const entries: (DeadLetter | Settled)[] = [...settledRows.map((settled) => ({ settled })), ...fresh];
    if (entries.length === 0) return;
    if (this.#file === null) {
      await this.#files.makeDirectory(this.#directory);
      await this.#files.syncDirectory(dirname(this.#directory));
    }
    const file = this.#file ?? (await this.#open((await this.#files.exists(this.#path)) ? 'write' : 'create'));
    const lines = Buffer.from(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
    await file.write(lines, this.#size);
    await file.sync();
    await this.#files.syncDirectory(this.#directory);
    this.#size += lines.length;
    for (const entry of entries) this.#take(entry);
    if (this.#letters.size > 0) return;
    // Nothing of it says anything any more; a crash before this is durable leaves lines that cancel each other.
    await file.truncate(0);
    this.#size = 0;
  }

  async close(): Promise<void> {
    return this.#inTurn(async () => this.#close());
  }

  async #close(): Promise<void> {
    await this.#file?.close();
    this.#file = null;
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #open(mode: 'write' | 'create'): Promise<File> {
    this.#file = await this.#files.open(this.#path, mode);
    return this.#file;
  }
}

function identity(letter: DeadLetter): string {
  return `${letter.epoch}:${letter.seq}:${letter.row}`;
}

/** The entry of a line, or null for what is not whole. */
function parseEntry(line: string): DeadLetter | Settled | null {
  try {
    return JSON.parse(line) as DeadLetter | Settled;
  } catch {
    return null;
  }
}
