import { TidemarkError } from '../base/errors.ts';
import { LineCutter } from '../model/lines.ts';
import type { Line } from '../model/lines.ts';
import type { Delta } from '../views/delta.ts';
import { emptyDelta } from '../views/delta.ts';
import type { Engine } from '../views/engine.ts';
import { buildEngine } from '../views/plan/lower.ts';
import type { BoundView } from '../views/plan/plan.ts';
import { bindScript, loadSqlParser } from '../views/sql/bind.ts';
import { catalogOf } from '../views/sql/catalog.ts';
import { MemoryStore } from '../views/state/memory.ts';
import { PipeInput } from '../views/pipe/pipe-input.ts';
import { parsePipeTable, relationOf } from '../views/pipe/pipe-table.ts';
import type { PipeTable } from '../views/pipe/pipe-table.ts';
import { ResultWriter } from '../views/pipe/result-writer.ts';

/** Output is handed over in pieces of about this many characters. */
const outputChunk = 256 * 1024;

export interface PipeOptions {
  /** Each a CREATE TABLE body. */
  readonly tables: readonly string[];
  /** One SELECT, or several CREATE VIEW of which the last is printed. */
  readonly sql: string;
  readonly key: readonly string[];
  /** Lines that make one transaction, where no `{"commit": true}` ends it earlier. */
  readonly batch: number;
  readonly output: 'changes' | 'final';
}

export interface PipePorts {
  readonly input: AsyncIterable<Buffer>;
  write(text: string): Promise<void>;
  /** Told of each row that an expression failed on; the rest goes on. */
  reject(message: string): void;
  /** Ends the input early. */
  readonly signal: AbortSignal;
}

/**
 * Views over JSON lines, with no file and no server: reads lines from `input`, takes `batch` of them as one transaction, and prints the
 * changes of the result after each that changed it, or the rows at the end. Throws VALUE_INVALID with the line's number for a malformed
 * line, after printing everything before it.
 */
export async function runPipe(options: PipeOptions, ports: PipePorts): Promise<{ rejected: number }> {
  const tables = await Promise.all(options.tables.map(async (table) => parsePipeTable(table)));
  checkNames(tables);
  await loadSqlParser();
  const catalog = catalogOf(tables.map((table) => relationOf(table)));
  const views = bindScript({
    name: 'pipe',
    sql: options.sql,
    key: options.key,
    catalog,
    ordered: options.output === 'final',
  });
  const pipe = new Pipe(options, tables, views, ports);
  try {
    for await (const piece of ports.input) {
      pipe.feed(piece);
      if (pipe.writer.length >= outputChunk) await ports.write(pipe.writer.take());
      if (pipe.failure || ports.signal.aborted) break;
    }
  } catch (error) {
    if (!ports.signal.aborted) throw error;
  }
  pipe.end();
  await ports.write(pipe.writer.take());
  if (pipe.failure) throw pipe.failure;
  return { rejected: pipe.rejected };
}

class Pipe {
  readonly writer: ResultWriter;
  /** Rows that are missing from the result since an expression failed on them. */
  rejected = 0;
  failure: TidemarkError | null = null;
  readonly #engine: Engine;
  readonly #input: PipeInput;
  readonly #lines = new LineCutter();
  readonly #batch: number;
  readonly #isFinal: boolean;
  readonly #result: string;
  readonly #ports: PipePorts;
  readonly #take = (line: Line): void => this.#takeLine(line);
  #transaction = 0;
  #linesTaken = 0;

  constructor(options: PipeOptions, tables: readonly PipeTable[], views: readonly BoundView[], ports: PipePorts) {
    const result = views.at(-1);
    if (!result) throw new TidemarkError('USAGE', '--sql holds no query');
    this.#batch = options.batch;
    this.#isFinal = options.output === 'final';
    this.#result = result.name;
    this.#engine = buildEngine(views, new MemoryStore());
    this.#ports = ports;
    this.#input = new PipeInput(
      tables,
      new Map(this.#engine.inputs.map(({ relation, positions }) => [relation, positions])),
    );
    this.writer = new ResultWriter(result, { keepRows: this.#isFinal });
  }

  feed(piece: Buffer): void {
    this.#guarded(() => this.#lines.feed(piece, this.#take));
  }

  /** Ends the input, and the transaction that its last lines began. */
  end(): void {
    if (!this.failure) this.#guarded(() => this.#lines.end(this.#take));
    const isEmpty = this.#transaction === 0 && this.#linesTaken === 0 && this.#isFinal;
    this.#guarded(() => {
      if (this.#linesTaken > 0 || isEmpty) this.#commit();
    });
    if (this.#isFinal) this.writer.rows();
  }

  /** A line that is malformed ends the run, but not what came before it. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      this.failure ??=
        error.code === 'VALUE_INVALID'
          ? new TidemarkError('VALUE_INVALID', `line ${this.#lines.number}: ${error.message}`)
          : error;
    }
  }

  #takeLine(line: Line): void {
    const kind = this.#input.take(line);
    if (kind === 'row' && ++this.#linesTaken < this.#batch) return;
    this.#commit();
  }

  #commit(): void {
    this.#linesTaken = 0;
    this.#transaction++;
    const delta: Delta = this.#engine.step(this.#input.deltas()).get(this.#result) ?? emptyDelta;
    this.#tellProblems();
    if (delta.length === 0) return;
    if (this.#isFinal) this.writer.keep(delta);
    else this.writer.changes(delta, this.#transaction);
  }

  #tellProblems(): void {
    const { rejections, violations } = this.#engine;
    for (const { row, weight, error } of rejections) {
      this.rejected += weight;
      if (weight > 0) {
        const shown = JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
        this.#ports.reject(
          `line ${this.#lines.number}: ${error.message}, for ${shown.slice(0, 200)}; the row is left out`,
        );
      }
    }
    const violation = violations.find(({ weight }) => weight > 0);
    if (violation) throw violation.error;
  }
}

function checkNames(tables: readonly PipeTable[]): void {
  for (const [index, { name }] of tables.entries()) {
    if (tables.findIndex((table) => table.name === name) === index) continue;
    throw new TidemarkError('USAGE', `--table declares "${name}" twice`);
  }
}
