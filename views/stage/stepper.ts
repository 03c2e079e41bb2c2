import { present } from '../../base/assert.ts';
import type { TidemarkError } from '../../base/errors.ts';
import { ChangeCursor } from '../../model/change.ts';
import type { LogWriter, Piece } from '../../model/log.ts';
import type { Table } from '../../model/table.ts';
import { Delta } from '../delta.ts';
import type { Engine, Rejection } from '../engine.ts';
import type { RowError } from '../expressions/expression.ts';
import type { KeyViolation } from '../operators/output.ts';
import { buildEngine } from '../plan/lower.ts';
import type { StageOptions } from '../port.ts';
import type { Records, StateStore } from '../state/port.ts';
import { InputTable } from './input-table.ts';
import { PublishedRows } from './published.ts';
import { ViewOutput } from './view-output.ts';
import { LogChanges, RowEncoder, viewTable } from './view-topic.ts';

/** One view with what publishes it. */
export interface SteppedView {
  readonly name: string;
  readonly table: Table;
  readonly output: ViewOutput;
  readonly encoder: RowEncoder;
  readonly published: PublishedRows;
  /** Before the transaction that is being taken, two rows had the same key: the view's topic stays as it was. */
  wasHeld: boolean;
}

const shownKeyMax = 200;

/** The engine between change records of sources and change records of views. */
export class Stepper {
  readonly engine: Engine;
  readonly views: readonly SteppedView[];
  readonly changes: LogChanges;
  /** By topic. */
  readonly inputs: ReadonlyMap<string, InputTable>;
  readonly #options: StageOptions;
  readonly #record = new ChangeCursor();
  readonly #inputOfSchema: (InputTable | null | undefined)[] = [];
  /** By view: rows that cannot be evaluated; violations of the key, with what the newest one says. */
  readonly #deadLetters: Records;
  readonly #violations: Records;
  readonly #errors = new Map<string, TidemarkError>();

  constructor(options: StageOptions, store: StateStore, writer: LogWriter) {
    this.#options = options;
    const { views, relations, log } = options;
    this.engine = buildEngine(views, store);
    this.#deadLetters = store.records('dead-letters');
    this.#violations = store.records('violations');
    const inputs = this.engine.inputs.map((input) => {
      const table = present(relations.get(input.relation), `the table of ${input.relation}`);
      const reject = this.#rejectInput.bind(this);
      return [input.relation, new InputTable(input, table, store, log, reject, new Delta())] as const;
    });
    this.inputs = new Map(inputs);
    this.changes = new LogChanges(writer);
    this.views = views.map((view) => {
      const table = viewTable(view, log);
      const types = view.columns.map(({ type }) => type);
      const encoder = new RowEncoder(types, table, writer.schemaId(table));
      const output = new ViewOutput(view, table, store);
      const published = new PublishedRows(output, encoder, store);
      return { name: view.name, table, output, encoder, published, wasHeld: this.isHeld(view.name) };
    });
  }

  /** Puts the pieces' records aside for the first build. */
  spool(pieces: readonly Piece[]): void {
    const record = this.#record;
    for (const { changes } of pieces) {
      record.reset(changes.bytes);
      while (record.next()) this.#inputFor(record.schemaId)?.spool(record);
    }
  }

  /**
   * Takes the pieces as one step. `gather`: as a part of one, whose results are published at its end. `publish`: results go to
   * `changes`, unless they are gathered.
   */
  take(pieces: readonly Piece[], gather: boolean, publish: boolean): void {
    const record = this.#record;
    for (const { changes } of pieces) {
      record.reset(changes.bytes);
      while (record.next()) this.#inputFor(record.schemaId)?.take(record);
    }
    this.#step(gather, publish);
  }

  /** Two rows of the view have one key. */
  isHeld(view: string): boolean {
    return ((this.#violations.get(view)?.[0] as number | undefined) ?? 0) > 0;
  }

  /** What the newest violation of the view's key says; null when there is none. */
  violationOf(view: string): string | null {
    return this.isHeld(view) ? String(this.#violations.get(view)?.[1]) : null;
  }

  deadLettersOf(view: string): number {
    return (this.#deadLetters.get(view)?.[0] as number | undefined) ?? 0;
  }

  #inputFor(schemaId: number): InputTable | null {
    let input = this.#inputOfSchema[schemaId];
    if (input === undefined) {
      const topic = this.#options.log.table(schemaId)?.topic;
      input = (topic === undefined ? undefined : this.inputs.get(topic)) ?? null;
      this.#inputOfSchema[schemaId] = input;
    }
    return input;
  }

  #step(gather: boolean, publish: boolean): void {
    const deltas = new Map<string, Delta>();
    for (const input of this.inputs.values()) {
      if (input.delta.length === 0) continue;
      deltas.set(input.relation, input.delta);
      input.delta = new Delta();
    }
    const changed = this.engine.step(deltas);
    this.#noteViolations(this.engine.violations);
    this.noteRejections(this.engine.rejections);
    for (const { name, output, encoder, wasHeld } of this.views) {
      const delta = changed.get(name);
      if (delta === undefined) continue;
      const into = publish && !gather && !wasHeld && !this.isHeld(name) ? this.changes : null;
      output.take(delta, gather, encoder, into);
    }
  }

  /** Counts rows that were left out, or are not any more. */
  noteRejections(rejections: readonly Rejection[]): void {
    for (const { views, row, weight, error } of rejections) {
      const shown = JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
      this.#countRejection(views, weight, shown, error.message);
    }
  }

  /** Takes what the outputs have found while views are built. */
  noteViolations(): void {
    for (const { operator } of this.engine.outputs) this.#noteViolations(operator.takeViolations());
  }

  #noteViolations(violations: readonly KeyViolation[]): void {
    for (const { view, weight, error } of violations) {
      const count = ((this.#violations.get(view)?.[0] as number | undefined) ?? 0) + weight;
      const message = weight > 0 ? error.message : String(this.#violations.get(view)?.[1] ?? '');
      if (count > 0) this.#violations.set(view, [count, message]);
      else this.#violations.delete(view);
      if (weight > 0 && !this.#errors.has(view)) this.#options.report({ type: 'view.failed', view, error });
      if (count > 0) this.#errors.set(view, error);
      else this.#errors.delete(view);
    }
  }

  #rejectInput(relation: string, key: string, weight: 1 | -1, error: RowError | null): void {
    const node = this.engine.nodes.find(({ kind, detail }) => kind === 'input' && detail === relation);
    this.#countRejection([...(node?.views ?? [])], weight, `${relation}: ${JSON.stringify(key)}`, error?.message ?? '');
  }

  #countRejection(views: readonly string[], weight: number, row: string, reason: string): void {
    for (const view of views) {
      const count = this.deadLettersOf(view) + weight;
      if (count > 0) this.#deadLetters.set(view, [count]);
      else this.#deadLetters.delete(view);
      if (weight > 0) this.#options.report({ type: 'view.dead_letter', view, row: row.slice(0, shownKeyMax), reason });
    }
  }
}
