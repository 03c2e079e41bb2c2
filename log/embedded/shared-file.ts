import { systemCodeOf } from '../../base/errors.ts';
import type { File, Files } from '../../base/files.ts';
import { missing } from './format.ts';

/** A file that several readers use at once through one handle. Once retired it is deleted as soon as the last one has let it go. */
export class SharedFile {
  readonly path: string;
  readonly #files: Files;
  #users = 0;
  #handle: Promise<File> | null = null;
  #retired = false;

  constructor(files: Files, path: string) {
    this.#files = files;
    this.path = path;
  }

  /** Counts the caller as a user from this call on, before the promise resolves. */
  async acquire(): Promise<File> {
    this.#users++;
    this.#handle ??= this.#files.open(this.path, 'read');
    try {
      return await this.#handle;
    } catch (error) {
      this.#handle = null;
      this.#users--;
      if (systemCodeOf(error) === 'ENOENT') throw missing(this.path, 'it was there when the log was opened');
      throw error;
    }
  }

  async release(): Promise<void> {
    this.#users--;
    if (this.#users > 0) return;
    const handle = this.#handle;
    this.#handle = null;
    if (handle) await (await handle).close();
    if (this.#retired) await this.#files.remove(this.path);
  }

  /** The file is no part of the log any more. A file that a crash leaves behind is deleted at the next open. */
  async retire(): Promise<void> {
    this.#retired = true;
    if (this.#users === 0) await this.#files.remove(this.path);
  }
}
