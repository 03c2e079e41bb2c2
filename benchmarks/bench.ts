/**
 * `npm run bench -- [NAME …] [--scale 0.01] [--markdown]`: runs the benchmarks named, or all, one after the other, each in a process
 * of its own. Stdout gets one line of JSON a figure (or, at the end, the table with --markdown), stderr what is going on and the table.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import type { Figure } from './figure.ts';
import { benchmarkNames } from './names.ts';
import { table } from './table.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { scale: { type: 'string' }, markdown: { type: 'boolean', default: false } },
});
const scale = values.scale === undefined ? null : Number(values.scale);
const unknown = positionals.filter((name) => !benchmarkNames.includes(name));
if (unknown.length > 0 || (scale !== null && !(scale > 0 && scale <= 100))) {
  const wrong = unknown.length > 0 ? `no benchmark ${unknown.join(', ')}` : `a scale of ${values.scale}`;
  console.error(`bench: ${wrong}\nusage: npm run bench -- [NAME …] [--scale 0.01] [--markdown]`);
  console.error(`benchmarks: ${benchmarkNames.join(', ')}`);
  process.exit(2);
}

const compileCache = join(import.meta.dirname, '..', 'node_modules', '.cache', 'compile');
const figures: Figure[] = [];
const failed: string[] = [];
for (const name of positionals.length > 0 ? positionals : benchmarkNames) {
  console.error(`running ${name} …`);
  if (!(await runApart(name))) failed.push(name);
}
if (figures.length > 0) {
  const lines = table(figures).join('\n');
  if (values.markdown) console.log(lines);
  else console.error(`\n${lines}`);
}
if (failed.length > 0) console.error(`bench: failed: ${failed.join(', ')}`);
process.exitCode = failed.length > 0 ? 1 : 0;

/** Runs one benchmark with the settings of ./tidemark, so that its memory is what the program would need. */
async function runApart(name: string): Promise<boolean> {
  const child = spawn(
    process.execPath,
    [
      '--max-semi-space-size=2',
      join(import.meta.dirname, 'run-one.ts'),
      name,
      ...(scale === null ? [] : [String(scale)]),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { NODE_COMPILE_CACHE: compileCache, ...process.env } },
  );
  const closed = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout })) {
    figures.push(JSON.parse(line) as Figure);
    if (!values.markdown) console.log(line);
  }
  const [code] = await closed;
  return code === 0;
}
