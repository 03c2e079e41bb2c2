import type { ServiceStatus, SnapshotReport } from '../../telemetry/status.ts';
import { positionText } from '../../telemetry/status.ts';
import { formatBytes, formatCount, formatSeconds } from '../../telemetry/units.ts';
import type { Hit, Search } from './local-index.ts';
import type { Paint } from './screen.ts';

/** Everything that the demo knows at a moment. */
export interface View {
  /** `PostgreSQL 18.4`, once it runs. */
  server: string;
  /** What goes on, in a few words. */
  phase: string;
  readonly startedMs: number;
  nowMs: number;
  transactions: number;
  transactionsPerSecond: number;
  changesPerSecond: number;
  status: ServiceStatus | null;
  /** The largest snapshot seen under way, since its figures are gone once it is done. */
  snapshot: SnapshotReport | null;
  snapshotSeconds: number;
  commitsPerSecond: number;
  /** From a commit's return to its being in the index, the newest probe. */
  visibleMs: number | null;
  search: Search | null;
  looks: number;
  halves: string[];
}

export const hitsShown = 4;
const barCells = 30;

/** The one screen of the demo. Always the same lines, so that nothing jumps. */
export function frame(view: View, paint: Paint): string[] {
  const elapsed = Math.floor((view.nowMs - view.startedMs) / 1000);
  const clock = `${String(Math.floor(elapsed / 60)).padStart(2, '0')}:${String(elapsed % 60).padStart(2, '0')}`;
  const title = `${paint('bold', 'tidemark')}  ${view.server || 'PostgreSQL'} → log → view → SQLite full-text index`;
  return [
    '',
    ` ${title}   ${paint('dim', clock)}`,
    '',
    row('shop', shopText(view), paint),
    row('source', snapshotText(view, paint), paint),
    row('', sourceText(view), paint),
    row('log', logText(view), paint),
    row('view', viewText(view, paint), paint),
    row('index', indexText(view, paint), paint),
    row('', freshnessText(view), paint),
    '',
    ...searchLines(view.search, paint),
    '',
    row('whole', wholeText(view, paint), paint),
    '',
    ` ${paint('dim', view.phase)}`,
  ];
}

function row(label: string, text: string, paint: Paint): string {
  return ` ${paint('dim', label.padEnd(8))} ${text}`;
}

function shopText(view: View): string {
  if (view.transactions === 0) return 'not open yet';
  return `${perSecond(view.changesPerSecond)} changes/s in ${perSecond(view.transactionsPerSecond)} transactions/s`;
}

function snapshotText(view: View, paint: Paint): string {
  const { snapshot, status } = view;
  if (snapshot === null) return status === null ? 'not started yet' : bar(0, paint);
  const rows = `${formatCount(snapshot.rows)} rows`;
  if (snapshot.state === 'done') {
    return `${bar(1, paint)} snapshot: ${rows} in ${formatSeconds(view.snapshotSeconds)}`;
  }
  const estimated = Math.max(snapshot.rows, snapshot.rows_estimated, 1);
  return `${bar(snapshot.rows / estimated, paint)} snapshot: ${rows} of ~${formatCount(estimated)}`;
}

function bar(share: number, paint: Paint): string {
  const filled = Math.round(Math.min(1, share) * barCells);
  const percent = `${Math.floor(Math.min(1, share) * 100)} %`.padStart(5);
  return `${'━'.repeat(filled)}${paint('dim', '╌'.repeat(barCells - filled))} ${percent}`;
}

function sourceText({ status }: View): string {
  const source = status?.sources[0];
  if (source === undefined) return '';
  if (source.error !== null) return source.error.message;
  const bytes = source.lag_bytes === null ? '…' : formatBytes(source.lag_bytes);
  const seconds = source.lag_seconds === null ? '' : `, ${formatSeconds(source.lag_seconds)}`;
  return `at ${source.position ?? '…'}, lag ${bytes}${seconds}`;
}

function logText({ status }: View): string {
  return status === null ? '' : `${formatBytes(status.log.bytes)} in ${status.log.topics} topics`;
}

function viewText({ status }: View, paint: Paint): string {
  const docs = status?.views[0];
  if (docs === undefined) return '';
  if (docs.error !== null) return paint('bad', docs.error.message);
  if (!docs.consistent) return 'customers with their orders and lines; made once the tables are read';
  const lag = docs.lag_seconds === null ? '' : `, lag ${formatSeconds(docs.lag_seconds)}`;
  return `${formatCount(docs.rows)} documents, step ${formatCount(docs.step)}, ${formatBytes(docs.state_bytes)} of state${lag}`;
}

function indexText({ status, commitsPerSecond }: View, paint: Paint): string {
  const sink = status?.sinks.find(({ name }) => name === 'documents');
  if (sink === undefined) return '';
  if (sink.error !== null) return paint('bad', sink.error.message);
  if (!sink.consistent) return 'can be searched once the documents are made';
  return `at ${sink.position === null ? '…' : positionText(sink.position)}, ${perSecond(commitsPerSecond)} commits/s`;
}

function freshnessText({ visibleMs }: View): string {
  return visibleMs === null ? '' : `a document shows a change ${formatSeconds(visibleMs / 1000)} after its COMMIT`;
}

function searchLines(search: Search | null, paint: Paint): string[] {
  const lines = search === null ? [row('search', '', paint)] : [row('search', searchText(search, paint), paint)];
  for (const hit of search?.best ?? []) {
    const id = paint('dim', `#${hit.id}`.padEnd(7));
    lines.push(row('', `${id} ${hit.who.padEnd(24)} ${ordersText(hit).padEnd(9)} ${hit.products}`, paint));
  }
  while (lines.length < hitsShown + 1) lines.push('');
  return lines;
}

export function ordersText({ orders }: Hit): string {
  return orders === 1 ? '1 order' : `${formatCount(orders)} orders`;
}

export function searchText({ words, hits, tookMs, position }: Search, paint: Paint): string {
  return `“${paint('bold', words)}”: ${formatCount(hits)} customers in ${tookMs.toFixed(1)} ms, as of ${position}`;
}

function wholeText({ looks, halves }: View, paint: Paint): string {
  if (looks === 0) return '';
  if (halves.length > 0) return paint('bad', `half a transaction was seen: ${halves[0]}`);
  return `${formatCount(looks)} looks at customers, orders and lines, ${paint('good', 'no half transaction')}`;
}

function perSecond(rate: number): string {
  return formatCount(rate);
}
