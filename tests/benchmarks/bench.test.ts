import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Figure } from '../../benchmarks/figure.ts';
import { judge } from '../../benchmarks/goals.ts';
import { benchmarkNames } from '../../benchmarks/names.ts';
import { table } from '../../benchmarks/table.ts';
import { describeRedis } from '../servers/redis-suite.ts';
import { describePostgres } from '../servers/suite.ts';

const root = join(import.meta.dirname, '..', '..');

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs what `npm run bench -- ARGS` runs. */
async function bench(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const program = join(root, 'benchmarks', 'bench.ts');
    const child = execFile(process.execPath, [program, ...args], { cwd: root }, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr });
    });
  });
}

/** Every benchmark's figures: times differ from machine to machine, the shape does not. */
async function expectFigures(name: string, figures: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await bench(name, '--scale', '0.0005');
  expect(code, stderr).toBe(0);
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Figure);
  expect(lines.map((line) => line.name)).toEqual(figures);
  for (const line of lines) {
    expect(Object.keys(line)).toEqual([
      'name',
      'value',
      'unit',
      'reference',
      'ratio',
      'rss_mb',
      'cpu_us_per_event',
      'n',
    ]);
    const { value, reference, ratio } = line;
    for (const number of [value, line.rss_mb, line.cpu_us_per_event, line.n])
      expect(number, line.name).toBeGreaterThan(0);
    if (reference !== null) {
      expect(reference.value).toBeGreaterThan(0);
      expect(((ratio ?? 0) * reference.value) / value, line.name).toBeCloseTo(1, 1);
    } else {
      expect(ratio).toBeNull();
      expect(stderr).toMatch('has no reference');
    }
    expect(stderr).toContain(`| ${line.name} `);
  }
}

describe('npm run bench', () => {
  it('knows every benchmark that there is', () => {
    const files = readdirSync(join(root, 'benchmarks')).map((file) => file.replace(/\.ts$/, ''));
    expect(benchmarkNames.filter((name) => !files.includes(name))).toEqual([]);
  });

  it('measures the log and the SQLite sink', async () => {
    await expectFigures('log-append', ['log-append']);
    await expectFigures('log-read', ['log-read']);
    await expectFigures('sinks-sqlite', ['sinks-sqlite', 'sinks-sqlite-search']);
  });

  it('measures views over rows in memory', async () => {
    await expectFigures('toybank', [
      'toybank-batch-1',
      'toybank-batch-1000',
      'toybank-renamed-batch-1',
      'toybank-renamed-batch-1000',
    ]);
    const operators = [
      'filter-project',
      'join',
      'left-join',
      'semi',
      'aggregate-sum',
      'aggregate-max',
      'aggregate-json',
    ];
    await expectFigures(
      'operators',
      [...operators, 'distinct', 'top-3', 'union', 'except'].map((name) => `operator-${name}`),
    );
  });

  it('prints a table for a page of Markdown', async () => {
    const { code, stdout } = await bench('log-append', '--scale', '0.0005', '--markdown');
    expect(code).toBe(0);
    expect(stdout.split('\n').slice(0, 3)).toEqual([
      expect.stringMatching(/^\| figure +\| +value \| reference +\| +ratio \| goal +\| met +\| +RSS \|/),
      expect.stringMatching(/^\| -+ \| -+: \| -+ \| -+: \|/),
      expect.stringMatching(/^\| log-append \| +[\d,]+ rows\/s \| raw write \+ fdatasync: [\d,]+ \|/),
    ]);
  });

  it('says which benchmarks there are when asked for another', async () => {
    const { code, stdout, stderr } = await bench('log-append', 'log-apend');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('no benchmark log-apend');
    expect(stderr).toContain(benchmarkNames.join(', '));
    expect((await bench('--scale', 'much')).code).toBe(2);
  });

  it('judges a figure by its goal, and one without its reference not at all', () => {
    const figure = { name: 'pg-snapshot', unit: 'rows/s', rss_mb: 1, cpu_us_per_event: 1, n: 1 };
    const reference = { name: 'psql COPY', value: 10 };
    expect(judge({ ...figure, value: 5, reference, ratio: 0.5 }).met).toBe(true);
    expect(judge({ ...figure, value: 4, reference, ratio: 0.4 }).met).toBe(false);
    expect(judge({ ...figure, value: 4, reference: null, ratio: null }).met).toBeNull();
    const memory = { ...figure, name: 'memory-snapshot', unit: 'MB', ratio: 1, reference: { name: 'idle', value: 60 } };
    expect([140, 141, 151].map((value) => judge({ ...memory, value }).met)).toEqual([true, false, false]);
    expect(table([{ ...memory, value: 141 }])[2]).toContain('| no  |');
  });
});

describeRedis('npm run bench on Redis', {}, () => {
  it('measures rows as JSON and as hashes', async () => {
    await expectFigures('sinks-redis', ['sinks-redis', 'sinks-redis-hash']);
  });
});

describePostgres('npm run bench on PostgreSQL', () => {
  it('measures a backlog, by COPY and streamed', async () => {
    await expectFigures('pg-stream', ['pg-stream-catch-up', 'pg-stream-streaming']);
  });

  it('measures a snapshot', async () => {
    await expectFigures('pg-snapshot', ['pg-snapshot', 'pg-snapshot-chunks']);
  });

  it('measures the time from a commit to its being visible', async () => {
    await expectFigures('latency', ['latency-p50', 'latency-p99']);
  });

  it('measures the memory that a large transaction and a large table take', async () => {
    await expectFigures('memory', [
      'memory-transaction',
      'memory-transaction-anonymous',
      'memory-snapshot',
      'memory-snapshot-anonymous',
    ]);
  });
});
