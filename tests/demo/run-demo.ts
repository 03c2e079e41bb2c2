import { setTimeout as sleep } from 'node:timers/promises';
import { Rate } from '../../telemetry/rate.ts';
import { positionText } from '../../telemetry/status.ts';
import { formatCount, formatSeconds } from '../../telemetry/units.ts';
import type { PostgresServer } from '../servers/postgres.ts';
import { removeDirectory, temporaryDirectory, watchOver } from '../servers/process.ts';
import { compare, isEqual } from './compare.ts';
import type { Compared } from './compare.ts';
import { connectTo, valueOf } from './connection.ts';
import { frame, hitsShown, ordersText, searchText } from './frame.ts';
import type { View } from './frame.ts';
import { LocalIndex } from './local-index.ts';
import type { Screen } from './screen.ts';
import { ServiceProcess } from './service-process.ts';
import { exampleView, makeShop, ordersOf, startNewestPostgres } from './shop.ts';
import { Workload } from './workload.ts';

const drawEveryMs = 150;
const statusEveryMs = 250;
const lookEveryMs = 500;
const searchEveryMs = 3_000;
const probeEveryMs = 1_000;
/** Without a terminal, a line of figures this often. */
const lineEveryMs = 2_000;
const watchedAtLeastMs = 6_000;
/** The index must be readable by then, whatever the machine. */
const consistentWithinMs = 300_000;
const making = 'making the documents of what was read, while the shop goes on …';

/** Words that people would look for customers by: who, where, what they have ordered. */
const searches = [
  'walnut lamp porto',
  'novak blanket',
  'teapot OR "tea pot"',
  'copper mirror kyoto',
  'mina lisbon',
  '"coffee grinder" berlin',
];

/** The view is compared with what its own SQL answers in the database. */
const compared: readonly Compared[] = [
  { table: 'documents', sql: exampleView('customer_docs') },
  { table: 'customers' },
];

export interface DemoOptions {
  /** Until index and database are compared; null for until Ctrl-C. */
  readonly seconds: number | null;
  readonly customers: number;
}

/** One run of the demo, from an empty folder to an empty folder. */
export class Demo {
  readonly #screen: Screen;
  readonly #options: DemoOptions;
  /** Aborted by Ctrl-C, by a failure, and at the end. */
  readonly #ending = new AbortController();
  readonly #stopped: AbortSignal;
  readonly #view: View;
  readonly #workload = new Workload();
  /** Before the changes: what the snapshot reads is about as much. */
  #shopRows = 0;
  #failure: Error | null = null;

  /** `stopped`: somebody wants it to end without a result. */
  constructor(screen: Screen, options: DemoOptions, stopped: AbortSignal) {
    this.#screen = screen;
    this.#options = options;
    this.#stopped = stopped;
    this.#view = newView();
  }

  /** Whether index and database were equal at the end; false when it was stopped before. */
  async run(): Promise<boolean> {
    const onStop = (): void => this.#ending.abort();
    this.#stopped.addEventListener('abort', onStop, { once: true });
    const drawing = this.#every(drawEveryMs, async () => this.#draw());
    let server: PostgresServer | null = null;
    try {
      this.#phase('starting PostgreSQL …');
      server = await startNewestPostgres();
      this.#view.server = `PostgreSQL ${server.version}`;
      if (!this.#stopped.aborted) {
        const { customers } = this.#options;
        const [people, orders] = [formatCount(customers), formatCount(ordersOf(customers))];
        this.#phase(`filling the shop: ${people} customers, ${orders} orders with their lines …`);
        this.#shopRows = await makeShop(server, customers);
      }
      return this.#stopped.aborted ? false : await this.#withService(server.url('shop'));
    } finally {
      this.#ending.abort();
      await drawing;
      await server?.stop('immediate');
    }
  }

  async #withService(url: string): Promise<boolean> {
    const directory = temporaryDirectory('demo', {});
    const watch = watchOver(directory);
    let service: ServiceProcess | null = null;
    let index: LocalIndex | null = null;
    try {
      await this.#workload.start(url, Math.random, (error) => this.#fail(error));
      this.#phase('starting tidemark …');
      service = await ServiceProcess.start(directory, url);
      index = new LocalIndex(service.indexFile);
      void service.died.then((why) => this.#fail(new Error(why)));
      await this.#follow(service, index, url);
      return this.#ended() ? false : await this.#verdict(service, url);
    } finally {
      this.#ending.abort();
      await this.#workload.stop();
      index?.close();
      await service?.stop();
      removeDirectory(directory);
      watch.release();
    }
  }

  /** Watches until the time is over, somebody stops it, or something fails. */
  async #follow(service: ServiceProcess, index: LocalIndex, url: string): Promise<void> {
    const loops = [
      this.#every(statusEveryMs, async () => this.#askStatus(service)),
      this.#every(lookEveryMs, async () => this.#look(index)),
      this.#every(searchEveryMs, async () => this.#search(index)),
      this.#every(lineEveryMs, async () => this.#sayFigures()),
      this.#probe(service, index, url),
    ];
    const { seconds } = this.#options;
    const started = performance.now();
    this.#phase('reading the tables while the shop goes on …');
    while (!this.#ended() && !index.isReady) {
      if (performance.now() - started > consistentWithinMs)
        this.#fail(new Error('the documents were not made in time'));
      const read = this.#view.status?.sources[0]?.consistent === true;
      if (read && this.#view.phase !== making) this.#phase(making);
      await this.#pause(drawEveryMs);
    }
    await this.#search(index);
    // However slow the machine, there is something to see of the index.
    const until = Math.max(started + (seconds ?? 0) * 1000, performance.now() + watchedAtLeastMs);
    this.#phase('Ctrl-C stops everything and removes what was made.');
    while (!this.#ended()) {
      if (seconds !== null) {
        const left = (until - performance.now()) / 1000;
        if (left <= 0) break;
        this.#view.phase = `${Math.ceil(left)} s until index and database are compared; Ctrl-C stops before.`;
      }
      await this.#pause(drawEveryMs);
    }
    this.#watching.abort();
    await Promise.all(loops);
    if (this.#failure !== null) throw this.#failure;
  }
  /** Aborted when watching is over, while the comparison may still be to come. */
  readonly #watching = new AbortController();

  /** Stops the changes, waits for the index to come to where they ended, and compares. */
  async #verdict(service: ServiceProcess, url: string): Promise<boolean> {
    this.#phase('The shop has closed; comparing index and database …');
    await this.#workload.stop();
    const client = await connectTo(url);
    const position = (await valueOf(client, 'SELECT pg_current_wal_insert_lsn()')) ?? '';
    await client.end();
    const signal = this.#ending.signal;
    const started = performance.now();
    for (const sink of ['documents', 'customers']) {
      if (!(await service.wait(sink, position, '120s', signal)))
        throw new Error(`sink ${sink} did not come to ${position}`);
    }
    const caughtUp = formatSeconds((performance.now() - started) / 1000);
    const index = new LocalIndex(service.indexFile);
    const seen = index.look();
    index.close();
    if (seen !== 'whole') this.#view.halves.push(seen ?? 'the index is gone');
    const comparisons = await compare(url, service.indexFile, compared);
    const equal = comparisons.every(isEqual) && this.#view.halves.length === 0;
    const { looks, transactions } = this.#view;
    this.#phase(`The index came to the end of the changes in ${caughtUp}.`);
    this.#draw();
    this.#screen.end([
      '',
      `${formatCount(this.#workload.transactions || transactions)} transactions; the index was looked at ${formatCount(looks)} times` +
        ` and showed ${this.#view.halves.length === 0 ? 'no half transaction' : `half a transaction: ${this.#view.halves.join('; ')}`}.`,
      ...comparisons.flatMap(({ shown }) => shown),
      equal
        ? `Equal at ${position}: ${comparisons.map(({ table, rows }) => `${formatCount(rows)} ${table}`).join(' and ')}, row by row.`
        : `Different at ${position}: ${comparisons.map((found) => `${found.table} ${found.missing} missing, ${found.extra} extra, ${found.different} different`).join('; ')}.`,
    ]);
    return equal;
  }

  async #askStatus(service: ServiceProcess): Promise<void> {
    const view = this.#view;
    const now = performance.now();
    view.transactions = this.#workload.transactions;
    view.transactionsPerSecond = sampled(this.#rates.transactions, now, this.#workload.transactions);
    view.changesPerSecond = sampled(this.#rates.changes, now, this.#workload.changes);
    const status = await service.status(AbortSignal.any([this.#watching.signal, AbortSignal.timeout(2_000)]));
    if (status === null) return;
    view.status = status;
    const sink = status.sinks.find(({ name }) => name === 'documents');
    if (sink?.consistent === true) view.commitsPerSecond = sampled(this.#rates.commits, now, sink.seq);
    const snapshot = status.sources[0]?.snapshot;
    if (snapshot?.state === 'running' && snapshot.rows_estimated > 0) {
      this.#snapshotMs ??= now;
      const total = Math.max(snapshot.rows_estimated, view.snapshot?.rows_estimated ?? 0, this.#shopRows);
      const rows = Math.max(snapshot.rows, view.snapshot?.rows ?? 0);
      view.snapshot = { ...snapshot, rows, rows_estimated: total };
      view.snapshotSeconds = (now - this.#snapshotMs) / 1000;
    } else if (status.sources[0]?.consistent === true && view.snapshot?.state === 'running') {
      view.snapshot = { ...view.snapshot, state: 'done', rows: view.snapshot.rows_estimated };
      view.snapshotSeconds = (now - (this.#snapshotMs ?? now)) / 1000;
    }
  }
  #snapshotMs: number | null = null;
  readonly #rates = { transactions: new Rate(), changes: new Rate(), commits: new Rate() };

  #look(index: LocalIndex): void {
    const seen = index.look();
    if (seen === null) return;
    this.#view.looks++;
    if (seen !== 'whole') this.#view.halves.push(seen);
  }

  async #search(index: LocalIndex): Promise<void> {
    const words = searches[this.#searched % searches.length] ?? '';
    const found = index.search(words, hitsShown);
    if (found === null) return;
    this.#searched++;
    this.#view.search = found;
    this.#screen.say(`search    ${searchText(found, (_, text) => text)}`);
    for (const hit of found.best) {
      this.#screen.say(`          #${hit.id}  ${hit.who}, ${ordersText(hit)}: ${hit.products}`);
    }
  }
  #searched = 0;

  /** Once a second: how long after its COMMIT a change of an order shows in its customer's document. */
  async #probe(service: ServiceProcess, index: LocalIndex, url: string): Promise<void> {
    const client = await connectTo(url);
    try {
      await this.#every(probeEveryMs, async () => {
        if (!index.isReady) return;
        await client.query(
          `UPDATE orders SET status = CASE status WHEN 'packed' THEN 'placed' ELSE 'packed' END WHERE id = (SELECT max(id) FROM orders)`,
        );
        const committed = performance.now();
        const position = (await valueOf(client, 'SELECT pg_current_wal_insert_lsn()')) ?? '';
        if (await service.wait('documents', position, '10s', this.#watching.signal))
          this.#view.visibleMs = performance.now() - committed;
      });
    } finally {
      await client.end();
    }
  }

  #sayFigures(): void {
    const { status, snapshot, visibleMs } = this.#view;
    const source = status?.sources[0];
    if (source === undefined) return;
    const position = status?.sinks.find(({ name }) => name === 'documents')?.position ?? null;
    const index = position === null ? 'its beginning' : positionText(position);
    const share =
      snapshot?.state === 'running' ? Math.floor((100 * snapshot.rows) / Math.max(1, snapshot.rows_estimated)) : 100;
    this.#screen.say(
      `figures   snapshot ${share} %, ${formatCount(this.#view.changesPerSecond)} changes/s, source lag ${formatCount(source.lag_bytes ?? 0)} bytes, index at ${index}` +
        (visibleMs === null ? '' : `, a document shows a change ${formatSeconds(visibleMs / 1000)} after its COMMIT`),
    );
  }

  #phase(text: string): void {
    this.#view.phase = text;
    this.#screen.say(text);
    this.#draw();
  }

  #draw(): void {
    this.#view.nowMs = performance.now();
    this.#screen.draw(frame(this.#view, this.#screen.paint));
  }

  #ended(): boolean {
    return this.#ending.signal.aborted;
  }

  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    this.#ending.abort();
  }

  /** Does something again and again until watching is over; what it throws ends the demo. */
  async #every(pauseMs: number, work: () => Promise<void> | void): Promise<void> {
    const over = AbortSignal.any([this.#ending.signal, this.#watching.signal]);
    while (!over.aborted) {
      try {
        await work();
      } catch (error) {
        if (!over.aborted) this.#fail(error);
        return;
      }
      await sleep(pauseMs, undefined, { signal: over }).catch(() => undefined);
    }
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#ending.signal }).catch(() => undefined);
  }
}

function sampled(rate: Rate, now: number, count: number): number {
  rate.sample(now, count);
  return rate.perSecond();
}

function newView(): View {
  const now = performance.now();
  return {
    server: '',
    phase: '',
    startedMs: now,
    nowMs: now,
    transactions: 0,
    transactionsPerSecond: 0,
    changesPerSecond: 0,
    status: null,
    snapshot: null,
    snapshotSeconds: 0,
    commitsPerSecond: 0,
    visibleMs: null,
    search: null,
    looks: 0,
    halves: [],
  };
}
