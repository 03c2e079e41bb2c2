import { connect as connectPlain } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { TidemarkError, messageOf } from '../base/errors.ts';
import { redactUrl } from '../config/redact-url.ts';
import type { Config } from '../config/config.ts';
import type { CheckResult } from '../model/source.ts';
import type { HttpSinkOptions, RedisSinkOptions, SinkOptions } from '../sinks/options.ts';
import { placeOf } from '../sinks/place.ts';
import { problem } from './check-views.ts';
import { sinkOptions } from './sink-options.ts';

const connectMs = 5_000;

/** Whether the servers of sinks answer, let us in and can hold what they are to hold. */
export async function* checkSinkServers(config: Config): AsyncGenerator<CheckResult> {
  const redis = new Map<string, RedisSinkOptions[]>();
  for (const sink of knownSinks(config)) {
    try {
      if (sink.type === 'redis') redis.set(placeOf(sink), [...(redis.get(placeOf(sink)) ?? []), sink]);
      else if (sink.type === 'http') yield await checkEndpoint(sink);
      else if (sink.type === 'opensearch' || sink.type === 'elasticsearch') {
        const { checkSearch } = await import('../sinks/search/check.ts');
        yield* checkSearch(sink, config.name);
      }
    } catch (error) {
      yield problem(sink.name, error);
    }
  }
  for (const members of redis.values()) {
    const { checkRedis } = await import('../sinks/redis/check.ts');
    yield* checkRedis(members, config.name);
  }
}

/** Those whose `from` is known; of the others it has been told. */
function knownSinks(config: Config): SinkOptions[] {
  return config.sinks.flatMap((sink) => {
    try {
      return [sinkOptions(sink, config, [])];
    } catch {
      return [];
    }
  });
}

/** Nothing is sent: an endpoint may take any request for a delivery. */
async function checkEndpoint({ name, url }: HttpSinkOptions): Promise<CheckResult> {
  const subject = `${name}: url`;
  const { protocol, hostname, port } = new URL(url);
  const isTls = protocol === 'https:';
  const host = hostname.replace(/^\[|\]$/g, '');
  const target = { host, port: Number(port || (isTls ? 443 : 80)) };
  const shown = redactUrl(url);
  try {
    await connected(
      isTls ? connectTls({ ...target, servername: host }) : connectPlain(target),
      isTls ? 'secureConnect' : 'connect',
    );
    return { level: 'ok', subject, message: `${shown} can be connected to; nothing was sent` };
  } catch (error) {
    const fix = 'See that the endpoint runs, and that its address is right.';
    return { level: 'error', subject, message: `${shown} cannot be reached: ${messageOf(error)}`, fix };
  }
}

async function connected(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once(event, resolve);
      socket.once('error', reject);
      socket.setTimeout(connectMs, () =>
        socket.destroy(new TidemarkError('SINK_FAILED', `no connection within ${connectMs / 1000} s`)),
      );
    });
  } finally {
    socket.destroy();
  }
}
