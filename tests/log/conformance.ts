import { describe, expect, test } from 'vitest';
import { isTidemarkError } from '../../base/errors.ts';
import type { Log, LogWriter } from '../../model/log.ts';
import { batchOf, infoOf, readAll, readFrom, rowsOf, table, write } from './fixtures.ts';
import { modelTest } from './model-test.ts';

/** A place for one log, which can be closed and opened again. */
export interface LogHome {
  open(): Promise<Log>;
  dispose(): Promise<void>;
}

const stream = 'shop';
const topic = 'shop.public.orders';

/** What every implementation of the log must do. `makeHome` gives a new empty place each time; small limits there find more. */
export function logConformance(name: string, makeHome: () => Promise<LogHome>): void {
  const inLog = (title: string, work: (log: Log, writer: LogWriter, home: LogHome) => Promise<void>): void => {
    test(title, async () => {
      const home = await makeHome();
      try {
        const log = await home.open();
        await work(log, await log.writer(stream), home);
        await log.close();
      } finally {
        await home.dispose();
      }
    });
  };

  writingTests(name, inLog);
  largeTests(name, inLog);
  openingTests(name, inLog);
  readingTests(name, inLog);
  followingTests(name, inLog);
  rowsTests(name, inLog);
  compactionTests(name, inLog);
  modelTest(name, makeHome);
}

type InLog = (title: string, work: (log: Log, writer: LogWriter, home: LogHome) => Promise<void>) => void;

function writingTests(name: string, inLog: InLog): void {
  describe(`${name}: writing`, () => {
    inLog('numbers transactions densely and gives each back whole, with everything it said', async (log, writer) => {
      write(writer, [{ table: 'orders', key: 1, value: 'a' }], { txId: '77', snapshot: true });
      write(writer, [{ table: 'orders', key: 2, value: 'b' }], { state: { progress: '1', gone: null } });
      expect(await writer.durable()).toEqual({ seq: 2, position: '0/2', timeMs: 1002 });
      const [one, two] = await readFrom(log, stream, 0);
      expect(one?.last).toMatchObject({ seq: 1, position: '0/1', commitTimeMs: 1001, snapshot: true, txId: '77' });
      expect(one?.changes).toEqual([{ table: 'orders', key: 1, value: 'a' }]);
      expect(one?.last.state).toBeUndefined();
      expect(two?.last).toMatchObject({ seq: 2, snapshot: false, txId: 'tx2', state: { progress: '1', gone: null } });
      expect(log.frontier(stream)).toEqual({ seq: 2, position: '0/2', timeMs: 1002 });
    });

    inLog('takes positions without a number, which move the frontier', async (log, writer) => {
      write(writer, [{ table: 'orders', key: 1, value: 'a' }]);
      writer.mark({ position: '0/FF', timeMs: 5000, state: { seen: 'x' } });
      expect(writer.last).toEqual({ seq: 1, position: '0/FF', timeMs: 5000 });
      await writer.durable();
      expect(log.frontier(stream)).toEqual({ seq: 1, position: '0/FF', timeMs: 5000 });
      expect(log.state(stream).get('seen')).toBe('x');
      expect(await readFrom(log, stream, 0)).toHaveLength(1);
    });

    inLog('copies what is appended: the caller may reuse its buffer', async (log, writer) => {
      const batch = batchOf(writer, [{ table: 'orders', key: 1, value: 'kept' }]);
      writer.append(batch);
      batch.bytes.fill(0);
      writer.commit(infoOf(1));
      await writer.durable();
      expect((await readFrom(log, stream, 0))[0]?.changes[0]?.value).toBe('kept');
    });

    inLog('gives each version of a table its own id, and the old one back when it returns', async (log, writer) => {
      const narrow = writer.schemaId(table('orders'));
      const wide = writer.schemaId(table('orders', 'table', 3));
      expect(wide).not.toBe(narrow);
      expect(writer.schemaId(table('orders'))).toBe(narrow);
      expect(log.table(wide)?.columns).toHaveLength(3);
      expect(log.table(12345)).toBeUndefined();
    });

    inLog('allows one writer a stream at a time, and many streams', async (log, writer) => {
      await expect(log.writer(stream)).rejects.toThrow(/writer/);
      const other = await log.writer('views/Docs é');
      write(other, [{ table: 'orders', key: 1, value: 'view' }]);
      write(writer, [{ table: 'orders', key: 1, value: 'row' }]);
      await Promise.all([other.durable(), writer.durable()]);
      expect(log.streams()).toEqual(['shop', 'views/Docs é']);
      await writer.close();
      const again = await log.writer(stream);
      expect(again.last.seq).toBe(1);
    });
  });
}

function largeTests(name: string, inLog: InLog): void {
  describe(`${name}: large transactions`, () => {
    inLog('forgets an aborted transaction, however large, and numbers on', async (log, writer) => {
      write(writer, [{ table: 'orders', key: 1, value: 'a' }]);
      for (let n = 0; n < 12; n++)
        writer.append(batchOf(writer, [{ table: 'orders', key: n, value: 'x'.repeat(400_000) }]));
      await writer.drained();
      writer.abort();
      expect(write(writer, [{ table: 'orders', key: 2, value: 'b' }])).toBe(2);
      await writer.durable();
      expect((await readFrom(log, stream, 0)).map((tx) => tx.changes.map((change) => change.value))).toEqual([
        ['a'],
        ['b'],
      ]);
    });

    inLog('passes a transaction of many megabytes in pieces that all quote its commit', async (log, writer) => {
      write(writer, [{ table: 'orders', key: 0, value: 'first' }]);
      for (let n = 0; n < 40; n++) {
        writer.append(batchOf(writer, [{ table: 'orders', key: n, value: `${n}`.repeat(100_000) }]));
        await writer.drained();
      }
      writer.commit(infoOf(2, { state: { done: 'yes' }, txId: 'huge' }));
      write(writer, [{ table: 'orders', key: 99, value: 'last' }]);
      await writer.durable();
      for (const bytesMax of [1000, 1_000_000, 100_000_000]) {
        const [first, huge, last] = await readFrom(log, stream, 0, bytesMax);
        expect(first?.changes).toHaveLength(1);
        expect(huge?.pieces).toBeGreaterThan(1);
        expect(huge?.changes.map((change) => change.key)).toEqual([...Array.from({ length: 40 }).keys()]);
        expect(huge?.last).toMatchObject({ txId: 'huge', state: { done: 'yes' } });
        expect(last?.seq).toBe(3);
      }
    });

    inLog('carries one row of several megabytes', async (log, writer) => {
      write(writer, [{ table: 'orders', key: 1, value: 'y'.repeat(5_000_000) }]);
      await writer.durable();
      const [transaction] = await readFrom(log, stream, 0);
      expect(transaction?.changes[0]?.value).toHaveLength(5_000_000);
    });
  });
}

function openingTests(name: string, inLog: InLog): void {
  describe(`${name}: opening again`, () => {
    inLog('goes on where it ended: numbers, positions, state, tables, epoch', async (log, writer, home) => {
      const id = writer.schemaId(table('orders'));
      write(writer, [{ table: 'orders', key: 1, value: 'a' }], { state: { a: '1', b: '2' } });
      write(writer, [{ table: 'orders', key: 2, value: 'b' }], { state: { a: null } });
      writer.append(batchOf(writer, [{ table: 'orders', key: 3, value: 'never committed' }]));
      const { epoch } = log;
      await log.close();
      const again = await home.open();
      expect(again.epoch).toBe(epoch);
      expect(again.frontier(stream)).toEqual({ seq: 2, position: '0/2', timeMs: 1002 });
      expect([...again.state(stream)]).toEqual([['b', '2']]);
      expect(again.table(id)?.topic).toBe(topic);
      const next = await again.writer(stream);
      expect(next.schemaId(table('orders'))).toBe(id);
      expect(write(next, [{ table: 'orders', key: 4, value: 'c' }])).toBe(3);
      await next.durable();
      expect((await readFrom(again, stream, 1)).map((tx) => tx.seq)).toEqual([2, 3]);
      await again.close();
    });

    inLog('refuses everything after it was closed', async (log, writer) => {
      write(writer, [{ table: 'orders', key: 1, value: 'a' }]);
      await log.close();
      expect(() => writer.append(batchOf(writer, [{ table: 'orders', key: 1, value: 'b' }]))).toThrow(/closed/);
      const error = await log.writer(stream).catch((caught: unknown) => caught);
      expect(isTidemarkError(error, 'LOG_CLOSED')).toBe(true);
    });
  });
}

function readingTests(name: string, inLog: InLog): void {
  describe(`${name}: reading`, () => {
    inLog('begins behind any transaction', async (log, writer) => {
      for (let n = 1; n <= 300; n++) write(writer, [{ table: 'orders', key: n, value: `v${n}` }]);
      await writer.durable();
      for (const from of [0, 1, 7, 150, 299, 300]) {
        const seqs = (await readFrom(log, stream, from, 500)).map((tx) => tx.seq);
        expect(seqs).toEqual(Array.from({ length: 300 - from }, (_, index) => from + index + 1));
      }
    });

    inLog('leaves out the topics that were not asked for, but no transaction', async (log, writer) => {
      write(writer, [
        { table: 'orders', key: 1, value: 'a' },
        { table: 'lines', key: 1, value: 'b' },
      ]);
      write(writer, [{ table: 'lines', key: 2, value: 'c' }]);
      write(writer, [{ table: 'orders', key: 3, value: 'd' }]);
      await writer.durable();
      const reader = log.read(stream, { fromSeq: 0, topics: new Set([topic]), follow: false });
      const transactions = await readAll(log, reader);
      expect(transactions.map((tx) => tx.changes.map((change) => change.value))).toEqual([['a'], [], ['d']]);
      await reader.close();
    });
  });
}

function followingTests(name: string, inLog: InLog): void {
  describe(`${name}: following`, () => {
    inLog('follows: waits for what comes, even for a stream that is not there yet', async (log) => {
      const reader = log.read('later', { fromSeq: 0, follow: true });
      const reading = readAll(log, reader, { upToSeq: 3 });
      const writer = await log.writer('later');
      for (let n = 1; n <= 3; n++) {
        write(writer, [{ table: 'orders', key: n, value: 'v' }]);
        await writer.durable();
      }
      expect((await reading).map((tx) => tx.seq)).toEqual([1, 2, 3]);
      await reader.close();
    });

    inLog('tells followers of positions that publish nothing', async (log, writer) => {
      const reader = log.read(stream, { fromSeq: 0, follow: true });
      writer.mark({ position: '0/AA', timeMs: 9 });
      const batch = await reader.next();
      expect(batch).toMatchObject({ pieces: [], reached: { seq: 0, position: '0/AA', timeMs: 9 } });
      await reader.close();
    });

    inLog('ends a waiting follower when its signal is aborted, or it is closed', async (log) => {
      const abort = new AbortController();
      const aborted = log.read(stream, { fromSeq: 0, follow: true, signal: abort.signal });
      const closed = log.read(stream, { fromSeq: 0, follow: true });
      const waiting = [aborted.next(), closed.next()];
      abort.abort();
      await closed.close();
      expect(await Promise.all(waiting)).toEqual([null, null]);
      await aborted.close();
    });

    inLog('shows nothing before it is durable', async (log, writer) => {
      write(writer, [{ table: 'orders', key: 1, value: 'a' }]);
      expect(log.frontier(stream).seq).toBe(0);
      expect(await readFrom(log, stream, 0)).toEqual([]);
      await writer.durable();
      expect(await readFrom(log, stream, 0)).toHaveLength(1);
    });

    inLog('refuses a reader that holds more than the log', async (log, writer) => {
      write(writer, [{ table: 'orders', key: 1, value: 'a' }]);
      await writer.durable();
      const error = await readFrom(log, stream, 2).catch((caught: unknown) => caught);
      expect(isTidemarkError(error, 'LOG_BEHIND')).toBe(true);
    });
  });
}

async function fill(writer: LogWriter): Promise<void> {
  for (let n = 1; n <= 50; n++) {
    write(writer, [
      { table: 'orders', key: n % 10, value: n % 7 === 0 ? null : `v${n}` },
      { table: 'keyless', key: n, value: 'event' },
    ]);
  }
  await writer.durable();
}

function rowsTests(name: string, inLog: InLog): void {
  describe(`${name}: rows`, () => {
    inLog('gives the newest row of every key, also those that did not change lately', async (log, writer) => {
      await fill(writer);
      for (const compacted of [false, true]) {
        if (compacted) await log.compact(stream);
        const rows = await rowsOf(log, topic, { upToSeq: 50 });
        // Keys 2 and 9 were deleted by transactions 42 and 49.
        expect(rows.map((row) => row.value)).toEqual(['v50', 'v41', 'v43', 'v44', 'v45', 'v46', 'v47', 'v48']);
        const old = await rowsOf(log, topic, { upToSeq: 50, newestBefore: 45 });
        expect(old.map((row) => row.value)).toEqual(['v41', 'v43', 'v44']);
      }
    });

    inLog('gives one full transaction to a reader from the beginning, then goes on', async (log, writer) => {
      await fill(writer);
      await log.compact(stream);
      write(writer, [{ table: 'orders', key: 77, value: 'new' }], { state: { late: '1' } });
      await writer.durable();
      const [full, next, ...others] = await readFrom(log, stream, 0, 100);
      expect(others).toEqual([]);
      expect(full).toMatchObject({ seq: 50, kind: 'full', last: { position: '0/32' } });
      expect(full?.changes.filter((change) => change.table === 'orders')).toHaveLength(8);
      expect(full?.changes.filter((change) => change.table === 'keyless')).toHaveLength(50);
      expect(full?.changes.every((change) => change.value !== null)).toBe(true);
      expect(next).toMatchObject({ seq: 51, kind: 'transaction' });
      const topics = await log.topics();
      expect(topics.find((one) => one.topic === topic)).toMatchObject({ compactedSeq: 50, records: 9, newestSeq: 51 });
    });

    inLog(
      'keeps the deletes that a registered cursor has not passed, so that it is given the net',
      async (log, writer) => {
        await fill(writer);
        log.registerCursor(stream, 'search', 41);
        await log.compact(stream);
        log.registerCursor(stream, 'search', 50);
        const [net, ...rest] = await readFrom(log, stream, 41);
        // With the cursor at 41, compaction may hold back or keep the deletes; either way the reader's sum is the same.
        const changes = [net, ...rest].flatMap((tx) => tx?.changes ?? []).filter((change) => change.table === 'orders');
        expect(changes.find((change) => change.key === 2)).toMatchObject({ value: null });
        expect([net, ...rest].every((tx) => tx?.kind !== 'full')).toBe(true);
      },
    );
  });
}

function compactionTests(name: string, inLog: InLog): void {
  describe(`${name}: compaction`, () => {
    inLog('goes on for readers that are in the middle of what is being compacted', async (log, writer) => {
      await fill(writer);
      const reader = log.read(stream, { fromSeq: 0, follow: true });
      const first = await reader.next(1);
      expect(first?.reached.seq).toBe(1);
      await log.compact(stream);
      write(writer, [{ table: 'orders', key: 78, value: 'after' }]);
      await writer.durable();
      const rest = await readAll(log, reader, { upToSeq: 51 });
      expect(rest.at(-1)?.changes).toEqual([{ table: 'orders', key: 78, value: 'after' }]);
      expect(rest.flatMap((tx) => tx.changes).filter((change) => change.table === 'keyless')).toHaveLength(49);
      await reader.close();
    });

    inLog('survives opening again, compacts on, and keeps state', async (log, writer, home) => {
      write(writer, [{ table: 'orders', key: 1, value: 'a' }], { state: { here: '1' } });
      await fill(writer);
      await log.compact(stream);
      await log.close();
      const again = await home.open();
      expect([...again.state(stream)]).toEqual([['here', '1']]);
      const next = await again.writer(stream);
      write(next, [{ table: 'orders', key: 5, value: 'newer' }]);
      await next.durable();
      await again.compact(stream);
      expect((await rowsOf(again, topic, { upToSeq: 52 })).find((row) => row.key === 5)?.value).toBe('newer');
      expect((await readFrom(again, stream, 0)).map((tx) => [tx.seq, tx.kind])).toEqual([[52, 'full']]);
      await again.close();
    });
  });
}
