import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/config.ts';
import { lockOwner } from '../service/lock.ts';
import type { LockOwner } from '../service/lock.ts';
import { secretsOf } from '../telemetry/secrets.ts';
import { ServiceClient } from './client.ts';
import type { CommandContext, CommonOptions } from './context.ts';

/** Reads the file of `-c`; what is secret in it is not printed from then on. */
export async function readConfig(options: CommonOptions, context: CommandContext): Promise<Config> {
  const config = await loadConfig(options.config, context.environment);
  context.secrets.learn(secretsOf(config));
  return config;
}

/** Who runs on the data directory; null when nobody does, or when this user may not look. */
async function runningOwner(config: Config, context: CommandContext): Promise<LockOwner | null> {
  return lockOwner(context.files, config.dataDirectory).catch(() => null);
}

/** Whether a service owns the data directory and answers. A command that reads the log for a moment owns it without answering. */
export async function isServed(config: Config, context: CommandContext): Promise<boolean> {
  return ((await runningOwner(config, context))?.http ?? null) !== null;
}

/** Waits while a service is starting: it owns the data directory and does not answer yet. */
export async function startOfService(config: Config, context: CommandContext, timeoutMs: number): Promise<void> {
  const endMs = context.clock.monotonic() + timeoutMs;
  while (context.clock.monotonic() < endMs) {
    const owner = await runningOwner(config, context);
    if (owner === null || owner.http !== null || owner.command !== 'run') return;
    await context.clock.sleep(50, context.signal);
  }
}

/** A client of the running service: where its lock says that it answers, else where the file says. */
export async function connectService(config: Config, context: CommandContext): Promise<ServiceClient> {
  const owner = await runningOwner(config, context);
  return new ServiceClient({
    url: owner?.http ?? configuredUrl(config),
    token: config.http.token,
    signal: context.signal,
    clock: context.clock,
  });
}

function configuredUrl({ http }: Config): string {
  const anyHost: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  const host = anyHost[http.host] ?? http.host;
  return `http://${host.includes(':') ? `[${host}]` : host}:${http.port}`;
}
