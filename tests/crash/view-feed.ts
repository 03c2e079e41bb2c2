import { existsSync, readFileSync } from 'node:fs';
import type { Client } from 'pg';
import { viewTopic } from '../../views/port.ts';
import { Difference } from './difference.ts';
import { checkCommits } from './feed.ts';
import type { Replay } from './replay.ts';

interface FeedLine {
  readonly op?: 'upsert' | 'delete';
  readonly key?: unknown;
  readonly doc?: unknown;
  readonly commit?: number;
}

/**
 * Fails unless the feed of a view, folded, is the view's rows, with no line that changes nothing, and has every commit of the stream
 * that changes the view, once and in order. `rows` are the view's as JSON objects.
 */
export function checkViewFeed(path: string, view: string, rows: readonly string[], results: Replay): number {
  if (!existsSync(path)) throw new Difference(`the feed ${path} does not exist`);
  const held = new Map<string, string>();
  const commits: number[] = [];
  for (const text of readFileSync(path, 'utf8').trimEnd().split('\n')) {
    const line = JSON.parse(text) as FeedLine;
    if (line.commit !== undefined) {
      commits.push(line.commit);
      continue;
    }
    const key = JSON.stringify(line.key);
    const doc = line.op === 'upsert' ? JSON.stringify(line.doc) : undefined;
    if (held.get(key) === doc) throw new Difference(`the feed of ${view} has ${text}, which changes nothing`);
    if (doc === undefined) held.delete(key);
    else held.set(key, doc);
  }
  const expected = new Set(rows.map((row) => JSON.stringify(JSON.parse(row))));
  const found = new Set(held.values());
  for (const row of expected) if (!found.has(row)) throw new Difference(`the feed of ${view} lacks ${row}`);
  for (const row of found) if (!expected.has(row)) throw new Difference(`the feed of ${view} ends with ${row}`);
  checkCommits(commits, results, viewTopic(view));
  return commits.length;
}

/** Rows of a view of the connection, as JSON objects. */
export async function viewObjects(client: Client, view: string): Promise<string[]> {
  const { rows } = await client.query<{ row: string }>(`SELECT to_json(v)::text AS row FROM pg_temp.${view} v`);
  return rows.map(({ row }) => row);
}
