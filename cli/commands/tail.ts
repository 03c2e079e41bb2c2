import type { Config } from '../../config/config.ts';
import type { TidemarkError } from '../../base/errors.ts';
import { parseTopicStart, topicEvents } from '../../service/topic-events.ts';
import { resolveTopic } from '../../service/topic-name.ts';
import { eventOrigin } from '../../service/event-origin.ts';
import type { CommandContext, CommonOptions } from '../context.ts';
import { connectService, isServed, readConfig } from '../deployment.ts';
import { withLog } from '../open-log.ts';
import { usageError } from '../usage.ts';

interface TailOptions extends CommonOptions {
  readonly from: string;
  readonly count?: number;
  readonly follow?: boolean;
}

export async function tailCommand(topic: string, given: TailOptions, context: CommandContext): Promise<void> {
  // What comes from now on can only be waited for.
  const options = given.from === 'now' ? { ...given, follow: true } : given;
  const config = await readConfig(options, context);
  if (options.count === 0) return;
  const isRunning = await isServed(config, context);
  if (!isRunning && options.follow === true) throw nothingToFollow();
  const print = printer(options.count, context);
  if (isRunning) await tailService(topic, options, config, context, print);
  else await tailLog(topic, options, config, context, print);
}

/** Prints one event; false when that was the last one wanted. */
type Print = (json: string) => Promise<boolean>;

function printer(count: number | undefined, context: CommandContext): Print {
  let left = count ?? Number.POSITIVE_INFINITY;
  return async (json) => {
    if (left <= 0) return false;
    left--;
    const isFull = !context.stdout.write(`${json}\n`);
    if (isFull) await drained(context);
    return left > 0 && !context.signal.aborted;
  };
}

async function tailService(
  topic: string,
  options: TailOptions,
  config: Config,
  context: CommandContext,
  print: Print,
): Promise<void> {
  const client = await connectService(config, context);
  const follow = options.follow === true ? 'true' : 'false';
  const events = client.events(`/api/v1/topics/${encodeURIComponent(topic)}/events`, { from: options.from, follow });
  for await (const json of events) if (!(await print(json))) return;
}

async function tailLog(
  name: string,
  options: TailOptions,
  config: Config,
  context: CommandContext,
  print: Print,
): Promise<void> {
  const done = await withLog(config, context, 'tail', async (log) => {
    const topics = await log.topics();
    const topic = resolveTopic(
      topics.map((info) => info.topic),
      name,
    );
    const stream = topics.find((info) => info.topic === topic)?.stream ?? '';
    const events = topicEvents({
      log,
      stream,
      topic,
      start: parseTopicStart(options.from),
      follow: false,
      origin: eventOrigin(stream, config),
      now: () => context.clock.now(),
      signal: context.signal,
    });
    for await (const piece of events) {
      for (const { json } of piece) if (json !== null && !(await print(json))) return true;
    }
    return true;
  });
  if (done === null) resolveTopic([], name);
}

/** Resolves when there is room again, or when nobody reads any more. */
async function drained({ stdout, signal }: CommandContext): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    stdout.once('drain', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function nothingToFollow(): TidemarkError {
  return usageError(
    'no service is running that could add events to follow',
    'Start it with `tidemark run`, or leave --follow out.',
  );
}
