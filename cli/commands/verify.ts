import { TidemarkError } from '../../base/errors.ts';
import type { Config } from '../../config/config.ts';
import { differs } from '../../service/verify/answer.ts';
import type { VerifyAnswer } from '../../service/verify/answer.ts';
import type { VerifyProgress } from '../../service/verify/verify.ts';
import { createLogger, wantsColour } from '../../telemetry/logger.ts';
import { formatCount, formatSeconds } from '../../telemetry/units.ts';
import type { CommandContext, CommonOptions } from '../context.ts';
import { connectService, isServed, readConfig, startOfService } from '../deployment.ts';

interface VerifyOptions extends CommonOptions {
  readonly sink: string;
  readonly repair?: boolean;
}

/** A service that is starting is waited for so long. */
const startMsMax = 10_000;
/** Keys of each list that people are shown; `--json` has them all. */
const keysShown = 10;
const clearLine = '\r\u001B[2K';

/** Returns the exit code: 1 when the sink differs, or still does after a repair. */
export async function verifyCommand(options: VerifyOptions, context: CommandContext): Promise<number> {
  const config = await readConfig(options, context);
  checkSink(options.sink, config);
  await startOfService(config, context, startMsMax);
  const line = new ProgressLine(context);
  let text: string;
  try {
    const isThere = await isServed(config, context);
    text = isThere
      ? await askService(options, config, context, line)
      : await verifyHere(options, config, context, line);
  } finally {
    line.end();
  }
  const answer = JSON.parse(text) as Answer;
  context.stdout.write(options.json === true ? `${text}\n` : describe(answer));
  return differs(answer) ? 1 : 0;
}

/** Keys that a target keeps as JSON are objects in it. */
type Answer = Omit<VerifyAnswer, 'missing' | 'extra' | 'different'> &
  Readonly<Record<'missing' | 'extra' | 'different', readonly unknown[]>>;

function checkSink(sink: string, config: Config): void {
  const names = config.sinks.map(({ name }) => name);
  if (names.includes(sink)) return;
  const hint = names.length === 0 ? 'The file has no sinks.' : `Its sinks: ${names.join(', ')}.`;
  throw new TidemarkError('SINK_UNKNOWN', `the file has no sink '${sink}'`, { hint });
}

/** The answer's own text: its keys may have more digits than numbers here. */
async function askService(
  { sink, repair = false }: VerifyOptions,
  config: Config,
  context: CommandContext,
  line: ProgressLine,
): Promise<string> {
  const client = await connectService(config, context);
  const path = `/api/v1/sinks/${encodeURIComponent(sink)}/verify`;
  let last = '';
  for await (const text of client.lines(path, { repair })) {
    last = text;
    if (!text.startsWith('{"progress":')) continue;
    const { progress } = JSON.parse(text) as { progress: VerifyProgress | null };
    if (progress !== null) line.show(progress);
  }
  return last;
}

/** Without a running service: runs the deployment for as long as the work takes. */
async function verifyHere(
  { sink, repair = false }: VerifyOptions,
  config: Config,
  context: CommandContext,
  line: ProgressLine,
): Promise<string> {
  refuseStreams(config);
  const { stdout, stderr, environment, secrets, clock, files, signal } = context;
  const isTTY = stderr.isTTY === true;
  const output = { write: (text: string) => line.around(text), isTTY };
  const logger = await createLogger({ level: 'warn', output, colour: wantsColour(environment, isTTY), secrets });
  const { createService } = await import('../../service/create-service.ts');
  const service = await createService(config, { clock, files, random: Math.random, logger, secrets, output: stdout });
  try {
    const { verifySink } = await import('../../service/verify/verify.ts');
    const { answerJson } = await import('../../service/verify/answer.ts');
    const onProgress = (progress: VerifyProgress): void => line.show(progress);
    return answerJson(await verifySink(service.pipeline, { sink, repair, signal, onProgress }));
  } finally {
    await service.stop();
  }
}

/** A deployment that reads standard input or writes to standard output cannot be run on the side. */
function refuseStreams(config: Config): void {
  const streams = [...config.sources, ...config.sinks].filter((part) => 'path' in part && part.path === '-');
  const [first] = streams;
  if (first === undefined) return;
  throw new TidemarkError('SERVICE_UNREACHABLE', `no service is running, and '${first.name}' is bound to its streams`, {
    hint: 'Start it with `tidemark run`, and verify meanwhile.',
  });
}

/** One line on a terminal that says what is being done; nothing elsewhere. */
class ProgressLine {
  readonly #context: CommandContext;
  #shown = '';
  #shownAt = Number.NEGATIVE_INFINITY;

  constructor(context: CommandContext) {
    this.#context = context;
  }

  show(progress: VerifyProgress): void {
    const now = this.#context.clock.monotonic();
    if (this.#context.stderr.isTTY !== true || now - this.#shownAt < 200) return;
    this.#shownAt = now;
    this.#shown = progressText(progress).slice(0, (this.#context.stderr.columns ?? 80) - 1);
    this.#context.stderr.write(clearLine + this.#shown);
  }

  around(text: string): void {
    this.#context.stderr.write(this.#shown === '' ? text : clearLine + text + this.#shown);
  }

  end(): void {
    if (this.#shown !== '') this.#context.stderr.write(clearLine);
    this.#shown = '';
  }
}

function progressText({ what, phase, pass, rows, differences }: VerifyProgress): string {
  const doing = {
    expected: 'reading the source',
    held: 'reading the sink',
    settling: `looking at what differs, reading ${pass}`,
  };
  const found = differences === 0 ? '' : `, ${formatCount(differences)} differ`;
  return `${what}: ${doing[phase]}, ${formatCount(rows)} rows${found}`;
}

function describe(answer: Answer): string {
  const { sink, rows, counts, repaired, took_ms: tookMs } = answer;
  const found = counts.missing + counts.extra + counts.different;
  const took = `(${formatSeconds(tookMs / 1000)})`;
  const lines: string[] = [];
  const sides = { table: 'its table', query: 'its query at the source', log: 'the log' };
  if (found === 0) lines.push(`${sink} equals ${sides[answer.against]}: ${rowsText(rows)} ${took}`);
  else
    lines.push(`${sink} differs from ${sides[answer.against]}, which has ${rowsText(rows)}: ${found} differ ${took}`);
  for (const kind of ['missing', 'extra', 'different'] as const) {
    if (counts[kind] > 0) lines.push(`  ${counts[kind]} ${kind}: ${keysText(answer[kind], counts[kind])}`);
  }
  if (repaired > 0) lines.push(`  ${repaired} repaired, and seen to be right since`);
  if (found > repaired && repaired > 0) lines.push(`  ${found - repaired} still differ`);
  for (const { table, rows: tableRows, missing, extra, different } of answer.tables) {
    const differ = missing + extra + different;
    const how =
      differ === 0
        ? 'equals the log'
        : `differs from the log: ${missing} missing there, ${extra} extra, ${different} different; run 'tidemark snapshot --table ${table}'`;
    lines.push(`  table ${table}, ${rowsText(tableRows)}, ${how}`);
  }
  if (answer.order_only > 0)
    lines.push(
      `  ${answer.order_only} differ in the order of an aggregate without a full ORDER BY, and count as equal`,
    );
  if (answer.unsettled > 0) lines.push(`  ${answer.unsettled} changed all the time and were not judged`);
  for (const note of answer.notes) lines.push(`  ${note}`);
  return `${lines.join('\n')}\n`;
}

function rowsText(rows: number): string {
  return `${formatCount(rows)} row${rows === 1 ? '' : 's'}`;
}

function keysText(keys: readonly unknown[], count: number): string {
  const shown = keys.slice(0, keysShown).map((key) => (typeof key === 'string' ? key : JSON.stringify(key)));
  return count > shown.length ? `${shown.join(', ')}, … (--json lists them)` : shown.join(', ');
}
