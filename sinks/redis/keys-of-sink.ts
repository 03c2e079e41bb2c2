import type { RedisConnection } from './connection.ts';
import type { KeyForm } from './key-form.ts';

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
