import { present } from '../../base/assert.ts';
import { TidemarkError } from '../../base/errors.ts';
import type { LogWriter } from '../../model/log.ts';
import { parseOffset } from '../../model/position.ts';
import type { Source, SourceStatus } from '../../model/source.ts';
import { topicOf } from '../../model/table.ts';
import { FileFollower } from './file-follower.ts';
import { InputFollower } from './input-follower.ts';
import { LineTaker } from './line-taker.ts';
import { defaultPollMs, ndjsonSchema } from './options.ts';
import type { NdjsonOptions } from './options.ts';
import { Progress } from './progress.ts';
import { LinePublisher } from './publisher.ts';
import { RowPacker } from './row-packer.ts';
import type { StandardInput } from './standard-input.ts';
import { logTable } from './tables.ts';
import { readTailMark } from './tail-mark.ts';

/** Lines of JSON, from a file or standard input, each a transaction (docs/ndjson.md). Positions are bytes from the beginning. */
export class NdjsonSource implements Source {
  readonly type = 'ndjson';
  readonly name: string;
  readonly #options: NdjsonOptions;
  readonly #input: StandardInput | null;
  readonly #topics: readonly string[];
  readonly #progress = new Progress();
  #file: FileFollower | null = null;
  /** While the source runs, and follows what it reads. */
  #writer: LogWriter | null = null;

  /** `input` is what to read in place of a file; kept by the caller from one source to the next that takes its place. */
  constructor(options: NdjsonOptions, input: StandardInput | null) {
    this.#options = options;
    this.#input = input;
    this.name = options.name;
    this.#topics = options.tables.map(({ name }) => topicOf(options.name, ndjsonSchema, name));
  }

  async run(signal: AbortSignal): Promise<void> {
    const { log, clock, report, files, path, pollMs = defaultPollMs } = this.#options;
    const writer = await log.writer(this.name);
    try {
      const taker = await this.#declare(writer);
      const position = this.#position();
      const following = {
        source: this.name,
        path,
        clock,
        report,
        writer,
        taker,
        durablePosition: () => this.#position(),
        publisher: new LinePublisher(writer, taker, () => clock.now()),
        progress: this.#progress,
      };
      if (this.#input !== null) {
        const follower = new InputFollower(following, this.#input, position);
        this.#writer = writer;
        await follower.run(signal);
      } else {
        const mark = readTailMark(log.state(this.name));
        this.#file = new FileFollower(following, { files, pollMs, position, mark });
        this.#writer = writer;
        await this.#file.run(signal);
      }
    } finally {
      this.#writer = null;
      await writer.close();
    }
  }

  status(): SourceStatus {
    const { log, clock } = this.#options;
    const state = log.state(this.name);
    const { error, lagBytes } = this.#progress;
    return {
      name: this.name,
      type: this.type,
      position: log.frontier(this.name).position,
      lagBytes,
      lagSeconds: this.#progress.lagSeconds(clock.now()),
      snapshot: {
        state: 'done',
        rows: 0,
        rowsEstimated: 0,
        chunksLeft: 0,
        rowsPerSecond: 0,
        waitingFor: null,
        tables: this.#topics.map((topic) => ({ topic, state: 'done', rows: 0, rowsEstimated: 0 })),
      },
      consistent: this.#topics.every((topic) => state.has(`consistent:${topic}`)),
      error:
        error === null
          ? null
          : { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) },
    };
  }

  /** The end of the last whole line that there is. */
  async currentPosition(): Promise<string> {
    const writer = this.#writer;
    if (writer !== null) {
      const position = await this.#endOfLines();
      // A reader that began behind the last mark has not been told where an idle source stands.
      if (writer === this.#writer && writer.last.position === position) {
        writer.mark({ position, timeMs: this.#options.clock.now() });
      }
      return position;
    }
    throw new TidemarkError('SOURCE_UNREACHABLE', `source ${this.name} does not run yet`, {
      place: { source: this.name },
    });
  }

  async #endOfLines(): Promise<string> {
    if (this.#file !== null) return this.#file.currentPosition();
    return String(present(this.#input, 'the input').endOfLines);
  }

  async ended(): Promise<void> {
    await this.#input?.over;
  }

  async snapshot(topic: string): Promise<void> {
    throw new TidemarkError(
      'SNAPSHOT_FAILED',
      `source ${this.name} takes each line once; there is no table to read again`,
      {
        hint: 'Give the source another name to take the file from its beginning; `rebuild` makes a sink anew from the log.',
        place: { source: this.name, table: topic },
      },
    );
  }

  #position(): number {
    return parseOffset(this.#options.log.frontier(this.name).position ?? '0');
  }

  /**
   * Makes the tables known to the log, so that queries over one without a row can be understood, and says that they are whole: what
   * has been taken of the input is all there is of them.
   */
  async #declare(writer: LogWriter): Promise<LineTaker> {
    const { log, tables, clock } = this.#options;
    const packers = tables.map((declared) => {
      const table = logTable(this.name, declared, log);
      return new RowPacker(table, declared.columns, writer.schemaId(table));
    });
    const state = log.state(this.name);
    const fresh = this.#topics.filter((topic) => !state.has(`consistent:${topic}`));
    const consistent = JSON.stringify({ seq: writer.last.seq });
    // Written also when there is nothing to say: what it is written with makes the tables' versions durable.
    writer.mark({
      position: String(this.#position()),
      timeMs: clock.now(),
      state: Object.fromEntries(fresh.map((topic) => [`consistent:${topic}`, consistent])),
    });
    await writer.durable();
    return new LineTaker(packers);
  }
}
