import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdtempSync,
  openSync,
  closeSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Whom a server runs as. Absent ids mean: as ourselves. */
export interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

/** PostgreSQL and the search engines refuse to run as root: an account without privileges when we are root, else ourselves. */
export function serverAccount(): Account {
  if (process.getuid?.() !== 0) return {};
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const entry = accounts.find((fields) => fields[0] === name);
    if (entry) return { uid: Number(entry[2]), gid: Number(entry[3]) };
  }
  return { uid: 65_534, gid: 65_534 };
}

/** A new folder that the account owns. Its path is short: a Unix socket's path may have 107 bytes at most. */
export function temporaryDirectory(name: string, account: Account): string {
  const directory = mkdtempSync(join(temporaryRoot(), `tidemark-${name}-`));
  if (account.uid !== undefined && account.gid !== undefined) chownSync(directory, account.uid, account.gid);
  return directory;
}

/** The system's temporary folder, or /tmp when a TMPDIR of our own is closed to the account that servers run as. */
export function temporaryRoot(): string {
  return process.getuid?.() !== 0 || everybodyCanEnter(tmpdir()) ? tmpdir() : '/tmp';
}

/** Whether an account without privileges can read what is in `directory`, that is, pass through all folders above it. */
export function everybodyCanEnter(directory: string): boolean {
  for (let at = realpathSync(directory); ; at = dirname(at)) {
    if ((statSync(at).mode & 0o005) !== 0o005) return false;
    if (at === dirname(at)) return true;
  }
}

/** A port on 127.0.0.1 that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port);
        else reject(new Error('the system gave no port'));
      });
    });
  });
}

/** Runs a program to its end; throws with its output when it fails. */
export function runToEnd(program: string, args: readonly string[], account: Account): string {
  const result = spawnSync(program, args, { ...account, cwd: '/', encoding: 'utf8', env: serverEnvironment() });
  if (result.error) throw result.error;
  if (result.status !== 0) {
    throw new Error(
      `${program} ${args.join(' ')} failed (${String(result.status ?? result.signal)}):\n${result.stdout}${result.stderr}`,
    );
  }
  return result.stdout;
}

/**
 * Starts a server in a session of its own, so that Ctrl-C reaches the owner only, which then stops its servers in order.
 * Its output goes to `logFile`. It does not keep this process alive.
 */
export function spawnServer(program: string, args: readonly string[], account: Account, logFile: string): ChildProcess {
  const log = openSync(logFile, 'a');
  try {
    const child = spawn(program, args, {
      ...account,
      cwd: '/',
      detached: true,
      stdio: ['ignore', log, log],
      env: serverEnvironment(),
    });
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}

/** The outer environment's PG… and LC_… variables must not leak into a server: tests would depend on the machine. */
function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], LANG: 'C', TZ: 'UTC' };
}

/**
 * Ends what runs in `directory` and removes it, once this process is gone, however that happens (a crash, kill -9): a shell
 * that waits for the end of a pipe only we hold. Processes are recognised by the directory in their command line.
 */
export function watchOver(directory: string): { release(): void } {
  const script = `
    trap '' INT TERM HUP
    cat > /dev/null
    [ -e "$1" ] || exit 0
    running() {
      if [ -d /proc/self ]; then grep -l -a -F -e "$1" /proc/[0-9]*/cmdline 2> /dev/null | cut -d / -f 3; else pgrep -f "$1"; fi
    }
    for signal in QUIT KILL; do
      for pid in $(running "$1"); do [ "$pid" = "$$" ] || kill -$signal "$pid" 2> /dev/null; done
      for turn in 1 2 3 4 5; do
        others=0
        for pid in $(running "$1"); do [ "$pid" = "$$" ] || ! kill -0 "$pid" 2> /dev/null || others=1; done
        [ $others = 0 ] && break
        sleep 0.2
      done
    done
    rm -rf "$1"`;
  const shell = spawn('/bin/sh', ['-c', script, 'tidemark-watch', directory], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.unref();
  const pipe = shell.stdin;
  // The pipe must live as long as we do, yet not keep us alive.
  if (pipe && 'unref' in pipe && typeof pipe.unref === 'function') pipe.unref();
  return {
    release: () => {
      pipe?.end();
    },
  };
}

export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

/**
 * Asks again and again until the answer is neither undefined nor false; fails with `what` after `timeoutMs`, which is long: a machine
 * may have five times as much to do as this one.
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 100_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`timed out after ${timeoutMs} ms waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The last lines of a server's log, for the message that says why it did not start. */
export function tailOf(file: string, lines = 20): string {
  if (!existsSync(file)) return '(no log)';
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}
