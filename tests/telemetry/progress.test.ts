import { expect, test } from 'vitest';
import { SnapshotProgress } from '../../telemetry/progress.ts';
import { Rate } from '../../telemetry/rate.ts';
import type { SourceReport } from '../../telemetry/status.ts';
import { formatBytes, formatSeconds } from '../../telemetry/units.ts';

function source(rows: number, state: 'running' | 'done' = 'running', waitingFor: string | null = null): SourceReport {
  return {
    name: 'shop',
    type: 'postgres',
    position: null,
    lag_bytes: null,
    lag_seconds: null,
    snapshot: {
      state,
      rows,
      rows_estimated: 1000,
      chunks_left: 3,
      rows_per_second: 0,
      waiting_for: waitingFor,
      tables: [],
    },
    consistent: false,
    error: null,
  };
}

function terminal(isTTY: boolean) {
  const written: string[] = [];
  let nowMs = 0;
  const output = { isTTY, columns: 200, write: (text: string): void => void written.push(text) };
  return { written, progress: new SnapshotProgress(output, () => nowMs), pass: (ms: number) => (nowMs += ms) };
}

test('a terminal sees rows, chunks, rate and the time left on one line that is redrawn', () => {
  const { written, progress, pass } = terminal(true);
  progress.update([source(100)]);
  pass(1000);
  progress.update([source(300)]);
  const line = written.at(-1) ?? '';
  expect(line).toContain('300 of ~1,000 rows · 3 chunks left · 200 rows/s · 3.5 s left');
  expect(line).toContain('30 %');
  expect(line.startsWith('\r')).toBe(true);
  expect(line).not.toContain('\n');
});

test('a log line goes above the bar and the bar stays', () => {
  const { written, progress } = terminal(true);
  progress.update([source(500)]);
  progress.around('something happened\n');
  const text = written.at(-1) ?? '';
  expect(text.indexOf('something happened\n')).toBeGreaterThan(0);
  expect(text.indexOf('snapshot shop')).toBeGreaterThan(text.indexOf('happened'));
  progress.update([source(1000, 'done')]);
  expect(written.at(-1)).not.toContain('snapshot');
});

test('without a terminal there is a plain line now and then, and never a control character', () => {
  const { written, progress, pass } = terminal(false);
  for (let step = 0; step < 100; step++) {
    progress.update([source(step * 10)]);
    pass(250);
  }
  expect(written).toHaveLength(3);
  for (const line of written) {
    expect(line).toMatch(/^snapshot shop \d+ % .*\n$/);
    expect(line.trimEnd()).not.toContain('\u001B');
  }
});

test('what the snapshot waits for is shown in place of a time that nobody knows', () => {
  const { written, progress } = terminal(false);
  progress.update([source(10, 'running', 'session 4711 (idle in transaction)')]);
  expect(written[0]).toContain('waits for session 4711 (idle in transaction)');
});

test('a rate looks at the last seconds alone', () => {
  const rate = new Rate(1000);
  expect(rate.perSecond()).toBe(0);
  for (let at = 0; at <= 10_000; at += 100) rate.sample(at, at < 9000 ? 0 : at - 9000);
  expect(rate.perSecond()).toBeCloseTo(1000, 0);
  rate.sample(10_100, 0);
  expect(rate.perSecond()).toBe(0);
});

test('units read well', () => {
  expect([0, 1023, 1024, 5 * 1024 ** 3].map(formatBytes)).toEqual(['0 B', '1023 B', '1.0 KiB', '5.0 GiB']);
  expect([0.0123, 4.24, 200, 7500].map(formatSeconds)).toEqual(['12 ms', '4.2 s', '3 min 20 s', '2 h 5 min']);
});

test('the bar counts every table of the snapshot: those that are done, and those that have not been begun', () => {
  const { written, progress } = terminal(true);
  const tables = (...list: [topic: string, rows: number, estimated: number][]): SourceReport => {
    const report = source(0);
    const under = list.map(([topic, rows, estimated]) => ({
      topic,
      state: estimated === 0 ? ('waiting' as const) : ('running' as const),
      rows,
      rows_estimated: estimated,
    }));
    const rows = list.reduce((sum, [, some]) => sum + some, 0);
    return { ...report, snapshot: { ...report.snapshot, rows, tables: under } };
  };
  progress.update([tables(['a', 50, 100], ['b', 0, 0], ['c', 0, 0])]);
  expect(written.at(-1)).toContain('16 %  50 of ~300 rows · 0 of 3 tables');
  progress.update([tables(['b', 20, 300], ['c', 0, 0])]);
  expect(written.at(-1)).toContain('20 %  120 of ~600 rows · 1 of 3 tables');
  progress.update([tables(['c', 10, 50])]);
  expect(written.at(-1)).toContain('91 %  410 of ~450 rows · 2 of 3 tables');
  progress.update([source(1000, 'done')]);
  const empty = tables(['a', 1, 2], ['b', 0, 0]);
  progress.update([{ ...empty, snapshot: { ...empty.snapshot, tables: empty.snapshot.tables.slice(1) } }]);
  progress.update([tables(['a', 1, 2])]);
  expect(written.at(-1)).toContain('50 %  1 of ~2 rows · 1 of 2 tables');
});
