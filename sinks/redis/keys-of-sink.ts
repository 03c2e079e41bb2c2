import type { RedisConnection } from './connection.ts';
import { keyFormOf, keyFormOfTemplate } from './key-form.ts';
import type { KeyForm } from './key-form.ts';
import type { RedisSession } from './session.ts';
import type { SinkEntry } from './sink-entry.ts';

/** Keys that the server looks at in one call. */
const scannedKeys = 1_000;

/**
 * The keys of the form that the database holds, in batches, while writes go on: each that is there from the beginning to the end at
 * least once, and, while the server makes its table larger or smaller, some of them again.
 */
export async function* keysOf(connection: RedisConnection, form: KeyForm): AsyncGenerator<string[]> {
  let cursor = '0';
  do {
    const reply = await connection.call('SCAN', cursor, 'MATCH', form.pattern, 'COUNT', scannedKeys);
    const [next, found] = reply as [string, string[]];
    const own = found.filter((key) => form.keys.test(key));
    if (own.length > 0) yield own;
    cursor = next;
  } while (cursor !== '0');
}

/** Some key of the forms, or null. */
export async function anyKeyOf(connection: RedisConnection, forms: readonly KeyForm[]): Promise<string | null> {
  for (const form of forms) {
    for await (const [key] of keysOf(connection, form)) if (key !== undefined) return key;
  }
  return null;
}

/** The keys that are the sink's, and those that were under the template of its record. */
export function formsOf(entry: SinkEntry): KeyForm[] {
  const { record, options } = entry;
  const shape = entry.newestShape(null);
  const current = shape === null ? keyFormOfTemplate(options.key) : keyFormOf(entry.name, options.key, shape);
  const old = record?.now.key ?? '';
  return old === '' || old === current.template ? [current] : [current, keyFormOfTemplate(old, shape)];
}

/** The keys that the sink has, in batches; not those that are of other sinks by now. */
async function* ownKeysOf(
  connection: RedisConnection,
  entry: SinkEntry,
  all: readonly SinkEntry[],
): AsyncGenerator<string[]> {
  const others = all.filter((other) => other !== entry);
  const foreign = others.map(({ options }) => keyFormOfTemplate(options.key).keys);
  for (const form of formsOf(entry)) {
    for await (const keys of keysOf(connection, form)) {
      yield keys.filter((key) => !foreign.some((other) => other.test(key)));
    }
  }
}

/** The keys that the sink has, or null when there are more than `max`. */
export async function fewKeysOf(
  connection: RedisConnection,
  entry: SinkEntry,
  all: readonly SinkEntry[],
  max: number,
): Promise<string[] | null> {
  const found = new Set<string>();
  for await (const keys of ownKeysOf(connection, entry, all)) {
    for (const key of keys) found.add(key);
    if (found.size > max) return null;
  }
  return [...found];
}

/** Deletes the keys of the sink that the rebuilt state, which is staged, does not have. Other sinks' keys stay. */
export async function sweepKeys(session: RedisSession, entry: SinkEntry, all: readonly SinkEntry[]): Promise<void> {
  for await (const keys of ownKeysOf(session.connection, entry, all)) await session.sweep(entry.name, keys);
}
