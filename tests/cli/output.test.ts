import { spawn } from 'node:child_process';
import type { AddressInfo } from 'node:net';
import { createServer as createHttpServer } from 'node:http';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { folder } from './harness.ts';

const file = (port: number): string => `
version: 1
name: shop
sources:
  shop: { type: postgres, url: "postgres://app@127.0.0.1:9/shop", tables: [public.customers] }
sinks:
  search: { type: sqlite, path: ./search.db, from: customers }
http: { port: ${port} }
`;

/** Runs `./tidemark` with its standard output going to a place of the shell's choosing. */
async function redirected(
  directory: string,
  command: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const program = `${import.meta.dirname}/../../tidemark`;
  const child = spawn('/bin/bash', ['-o', 'pipefail', '-c', command, 'sh', program], { cwd: directory });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => (stdout += String(text)));
  child.stderr.on('data', (text) => (stderr += String(text)));
  const [code] = await once(child, 'close');
  return { code: Number(code), stdout, stderr };
}

/** A service that answers whatever it is asked with that. */
async function answering(answer: string, type: string): Promise<number> {
  const server = createHttpServer((_request, response) => {
    response.writeHead(200, { 'content-type': type });
    response.end(answer);
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const status = JSON.stringify({
  name: 'shop',
  ready: true,
  reasons: [],
  notes: [],
  sources: [],
  log: { type: 'embedded', bytes: 0, topics: 0, disk_used_percent: null },
  views: [],
  sinks: [],
});

test('a standard output that cannot be written is a failure of every command that prints', async () => {
  const directory = await folder(file(await answering(status, 'application/json')));
  for (const command of ['status', 'status --json', 'schema', 'topics', 'check --offline', '--help', '--version']) {
    const full = await redirected(directory, `"$1" ${command} >/dev/full`);
    expect(full.code, `${command}: ${full.stderr}`).toBe(1);
    expect(full.stderr).toContain('standard output cannot be written: ENOSPC');
  }
});

test('a reader that has enough ends a command quietly', async () => {
  const directory = await folder(file(await answering(status, 'application/json')));
  for (const command of ['status --watch', 'schema', '--help']) {
    const ended = await redirected(directory, `"$1" ${command} | head -c 1 | wc -c`);
    expect(ended, command).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout.trim()).toBe('1');
  }
});

test('messages that nobody reads any more stop no command', async () => {
  const directory = await folder(file(await answering(status, 'application/json')));
  const ended = await redirected(
    directory,
    `exec 2>/dev/full; "$1" status -c missing.yaml; test $? = 2 && "$1" status`,
  );
  expect(ended.code).toBe(0);
  expect(ended.stdout).toContain('shop: ready');
});
