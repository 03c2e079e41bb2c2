import { join } from 'node:path';
import { TidemarkError } from '../../base/errors.ts';
import type { Files } from '../../base/files.ts';
import type { Frontier } from '../../model/log.ts';
import type { Section } from './block-file.ts';
import { readFileHead } from './file-head.ts';
import { corrupt, missing } from './format.ts';
import { readManifest, writeManifest } from './manifest.ts';
import { SharedFile } from './shared-file.ts';
import type { TopicStatsJson } from './topic-stats.ts';

const manifestName = 'stream.json';
const namePattern = /^\d{8}-\d+\.base$/;

/** What stream.json says of a stream's compacted part. Its replacement is the moment at which a compaction takes effect. */
export interface BaseManifest {
  readonly file: string;
  readonly salt: number;
  readonly bytes: number;
  /** Ordinal of the last segment that it takes the place of. */
  readonly ordinal: number;
  /** The horizon: the base is the sum of all transactions up to this one. */
  readonly frontier: Frontier;
  /** Deletes of transactions after this number are kept; earlier ones may be gone. */
  readonly deletesAfter: number;
  readonly state: Readonly<Record<string, string>>;
  readonly sections: readonly Section[];
  /** Sums per topic since the stream began, up to the horizon. */
  readonly topics: TopicStatsJson;
}

/** The compacted part of a stream. */
export class Base {
  readonly manifest: BaseManifest;
  readonly shared: SharedFile;

  constructor(files: Files, directory: string, manifest: BaseManifest) {
    this.manifest = manifest;
    this.shared = new SharedFile(files, join(directory, manifest.file));
  }

  get seq(): number {
    return this.manifest.frontier.seq;
  }

  /** The file as a frame reader wants it. */
  get salt(): number {
    return this.manifest.salt;
  }
}

/** `attempt` differs from compaction to compaction, so that none overwrites a file that a manifest may name. */
export function baseName(ordinal: number, attempt: number): string {
  return `${String(ordinal).padStart(8, '0')}-${attempt}.base`;
}

/** Reads which base the stream has, if any. */
export async function openBase(files: Files, directory: string): Promise<Base | null> {
  const manifest = await readManifest<BaseManifest>(files, join(directory, manifestName));
  if (!manifest) return null;
  const base = new Base(files, directory, manifest);
  const { path } = base.shared;
  if (!(await files.exists(path))) throw missing(path, `${manifestName} names it`);
  const { salt, bytes } = await readFileHead(files, path);
  if (salt !== manifest.salt) throw corrupt(path, 0, `it is not the file that ${manifestName} names`);
  if (bytes < manifest.bytes) throw corrupt(path, bytes, `the file ends here and was ${manifest.bytes} bytes long`);
  return base;
}

export async function writeBase(files: Files, directory: string, manifest: BaseManifest): Promise<void> {
  await writeManifest(files, join(directory, manifestName), manifest);
}

/** Deletes what a compaction that did not come to its end has left, or what it had replaced. Returns the other names. */
export async function removeLeftovers(
  files: Files,
  directory: string,
  base: Base | null,
  ordinalOf: (name: string) => number | undefined,
): Promise<string[]> {
  const kept: string[] = [];
  for (const name of await files.list(directory)) {
    const ordinal = ordinalOf(name);
    const leftover =
      name.endsWith('.new') ||
      name.endsWith('.run') ||
      (namePattern.test(name) && name !== base?.manifest.file) ||
      (ordinal !== undefined && base !== null && ordinal <= base.manifest.ordinal);
    if (leftover) await files.remove(join(directory, name));
    else kept.push(name);
  }
  return kept;
}

/** How far named readers have come. Kept on disk without haste: an older value only keeps more. */
export class Cursors {
  readonly #files: Files;
  readonly #directory: string;
  readonly #seqs = new Map<string, number>();
  #dirty = false;
  #saving: Promise<void> = Promise.resolve();

  constructor(files: Files, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  async load(): Promise<void> {
    const saved = await readManifest<Record<string, number>>(this.#files, this.#path);
    for (const [name, seq] of Object.entries(saved ?? {})) if (!this.#seqs.has(name)) this.#seqs.set(name, seq);
  }

  /** Whether the set of names changed, which is worth writing down soon. */
  set(name: string, seq: number | null): boolean {
    const known = this.#seqs.get(name);
    if (known === (seq ?? undefined)) return false;
    this.#dirty = true;
    if (seq === null) this.#seqs.delete(name);
    else this.#seqs.set(name, seq);
    return known === undefined || seq === null;
  }

  names(): string[] {
    return [...this.#seqs.keys()];
  }

  /** The least that any of them holds, leaving out those that hold nothing: these are given everything anyway. */
  least(): number {
    let least = Infinity;
    for (const seq of this.#seqs.values()) if (seq > 0 && seq < least) least = seq;
    return least;
  }

  async save(): Promise<void> {
    const previous = this.#saving;
    this.#saving = this.#saveAfter(previous);
    await this.#saving;
  }

  async #saveAfter(previous: Promise<void>): Promise<void> {
    await previous.catch(() => undefined);
    if (!this.#dirty) return;
    this.#dirty = false;
    try {
      await writeManifest(this.#files, this.#path, Object.fromEntries(this.#seqs));
    } catch (error) {
      this.#dirty = true;
      throw error;
    }
  }

  get #path(): string {
    return join(this.#directory, 'cursors.json');
  }
}

export function compactionStopped(stream: string): TidemarkError {
  return new TidemarkError('LOG_CLOSED', `the log was closed while ${stream} was being compacted`);
}
