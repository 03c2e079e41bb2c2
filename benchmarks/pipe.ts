import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { TidemarkError } from '../base/errors.ts';
import type { Figure, Measured } from './figure.ts';
import { faster, figure } from './figure.ts';
import { inFolder } from './log-load.ts';
import { ProcessSampler } from './process-sampler.ts';

const standardLines = 1_000_000;
const linesPerTransaction = 1000;
const rounds = 3;

/** The program of the toy bank: full outer join, so that the total is 0 after every transaction. */
const sql = `
  CREATE VIEW credits AS SELECT to_account AS account, sum(amount) AS credits FROM transactions GROUP BY to_account;
  CREATE VIEW debits AS SELECT from_account AS account, sum(amount) AS debits FROM transactions GROUP BY from_account;
  CREATE VIEW balance AS
    SELECT coalesce(c.account, d.account) AS account, coalesce(c.credits, 0) - coalesce(d.debits, 0) AS balance
    FROM credits c FULL OUTER JOIN debits d ON c.account = d.account;
  CREATE VIEW total AS SELECT sum(balance) AS total FROM balance;`;

/**
 * `tidemark pipe --batch 1000` over lines of the toy bank, from the start of the process to its end, against a loop in Python over the
 * same lines; then with amounts of 20 digits, which stay exact in both. Best of three, in turn.
 */
export async function run(options: { scale: number }): Promise<Figure[]> {
  const n = Math.max(linesPerTransaction, Math.round(standardLines * options.scale));
  const figures: Figure[] = [];
  for (const { name, type, amount } of [
    { name: 'pipe', type: 'int', amount: '1' },
    { name: 'pipe-20-digits', type: 'numeric', amount: '12345678901234567890' },
  ]) {
    figures.push(await inFolder(async (folder) => measure(name, type, await writeLines(folder, n, amount), n)));
  }
  return figures;
}

async function measure(name: string, type: string, file: string, n: number): Promise<Figure> {
  const table = `transactions(id int, from_account int, to_account int, amount ${type}, ts timestamp)`;
  const python = spawnSync('python3', ['-c', 'import orjson']).status === 0;
  if (!python) console.error('there is no python3 with orjson here, so pipe has no reference');
  let best: Measured | null = null;
  let reference = 0;
  for (let round = 0; round < rounds; round++) {
    if (python) {
      const program = join(import.meta.dirname, 'pipe-reference.py');
      const { seconds } = await timedPipe('python3', [program, String(linesPerTransaction)], file);
      reference = Math.max(reference, n / seconds);
    }
    const tidemark = join(import.meta.dirname, '..', 'tidemark');
    const args = ['pipe', '--table', table, '--sql', sql, '--batch', String(linesPerTransaction)];
    const { seconds, cpuMicros, rssBytes, output } = await timedPipe(tidemark, args, file);
    if (output !== '{"op":"+","row":{"total":0}}\n{"tx": 1}\n') {
      throw new TidemarkError('INTERNAL', `pipe printed ${output.slice(0, 200)}`);
    }
    best = faster(best, { value: n / seconds, cpuMicros, n, rssBytes });
  }
  if (!best) throw new TidemarkError('INTERNAL', 'no round');
  return figure(name, 'lines/s', best, python ? { name: 'Python loop (orjson)', value: reference } : null);
}

interface Ran {
  readonly seconds: number;
  readonly cpuMicros: number;
  readonly rssBytes: number;
  readonly output: string;
}

/** Runs a program on a file as its stdin. */
async function timedPipe(program: string, args: readonly string[], file: string): Promise<Ran> {
  const input = await open(file);
  const start = performance.now();
  const child = spawn(program, args, { stdio: [input.fd, 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const sampler = new ProcessSampler(child.pid ?? 0, 20);
  const [code] = (await once(child, 'close')) as [number | null];
  sampler.stop();
  const seconds = (performance.now() - start) / 1000;
  await input.close();
  if (code !== 0) throw new TidemarkError('INTERNAL', `${program} ended with ${code}: ${errors}`);
  return { seconds, cpuMicros: sampler.cpuMicros, rssBytes: sampler.takePeak().rss, output };
}

/** Lines of the toy bank: transfers among ten accounts. */
async function writeLines(folder: string, n: number, amount: string): Promise<string> {
  const file = join(folder, 'toybank.ndjson');
  const output = createWriteStream(file);
  let seed = 1;
  const random = (): number => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 16;
  for (let id = 0; id < n; id += linesPerTransaction) {
    let text = '';
    for (let line = id; line < Math.min(n, id + linesPerTransaction); line++) {
      const ts = new Date(1_767_225_600_000 + line * 100).toISOString().slice(0, -1);
      text += `{"id":${line},"from_account":${random() % 10},"to_account":${random() % 10},"amount":${amount},"ts":"${ts}"}\n`;
    }
    if (!output.write(text)) await once(output, 'drain');
  }
  output.end();
  await once(output, 'close');
  return file;
}
