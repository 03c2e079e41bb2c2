import type { File } from '../../base/files.ts';
import { pieceBytesMax } from '../../base/constants.ts';
import { ChangeCursor, ChangeWriter, flagAfter, opRead } from '../../model/change.ts';
import type { ChangeBatch } from '../../model/change.ts';
import { baseSource } from './compaction.ts';
import type { SharedFile } from './shared-file.ts';
import { ExternalSort, Merger } from './sort.ts';
import type { SortedSource } from './sorted-source.ts';
import type { Stream } from './stream.ts';

let sorts = 0;

/**
 * The newest row of every key of a topic, by a merge of the base with the sorted records of what comes after it. Of a topic
 * without keys: every row that was ever added. A key that the base holds in a newer version than `upToSeq` is given in that one.
 */
export async function* newestRows(
  stream: Stream,
  topic: string,
  upToSeq: number,
  newestBefore: number,
): AsyncGenerator<ChangeBatch> {
  const { schemas, files } = stream.context;
  const number = schemas.topicNumber(topic);
  const { base } = stream;
  const segments = stream.segments.map((segment) => ({ segment, limit: segment.durableEnd }));
  // All at once, before the first wait, so that a compaction meanwhile deletes none of them.
  const handles = segments.map(async ({ segment }) => segment.shared.acquire());
  const baseHandle = base?.shared.acquire();
  const sort = new ExternalSort({
    files,
    directory: stream.directory,
    name: `rows-${sorts++}`,
    topicOf: (id) => (schemas.table(id)?.topic === topic ? number : 0),
  });
  try {
    const opened = await Promise.all(handles);
    for (const [index, { segment, limit }] of segments.entries()) {
      const file = opened[index];
      if (file && segment.head.frontier.seq < upToSeq) await sort.addSegment(segment, file, limit, upToSeq);
    }
    const sources: SortedSource[] = await sort.sources();
    const baseFile = await baseHandle;
    if (base && baseFile) sources.push(baseSource(base, baseFile, number));
    yield* rowsOf(sources, newestBefore);
  } finally {
    await sort.close();
    await Promise.all([
      ...segments.map(async ({ segment }, index) => releaseAcquired(segment.shared, handles[index])),
      base && releaseAcquired(base.shared, baseHandle),
    ]);
  }
}

async function releaseAcquired(shared: SharedFile, handle: Promise<File> | undefined): Promise<void> {
  const acquired = await handle?.then(
    () => true,
    () => false,
  );
  if (acquired === true) await shared.release();
}

async function* rowsOf(sources: SortedSource[], newestBefore: number): AsyncGenerator<ChangeBatch> {
  const merger = new Merger(sources);
  const cursor = new ChangeCursor();
  const writer = new ChangeWriter(pieceBytesMax);
  await merger.start();
  while (merger.next() || (await merger.fill())) {
    const { source } = merger;
    if (!source || source.seq >= newestBefore) continue;
    cursor.reset(source.bytes, source.start);
    cursor.next();
    if (!cursor.hasAfter) continue;
    if (writer.count > 0 && writer.size + cursor.afterEnd - cursor.start > pieceBytesMax) {
      yield { bytes: Buffer.from(writer.batch().bytes), count: writer.count };
      writer.reset();
    }
    addRow(cursor, writer);
  }
  if (writer.count > 0) yield writer.batch();
}

function addRow(cursor: ChangeCursor, writer: ChangeWriter): void {
  const { bytes, keyStart, keyEnd, afterStart, afterEnd } = cursor;
  writer.begin(opRead, flagAfter, cursor.schemaId);
  writer.reserve(keyEnd - keyStart + afterEnd - afterStart);
  writer.at += bytes.copy(writer.buffer, writer.at, keyStart, keyEnd);
  writer.endKey();
  writer.at += bytes.copy(writer.buffer, writer.at, afterStart, afterEnd);
  writer.end();
}
