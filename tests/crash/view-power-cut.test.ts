import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { present } from '../../base/assert.ts';
import { systemClock } from '../../base/clock.ts';
import type { Clock } from '../../base/clock.ts';
import { systemFiles } from '../../base/files.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import type { Log } from '../../model/log.ts';
import { vectorKey, viewTopic, viewsStream } from '../../views/port.ts';
import type { PublishedVector } from '../../views/port.ts';
import { bindViews, loadSqlParser } from '../../views/sql/bind.ts';
import { catalogOf } from '../../views/sql/catalog.ts';
import { createStage } from '../../views/stage/stage.ts';
import type { StateMeta } from '../../views/stage/state-folder.ts';
import { DiskStore } from '../../views/state/disk.ts';
import { sqlTypeOf } from '../../views/type.ts';
import { removeDirectory, until } from '../servers/process.ts';
import { FaultyFiles } from '../simulation/faulty-files.ts';
import { randomFrom } from '../simulation/random.ts';
import { Feeder, table } from '../views/stage/harness.ts';
import { diskDirectory, powerCutDisk } from './disk.ts';
import { Replay } from './replay.ts';
import type { Row } from './replay.ts';

const rounds = 16;
/** TIDEMARK_CRASH_SEED runs a seed again. */
const seed = Number(process.env['TIDEMARK_CRASH_SEED'] ?? Math.floor(Math.random() * 1e9));
console.log(`tests of power cuts under views: seed ${seed}`);

const parents = table('shop.public.parents', { id: 'int8', name: 'text' });
const children = table('shop.public.children', { id: 'int8', parent: 'int8' });
const sql = `SELECT p.id, p.name, count(c.id) AS n, string_agg(c.id::text, ',' ORDER BY c.id) AS children
  FROM parents p LEFT JOIN children c ON c.parent = p.id GROUP BY p.id, p.name`;
const parentCount = 4;

/** Transaction k, the same whenever it is sent: child k comes to some parent, another leaves, a parent gets another name. */
function send(feed: Feeder, k: number): void {
  if (k === 1) {
    for (let id = 1; id <= parentCount; id++) feed.upsert(parents, { id: String(id), name: 'one' }, 'read');
    feed.commitConsistent(parents, children);
    return;
  }
  feed.upsert(children, { id: String(k), parent: String(1 + (k % parentCount)) }, 'create');
  if (k % 3 === 0) feed.upsert(children, { id: String(k / 3 + 1), parent: String(1 + ((k * 7) % parentCount)) });
  if (k % 5 === 0) feed.upsert(parents, { id: String(1 + ((k / 5) % parentCount)), name: `at ${k}` });
  feed.commit();
}

/** The view after transaction `last`. */
function answer(last: number): Row[] {
  const names = new Map<number, string>();
  const parentOf = new Map<number, number>();
  for (let id = 1; id <= (last === 0 ? 0 : parentCount); id++) names.set(id, 'one');
  for (let k = 2; k <= last; k++) {
    parentOf.set(k, 1 + (k % parentCount));
    if (k % 3 === 0) parentOf.set(k / 3 + 1, 1 + ((k * 7) % parentCount));
    if (k % 5 === 0) names.set(1 + ((k / 5) % parentCount), `at ${k}`);
  }
  return [...names].map(([id, name]) => {
    const own = [...parentOf].filter(([, parent]) => parent === id).map(([child]) => child);
    const list = own.length === 0 ? null : own.toSorted((a, b) => a - b).join(',');
    return new Map([
      ['id', String(id)],
      ['name', name],
      ['n', String(own.length)],
      ['children', list],
    ]);
  });
}

/** The log on a disk that forgets what was not synced; view state on one that forgets nothing, so that it is never the older of the two. */
class Machine {
  readonly #directory = mkdtempSync(join(tmpdir(), 'tidemark-view-power-'));
  readonly #random = randomFrom(seed);
  readonly #isLying: boolean;
  #disk = new FaultyFiles();

  constructor(isLying: boolean) {
    this.#isLying = isLying;
  }

  async openLog(): Promise<Log> {
    const files = powerCutDisk({ files: this.#disk, random: this.#random, lying: this.#isLying });
    return openEmbeddedLog({ directory: diskDirectory, files, clock: systemClock });
  }

  /** Sends transactions and steps them until the power goes; returns the number of the last sent. */
  async run(): Promise<number> {
    const log = await this.openLog();
    const feed = new Feeder(await log.writer('shop'));
    const stop = new AbortController();
    const running = this.#stage(log, stop.signal).catch((error: unknown) => error);
    let sent = feed.writer.last.seq;
    const count = 5 + Math.floor(this.#random() * 60);
    for (const last = sent + count; sent < last;) {
      send(feed, ++sent);
      if (this.#random() < 0.3) await delay(this.#random() * 15);
    }
    await delay(this.#random() * 40);
    const survived = this.#disk.crash(this.#random);
    stop.abort();
    await running;
    await log.close().catch(() => undefined);
    this.#disk = survived;
    return sent;
  }

  /** Lets everything catch up, without any fault. */
  async settle(log: Log): Promise<void> {
    const stop = new AbortController();
    const running = this.#stage(log, stop.signal);
    await until('the views to catch up', () => publishedSeq(log) >= log.frontier('shop').seq);
    stop.abort();
    await running;
  }

  async stateMeta(): Promise<StateMeta | null> {
    const store = await DiskStore.open({ path: join(this.#directory, 'state') });
    const { meta } = store;
    await store.close();
    return meta === null ? null : (JSON.parse(meta) as StateMeta);
  }

  remove(): void {
    removeDirectory(this.#directory);
  }

  async #stage(log: Log, signal: AbortSignal): Promise<void> {
    const tables = [parents, children];
    const relations = tables.map(({ topic, columns, key }) => ({
      relation: topic,
      columns: columns.map(({ name, type, declared, nullable }) => ({
        name,
        type: sqlTypeOf(type, declared),
        nullable,
      })),
      key,
    }));
    const stage = createStage({
      views: bindViews([{ name: 'docs', sql, key: ['id'] }], catalogOf(relations)),
      relations: new Map(tables.map((one) => [one.topic, one])),
      log,
      formatPosition: (positions) => present(Object.values(positions)[0], 'a position'),
      directory: this.#directory,
      state: 'disk',
      files: systemFiles,
      clock: hastyClock,
      report: () => undefined,
    });
    await stage.run(signal);
  }
}

/** By which state is committed hundreds of times a second. */
const hastyClock: Clock = {
  now: () => systemClock.now(),
  monotonic: () => systemClock.monotonic() * 300,
  sleep: async (ms, signal) => systemClock.sleep(ms / 300, signal),
};

function publishedSeq(log: Log): number {
  const text = log.state(viewsStream).get(vectorKey);
  return text === undefined ? 0 : ((JSON.parse(text) as PublishedVector).sources['shop']?.seq ?? 0);
}

async function rowsOf(log: Log): Promise<Row[]> {
  const replay = new Replay(viewsStream, { isExact: true });
  await replay.read(log);
  return replay.rows(viewTopic('docs')).toSorted((a, b) => Number(a.get('id')) - Number(b.get('id')));
}

function machine(isLying: boolean): Machine {
  const made = new Machine(isLying);
  onTestFinished(() => made.remove());
  return made;
}

describe(`views when the power goes (seed ${seed})`, () => {
  beforeAll(loadSqlParser);

  it('have published what they are at one commit, and state is never ahead of the log', async () => {
    const cut = machine(false);
    let lost = 0;
    let kept = 0;
    for (let round = 1; round <= rounds; round++) {
      const sent = await cut.run();
      const meta = await cut.stateMeta();
      const log = await cut.openLog();
      const published = publishedSeq(log);
      const at = `round ${round}: sent ${sent}, held ${log.frontier('shop').seq}, published ${published}`;
      if (log.frontier('shop').seq < sent) lost++;
      if (meta !== null) {
        kept++;
        const contained = meta.sources['shop']?.seq ?? 0;
        expect(contained, at).toBeLessThanOrEqual(meta.isPublished ? published : log.frontier('shop').seq);
      }
      if (published > 0) expect(await rowsOf(log), at).toEqual(answer(published));
      await log.close();
    }
    expect(lost, 'rounds that lost transactions').toBeGreaterThan(0);
    expect(kept, 'rounds that kept state').toBeGreaterThan(rounds / 2);
    const log = await cut.openLog();
    await cut.settle(log);
    expect(await rowsOf(log)).toEqual(answer(log.frontier('shop').seq));
    await log.close();
  });

  it('are found out when they trust a disk whose syncs do nothing', async () => {
    let found = 0;
    for (let round = 1; round <= rounds && found === 0; round++) {
      const cut = machine(true);
      await cut.run();
      const contained = (await cut.stateMeta())?.sources['shop']?.seq ?? 0;
      const log = await cut.openLog().catch(() => null);
      const held = log === null ? 0 : Math.min(publishedSeq(log), log.frontier('shop').seq);
      if (contained > held) found++;
      await log?.close();
    }
    expect(found).toBe(1);
  });
});
