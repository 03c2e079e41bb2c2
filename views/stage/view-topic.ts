import { ChangeWriter, flagAfter, flagBefore, opCreate, opDelete, opUpdate } from '../../model/change.ts';
import type { Op } from '../../model/change.ts';
import { keyEncodingOf, keySizeMax, writeKeyNull, writeKeyPart } from '../../model/key.ts';
import type { KeyEncoding } from '../../model/key.ts';
import type { Log, LogWriter } from '../../model/log.ts';
import { writeLength, writeNull } from '../../model/row.ts';
import { sameShape } from '../../model/table.ts';
import type { Column, Table } from '../../model/table.ts';
import { textOf } from '../expressions/text.ts';
import { keysOf } from '../plan/keys.ts';
import type { BoundView } from '../plan/plan.ts';
import { viewTopic, viewsStream } from '../port.ts';
import { dataTypeOf, typeName } from '../type.ts';
import type { SqlType } from '../type.ts';
import type { Row, Value } from '../value.ts';

/**
 * The table of a view's topic, under source `views`, with no schema. Its key is the declared one, else one that follows from the
 * plan; a view without either has a topic without a key. A column that an earlier version had under the same name and type keeps
 * its identity.
 */
export function viewTable(view: BoundView, log: Log): Table {
  const topic = viewTopic(view.name);
  const versions = versionsOf(topic, log);
  let nextId = Math.max(0, ...versions.flatMap(({ columns }) => columns.map(({ id }) => id))) + 1;
  const columns = view.columns.map(({ name, type }): Column => {
    const column = { name, type: dataTypeOf(type), declared: typeName(type), nullable: true };
    const known = versions
      .flatMap((version) => version.columns)
      .findLast(
        (other) => other.name === name && JSON.stringify({ ...other, id: 0 }) === JSON.stringify({ id: 0, ...column }),
      );
    return { id: known?.id ?? nextId++, ...column };
  });
  const table: Table = {
    source: viewsStream,
    schema: '',
    name: view.name,
    topic,
    kind: 'table',
    columns,
    key: keyOf(view),
  };
  return versions.find((version) => sameShape(version, table)) ?? table;
}

/** Positions of the columns that identify a row of the view's result; empty when there are none. */
function keyOf(view: BoundView): readonly number[] {
  if (view.key.length > 0) return view.key;
  for (const key of keysOf(view.plan)) {
    const positions = key.map((id) => view.columns.findIndex((column) => column.id === id));
    if (positions.length > 0 && positions.every((position) => position >= 0)) return positions;
  }
  return [];
}

function versionsOf(topic: string, log: Log): Table[] {
  const versions: Table[] = [];
  for (let id = 1, table = log.table(1); table !== undefined; table = log.table(++id)) {
    if (table.topic === topic) versions.push(table);
  }
  return versions;
}

const batchBytes = 256 * 1024;

/** Writes rows of one view as change records. */
export class RowEncoder {
  readonly #types: readonly SqlType[];
  readonly #key: readonly number[];
  readonly #encodings: readonly KeyEncoding[];
  readonly schemaId: number;
  #scratch: Buffer = Buffer.allocUnsafe(1024);

  /** `types`: of the view's columns. */
  constructor(types: readonly SqlType[], table: Table, schemaId: number) {
    this.#types = types;
    this.#key = table.key;
    this.#encodings = table.columns.map(({ type }) => keyEncodingOf(type));
    this.schemaId = schemaId;
  }

  /** Adds what became of one row: it came, changed, or went. */
  change(before: Row | null, after: Row | null, into: ChangeWriter): void {
    const op: Op = before === null ? opCreate : after === null ? opDelete : opUpdate;
    into.begin(op, (before === null ? 0 : flagBefore) | (after === null ? 0 : flagAfter), this.schemaId);
    this.writeKey(after ?? before ?? [], into);
    into.endKey();
    if (before !== null) {
      this.writeRow(before, into);
      into.endBefore();
    }
    if (after !== null) this.writeRow(after, into);
    into.end();
  }

  writeKey(row: Row, into: ChangeWriter): void {
    for (const position of this.#key) {
      const value = row[position] ?? null;
      if (value === null) {
        into.reserve(1);
        into.at = writeKeyNull(into.buffer, into.at);
        continue;
      }
      const text = this.#text(value, position);
      if (this.#scratch.length < text.length * 3) this.#scratch = Buffer.allocUnsafe(text.length * 3);
      const length = this.#scratch.write(text, 0, 'utf8');
      into.reserve(keySizeMax(length));
      const encoding = this.#encodings[position] ?? 'text';
      into.at = writeKeyPart(encoding, this.#scratch, 0, length, into.buffer, into.at);
    }
  }

  writeRow(row: Row, into: ChangeWriter): void {
    for (let index = 0; index < row.length; index++) {
      const value = row[index] as Value;
      if (value === null) {
        into.reserve(1);
        into.at = writeNull(into.buffer, into.at);
        continue;
      }
      const text = this.#text(value, index);
      const length = Buffer.byteLength(text);
      into.reserve(5 + length);
      into.at = writeLength(into.buffer, into.at, length);
      into.at += into.buffer.write(text, into.at, 'utf8');
    }
  }

  #text(value: Value, position: number): string {
    if (typeof value === 'string') return value;
    const type = this.#types[position];
    return type === undefined ? String(value) : textOf(value, type);
  }
}

/** Change records on their way to the log: handed over as they become many, so that a step's results are never in memory twice. */
export class LogChanges extends ChangeWriter {
  /** Changes handed to the open transaction. */
  total = 0;
  readonly #log: LogWriter;

  constructor(log: LogWriter) {
    super(batchBytes + 64 * 1024);
    this.#log = log;
  }

  override end(): void {
    super.end();
    if (this.size > batchBytes) this.flush();
  }

  get any(): boolean {
    return this.total > 0;
  }

  /** The transaction has been committed: another may begin. */
  committed(): void {
    this.total = 0;
  }

  flush(): void {
    if (this.count === 0) return;
    this.#log.append(this.batch());
    this.total += this.count;
    this.reset();
  }
}
