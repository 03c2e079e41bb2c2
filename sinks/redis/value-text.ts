import { isUtf8 } from 'node:buffer';
import { TidemarkError } from '../../base/errors.ts';
import type { DataType } from '../../model/data-type.ts';
import { writeTimestamp } from '../../model/json-scalar.ts';
import type { ByteWriter } from '../../model/json-writer.ts';
import { columnJsonEncoder } from '../../model/json.ts';
import type { ColumnJsonEncoder } from '../../model/json.ts';
import type { Table } from '../../model/table.ts';

const asIs = 0;
const asText = 1;
const asBool = 2;
const asTimestamp = 3;
const asJson = 4;

/**
 * Writes values of one column as text without quotes, as they stand in keys and in the fields of hashes: scalars with all their
 * digits, booleans as `true` and `false`, timestamps in ISO 8601, json as the source prints it, arrays and composites as JSON.
 */
export class ValueText {
  readonly #table: Table;
  readonly #column: number;
  readonly #form: number;
  readonly #encoder: ColumnJsonEncoder;

  constructor(table: Table, column: number) {
    this.#table = table;
    this.#column = column;
    this.#form = formOf(table.columns[column]?.type);
    this.#encoder = columnJsonEncoder(table, column);
  }

  /** Whether the text is the bytes of the value themselves. */
  get isPlain(): boolean {
    return this.#form === asIs || this.#form === asText;
  }

  /** Appends the text of a value that is not NULL. VALUE_INVALID when it has none. */
  write(from: Buffer, start: number, end: number, into: ByteWriter): void {
    switch (this.#form) {
      case asBool:
        into.raw(from[start] === 0x74 /* t */ ? textTrue : textFalse);
        return;
      case asTimestamp:
        writeUnquoted(from, start, end, into);
        return;
      case asJson:
        this.#encoder.write(from, start, end, into);
        return;
      case asText:
        if (!isUtf8(from.subarray(start, end))) throw this.#invalid();
        into.reserve(end - start);
        into.at += from.copy(into.buffer, into.at, start, end);
        return;
      default:
        into.reserve(end - start);
        for (let at = start; at < end; at++) into.buffer[into.at++] = from[at] as number;
    }
  }

  #invalid(): TidemarkError {
    const { name, declared } = this.#table.columns[this.#column] ?? { name: '', declared: '' };
    return new TidemarkError('VALUE_INVALID', `The value of column '${name}' (${declared}) is not valid UTF-8`, {
      hint: 'Correct the value in the source; the log holds its exact text.',
      place: { source: this.#table.source, table: this.#table.topic },
    });
  }
}

const textTrue = Buffer.from('true');
const textFalse = Buffer.from('false');

function formOf(type: DataType | undefined): number {
  if (type?.kind !== 'scalar') return asJson;
  switch (type.name) {
    case 'bool':
      return asBool;
    case 'timestamp':
    case 'timestamptz':
      return asTimestamp;
    case 'text':
    case 'json':
    case 'jsonb':
    case 'other':
      return asText;
    default:
      return asIs;
  }
}

/** The JSON of a timestamp has no escapes, so what is between its quotes is its text. */
function writeUnquoted(from: Buffer, start: number, end: number, into: ByteWriter): void {
  const begin = into.at;
  writeTimestamp(from, start, end, into);
  into.buffer.copyWithin(begin, begin + 1, into.at - 1);
  into.at -= 2;
}
