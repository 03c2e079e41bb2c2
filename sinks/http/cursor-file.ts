import { dirname } from 'node:path';
import { replaceFile } from '../../base/files.ts';
import type { File, Files } from '../../base/files.ts';
import type { Cursor } from '../port.ts';

/** How far an endpoint has come. */
export interface Delivered {
  /** What the cursor was reached with. */
  readonly fingerprint: string;
  /** The endpoint has taken everything up to here; null before its start is complete. */
  readonly cursor: Cursor | null;
  /** A request of several transactions, the last with this number, has gone out: it is sent again with just these. */
  readonly flight: number | null;
}

/** The file is written anew when it has grown to this. */
const bytesMax = 64 * 1024;

/** A file of JSON lines of which the last whole one counts: one small write and one sync for each. */
export class CursorFile {
  readonly #files: Files;
  readonly #path: string;
  #file: File | null = null;
  #size = 0;

  constructor(files: Files, path: string) {
    this.#files = files;
    this.#path = path;
  }

  /** What was saved last; null when nothing was. */
  async load(): Promise<Delivered | null> {
    await this.close();
    if (!(await this.#files.exists(this.#path))) return null;
    const file = await this.#files.open(this.#path, 'write');
    this.#file = file;
    const content = Buffer.alloc(await file.size());
    await file.read(content, 0);
    this.#size = 0;
    let last: Delivered | null = null;
    for (let end = content.indexOf(0x0a); end >= 0; end = content.indexOf(0x0a, this.#size)) {
      const parsed = parse(content.toString('utf8', this.#size, end));
      if (parsed === null) break;
      last = parsed;
      this.#size = end + 1;
    }
    // What a crash left of a line that was being written must not stand before the next one.
    if (this.#size < content.length) await file.truncate(this.#size);
    return last;
  }

  /** Returns once the line survives a power cut. */
  async save(delivered: Delivered): Promise<void> {
    const line = Buffer.from(`${JSON.stringify(delivered)}\n`);
    if (this.#file === null || this.#size + line.length > bytesMax) {
      await this.close();
      const directory = dirname(this.#path);
      await this.#files.makeDirectory(directory);
      await this.#files.syncDirectory(dirname(directory));
      await replaceFile(this.#files, this.#path, line);
      this.#file = await this.#files.open(this.#path, 'write');
      this.#size = line.length;
      return;
    }
    await this.#file.write(line, this.#size);
    await this.#file.sync();
    this.#size += line.length;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }
}

function parse(line: string): Delivered | null {
  try {
    return JSON.parse(line) as Delivered;
  } catch {
    return null;
  }
}
