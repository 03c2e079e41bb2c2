import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Files } from '../../base/files.ts';
import type { Frontier } from '../../model/log.ts';
import { visit } from '../plan/columns.ts';
import type { BoundView } from '../plan/plan.ts';
import { PlanIdentities, placesOf } from '../plan/share.ts';
import { viewTopic } from '../port.ts';
import type { StageOptions } from '../port.ts';
import { DiskStore } from '../state/disk.ts';
import { MemoryStore } from '../state/memory.ts';
import type { StateStore } from '../state/port.ts';

/** Raised when state that an older program wrote is not to be read any more. */
const formatVersion = 3;
/** 0xbeefc0de, near the beginning of each of its files. */
const lmdbMagic = Buffer.from([0xde, 0xc0, 0xef, 0xbe]);

/** What a commit of state says of itself. */
export interface StateMeta {
  readonly epoch: number;
  /** Of all views and of the columns that they read: state of other ones is of no use. */
  readonly fingerprint: string;
  /**
   * Whether the results of exactly these inputs were published at some time, so that replaying up to the published vector makes state and
   * topics equal. Otherwise the results must be compared with the topics before anything else is published.
   */
  readonly isPublished: boolean;
  readonly sources: Readonly<Record<string, Frontier>>;
  /** The version of its table in which each view was published. */
  readonly tables?: Readonly<Record<string, number>>;
}

export interface OpenedState {
  readonly store: StateStore;
  /** Null for state that is new. */
  readonly meta: StateMeta | null;
}

/**
 * Opens the state in the stage's folder. What `isUsable` says no to is made anew; it is set aside where `isKept` says so, else removed.
 */
export async function openState(
  options: StageOptions,
  isUsable: (meta: StateMeta) => boolean,
  isKept: (meta: StateMeta) => boolean,
): Promise<OpenedState> {
  const { directory, files } = options;
  if (options.state === 'memory') return { store: new MemoryStore(), meta: null };
  await files.makeDirectory(directory);
  const path = join(directory, 'state');
  // State is a function of the log: one that cannot be read is made anew like one that is gone.
  if (await isDamaged(files, path)) await removeState(files, directory);
  const store = await DiskStore.open({ path });
  const meta = store.meta === null ? null : (JSON.parse(store.meta) as StateMeta);
  if (meta !== null && isUsable(meta)) return { store, meta };
  await store.close();
  if (meta !== null && isKept(meta)) await setAside(files, directory);
  else await removeState(files, directory);
  return { store: await DiskStore.open({ path }), meta: null };
}

/** LMDB crashes on a file that is none of its own. */
async function isDamaged(files: Files, path: string): Promise<boolean> {
  const data = join(path, 'data.mdb');
  if (!(await files.exists(data))) return false;
  const file = await files.open(data, 'read');
  try {
    const head = Buffer.alloc(64);
    const length = await file.read(head, 0);
    return length > 0 && head.indexOf(lmdbMagic) < 0;
  } finally {
    await file.close();
  }
}

/** Where the state stands that was set aside. */
export function oldStatePath(directory: string): string {
  return join(directory, 'state-old');
}

export async function removeOldState(files: Files, directory: string): Promise<void> {
  await files.remove(oldStatePath(directory));
}

async function setAside(files: Files, directory: string): Promise<void> {
  await removeOldState(files, directory);
  await files.rename(join(directory, 'state'), oldStatePath(directory));
  await files.syncDirectory(directory);
}

async function removeState(files: Files, directory: string): Promise<void> {
  await files.remove(join(directory, 'state'));
  await files.syncDirectory(directory);
}

/** One hash for each view: of its definition, of those of the views that it names, and of the columns that they read. */
export function fingerprints({ views, relations }: StageOptions): Record<string, string> {
  const found: Record<string, string> = {};
  for (const view of views) {
    const read = positionsRead(view);
    const used = views.filter((other) => other === view || read.has(viewTopic(other.name)));
    const columns = [...read].map(([relation, positions]) => {
      const table = relations.get(relation);
      return [relation, [...(table?.key ?? []), ...positions].map((at) => table?.columns[at])];
    });
    const parts = used.map((other) => (other === view ? definition(view) : (found[other.name] ?? definition(other))));
    found[view.name] = hashOf(JSON.stringify([formatVersion, parts, columns]));
  }
  return found;
}

/** The hash of all of them together. */
export function fingerprint(options: StageOptions): string {
  return hashOf(JSON.stringify(fingerprints(options)));
}

/** By relation, in the order of the plan, as are the positions. */
function positionsRead({ plan }: BoundView): Map<string, Set<number>> {
  const read = new Map<string, Set<number>>();
  visit(plan, (node) => {
    if (node.kind !== 'scan') return;
    const positions = read.get(node.relation) ?? new Set();
    for (const at of node.positions) positions.add(at);
    read.set(node.relation, positions);
  });
  return read;
}

/** A view as text that is the same for the same meaning. The numbers of columns are none of it: a column added to a table changes them. */
function definition({ plan, columns, key }: BoundView): string {
  const places = placesOf(plan);
  const shown = columns.map(({ id, name, type }) => [places.get(id), name, type]);
  return JSON.stringify([new PlanIdentities(new Map()).of(plan), shown, key]);
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
