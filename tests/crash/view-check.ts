import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../model/log.ts';
import type { PublishedVector } from '../../views/port.ts';
import { vectorKey, viewTopic, viewsStream } from '../../views/port.ts';
import type { StateMeta } from '../../views/stage/state-folder.ts';
import { DiskStore } from '../../views/state/disk.ts';
import { asJson, expectSame, openSink, sinkCursors, sinkRows } from './compare.ts';
import { Difference } from './difference.ts';
import { Replay } from './replay.ts';
import type { Row } from './replay.ts';
import { sourceName } from './schema.ts';
import type { ViewOracle } from './view-oracle.ts';
import { viewSink } from './views.ts';

/**
 * What a file of sinks holds of views, against PostgreSQL's answers over the source's tables at the commit that the sinks name: their
 * cursor is a commit of the stream `views`, whose vector says up to where the source is contained in it.
 */
export class ViewCheck {
  readonly #file: string;
  readonly #views: readonly string[];
  readonly #results = new Replay(viewsStream, { isExact: true });
  readonly #inputs = new Replay(sourceName);
  #checkedVectors = 0;
  #contained = 0;
  /** Times that sinks were compared with PostgreSQL at their own commit, and at how many different ones. */
  compared = 0;
  readonly commits = new Set<number>();

  constructor({ file, views }: { file: string; views: readonly string[] }) {
    this.#file = file;
    this.#views = views;
  }

  /** The stream of results as far as it was read. */
  get results(): Replay {
    return this.#results;
  }

  /** Looks into a copy of what a killed process left; returns what there was to compare. */
  async look(copy: string, log: Log, oracle: ViewOracle): Promise<string> {
    const step = this.#step(copy);
    await this.#results.read(log, step ?? 0);
    this.#checkVectors();
    if (step === null) return 'not filled yet';
    const vector = this.#results.commits.findLast(({ seq }) => seq === step)?.state[vectorKey];
    if (this.#results.seq !== step || typeof vector !== 'string') return `at step ${step}, compacted since`;
    const seq = (JSON.parse(vector) as PublishedVector).sources[sourceName]?.seq ?? 0;
    await this.#inputs.read(log, seq);
    if (this.#inputs.seq !== seq) return `at step ${step}, whose input ${seq} is compacted`;
    await oracle.load(this.#inputs);
    await this.compare(copy, `step ${step}, seq ${seq}`, async (view) => oracle.rows(view));
    this.compared++;
    this.commits.add(step);
    return `equal PostgreSQL's answers at seq ${seq}, step ${step}`;
  }

  /** Compares sinks with the stream of results, which must have been read up to their cursor, and with PostgreSQL's answers. */
  async compare(copy: string, where: string, answer: (view: string) => Promise<Row[]>): Promise<number> {
    const db = openSink(join(copy, this.#file));
    if (db === null) throw new Difference(`${this.#file} does not exist`);
    let count = 0;
    try {
      for (const view of this.#views) {
        const what = `${this.#file} (expected: PostgreSQL at ${where})`;
        const expected = await answer(view);
        const inSink = sinkRows(db, `view_${view}`) ?? [];
        expectSame(what, view, expected, inSink);
        expectSame(`topic ${viewTopic(view)}`, view, expected, asJson(this.#results.rows(viewTopic(view))));
        count += expected.length;
      }
    } finally {
      db.close();
    }
    return count;
  }

  /** Reads the stream of results to its end. */
  async readToEnd(log: Log): Promise<void> {
    await this.#results.read(log);
    this.#checkVectors();
  }

  /** `directory` is the log's. */
  async holdCompaction(directory: string): Promise<void> {
    const name = `crash test: ${this.#file}`;
    await this.#results.holdCompaction(directory, name);
    await this.#inputs.holdCompaction(directory, name);
  }

  /** What a commit contains of the source never becomes less. */
  #checkVectors(): void {
    for (const { seq, state } of this.#results.commits.slice(this.#checkedVectors)) {
      const vector = state[vectorKey];
      if (typeof vector !== 'string') throw new Difference(`step ${seq} does not say of what it is made`);
      const contained = (JSON.parse(vector) as PublishedVector).sources[sourceName]?.seq ?? 0;
      if (contained < this.#contained) {
        throw new Difference(`step ${seq} contains seq ${contained}, the one before ${this.#contained}`);
      }
      this.#contained = contained;
    }
    this.#checkedVectors = this.#results.commits.length;
  }

  /** The commit that the file's sinks of views are at; null while they are being filled one by one. */
  #step(copy: string): number | null {
    const db = openSink(join(copy, this.#file));
    if (db === null) return null;
    try {
      const cursors = sinkCursors(db);
      const steps = this.#views.map((view) => cursors.get(viewSink(this.#file, view)));
      return new Set(steps).size === 1 ? (steps[0] ?? null) : null;
    } finally {
      db.close();
    }
  }
}

/**
 * How the state of views stands to what was published: `behind` is what a kill between the commit of results and that of state leaves,
 * `torn` one within a step too large for one write.
 */
export type Standing = 'none' | 'torn' | 'unpublished' | 'behind' | 'level' | 'ahead';

export async function stateStanding(copy: string, log: Log): Promise<Standing> {
  const path = join(copy, 'state');
  if (!existsSync(path)) return 'none';
  const store = await DiskStore.open({ path });
  try {
    if (store.meta === null) return 'torn';
    const meta = JSON.parse(store.meta) as StateMeta;
    const text = log.state(viewsStream).get(vectorKey);
    if (!meta.isPublished || text === undefined) return 'unpublished';
    const held = meta.sources[sourceName]?.seq ?? 0;
    const published = (JSON.parse(text) as PublishedVector).sources[sourceName]?.seq ?? 0;
    return held < published ? 'behind' : held > published ? 'ahead' : 'level';
  } finally {
    await store.close();
  }
}
