import type { Figure } from './figure.ts';

/** What a figure is to reach: a part of its reference, or an absolute limit of its value. */
interface Goal {
  readonly ratioMin?: number;
  readonly valueMin?: number;
  readonly valueMax?: number;
  /** Of the value over its reference. */
  readonly growthMax?: number;
}

const goals: Readonly<Record<string, Goal>> = {
  'log-append': { ratioMin: 0.6 },
  'log-read': { ratioMin: 0.6 },
  'sinks-sqlite': { ratioMin: 0.9 },
  'sinks-sqlite-search': { ratioMin: 0.9 },
  'sinks-redis': { ratioMin: 0.9 },
  'sinks-redis-hash': { ratioMin: 0.9 },
  'sinks-opensearch': { ratioMin: 0.9 },
  'sinks-opensearch-rebuild': { ratioMin: 0.9 },
  pipe: { ratioMin: 1 },
  'pipe-20-digits': { ratioMin: 1 },
  'toybank-batch-1': { valueMin: 100_000 },
  'toybank-batch-1000': { ratioMin: 0.5, valueMin: 1_000_000 },
  'toybank-renamed-batch-1': { valueMin: 100_000 },
  'toybank-renamed-batch-1000': { ratioMin: 0.5, valueMin: 1_000_000 },
  'doc-view-bootstrap': { ratioMin: 0.3 },
  'doc-view-updates': { valueMin: 20_000 },
  'view-memory': { valueMax: 400 },
  'view-memory-updates': { valueMax: 400 },
  'pg-stream-catch-up': { ratioMin: 1 },
  'pg-stream-streaming': { ratioMin: 0.8 },
  'pg-snapshot': { ratioMin: 0.5 },
  'pg-snapshot-chunks': { ratioMin: 0.8 },
  'latency-p50': { valueMax: 5 },
  'latency-p99': { valueMax: 50 },
  'memory-transaction': { valueMax: 150, growthMax: 80 },
  'memory-snapshot': { valueMax: 150, growthMax: 80 },
};

/** The goal in words, and whether the figure meets it: null when that cannot be said without the reference. */
export function judge(figure: Figure): { goal: string; met: boolean | null } {
  const { ratioMin, valueMin, valueMax, growthMax } = goals[figure.name] ?? {};
  const { unit, value, ratio, reference } = figure;
  const words = [
    ...(ratioMin === undefined ? [] : [`ratio ≥ ${ratioMin}`]),
    ...(valueMin === undefined ? [] : [`≥ ${valueMin.toLocaleString('en')} ${unit}`]),
    ...(valueMax === undefined ? [] : [`≤ ${valueMax} ${unit}`]),
    ...(growthMax === undefined ? [] : [`≤ ${growthMax} ${unit} over the reference`]),
  ];
  const answers = [
    ...(ratioMin === undefined ? [] : [ratio === null ? null : ratio >= ratioMin]),
    ...(valueMin === undefined ? [] : [value >= valueMin]),
    ...(valueMax === undefined ? [] : [value <= valueMax]),
    ...(growthMax === undefined ? [] : [reference === null ? null : value - reference.value <= growthMax]),
  ];
  const met = answers.includes(false) ? false : answers.includes(null) || answers.length === 0 ? null : true;
  return { goal: words.join(', '), met };
}
