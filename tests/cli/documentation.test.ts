import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { newProgram } from '../../cli/program.ts';
import { systemClock } from '../../base/clock.ts';
import { systemFiles } from '../../base/files.ts';
import { Metrics } from '../../telemetry/metrics.ts';
import { SecretFilter } from '../../telemetry/secrets.ts';
import { startService } from '../service/harness.ts';

const docs = join(import.meta.dirname, '..', '..', 'docs');

function program() {
  const context = {
    stdout: process.stdout,
    stderr: process.stderr,
    environment: {},
    clock: systemClock,
    files: systemFiles,
    secrets: new SecretFilter(),
    signal: new AbortController().signal,
  };
  return newProgram(context, () => undefined);
}

test('every command and every flag is in docs/commands.md, and nothing else is', async () => {
  const text = await readFile(join(docs, 'commands.md'), 'utf8');
  const sections = new Map(text.split(/^## /m).map((section) => [section.split('\n', 1)[0] ?? '', section]));
  const { commands } = program();
  for (const command of commands) {
    const section = sections.get(command.name());
    expect(section, `docs/commands.md has no section for ${command.name()}`).toBeDefined();
    const documented = [...(section ?? '').matchAll(/^\| `(-[^`]*)` \|/gm)].map((match) => match[1] ?? '');
    expect(documented.toSorted(), command.name()).toEqual(command.options.map(({ flags }) => flags).toSorted());
  }
  const names = commands.map((command) => command.name());
  const others = ['Exit codes', 'Which process does the work', 'Environment'];
  const unknown = [...sections.keys()].filter((title) => !names.includes(title) && !others.includes(title));
  expect(unknown).toEqual([expect.stringMatching(/^# Commands/)]);
});

test('every path of the API and every metric is in docs/http.md', async () => {
  const text = await readFile(join(docs, 'http.md'), 'utf8');
  const { get } = await startService();
  const { error } = (await (await get('/nowhere')).json()) as { error: { hint: string } };
  const paths = error.hint.replace(/^Paths: |\.$/g, '').split(', ');
  expect(paths.length).toBeGreaterThan(6);
  const documented = [...text.matchAll(/^## ((?:GET|POST) .*)$/gm)].map((match) => match[1] ?? '');
  expect(documented.toSorted()).toEqual(paths.toSorted());
  const metrics = new Metrics('0');
  const scraped = await metrics.scrape({
    name: '',
    ready: true,
    reasons: [],
    notes: [],
    sources: [],
    log: { type: 'embedded', bytes: 0, topics: 0, disk_used_percent: null },
    views: [],
    sinks: [],
  });
  const names = [...scraped.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1] ?? '');
  expect(names.length).toBeGreaterThan(20);
  for (const name of names) expect(text).toContain(`\`${name}\``);
});
