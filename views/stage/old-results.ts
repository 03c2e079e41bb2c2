import type { Files } from '../../base/files.ts';
import type { Log } from '../../model/log.ts';
import type { Table } from '../../model/table.ts';
import { compileKey } from '../expressions/key.ts';
import type { PublishedVector } from '../port.ts';
import { DiskStore } from '../state/disk.ts';
import type { Records } from '../state/port.ts';
import { sqlTypeOf } from '../type.ts';
import type { SqlType } from '../type.ts';
import type { Row, StateKey } from '../value.ts';
import { oldStatePath, removeOldState } from './state-folder.ts';
import type { StateMeta } from './state-folder.ts';

/**
 * The results that topics hold while a changed definition makes new state: the state before it, set aside, in which rows are looked up
 * until the new results take the place of the published ones. Only state that equals the topics is kept for that, which after a clean
 * stop is so; nothing is published before the new state has caught up, so it stays so.
 */
export class OldResults {
  readonly #store: DiskStore;
  readonly #views: ReadonlyMap<string, PublishedView>;

  private constructor(store: DiskStore, views: ReadonlyMap<string, PublishedView>) {
    this.#store = store;
    this.#views = views;
  }

  /** What has been set aside; null when that is nothing, or not what the topics hold: it is removed then. */
  static async open(
    directory: string,
    { files, log, published }: { files: Files; log: Log; published: PublishedVector | null },
  ): Promise<OldResults | null> {
    const path = oldStatePath(directory);
    if (!(await files.exists(path))) return null;
    const store = await DiskStore.open({ path, cacheBytes });
    const meta = store.meta === null ? null : (JSON.parse(store.meta) as StateMeta);
    if (meta === null || !equalsTopics(meta, published, log)) {
      await store.close();
      await removeOldState(files, directory);
      return null;
    }
    const views = new Map<string, PublishedView>();
    for (const [name, schemaId] of Object.entries(meta.tables ?? {})) {
      const table = log.table(schemaId);
      const isHeld = store.records('violations').get(name) !== undefined;
      if (table !== undefined && table.key.length > 0 && !isHeld) views.set(name, oldView(name, table, store));
    }
    return new OldResults(store, views);
  }

  view(name: string): PublishedView | null {
    return this.#views.get(name) ?? null;
  }

  async close(): Promise<void> {
    await this.#store.close();
  }
}

/** A published result in which rows are looked up. */
export interface PublishedView {
  readonly table: Table;
  readonly types: readonly SqlType[];
  /** The row under the key of `row`, whose other columns do not count. */
  lookup(row: Row): Row | null;
}

/** Look-ups alone read it. */
const cacheBytes = 1024 * 1024;

/** Whether the state holds exactly what was published last. */
export function equalsTopics(meta: StateMeta, published: PublishedVector | null, log: Log): boolean {
  if (meta.epoch !== log.epoch || !meta.isPublished || meta.tables === undefined || published === null) return false;
  const streams = new Set([...Object.keys(meta.sources), ...Object.keys(published.sources)]);
  return [...streams].every((stream) => meta.sources[stream]?.seq === published.sources[stream]?.seq);
}

function oldView(name: string, table: Table, store: DiskStore): PublishedView {
  const types = table.columns.map(({ type, declared }) => sqlTypeOf(type, declared));
  const keyTypes = table.key.map((position) => types[position] as SqlType);
  const keyOf: (row: Row) => StateKey | undefined = compileKey(keyTypes, table.key, 'keep');
  const results: Records = store.records(`result:${name}`);
  return { table, types, lookup: (row) => results.get(keyOf(row) ?? null) ?? null };
}
