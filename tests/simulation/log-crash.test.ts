import { expect, test } from 'vitest';
import type { Clock } from '../../base/clock.ts';
import { isTidemarkError } from '../../base/errors.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import type { Log, LogWriter } from '../../model/log.ts';
import { batchOf, infoOf, readFrom } from '../log/fixtures.ts';
import type { TestChange } from '../log/fixtures.ts';
import { FaultyFiles } from './faulty-files.ts';
import { randomFrom } from './random.ts';

/** Seeds to try; more of them by TIDEMARK_CRASH_SEEDS. A failure names its seed. */
const crashSeeds = Number(process.env['TIDEMARK_CRASH_SEEDS'] ?? 15);

const stream = 'shop';
const directory = '/data/log';
const clock: Clock = {
  now: () => 1_700_000_000_000,
  monotonic: () => 0,
  sleep: async () => new Promise((resolve) => setImmediate(resolve)),
};

async function open(files: FaultyFiles): Promise<Log> {
  return openEmbeddedLog({ directory, files, clock, segmentBytes: 3000, compactBytes: 15_000, retainBytes: 60_000 });
}

/** What a source would know: what it handed over, and what it was told is durable. */
interface Ledger {
  readonly handed: TestChange[][];
  acknowledged: number;
  /** Position of the newest mark or commit that was acknowledged, by its place in `positions`. */
  acknowledgedPosition: number;
  readonly positions: string[];
}

/** Writes transactions, marks, aborts and compactions at random until it is done or the machine stops. */
async function work(files: FaultyFiles, ledger: Ledger, random: () => number, count: number): Promise<void> {
  const log = await open(files);
  const writer = await log.writer(stream);
  const from = writer.last.seq;
  // Handed over and not durable at the crash: the source sends it again.
  ledger.handed.length = from + 1;
  const acknowledging: Promise<void>[] = [];
  for (let n = 0; n < count; n++) {
    const choice = random();
    if (choice < 0.1) writer.mark({ position: place(ledger), timeMs: n });
    else if (choice < 0.2) abortOne(writer, random);
    else writeOne(writer, ledger, random);
    if (random() < 0.4) {
      const seq = writer.last.seq;
      const position = ledger.positions.length - 1;
      const durable = writer.durable().then(() => {
        ledger.acknowledged = Math.max(ledger.acknowledged, seq);
        ledger.acknowledgedPosition = Math.max(ledger.acknowledgedPosition, position);
        return undefined;
      });
      acknowledging.push(durable.catch(() => undefined));
      if (random() < 0.5) await durable;
    }
    if (random() < 0.05) log.registerCursor(stream, 'sink', Math.floor(random() * ledger.acknowledged));
    if (random() < 0.04) await log.compact(stream);
  }
  await Promise.all(acknowledging);
  await log.close();
}

function place(ledger: Ledger): string {
  return `p${ledger.positions.push('') - 1}`;
}

function changesAt(random: () => number, big: boolean): TestChange[] {
  return Array.from({ length: 1 + Math.floor(random() * 4) }, () => ({
    table: random() < 0.8 ? 'orders' : 'keyless',
    key: Math.floor(random() * 20),
    value: random() < 0.2 ? null : `${random()}`.repeat(big ? 20_000 : 1 + Math.floor(random() * 10)),
  }));
}

function writeOne(writer: LogWriter, ledger: Ledger, random: () => number): void {
  const all: TestChange[] = [];
  const big = random() < 0.03;
  for (let pieces = big ? 6 : 1; pieces > 0; pieces--) {
    const changes = changesAt(random, big);
    writer.append(batchOf(writer, changes));
    all.push(...changes);
  }
  const seq = writer.last.seq + 1;
  writer.commit(infoOf(seq, { position: place(ledger), state: { newest: String(seq) } }));
  ledger.handed[seq] = all;
}

function abortOne(writer: LogWriter, random: () => number): void {
  for (let n = 0; n < 6; n++) writer.append(batchOf(writer, changesAt(random, random() < 0.2)));
  writer.abort();
}

/** After a crash: everything acknowledged is there; what is there is a prefix of what was handed over, whole, in order, once. */
async function check(files: FaultyFiles, ledger: Ledger): Promise<void> {
  const log = await open(files);
  const { seq, position } = log.frontier(stream);
  expect(seq).toBeGreaterThanOrEqual(ledger.acknowledged);
  expect(seq).toBeLessThan(Math.max(ledger.handed.length, 1));
  expect(position === null ? -1 : Number(position.slice(1))).toBeGreaterThanOrEqual(ledger.acknowledgedPosition);
  expect(log.state(stream).get('newest')).toBe(seq === 0 ? undefined : String(seq));
  const found = seq === 0 ? [] : await readFrom(log, stream, 0);
  const rows = new Map<number, string>();
  for (const transaction of found) {
    if (transaction.kind === 'transaction') expect(transaction.changes).toEqual(ledger.handed[transaction.seq]);
    for (const { table, key, value } of transaction.changes) {
      if (table === 'orders' && value !== null) rows.set(key, value);
      else if (table === 'orders') rows.delete(key);
    }
  }
  const expected = new Map<number, string>();
  for (const changes of ledger.handed.slice(1, seq + 1)) {
    for (const { table, key, value } of changes) {
      if (table === 'orders' && value !== null) expected.set(key, value);
      else if (table === 'orders') expected.delete(key);
    }
  }
  expect([...rows].toSorted(byKey)).toEqual([...expected].toSorted(byKey));
  await log.close();
}

function byKey(a: readonly [number, string], b: readonly [number, string]): number {
  return a[0] - b[0];
}

test('what was acknowledged survives any power cut, whole and in order, and nothing half appears', async () => {
  for (let seed = 1; seed <= crashSeeds; seed++) {
    const random = randomFrom(seed);
    const ledger: Ledger = { handed: [[]], acknowledged: 0, acknowledgedPosition: -1, positions: [] };
    let files = new FaultyFiles();
    try {
      for (let life = 0; life < 4; life++) {
        files.stepsLeft = Math.floor(random() ** 2 * 300);
        const ended = await work(files, ledger, random, 60).catch((error: unknown) => error);
        if (ended !== undefined && files.stepsLeft > 0) throw ended;
        files = random() < 0.2 ? files.kill() : files.crash(random);
        // A crash while the log repairs itself must do no harm either.
        files.stepsLeft = Math.floor(random() * 8);
        await open(files).catch(() => undefined);
        files = files.crash(random);
        await check(files, ledger);
      }
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
}, 1_200_000);

test('a full disk fails with DISK_FULL, acknowledges nothing more, and the log goes on once there is room', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = randomFrom(seed);
    const ledger: Ledger = { handed: [[]], acknowledged: 0, acknowledgedPosition: -1, positions: [] };
    const files = new FaultyFiles();
    files.budgetBytes = 2000 + Math.floor(random() * 20_000);
    const error = await work(files, ledger, random, 400).catch((caught: unknown) => caught);
    expect(isTidemarkError(error, 'DISK_FULL') || (error as { code?: string } | undefined)?.code === 'ENOSPC').toBe(
      true,
    );
    const after = files.kill();
    await check(after, ledger);
    await work(after, ledger, random, 20);
    await check(after.kill(), ledger);
  }
}, 60_000);

test('after a failed sync nothing is acknowledged again, though later syncs would succeed', async () => {
  const files = new FaultyFiles();
  const log = await open(files);
  const writer = await log.writer(stream);
  writer.append(batchOf(writer, [{ table: 'orders', key: 1, value: 'a' }]));
  writer.commit(infoOf(1));
  await writer.durable();
  files.syncsLeft = 0;
  writer.append(batchOf(writer, [{ table: 'orders', key: 2, value: 'b' }]));
  writer.commit(infoOf(2));
  await expect(writer.durable()).rejects.toMatchObject({ code: 'LOG_CLOSED' });
  files.syncsLeft = Infinity;
  await expect(writer.durable()).rejects.toMatchObject({ code: 'LOG_CLOSED' });
  await expect(writer.drained()).rejects.toMatchObject({ code: 'LOG_CLOSED' });
  expect(() => writer.append(batchOf(writer, []))).toThrow();
  await expect(log.writer(stream)).rejects.toMatchObject({ code: 'LOG_CLOSED' });
  expect(log.frontier(stream).seq).toBe(1);
});

test('a flipped byte anywhere in what was acknowledged is found and named, never cut off', async () => {
  const files = new FaultyFiles();
  const log = await open(files);
  const writer = await log.writer(stream);
  for (let seq = 1; seq <= 60; seq++) {
    writer.append(batchOf(writer, [{ table: 'orders', key: seq, value: 'v'.repeat(seq) }]));
    writer.commit(infoOf(seq));
    if (seq % 7 === 0) await writer.durable();
    if (seq === 30) await log.compact(stream);
  }
  await log.close();
  const random = randomFrom(7);
  const names = (await files.list(`${directory}/${stream}`)).map((name) => `${directory}/${stream}/${name}`);
  let found = 0;
  for (const path of [...names, `${directory}/log.json`]) {
    const { length } = files.bytesOf(path);
    // The note behind the last commit is no part of what was acknowledged: a damaged one is cut.
    const isNewest = path === names.findLast((name) => name.endsWith('.segment'));
    const end = isNewest ? length - 48 : length;
    for (let tries = 0; tries < 60; tries++) {
      const offset = Math.floor(random() * end);
      const damaged = files.copy();
      damaged.flip(path, offset, 1 << Math.floor(random() * 8));
      const error = await readWhole(damaged);
      expect(error, `${path} at ${offset}`).toMatchObject({ code: 'LOG_CORRUPT' });
      expect((error as Error).message).toContain(path.slice(0, path.lastIndexOf('/')));
      found++;
    }
  }
  expect(found).toBeGreaterThan(200);
}, 60_000);

async function readWhole(files: FaultyFiles): Promise<unknown> {
  try {
    const log = await open(files);
    await readFrom(log, stream, 0);
    await log.close();
    return undefined;
  } catch (error) {
    return error;
  }
}

test('a log of a newer version is refused, not misread', async () => {
  const files = new FaultyFiles();
  const log = await open(files);
  await log.close();
  const path = `${directory}/log.json`;
  const text = files.bytesOf(path).toString();
  const body = text.slice(text.indexOf('\n') + 1);
  const { crc32 } = await import('node:zlib');
  const crc = crc32(`2\n${body}`).toString(16).padStart(8, '0');
  const file = await files.open(path, 'create');
  await file.write(Buffer.from(`{"format":2,"crc":"${crc}"}\n${body}`), 0);
  await expect(open(files)).rejects.toMatchObject({ code: 'LOG_FORMAT' });
});
