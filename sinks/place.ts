import { resolve } from 'node:path';
import type { SinkOptions } from './options.ts';

/** What sinks on the same target have in common. Where nothing can be written together, each sink is a target of its own. */
export function placeOf(sink: SinkOptions): string {
  switch (sink.type) {
    case 'sqlite':
    case 'ndjson':
      return `${sink.type}:${sink.path === '-' ? '-' : resolve(sink.path)}`;
    case 'redis':
      return `redis:${serverOf(sink.url)}`;
    default:
      return `${sink.type}:${sink.name}`;
  }
}

/** Host, port and database of a Redis. */
function serverOf(url: string): string {
  if (!URL.canParse(url)) return url;
  const { hostname, port, pathname } = new URL(url);
  // This machine under any of its names is one place: two connections would take it from each other.
  const host = hostname === 'localhost' || hostname === '[::1]' ? '127.0.0.1' : hostname;
  return `${host}:${port || '6379'}/${Number(pathname.slice(1) || '0')}`;
}
