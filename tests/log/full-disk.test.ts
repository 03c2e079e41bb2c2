import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import type { Log, LogWriter } from '../../model/log.ts';
import { FaultyFiles } from '../simulation/faulty-files.ts';
import { readFrom, write } from './fixtures.ts';

const stream = 'shop';
const directory = '/data/log';

async function open(files: FaultyFiles): Promise<Log> {
  return openEmbeddedLog({ directory, files, clock: systemClock, segmentBytes: 600 });
}

async function fill(writer: LogWriter, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    write(writer, [{ table: 'orders', key: writer.last.seq % 7, value: 'v'.repeat(60) }], { state: { at: String(n) } });
    await writer.durable();
  }
}

/** Numbers and sums of what a log holds. */
async function contents(log: Log): Promise<unknown> {
  const transactions = await readFrom(log, stream, 0);
  const topics = (await log.topics()).map(({ topic, records, newestSeq }) => [topic, records, newestSeq]);
  return { seqs: transactions.map(({ seq }) => seq), topics, state: [...log.state(stream)] };
}

test('once there is room again a full log goes on with a new writer, without a gap, wherever it was interrupted', async () => {
  for (let room = 0; room < 2_500; room += 41) {
    const files = new FaultyFiles();
    const log = await open(files);
    const first = await log.writer(stream);
    await fill(first, 3);
    files.budgetBytes = room;
    await expect(fill(first, 100), `room ${room}`).rejects.toMatchObject({
      code: 'DISK_FULL',
      hint: expect.stringContaining('goes on by itself'),
    });
    await expect(first.close()).rejects.toMatchObject({ code: 'DISK_FULL' });
    const acknowledged = log.frontier(stream).seq;
    files.budgetBytes = Infinity;
    const second = await log.writer(stream);
    expect(second.last.seq, `room ${room}`).toBe(acknowledged);
    await fill(second, 12);
    const wanted = Array.from({ length: acknowledged + 12 }, (_, index) => index + 1);
    const whole = {
      seqs: wanted,
      topics: [['shop.public.orders', wanted.length, wanted.length]],
      state: [['at', '11']],
    };
    expect(await contents(log), `room ${room}`).toEqual(whole);
    await second.close();
    await log.close();
    const again = await open(files.kill());
    expect(await contents(again), `room ${room}`).toEqual(whole);
    await again.close();
  }
});

test('while the disk is still full a new writer fails as the old one did, and readers go on', async () => {
  const files = new FaultyFiles();
  const log = await open(files);
  const first = await log.writer(stream);
  await fill(first, 5);
  files.budgetBytes = 10;
  await expect(fill(first, 1)).rejects.toMatchObject({ code: 'DISK_FULL' });
  await first.close().catch(() => undefined);
  for (let attempt = 0; attempt < 3; attempt++) {
    const writer = await log.writer(stream);
    await expect(fill(writer, 1)).rejects.toMatchObject({ code: 'DISK_FULL' });
    await writer.close().catch(() => undefined);
    expect((await readFrom(log, stream, 0)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
  }
  await log.close();
});
