import { existsSync, readFileSync } from 'node:fs';
import { Difference } from './difference.ts';
import type { Replay, Row } from './replay.ts';
import { sourceName } from './schema.ts';

interface FeedLine {
  readonly op?: string;
  readonly doc?: Readonly<Record<string, string | number | null>> | null;
  readonly commit?: number;
}

/** Fails unless the feed of `journal` has every line of the database's, once, and every commit of the log that has one, once and in order. */
export function checkFeed(path: string, expected: readonly Row[], replay: Replay): number {
  if (!existsSync(path)) throw new Difference(`the feed ${path} does not exist`);
  const seen = new Set<string>();
  const commits: number[] = [];
  for (const text of readFileSync(path, 'utf8').trimEnd().split('\n')) {
    const line = JSON.parse(text) as FeedLine;
    if (line.commit !== undefined) {
      commits.push(line.commit);
      continue;
    }
    const key = `${line.doc?.['conn']}|${line.doc?.['n']}|${line.doc?.['what']}`;
    if (line.op !== 'upsert' || seen.has(key)) throw new Difference(`the feed has ${text} again, or at all`);
    seen.add(key);
  }
  const wanted = new Set(expected.map((row) => `${row.get('conn')}|${row.get('n')}|${row.get('what')}`));
  for (const key of wanted) if (!seen.has(key)) throw new Difference(`the feed lacks journal line ${key}`);
  for (const key of seen)
    if (!wanted.has(key)) throw new Difference(`the feed has journal line ${key}, the database has not`);
  checkCommits(commits, replay, `${sourceName}.public.journal`);
  return commits.length;
}

/** The first commit is the whole consistent start; from then on each of the log's that touches the topic must be there. */
export function checkCommits(commits: readonly number[], replay: Replay, topic: string): void {
  const start = commits[0] ?? 0;
  const oldest = replay.commits.at(replay.compacted.at(-1)?.before ?? 0)?.seq ?? 0;
  const logged = replay.commits
    .filter(({ seq, topics }) => seq > start && seq >= oldest && topics.has(topic))
    .map(({ seq }) => seq);
  const fed = commits.filter((seq) => seq > start && seq >= oldest);
  const at = fed.findIndex((seq, place) => seq !== logged[place]);
  if (at >= 0 || fed.length !== logged.length) {
    const place = at < 0 ? fed.length : at;
    throw new Difference(
      `the feed has commit ${fed[place]} where the log has ${logged[place]} (${fed.length} of ${logged.length} commits)`,
    );
  }
}
