import { keyColumns, rowJsonEncoder } from '../../model/json.ts';
import { ChangeCursor } from '../../model/change.ts';
import { fieldPositions, readFields } from '../../model/row.ts';
import type { FieldPositions } from '../../model/row.ts';
import type { Log } from '../../model/log.ts';
import type { Table } from '../../model/table.ts';
import { columnSources } from '../../sinks/shape.ts';
import { present } from '../../base/assert.ts';
import type { ChangeSet } from '../../sinks/change-set.ts';
import type { SinkDocument } from '../../sinks/port.ts';
import type { Pipeline } from '../pipeline.ts';
import { newestTables } from '../view-catalog.ts';
import { Tally } from './answer.ts';
import type { TableAnswer } from './answer.ts';
import { Comparison } from './compare.ts';
import type { ComparisonProgress } from './compare.ts';
import { Documents } from './documents.ts';
import { rowsOf, sourceSides } from './sides.ts';
import type { Compared } from './sides.ts';
import { topicsOfView } from './view-query.ts';

/** Compares the tables of a view, through other views too, with what the log holds of them; those whose source cannot be read again are left out. */
export async function compareTables(
  pipeline: Pipeline,
  view: string,
  signal: AbortSignal,
  onProgress: (table: string, progress: ComparisonProgress) => void,
): Promise<TableAnswer[]> {
  const answers: TableAnswer[] = [];
  for (const topic of await topicsOfView(pipeline, view)) {
    const source = pipeline.sourceOfTopic(topic);
    const reader = source.reader();
    if (reader === null) continue;
    const compared = loggedTopic(pipeline.log, source.name, topic, signal);
    const sides = sourceSides(compared, {
      ready: async (aborted) => reader.settled(aborted),
      read: async (take, aborted) => reader.readTable(topic, take, aborted),
      reached: async (position, aborted) => {
        while (!source.order.covers(pipeline.log.frontier(source.name).position ?? '0/0', position)) {
          await source.currentPosition();
          await pipeline.clock.sleep(20, aborted);
        }
      },
    });
    const comparison = new Comparison(sides, signal, (progress) => onProgress(`table ${topic}`, progress));
    const tally = new Tally();
    for await (const found of comparison.differences()) tally.add(found);
    answers.push({ table: topic, rows: comparison.rows, ...tally.counts });
  }
  return answers;
}

/** A topic of the log as a target that holds the rows as they are. */
function loggedTopic(log: Log, stream: string, topic: string, signal: AbortSignal): Compared {
  const table = present(newestTables(log, [stream]).get(topic), `table ${topic}`);
  const rows = new PlainRows(log, table);
  const documents = new Documents(log, topic, (changes, from, to) => rows.documents(changes, from, to));
  return {
    log,
    stream,
    documents,
    isKeyless: table.key.length === 0,
    scan: async function* () {
      for await (const batch of rowsOf(log, topic, log.frontier(stream).seq, signal)) yield documents.ofRows(batch);
    },
  };
}

/** Rows as the text of their columns, whichever version of their table they were written by. */
class PlainRows {
  readonly #log: Log;
  readonly #table: Table;
  readonly #record = new ChangeCursor();
  readonly #readers = new Map<number, PlainReader>();

  constructor(log: Log, table: Table) {
    this.#log = log;
    this.#table = table;
  }

  documents(changes: ChangeSet, from: number, to: number): SinkDocument[] {
    const record = this.#record;
    const documents: SinkDocument[] = [];
    for (let index = from; index < to; index++) {
      changes.locate(index, record);
      let reader = this.#readers.get(record.schemaId);
      if (reader === undefined) {
        reader = new PlainReader(present(this.#log.table(record.schemaId), `table ${record.schemaId}`), this.#table);
        this.#readers.set(record.schemaId, reader);
      }
      documents.push(reader.document(record.bytes, record.afterStart));
    }
    return documents;
  }
}

class PlainReader {
  readonly #sources: Int32Array;
  readonly #fields: FieldPositions;
  readonly #columns: number;
  readonly #key: (bytes: Buffer, start: number) => string;

  constructor(written: Table, newest: Table) {
    this.#sources = columnSources(written, newest.columns);
    this.#columns = written.columns.length;
    this.#fields = fieldPositions(this.#columns);
    const columns = written.key.length > 0 ? { columns: keyColumns(written) } : {};
    const encoder = rowJsonEncoder(written, { ...columns, poison: 'text', singleLine: true });
    this.#key = (bytes, start) => encoder.stringify(bytes, start);
  }

  document(bytes: Buffer, start: number): SinkDocument {
    const { start: starts, end: ends } = this.#fields;
    readFields(bytes, start, this.#columns, this.#fields);
    let text = '';
    for (const source of this.#sources) {
      const end = source < 0 ? -1 : (ends[source] as number);
      const from = starts[source] ?? 0;
      text += end < 0 ? '~' : `${end - from}:${bytes.toString('latin1', from, end)}`;
    }
    return { key: this.#key(bytes, start), text };
  }
}
