import { positionText } from '../../telemetry/status.ts';
import type { ServiceStatus, SinkReport, SourceReport, StatusError, ViewReport } from '../../telemetry/status.ts';
import { formatBytes, formatCount, formatSeconds } from '../../telemetry/units.ts';
import type { CommandContext, CommonOptions } from '../context.ts';
import { connectService, readConfig } from '../deployment.ts';
import { table } from '../table.ts';

const watchEveryMs = 1000;
const clearScreen = '\u001B[H\u001B[2J';

export async function statusCommand(
  options: CommonOptions & { readonly watch?: boolean },
  context: CommandContext,
): Promise<void> {
  const config = await readConfig(options, context);
  for (;;) {
    const client = await connectService(config, context);
    const status = (await client.get('/api/v1/status')) as ServiceStatus;
    const text = options.json === true ? `${JSON.stringify(status)}\n` : describeStatus(status);
    const clear = options.watch === true && options.json !== true && context.stdout.isTTY === true;
    context.stdout.write(clear ? clearScreen + text : text);
    if (options.watch !== true) return;
    await context.clock.sleep(watchEveryMs, context.signal).catch(() => undefined);
    if (context.signal.aborted) return;
  }
}

/** The status document for people. */
function describeStatus(status: ServiceStatus): string {
  const lines = [`${status.name}: ${status.ready ? 'ready' : 'not ready'}`];
  for (const reason of [...status.reasons, ...status.notes]) lines.push(`  ${reason}`);
  const { log } = status;
  const disk = log.disk_used_percent === null ? '' : `, disk ${log.disk_used_percent.toFixed(0)} % used`;
  lines.push(
    '',
    ...table(['source', 'type', 'position', 'lag', 'snapshot', 'state'], status.sources.map(sourceRow)),
    '',
    `log: ${log.type}, ${formatBytes(log.bytes)} in ${log.topics} topics${disk}`,
    ...(status.views.length === 0 ? [] : ['', ...table(viewHeadings, status.views.map(viewRow))]),
    '',
    ...table(['sink', 'type', 'seq', 'position', 'lag', 'dead letters', 'state'], status.sinks.map(sinkRow)),
  );
  for (const { name, error } of [...status.sources, ...status.views, ...status.sinks])
    if (error) lines.push('', ...problem(name, error));
  return `${lines.join('\n')}\n`;
}

function sourceRow(source: SourceReport): string[] {
  const bytes = source.lag_bytes === null ? '' : formatBytes(source.lag_bytes);
  return [
    source.name,
    source.type,
    source.position ?? '-',
    [bytes, lag(source.lag_seconds)].filter(Boolean).join(', ') || '-',
    snapshotText(source),
    source.error ? source.error.code : source.consistent ? 'consistent' : 'filling',
  ];
}

function snapshotText({ snapshot, position }: SourceReport): string {
  // A source that has never been reached has nothing under way, and nothing done.
  if (snapshot.state === 'done') return position === null ? '-' : 'done';
  const estimated = Math.max(snapshot.rows, snapshot.rows_estimated);
  const waiting = snapshot.waiting_for === null ? '' : `, waits for ${snapshot.waiting_for}`;
  return `${formatCount(snapshot.rows)} of ~${formatCount(estimated)} rows${waiting}`;
}

const viewHeadings = ['view', 'rows', 'step', 'state size', 'lag', 'dead letters', 'state'];

function viewRow(view: ViewReport): string[] {
  return [
    view.name,
    formatCount(view.rows),
    formatCount(view.step),
    formatBytes(view.state_bytes),
    lag(view.lag_seconds) || '-',
    formatCount(view.dead_letters),
    view.error ? view.error.code : view.consistent ? 'consistent' : 'filling',
  ];
}

function sinkRow(sink: SinkReport): string[] {
  return [
    sink.name,
    sink.type,
    formatCount(sink.seq),
    sink.position === null ? '-' : positionText(sink.position),
    lag(sink.lag_seconds) || '-',
    formatCount(sink.dead_letters),
    sinkState(sink),
  ];
}

function sinkState({ error, paused, rebuild, position, consistent }: SinkReport): string {
  if (error) return error.code;
  if (paused) return 'paused';
  if (rebuild === null) return consistent ? 'consistent' : 'filling';
  const { changes, changes_total: total } = rebuild;
  const share = total === null || total === 0 ? '' : ` ${Math.floor(Math.min(1, changes / total) * 100)} %`;
  return `${position === null ? 'filling' : 'rebuilding'}${share}`;
}

function lag(seconds: number | null): string {
  return seconds === null ? '' : formatSeconds(seconds);
}

function problem(name: string, error: StatusError): string[] {
  return [`${name}: ${error.message}`, ...(error.hint === undefined ? [] : [`  ${error.hint}`])];
}
