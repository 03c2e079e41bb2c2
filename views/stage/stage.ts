import { present } from '../../base/assert.ts';
import { TidemarkError } from '../../base/errors.ts';
import { ByteWriter } from '../../model/json-writer.ts';
import { rowJsonEncoder } from '../../model/json.ts';
import type { LogWriter } from '../../model/log.ts';
import { ChangeWriter } from '../../model/change.ts';
import type { Engine } from '../engine.ts';
import { RowError } from '../expressions/expression.ts';
import { compileInput } from '../expressions/input.ts';
import { viewsStream } from '../port.ts';
import type { LookupAnswer, Stage, StageOptions, ViewStatus } from '../port.ts';
import { typeName } from '../type.ts';
import type { SqlType } from '../type.ts';
import type { Value } from '../value.ts';
import type { PublishedView } from './old-results.ts';
import { Session } from './session.ts';
import { RowEncoder } from './view-topic.ts';

/** The stage over a deployment's views; see `Stage`. Nothing is opened before `run`. */
export function createStage(options: StageOptions): Stage {
  return new ViewStage(options);
}

class ViewStage implements Stage {
  readonly #options: StageOptions;
  readonly #listeners = new Set<() => void>();
  #session: Session | null = null;

  constructor(options: StageOptions) {
    this.#options = options;
  }

  /** The running engine, for `explain`. */
  get engine(): Engine | null {
    return this.#session?.stepper.engine ?? null;
  }

  async run(signal: AbortSignal): Promise<void> {
    const writer = await this.#options.log.writer(viewsStream);
    try {
      let isDone = await this.#work(writer, signal, false);
      while (!isDone && !signal.aborted) isDone = await this.#work(writer, signal, true);
    } catch (error) {
      // What was committed stays; the writer's own failure is no news beside the error.
      await writer.close().catch(() => undefined);
      throw error;
    }
    await writer.close();
  }

  /** Works with one state, a new one if so wanted; false when it is of no use any more and must be made anew. */
  async #work(writer: LogWriter, signal: AbortSignal, isFresh: boolean): Promise<boolean> {
    const session = await Session.open(this.#options, writer, isFresh, () => this.#progressed());
    this.#session = session;
    try {
      return await session.run(signal);
    } finally {
      this.#session = null;
      writer.abort();
      await session.close();
    }
  }

  status(): ViewStatus[] {
    const session = this.#session;
    if (session !== null) return session.status();
    return this.#options.views.map(({ name }) => ({
      name,
      step: 0,
      rows: 0,
      stateBytes: 0,
      lagSeconds: 0,
      deadLetters: 0,
      consistent: false,
      error: null,
    }));
  }

  lookup(view: string, key: readonly string[]): LookupAnswer {
    const session = this.#session;
    const found = session === null ? null : published(view, session);
    if (session === null || found === null) {
      throw new TidemarkError('VIEW_FAILED', `view '${view}' has no published result yet`, {
        hint: 'It is being made from the log; `tidemark status` shows how far it is.',
      });
    }
    const { table, types } = found;
    const result = found.lookup(keyRow(view, found, key));
    if (result === null) return { seq: session.step, row: null };
    const packed = new ChangeWriter(1024);
    new RowEncoder(types, table, 0).writeRow(result, packed);
    const json = new ByteWriter(1024);
    rowJsonEncoder(table, { poison: 'text', singleLine: true }).write(packed.buffer, 0, json);
    return { seq: session.step, row: json.buffer.toString('utf8', 0, json.at) };
  }

  onProgress(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #progressed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** What the view's topic holds: its result, or while that is made anew the one before; null when there is none yet. VIEW_KEY. */
function published(view: string, session: Session): PublishedView | null {
  if (!session.isConsistent(view)) return session.old?.view(view) ?? null;
  const violation = session.stepper.violationOf(view);
  if (violation !== null) {
    throw new TidemarkError('VIEW_KEY', violation, {
      hint: "What was published last is in the view's topic and sinks; make the rows differ at their source.",
      place: { view },
    });
  }
  const found = session.stepper.views.find(({ name }) => name === view);
  if (found === undefined) return null;
  const { output, table } = found;
  return { table, types: output.view.columns.map(({ type }) => type), lookup: (row) => output.lookup(row) };
}

/** A row of NULLs but for the key. REQUEST_INVALID for a key that is none of the view's. */
function keyRow(view: string, { table, types }: PublishedView, key: readonly string[]): Value[] {
  const { columns } = table;
  if (table.key.length === 0 || table.key.length !== key.length) {
    const names = table.key.map((at) => columns[at]?.name).join(', ');
    throw new TidemarkError('REQUEST_INVALID', `view '${view}' is not looked up by ${key.length} values`, {
      hint: names === '' ? 'It has no key: declare one.' : `Its key is (${names}).`,
    });
  }
  const row: Value[] = columns.map(() => null);
  for (const [index, at] of table.key.entries()) {
    row[at] = inputOf(present(types[at], 'a key column'))(key[index] ?? '', columns[at]?.name ?? '');
  }
  return row;
}

const inputs = new Map<string, (text: string, column: string) => Value>();

/** What reads the text of a key column, compiled once for each type. */
function inputOf(type: SqlType): (text: string, column: string) => Value {
  const name = typeName(type);
  let input = inputs.get(name);
  if (input === undefined) {
    const read = compileInput(type, undefined);
    input = (text, column) => {
      try {
        return read(text);
      } catch (error) {
        if (!(error instanceof RowError)) throw error;
        throw new TidemarkError('REQUEST_INVALID', `'${text}' is not a ${name}, as ${column} is`);
      }
    };
    inputs.set(name, input);
  }
  return input;
}
