import { join } from 'node:path';
import { replaceFile } from '../base/files.ts';
import type { Files } from '../base/files.ts';

/** What somebody wants of a sink until further notice. */
interface Wish {
  /** Nothing is delivered. */
  readonly paused: boolean;
  /** A rebuild was asked for that has not been shown to readers yet. */
  readonly rebuild: boolean;
}

const none: Wish = { paused: false, rebuild: false };

/** The wishes about one sink, in `<sink>.wishes.json` beside its dead letters: they outlive the process. */
export class Wishes {
  readonly #files: Files;
  readonly #directory: string;
  readonly #path: string;
  #wish = none;
  /** The end of what is being written: somebody may pause a sink whose rebuild has just been shown. */
  #last: Promise<void> = Promise.resolve();

  constructor(files: Files, directory: string, sink: string) {
    this.#files = files;
    this.#directory = directory;
    this.#path = join(directory, `${encodeURIComponent(sink)}.wishes.json`);
  }

  get paused(): boolean {
    return this.#wish.paused;
  }

  get rebuild(): boolean {
    return this.#wish.rebuild;
  }

  async load(): Promise<void> {
    this.#wish = none;
    if (!(await this.#files.exists(this.#path))) return;
    const file = await this.#files.open(this.#path, 'read');
    try {
      const content = Buffer.alloc(await file.size());
      await file.read(content, 0);
      const { paused, rebuild } = JSON.parse(content.toString()) as Partial<Wish>;
      this.#wish = { paused: paused === true, rebuild: rebuild === true };
    } finally {
      await file.close();
    }
  }

  /** Returns once the change survives a crash. */
  async change(change: Partial<Wish>): Promise<void> {
    const done = this.#last.then(async () => this.#change(change));
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #change(change: Partial<Wish>): Promise<void> {
    const wish = { ...this.#wish, ...change };
    if (wish.paused === this.#wish.paused && wish.rebuild === this.#wish.rebuild) return;
    await this.#files.makeDirectory(this.#directory);
    await replaceFile(this.#files, this.#path, Buffer.from(`${JSON.stringify(wish)}\n`));
    this.#wish = wish;
  }
}
