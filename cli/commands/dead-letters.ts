import type { Config } from '../../config/config.ts';
import { withNumbers, withQuotedNumbers } from '../../model/exact-json.ts';
import { chosenLetters, lettersJson, retryLetters, skipLetters } from '../../service/dead-letters.ts';
import type { LetterChoice, RetryAnswer, SkipAnswer } from '../../service/dead-letters.ts';
import { formatCount } from '../../telemetry/units.ts';
import type { CommandContext, CommonOptions } from '../context.ts';
import { connectService, readConfig } from '../deployment.ts';
import { checkSink, isServiceThere, withOwnSinks } from '../own-sinks.ts';
import { table } from '../table.ts';
import { usageError } from '../usage.ts';

interface DeadLettersOptions extends CommonOptions {
  readonly sink?: string;
  readonly key?: string;
  readonly retry?: boolean;
  readonly skip?: boolean;
}

/** Returns the exit code: 1 when letters were refused again. */
export async function deadLettersCommand(options: DeadLettersOptions, context: CommandContext): Promise<number> {
  const { sink, key, retry = false, skip = false } = options;
  if (retry && skip) throw usageError('dead-letters takes either --retry or --skip');
  if (key !== undefined) checkKey(key);
  const config = await readConfig(options, context);
  if (sink !== undefined) checkSink(sink, config);
  const choice = { ...(sink === undefined ? {} : { sink }), ...(key === undefined ? {} : { key }) };
  const isThere = await isServiceThere(config, context);
  const write = (answer: object, text: string): void =>
    void context.stdout.write(options.json === true ? `${JSON.stringify(answer)}\n` : `${text}\n`);
  if (retry) {
    const answer = await (isThere ? askRetry(choice, config, context) : retryHere(choice, config, context));
    const left = answer.left === 0 ? '' : `, ${formatCount(answer.left)} refused again`;
    write(answer, `${formatCount(answer.retried)} tried again${left}`);
    return answer.left === 0 ? 0 : 1;
  }
  if (skip) {
    const answer = await (isThere ? askSkip(choice, config, context) : skipHere(choice, config, context));
    write(answer, `${formatCount(answer.skipped)} let go`);
    return 0;
  }
  const text = await (isThere ? askList(choice, config, context) : listHere(choice, config, context));
  context.stdout.write(options.json === true ? `${text}\n` : describe(text));
  return 0;
}

function checkKey(key: string): void {
  try {
    JSON.parse(key);
  } catch {
    throw usageError('--key is no JSON', `Write the key as it is listed: --key '{"id":42}'`);
  }
}

async function askList(choice: LetterChoice, config: Config, context: CommandContext): Promise<string> {
  const client = await connectService(config, context);
  return client.getText('/api/v1/dead-letters', { sink: choice.sink, key: choice.key });
}

async function listHere(choice: LetterChoice, config: Config, context: CommandContext): Promise<string> {
  return withOwnSinks(config, context, { command: 'dead-letters' }, async (pipeline) =>
    context.secrets.clean(lettersJson(await chosenLetters(pipeline, choice))),
  );
}

async function askRetry(choice: LetterChoice, config: Config, context: CommandContext): Promise<RetryAnswer> {
  const client = await connectService(config, context);
  return (await client.post('/api/v1/dead-letters/retry', choice)) as RetryAnswer;
}

/** Each sink that has letters is delivered to while its own are tried. */
async function retryHere(choice: LetterChoice, config: Config, context: CommandContext): Promise<RetryAnswer> {
  const names = config.sinks
    .map(({ name }) => name)
    .filter((name) => choice.sink === undefined || name === choice.sink);
  let [retried, left] = [0, 0];
  for (const sink of names) {
    const own = { ...choice, sink };
    const none = await withOwnSinks(
      config,
      context,
      { command: 'dead-letters' },
      async (pipeline) => (await chosenLetters(pipeline, own)).length === 0,
    );
    if (none) continue;
    const options = { command: 'dead-letters', deliverTo: sink };
    const answer = await withOwnSinks(config, context, options, async (pipeline) => retryLetters(pipeline, own));
    retried += answer.retried;
    left += answer.left;
  }
  return { retried, left };
}

async function askSkip(choice: LetterChoice, config: Config, context: CommandContext): Promise<SkipAnswer> {
  const client = await connectService(config, context);
  return (await client.post('/api/v1/dead-letters/skip', choice)) as SkipAnswer;
}

async function skipHere(choice: LetterChoice, config: Config, context: CommandContext): Promise<SkipAnswer> {
  return withOwnSinks(config, context, { command: 'dead-letters' }, async (pipeline) => skipLetters(pipeline, choice));
}

interface Listed {
  readonly sink: string;
  readonly topic: string;
  readonly key: unknown;
  readonly seq: string;
  readonly reason: string;
  readonly at: string;
}

function describe(text: string): string {
  // Numbers in keys may have more digits than numbers here.
  const { dead_letters: letters } = JSON.parse(withQuotedNumbers(text)) as { dead_letters: readonly Listed[] };
  const { count } = JSON.parse(text) as { count: number };
  if (count === 0) return 'There are no dead letters.\n';
  const rows = letters.map(({ sink, key, seq, at, reason }) => [
    sink,
    withNumbers(JSON.stringify(key)),
    seq.replace('\0', ''),
    at,
    reason.replaceAll(/\s+/g, ' '),
  ]);
  const more = count > letters.length ? [`… and ${formatCount(count - letters.length)} more`] : [];
  return `${[...table(['sink', 'key', 'seq', 'since', 'reason'], rows), ...more].join('\n')}\n`;
}
