import { isSameJson } from '../model/exact-json.ts';
import type { DeadLetter } from '../sinks/dead-letters.ts';
import type { Pipeline } from './pipeline.ts';

/** Which dead letters: all, those of one sink, or those of one row, by its key as JSON. */
export interface LetterChoice {
  readonly sink?: string | undefined;
  readonly key?: string | undefined;
}

/** So many are listed at most; the count is of all. */
export const listedMax = 1_000;

/** Dead letters in the order in which they came, sink by sink; SINK_UNKNOWN. */
export async function chosenLetters(pipeline: Pipeline, choice: LetterChoice): Promise<readonly DeadLetter[]> {
  const { sink, key } = choice;
  const found: DeadLetter[] = [];
  for (const name of sinkNames(pipeline, sink)) {
    for (const letter of await pipeline.sinkGroup(name).deadLetters(name)) {
      if (key === undefined || isSameJson(letter.key, key)) found.push(letter);
    }
  }
  return found;
}

/** The letters as the API shows them: `{"dead_letters":[…],"count"}`. Keys are JSON already, with digits that a parser would lose. */
export function lettersJson(letters: readonly DeadLetter[]): string {
  const shown = letters.slice(0, listedMax).map(({ sink, topic, key, seq, reason, atMs }) => {
    const rest = JSON.stringify({ seq, reason, at: new Date(atMs).toISOString() }).slice(1);
    return `{"sink":${JSON.stringify(sink)},"topic":${JSON.stringify(topic)},"key":${key},${rest}`;
  });
  return `{"dead_letters":[${shown.join(',')}],"count":${letters.length}}`;
}

export interface RetryAnswer {
  /** Letters that were tried. */
  readonly retried: number;
  /** Those of them that were refused again. */
  readonly left: number;
}

/** Applies the newest rows of dead letters again, as the log has them. SINK_UNKNOWN, SINK_PAUSED, or what the sink fails with. */
export async function retryLetters(pipeline: Pipeline, choice: LetterChoice): Promise<RetryAnswer> {
  const chosen = await chosenLetters(pipeline, choice);
  for (const [sink, names] of rowsBySink(chosen)) await pipeline.sinkGroup(sink).retry(sink, new Set(names));
  const tried = new Set(chosen.map(({ sink, row }) => `${sink} ${row}`));
  const left = (await chosenLetters(pipeline, choice)).filter(({ sink, row }) => tried.has(`${sink} ${row}`));
  return { retried: chosen.length, left: left.length };
}

export interface SkipAnswer {
  readonly skipped: number;
}

/** Lets dead letters go. The sinks keep what they hold of their rows. SINK_UNKNOWN. */
export async function skipLetters(pipeline: Pipeline, choice: LetterChoice): Promise<SkipAnswer> {
  const chosen = await chosenLetters(pipeline, choice);
  for (const [sink, names] of rowsBySink(chosen)) await pipeline.sinkGroup(sink).skip(sink, names);
  return { skipped: chosen.length };
}

function sinkNames(pipeline: Pipeline, only: string | undefined): string[] {
  if (only === undefined) return pipeline.sinkGroups.flatMap((unit) => unit.sinks.map(({ name }) => name));
  pipeline.sinkGroup(only);
  return [only];
}

function rowsBySink(letters: readonly DeadLetter[]): Map<string, string[]> {
  const rows = new Map<string, string[]>();
  for (const { sink, row } of letters) {
    const of = rows.get(sink) ?? [];
    rows.set(sink, of);
    of.push(row);
  }
  return rows;
}
