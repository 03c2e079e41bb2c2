import { join } from 'node:path';
import type { File } from '../../base/files.ts';
import type { Base, BaseManifest } from './base.ts';
import { baseName, compactionStopped } from './base.ts';
import { BlockSource, BlockWriter } from './block-file.ts';
import type { Section } from './block-file.ts';
import type { LogContext } from './stream.ts';
import type { Segment } from './segment.ts';
import { ExternalSort, writeMerged } from './sort.ts';
import type { SortedSource } from './sorted-source.ts';
import { opDelete } from '../../model/change.ts';
import { present } from '../../base/assert.ts';

const baseBlockBytes = 256 * 1024;
const baseReadBytes = baseBlockBytes + 64 * 1024;

export interface CompactionPlan {
  readonly stream: string;
  readonly directory: string;
  readonly base: Base | null;
  /** The segments that the new base takes the place of, all sealed, right behind the old base. */
  readonly segments: readonly Segment[];
  /** The head of the segment after them: what is true at the horizon. */
  readonly horizon: Segment;
  /** Deletes up to this transaction are of no use to anybody. */
  readonly deletesAfter: number;
  readonly attempt: number;
  readonly cancelled: () => boolean;
}

/**
 * Merges the old base and sealed segments into a new base file, synced but not yet in effect: of every key the newest record,
 * deletes only of transactions after `deletesAfter`, and all records of tables without a key.
 */
export async function writeNewBase(context: LogContext, plan: CompactionPlan): Promise<BaseManifest> {
  const { files, schemas } = context;
  const sort = new ExternalSort({
    files,
    directory: plan.directory,
    name: 'compaction',
    topicOf: (id) => schemas.topicNumber(present(schemas.table(id), `schema ${id}`).topic),
  });
  const file = baseName(plan.horizon.ordinal - 1, plan.attempt);
  const path = join(plan.directory, file);
  try {
    for (const segment of plan.segments) {
      if (plan.cancelled()) throw compactionStopped(plan.stream);
      await withFile(segment, async (handle) => sort.addSegment(segment, handle, segment.durableEnd, Infinity));
    }
    const written = await writeSorted(context, plan, path, sort);
    const { frontier, state, topics } = plan.horizon.head;
    const ordinal = plan.horizon.ordinal - 1;
    return { file, ...written, ordinal, frontier, deletesAfter: plan.deletesAfter, state, topics };
  } catch (error) {
    await files.remove(path);
    throw error;
  } finally {
    await sort.close();
  }
}

async function writeSorted(
  context: LogContext,
  plan: CompactionPlan,
  path: string,
  sort: ExternalSort,
): Promise<{ salt: number; bytes: number; sections: readonly Section[] }> {
  const { stream, base, deletesAfter } = plan;
  const writer = await BlockWriter.create(
    context.files,
    path,
    { stream, horizon: plan.horizon.head.frontier },
    baseBlockBytes,
  );
  try {
    const keeps = (source: SortedSource): boolean => {
      if (plan.cancelled()) throw compactionStopped(stream);
      const { bytes, start } = source;
      const isKeyless = bytes[start + 6] === 0 && bytes[start + 7] === 0;
      return isKeyless || bytes[start + 4] !== opDelete || source.seq > deletesAfter;
    };
    const sources = await sort.sources();
    if (base) {
      await withFile(base, async (handle) => {
        await writeMerged([baseSource(base, handle), ...sources], writer, keeps);
      });
    } else {
      await writeMerged(sources, writer, keeps);
    }
    await writer.flush();
    await writer.sync();
  } finally {
    await writer.close();
  }
  await context.files.syncDirectory(plan.directory);
  return { salt: writer.salt, bytes: writer.length, sections: writer.sections };
}

/** The base as the oldest source of a merge; only one topic's part when it is given. */
export function baseSource(base: Base, file: File, topic?: number): BlockSource {
  const { sections } = base.manifest;
  const [first] = topic === undefined ? sections : sections.filter((section) => section.topic === topic);
  const last = topic === undefined ? sections.at(-1) : first;
  const range = { start: first?.start ?? 0, end: last?.end ?? 0 };
  return new BlockSource({ file, path: base.shared.path, salt: base.salt }, range, 0, baseReadBytes);
}

async function withFile(
  owner: { shared: { acquire(): Promise<File>; release(): Promise<void> } },
  work: (file: File) => Promise<void>,
): Promise<void> {
  const file = await owner.shared.acquire();
  try {
    await work(file);
  } finally {
    await owner.shared.release();
  }
}
