import { TidemarkError } from '../base/errors.ts';
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
export async function runningOwner(config: Config, context: CommandContext): Promise<LockOwner | null> {
  return lockOwner(context.files, config.dataDirectory).catch(() => null);
}

/** A client of the running service: where its lock says that it answers, else where the file says. */
export async function connectService(config: Config, context: CommandContext): Promise<ServiceClient> {
  const owner = await runningOwner(config, context);
  return new ServiceClient({
    url: owner?.http ?? configuredUrl(config),
    token: config.http.token,
    signal: context.signal,
  });
}

/** SERVICE_UNREACHABLE for a command that cannot do the work itself. */
export function notRunning(url: string, cause: unknown): TidemarkError {
  return new TidemarkError('SERVICE_UNREACHABLE', `no running service answers at ${url}`, {
    hint: 'Start it with `tidemark run`, and give this command the same file with -c.',
    cause,
  });
}

function configuredUrl({ http }: Config): string {
  const anyHost: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  const host = anyHost[http.host] ?? http.host;
  return `http://${host.includes(':') ? `[${host}]` : host}:${http.port}`;
}
