import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { freePort, until } from '../servers/process.ts';
import { describePostgres } from '../servers/suite.ts';
import { root } from './shop.ts';

/** Commands that go on until Ctrl-C: the reader gives each a terminal of its own. */
const longRunning = /^(npm run postgres\b.*|\.\/tidemark run)$/;

interface Block {
  readonly commands: string;
  /** What the page shows as their output; null when it shows none. */
  readonly shown: string | null;
}

/** The shell commands of README.md's tour, with the outputs that stand right after them. */
function tourBlocks(): Block[] {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const tour = /^## A five-minute tour\n(.*?)^## /ms.exec(readme)?.[1] ?? '';
  return [...tour.matchAll(/^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/gms)].map(([, commands = '', shown]) => ({
    commands: commands.trimEnd(),
    shown: shown ?? null,
  }));
}

/** A folder that looks like a fresh clone after `npm ci`, in which the tour can leave its files. */
function cloneOf(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tour-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  for (const name of ['tidemark', 'package.json', 'tests', 'docs', 'node_modules']) {
    symlinkSync(join(root, name), join(directory, name));
  }
  return directory;
}

/** Terminals in the clone. The tour's ports are replaced by free ones, so that nobody else's get in the way. */
class Terminals {
  readonly #directory: string;
  readonly #ports: Readonly<Record<string, number>>;
  readonly #running = new Map<string, { child: ChildProcess; output: string }>();
  #exports = '';

  constructor(directory: string, ports: Readonly<Record<string, number>>) {
    this.#directory = directory;
    this.#ports = ports;
  }

  /** Runs a block to its end; returns what it printed on stdout. A command that fails fails the test. */
  async run(commands: string): Promise<string> {
    const child = this.#spawn(`${this.#exports}\n${commands}`);
    let output = '';
    let problems = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (problems += text));
    const [code] = (await once(child, 'close')) as [number | null];
    expect(code, `${commands}\n${output}${problems}`).toBe(0);
    for (const line of commands.split('\n')) if (line.startsWith('export ')) this.#exports += `${line}\n`;
    return output;
  }

  /** Starts a command in a terminal of its own, and waits until it is of use. */
  async start(command: string): Promise<void> {
    const child = this.#spawn(`${this.#exports}\nexec ${command}`);
    const terminal = { child, output: '' };
    this.#running.set(command, terminal);
    onTestFinished(async () => this.stop(command).then(() => undefined));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (terminal.output += text));
    }
    await until(
      `${command} to be of use`,
      async () => {
        if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}:\n${terminal.output}`);
        return command.startsWith('npm run postgres') ? terminal.output.includes('export ') : this.#serviceAnswers();
      },
      60_000,
    );
  }

  /** Ctrl-C: the signal goes to all processes of the terminal. Returns the exit code. */
  async stop(command: string): Promise<number | null> {
    const child = this.#running.get(command)?.child;
    this.#running.delete(command);
    if (child?.pid === undefined || child.exitCode !== null) return child?.exitCode ?? null;
    const closed = once(child, 'close');
    process.kill(-child.pid, 'SIGINT');
    await closed;
    return child.exitCode;
  }

  #spawn(commands: string): ChildProcess {
    const bin = join(root, 'node_modules', '.bin');
    return spawn('bash', ['-e', '-o', 'pipefail', '-c', this.#withPorts(commands)], {
      cwd: this.#directory,
      env: { ...process.env, PATH: [bin, process.env['PATH']].join(delimiter), NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
  }

  #withPorts(text: string): string {
    return Object.entries(this.#ports).reduce((result, [from, to]) => result.replaceAll(from, String(to)), text);
  }

  async #serviceAnswers(): Promise<boolean> {
    return fetch(`http://127.0.0.1:${this.#ports['7070'] ?? 0}/healthz`).then(
      (response) => response.ok,
      () => false,
    );
  }
}

/** Positions and times differ from run to run. */
function withoutFigures(text: string): string {
  return text.replaceAll(/\b[0-9A-F]+\/[0-9A-F]+\b/g, 'POSITION').replaceAll(/\([\d.]+ (?:min \d+ s|m?s)\)/g, '(TIME)');
}

// Starts a server of its own, where servers can be had at all.
describePostgres("the README's tour", () => {
  it('works when it is pasted, and prints what the page shows', { timeout: 600_000 }, async () => {
    const directory = cloneOf();
    const ports = { 54320: await freePort(), 7070: await freePort() };
    const terminals = new Terminals(directory, ports);
    const blocks = tourBlocks();
    const file = join(directory, 'tidemark.yaml');
    for (const { commands, shown } of blocks) {
      if (longRunning.test(commands)) {
        await terminals.start(commands);
        continue;
      }
      // The page has the reader stop the service before these.
      if (/^cp .* tidemark\.yaml$|tidemark drop/m.test(commands))
        expect(await terminals.stop('./tidemark run')).toBe(130);
      const output = await terminals.run(commands);
      if (shown !== null) expect(withoutFigures(output)).toBe(withoutFigures(shown));
      if (existsSync(file)) {
        writeFileSync(file, readFileSync(file, 'utf8').replace('port: 7070', `port: ${ports[7070]}`));
      }
    }
    expect(blocks.filter(({ shown }) => shown !== null).length).toBeGreaterThanOrEqual(4);
    expect(blocks.length).toBeGreaterThanOrEqual(11);
    expect(existsSync(file)).toBe(false);
  });
});
