import { formatSeconds } from '../../telemetry/units.ts';
import { TidemarkError } from '../../base/errors.ts';
import type { Config } from '../../config/config.ts';
import { parseDuration } from '../../config/duration.ts';
import { lsnOrder, offsetOrder } from '../../model/position.ts';
import type { PositionOrder } from '../../model/position.ts';
import type { WaitAnswer } from '../../service/wait.ts';
import { isSilence } from '../client.ts';
import { positionText } from '../../telemetry/status.ts';
import type { CommandContext, CommonOptions } from '../context.ts';
import { connectService, readConfig, startOfService } from '../deployment.ts';
import { usageError } from '../usage.ts';

interface WaitOptions extends CommonOptions {
  readonly sink: string;
  readonly position?: string;
  readonly now?: boolean;
  readonly source?: string;
  readonly timeout: string;
  readonly searchable?: boolean;
}

/** The service ends a wait by itself at its timeout; what is this late will not come. */
const graceMs = 5_000;

export async function waitCommand(options: WaitOptions, context: CommandContext): Promise<void> {
  const position = options.now === true ? 'now' : options.position;
  if (position === undefined || (options.now === true && options.position !== undefined)) {
    throw usageError(
      'wait takes either --position or --now',
      'Give --now to wait for what is committed at this moment.',
    );
  }
  const config = await readConfig(options, context);
  checkNames(options, position, config);
  const timeoutMs = parseDuration(options.timeout) ?? 0;
  await startOfService(config, context, timeoutMs);
  const client = await connectService(config, context);
  const { sink, source, timeout } = options;
  const searchable = options.searchable === true ? 'true' : undefined;
  const query = { sink, position, source, timeout, searchable };
  const answer = (await client.get('/api/v1/wait', query, timeoutMs + graceMs).catch((error: unknown) => {
    throw isSilence(error) ? outOfTime(error, options) : error;
  })) as WaitAnswer;
  const text = `${answer.sink} holds everything up to ${positionText(answer.position)} (${formatSeconds(answer.waited_ms / 1000)})`;
  context.stdout.write(options.json === true ? `${JSON.stringify(answer)}\n` : `${text}\n`);
}

/** What is wrong whether a service runs or not. */
function checkNames({ sink, source }: WaitOptions, position: string, config: Config): void {
  const sinks = config.sinks.map(({ name }) => name);
  if (!sinks.includes(sink)) throw unknown('SINK_UNKNOWN', 'sink', sink, sinks);
  const sources = config.sources.map(({ name }) => name);
  if (source !== undefined && !sources.includes(source)) throw unknown('SOURCE_UNKNOWN', 'source', source, sources);
  if (position === 'now') return;
  const types = config.sources.filter(({ name }) => source === undefined || name === source).map(({ type }) => type);
  checkPosition(
    position,
    types.map((type) => (type === 'ndjson' ? offsetOrder : lsnOrder)),
  );
}

/** Which source the position is of, the service knows; it must be in the form of one of them. */
function checkPosition(position: string, orders: readonly PositionOrder[]): void {
  let first: unknown = null;
  for (const order of orders) {
    try {
      order.normalise(position);
      return;
    } catch (error) {
      first ??= error;
    }
  }
  if (first !== null) throw first;
}

function unknown(code: 'SINK_UNKNOWN' | 'SOURCE_UNKNOWN', what: string, name: string, known: string[]): TidemarkError {
  const hint = known.length === 0 ? `The file has no ${what}s.` : `Its ${what}s: ${known.join(', ')}.`;
  return new TidemarkError(code, `the file has no ${what} '${name}'`, { hint });
}

function outOfTime(error: TidemarkError, { sink, timeout }: WaitOptions): TidemarkError {
  const { hint, message } = error;
  return new TidemarkError('WAIT_TIMEOUT', `sink '${sink}' was not seen to get there in ${timeout}: ${message}`, {
    ...(hint === undefined ? {} : { hint }),
    place: { sink },
    cause: error,
  });
}
