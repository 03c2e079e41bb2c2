import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ChangeBatch } from '../../model/change.ts';
import type { Log } from '../../model/log.ts';
import type { TakeRows } from '../../model/source.ts';
import type { SinkDocument } from '../../sinks/port.ts';
import type { Sides, TakeDocuments } from './compare.ts';
import { changedKeys } from './documents.ts';
import type { ChangesOf, Documents } from './documents.ts';

/** What a comparison is of: a topic's changes, how its rows read in the target, and what the target holds. */
export interface Compared extends ChangesOf {
  readonly scan: () => AsyncIterable<readonly SinkDocument[]>;
  /** Rows are told apart by all that they hold. */
  readonly isKeyless: boolean;
}

/**
 * A source against what was made of it. `read` hands over the rows that there should be, as records of the topic; `ready` resolves when all
 * that the log holds now is visible to it; `reached` when the other side holds what the read can have seen.
 */
export function sourceSides(
  compared: Compared,
  source: {
    readonly ready: (signal: AbortSignal) => Promise<void>;
    readonly read: (take: TakeRows, signal: AbortSignal) => Promise<string>;
    readonly reached: (position: string, signal: AbortSignal) => Promise<void>;
  },
): Sides {
  const { log, stream, documents } = compared;
  return {
    ...heldOf(compared),
    expected: async (take, signal) => {
      const mark = log.frontier(stream).seq;
      await source.ready(signal);
      const position = await source.read(async (batch) => give(documents, batch, take), signal);
      await source.reached(position, signal);
      return mark;
    },
  };
}

/** The log against what was made of it. */
export function logSides(compared: Compared, reached: (seq: number, signal: AbortSignal) => Promise<void>): Sides {
  const { log, stream, documents } = compared;
  return {
    ...heldOf(compared),
    expected: async (take, signal) => {
      const mark = log.frontier(stream).seq;
      for await (const batch of rowsOf(log, documents.topic, mark, signal)) await give(documents, batch, take);
      await reached(mark, signal);
      return mark;
    },
  };
}

export async function* rowsOf(
  log: Log,
  topic: string,
  upToSeq: number,
  signal: AbortSignal,
): AsyncGenerator<ChangeBatch> {
  for await (const batch of log.rows(topic, { upToSeq })) {
    signal.throwIfAborted();
    yield batch;
  }
}

function heldOf(compared: Compared): Pick<Sides, 'held' | 'changed' | 'isKeyless'> {
  return {
    isKeyless: compared.isKeyless,
    held: async (take, signal) => {
      for await (const documents of compared.scan()) {
        signal.throwIfAborted();
        take(documents);
      }
    },
    changed: async (mark, keys, signal) => changedKeys(compared, mark, keys, signal),
  };
}

/** Everything else that the process does goes on between two batches. */
async function give(documents: Documents, batch: ChangeBatch, take: TakeDocuments): Promise<void> {
  documents.giveRows(batch, take);
  await nextTurn();
}
