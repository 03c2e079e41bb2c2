import type { Files } from '../../base/files.ts';
import type { Table } from '../../model/table.ts';
import { sameShape } from '../../model/table.ts';
import { writeManifest } from './manifest.ts';

/** What log.json holds: the log's epoch and every version of every table that rows were ever written with. */
export interface LogManifest {
  readonly epoch: number;
  readonly schemas: readonly { readonly id: number; readonly table: Table }[];
}

/** Numbers the versions of tables, for all streams together. Ids begin at 1 and are never reused. */
export class SchemaRegistry {
  readonly epoch: number;
  readonly #files: Files;
  readonly #path: string;
  readonly #tables: (Table | undefined)[] = [];
  readonly #latest = new Map<string, number>();
  /** A topic's number: the smallest id of its tables. */
  readonly #numbers = new Map<string, number>();
  #saved: number;
  #saving: Promise<void> | null = null;

  constructor(files: Files, path: string, manifest: LogManifest) {
    this.#files = files;
    this.#path = path;
    this.epoch = manifest.epoch;
    for (const { id, table } of manifest.schemas) {
      this.#tables[id] = table;
      this.#latest.set(table.topic, id);
      if (!this.#numbers.has(table.topic)) this.#numbers.set(table.topic, id);
    }
    this.#saved = this.#tables.length;
  }

  table(id: number): Table | undefined {
    return this.#tables[id];
  }

  /** The topic's number, which orders topics in sorted files; 0 for one that has no table. */
  topicNumber(topic: string): number {
    return this.#numbers.get(topic) ?? 0;
  }

  /** The version of a topic's table that was asked for last. */
  latest(topic: string): Table | undefined {
    const id = this.#latest.get(topic);
    return id === undefined ? undefined : this.#tables[id];
  }

  /** The id of this version. A version that comes back gets its old id again. */
  idOf(table: Table): number {
    const latest = this.#latest.get(table.topic);
    if (latest !== undefined && this.#isSame(latest, table)) return latest;
    let id = this.#tables.findIndex((_, known) => this.#isSame(known, table));
    if (id < 0) {
      id = Math.max(1, this.#tables.length);
      this.#tables[id] = table;
      if (!this.#numbers.has(table.topic)) this.#numbers.set(table.topic, id);
    }
    this.#latest.set(table.topic, id);
    return id;
  }

  /** Resolves when every id given out before the call is on disk. */
  async durable(): Promise<void> {
    const wanted = this.#tables.length;
    while (this.#saved < wanted) {
      this.#saving ??= this.#save().finally(() => {
        this.#saving = null;
      });
      await this.#saving;
    }
  }

  get isDurable(): boolean {
    return this.#saved === this.#tables.length;
  }

  #isSame(id: number, table: Table): boolean {
    const known = this.#tables[id];
    return known === table || (known !== undefined && sameShape(known, table));
  }

  async #save(): Promise<void> {
    const count = this.#tables.length;
    const schemas = this.#tables.slice(0, count).flatMap((table, id) => (table ? [{ id, table }] : []));
    await writeManifest(this.#files, this.#path, { epoch: this.epoch, schemas } satisfies LogManifest);
    this.#saved = count;
  }
}
