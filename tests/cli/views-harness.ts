import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { folder, start, tidemark, until } from './harness.ts';
import type { Ended, Running } from './harness.ts';

/** What the sources `shop` and `erp` of a `TwoFiles` deployment hold: one line a transaction. */
export const sources = `
  shop:
    type: ndjson
    path: ./shop.ndjson
    tables: { customers: { columns: { id: bigint, name: text, size: int }, key: [id] } }
  erp:
    type: ndjson
    path: ./erp.ndjson
    tables: { orders: { columns: { id: bigint, customer_id: bigint, total: numeric }, key: [id] } }`;

/** Customers with what they ordered, out of two sources. */
export const docs = `
  docs:
    key: [id]
    sql: |
      SELECT c.id, c.name, count(o.id) AS orders, sum(o.total) AS total
      FROM customers c LEFT JOIN orders o ON o.customer_id = c.id
      GROUP BY c.id, c.name`;

/** Machines may be busy with other tests. */
const busyMs = 120_000;

/** A commit of a feed with the changes before it. */
export interface FeedCommit {
  readonly seq: number;
  readonly position: unknown;
  readonly changes: readonly FeedChange[];
}

export interface FeedChange {
  readonly op: 'upsert' | 'delete';
  readonly key: Readonly<Record<string, unknown>>;
  readonly doc: Readonly<Record<string, unknown>> | null;
}

/** A deployment in a folder of its own, over lines of files that the test writes. */
export class Deployment {
  readonly directory: string;
  readonly #environment: NodeJS.ProcessEnv;
  run: Running | null = null;

  constructor(directory: string, environment: NodeJS.ProcessEnv) {
    this.directory = directory;
    this.#environment = environment;
  }

  static async create(views: string, sinks: string, from = sources, environment = {}): Promise<Deployment> {
    const deployment = new Deployment(await folder(), environment);
    await deployment.configure(views, sinks, from);
    return deployment;
  }

  async configure(views: string, sinks: string, from = sources): Promise<void> {
    const file = `version: 1\nname: two\nsources:${from}\nviews:${views}\nsinks:${sinks}\nhttp: { port: 0 }\n`;
    await writeFile(join(this.directory, 'tidemark.yaml'), file);
  }

  /** Appends rows to the file of a source, one transaction each; returns how many bytes it has then. */
  async write(source: 'shop' | 'erp', ...rows: readonly object[]): Promise<number> {
    const path = join(this.directory, `${source}.ndjson`);
    await appendFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return (await readFile(path)).length;
  }

  async start(): Promise<Running> {
    const run = start(this.directory, ['run'], this.#environment);
    this.run = run;
    await until(
      'the service runs',
      () => {
        expect(run.child.exitCode, run.stderr()).toBeNull();
        return run.stderr().includes('tidemark is running');
      },
      busyMs,
    );
    return run;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended | undefined> {
    this.run?.child.kill(signal);
    return this.run?.ended;
  }

  async command(...args: readonly string[]): Promise<Ended> {
    return tidemark(this.directory, args, this.#environment);
  }

  /** Status and body of a request to the running service. */
  async get(path: string): Promise<{ status: number; body: string }> {
    const url = /"http":"([^"]+)"/.exec(this.run?.stderr() ?? '')?.[1] ?? '';
    const response = await fetch(`${url}${path}`);
    return { status: response.status, body: await response.text() };
  }

  /** A row of a view by its key, as the text of the answer. */
  async row(view: string, ...key: readonly string[]): Promise<{ status: number; body: string }> {
    const escaped = key.map((value) => value.replaceAll(/[\\|]/g, (character) => `\\${character}`)).join('|');
    return this.get(`/api/v1/views/${view}/${encodeURIComponent(escaped)}`);
  }

  /** Waits until the sink holds the present positions of every source that feeds it. */
  async caughtUp(sink: string): Promise<void> {
    await until(
      `${sink} has caught up`,
      async () => {
        const { status, body } = await this.get(`/api/v1/wait?sink=${sink}&position=now&timeout=10s`);
        expect(status, body).not.toBe(500);
        return status === 200;
      },
      busyMs,
    );
  }

  /** The whole commits of a feed so far. */
  async feed(name: string): Promise<FeedCommit[]> {
    const text = await readFile(join(this.directory, `${name}.ndjson`), 'utf8').catch(() => '');
    const commits: FeedCommit[] = [];
    let changes: FeedChange[] = [];
    for (const line of text.split('\n').slice(0, -1)) {
      const entry = JSON.parse(line) as FeedChange & { commit?: number; position?: unknown };
      if (entry.commit === undefined) changes.push(entry);
      else {
        commits.push({ seq: entry.commit, position: entry.position, changes });
        changes = [];
      }
    }
    return commits;
  }

  /** The lines of a source's file up to a position, newest row by id. */
  async rowsUpTo(source: 'shop' | 'erp', position: string): Promise<Map<number, Readonly<Record<string, unknown>>>> {
    const bytes = await readFile(join(this.directory, `${source}.ndjson`));
    const rows = new Map<number, Record<string, unknown>>();
    for (const line of bytes.toString('utf8', 0, Number(position)).split('\n').filter(Boolean)) {
      const given = JSON.parse(line) as Record<string, unknown> & { op?: string; row?: Record<string, unknown> };
      const row = given.row ?? given;
      if (given.op === 'd') rows.delete(Number(row['id']));
      else rows.set(Number(row['id']), row);
    }
    return rows;
  }
}

/** The rows that changes lead to, by the text of their key. */
export function apply(rows: Map<string, unknown>, changes: readonly FeedChange[]): void {
  for (const { op, key, doc } of changes) {
    if (op === 'delete') rows.delete(JSON.stringify(key));
    else rows.set(JSON.stringify(key), doc);
  }
}
