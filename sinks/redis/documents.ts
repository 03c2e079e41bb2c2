import { ChangeCursor } from '../../model/change.ts';
import { ByteWriter } from '../../model/json-writer.ts';
import type { ChangeSet } from '../change-set.ts';
import type { SinkDocument } from '../port.ts';
import type { RedisConnection } from './connection.ts';
import { keysOf } from './keys-of-sink.ts';
import type { SinkEntry } from './sink-entry.ts';

/** Rows as verify compares them: of JSON the text itself, of a hash its fields and values in the fields' order. */

/** Rows that are asked for at first, and how large replies should be: rows may be of any size. */
const firstRows = 100;
const replyBytes = 1024 * 1024;

/** What the database holds under the sink's keys. */
export async function* documentsOf(
  connection: RedisConnection,
  entry: SinkEntry,
): AsyncGenerator<readonly SinkDocument[]> {
  if (entry.shape === null) return;
  const isJson = entry.options.format === 'json';
  let step = firstRows;
  for await (const keys of keysOf(connection, entry.form)) {
    for (let from = 0; from < keys.length;) {
      const some = keys.slice(from, from + step);
      from += some.length;
      const found = isJson ? await strings(connection, some) : await hashes(connection, some);
      yield found;
      const bytes = found.reduce((sum, { text }) => sum + text.length, 1);
      step = Math.max(1, Math.min(2 * some.length, Math.floor((some.length * replyBytes) / bytes)));
    }
  }
}

async function strings(connection: RedisConnection, keys: readonly string[]): Promise<SinkDocument[]> {
  const values = (await connection.call('MGET', ...keys)) as (string | null)[];
  const found: SinkDocument[] = [];
  const others: string[] = [];
  for (const [index, key] of keys.entries()) {
    const text = values[index];
    if (typeof text === 'string') found.push({ key, text });
    else others.push(key);
  }
  return others.length === 0 ? found : [...found, ...(await ofOtherTypes(connection, others))];
}

async function hashes(connection: RedisConnection, keys: readonly string[]): Promise<SinkDocument[]> {
  const replies = await connection.pipeline(keys.map((key) => ['HGETALL', key]));
  const found: SinkDocument[] = [];
  const others: string[] = [];
  for (const [index, key] of keys.entries()) {
    const fields = replies[index];
    if (Array.isArray(fields) && fields.length > 0) found.push({ key, text: hashText(pairs(fields as string[])) });
    else others.push(key);
  }
  return others.length === 0 ? found : [...found, ...(await ofOtherTypes(connection, others))];
}

/** Keys that are gone or expired by now, or that somebody has put something else under. */
async function ofOtherTypes(connection: RedisConnection, keys: readonly string[]): Promise<SinkDocument[]> {
  const types = await connection.pipeline(keys.map((key) => ['TYPE', key]));
  return keys.flatMap((key, index) => {
    const type = String(types[index]);
    return type === 'none' ? [] : [{ key, text: `(${type})` }];
  });
}

const record = new ChangeCursor();
const output = new ByteWriter(1024);

/** What `documentsOf` gives for the upserts [from, to) when they are written. VALUE_INVALID for a row that cannot be. */
export function documentsExpected(entry: SinkEntry, changes: ChangeSet, from: number, to: number): SinkDocument[] {
  const names = entry.shape?.columns.map(({ name }) => name) ?? [];
  const found: SinkDocument[] = [];
  for (let index = from; index < to; index++) {
    changes.locate(index, record);
    if (!record.hasAfter) continue;
    const { bytes, afterStart } = record;
    const packer = entry.packer(record.schemaId);
    packer.locate(bytes, afterStart);
    const key = written((into) => {
      packer.writeKey(bytes, into);
    });
    const text =
      entry.options.format === 'json'
        ? written((into) => {
            packer.writeJson(bytes, into);
          })
        : hashText(packer.fieldTexts(bytes, names));
    found.push({ key, text });
  }
  return found;
}

function written(write: (into: ByteWriter) => void): string {
  output.reset();
  write(output);
  return output.buffer.toString('utf8', 0, output.at);
}

function pairs(fields: readonly string[]): [string, string][] {
  return Array.from({ length: fields.length / 2 }, (_, index) => [
    fields[2 * index] ?? '',
    fields[2 * index + 1] ?? '',
  ]);
}

function hashText(fields: readonly (readonly [string, string])[]): string {
  return JSON.stringify(fields.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
