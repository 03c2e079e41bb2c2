/**
 * What `npm test` runs: the checks of the sources (types, lint, format, unused code), then every test, or those whose path
 * contains one of the arguments. A failing check does not stop the run. The last line says `N passed, N failed, N skipped`.
 */
import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';
import type { TestCase, TestModule, Vitest } from 'vitest/node';
import { messageOf } from '../base/errors.ts';

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

const root = join(import.meta.dirname, '..');
const binaries = join(root, 'node_modules', '.bin');
const colour = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
// Tools ask the environment whether they may colour; some colour in a pipe when they are not told.
const environment: NodeJS.ProcessEnv = {
  ...process.env,
  PATH: [binaries, process.env['PATH']].join(delimiter),
  ...(colour ? {} : { NO_COLOR: '1', FORCE_COLOR: undefined }),
};

const checks: readonly (readonly [title: string, ...command: [string, ...string[]]])[] = [
  ['types', 'tsc', '-p', 'tsconfig.json'],
  ['lint', 'oxlint', '--type-aware', '.'],
  ['format', 'oxfmt', '--check', '.'],
  ['unused code', 'knip', '--no-progress'],
];

const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
for (const [title, ...command] of checks) runCheck(title, command, tally);
await runTests(process.argv.slice(2), tally);
const { passed, failed, skipped } = tally;
process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`, () => {
  process.exit(failed > 0 || passed === 0 ? 1 : 0);
});

function runCheck(title: string, [program, ...args]: [string, ...string[]], into: Tally): void {
  const started = performance.now();
  const result = spawnSync(join(binaries, program), args, { cwd: root, env: environment, encoding: 'utf8' });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const good = result.status === 0;
  console.log(`${good ? 'ok  ' : 'FAIL'} ${title} (${program} ${args.join(' ')}), ${seconds} s`);
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error ? messageOf(result.error) : ''}`;
  // Warnings do not fail the run, but nobody mends what nobody sees.
  if (!good || /[1-9][0-9]* warning/.test(output)) console.log(output);
  into[good ? 'passed' : 'failed']++;
}

async function runTests(filters: string[], into: Tally): Promise<void> {
  Object.assign(process.env, environment);
  if (!colour) delete process.env['FORCE_COLOR'];
  // Imported only now, since its colours are decided as it loads.
  const { startVitest } = await import('vitest/node');
  let vitest: Vitest | null = null;
  const testsBefore = into.passed + into.failed;
  try {
    vitest = await startVitest('test', filters, { root, watch: false, reporters: ['default'] });
    const modules = vitest.state.getTestModules();
    for (const module of modules) count(module, into);
    into.failed += vitest.state.getUnhandledErrors().length;
    listSkipped(modules);
  } catch (error) {
    console.log(error);
    into.failed++;
  } finally {
    await vitest?.close();
  }
  if (into.passed + into.failed + into.skipped === testsBefore) {
    console.log('FAIL no test was found');
    into.failed++;
  }
}

/** A file that fails as a whole (it does not load, or a suite's hook throws) counts as a failure of its own. */
function count(module: TestModule, into: Tally): void {
  const before = into.failed;
  for (const test of module.children.allTests()) {
    const { state } = test.result();
    into[state === 'pending' ? 'failed' : state]++;
  }
  if (!module.ok() && into.failed === before) into.failed++;
}

function listSkipped(modules: readonly TestModule[]): void {
  const reasons = new Map<string, number>();
  for (const module of modules) {
    for (const test of module.children.allTests('skipped')) {
      const reason = reasonOf(test);
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
  }
  for (const [reason, tests] of reasons) console.log(`skipped ${tests}: ${reason}`);
}

/** tests/servers/suite.ts puts the reason into the suite's title; a test may also give one as it skips itself. */
function reasonOf(test: TestCase): string {
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  return note ?? /\[skipped: (.*?)\]/.exec(test.fullName)?.[1] ?? `${test.fullName}: no reason given`;
}
