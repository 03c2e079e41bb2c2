import { resolve } from 'node:path';
import { literalTemplate } from '../model/key-template.ts';
import { parseDuration } from './duration.ts';
import type { FileContent } from './schema.ts';
import type { SinkConfig } from './sink-config.ts';
import { lastPart } from './table-name.ts';

type FileSink = FileContent['sinks'][string];

/** One checked sink of the file as the program uses it. Paths are relative to `folder`. */
export function buildSink(name: string, sink: FileSink, folder: string): SinkConfig {
  const shared = { name, from: sink.from, columns: buildColumns(sink.columns), start: sink.start };
  const own = lastPart(sink.from);
  switch (sink.type) {
    case 'sqlite': {
      const { type, path, table = own, search } = sink;
      return { ...shared, type, path: resolve(folder, path), table, search };
    }
    case 'ndjson': {
      const { type, path, numbers } = sink;
      return { ...shared, type, path: path === '-' ? '-' : resolve(folder, path), numbers };
    }
    case 'redis': {
      const { type, url, key = defaultKeyTemplate(sink.from), format, ttl, numbers } = sink;
      const ttlMs = ttl === undefined ? null : parseDuration(ttl);
      return { ...shared, type, url, key, format, ttlMs, maxAtomicRows: sink.max_atomic_rows, numbers };
    }
    case 'http': {
      const { type, url, secret = null, batch, numbers } = sink;
      return { ...shared, type, url, secret, batch, numbers };
    }
    default: {
      const { type, url, index = own, mapping = null, settings = null, routing = null, numbers } = sink;
      const refresh =
        sink.refresh === 'commit' || sink.refresh === 'engine' ? sink.refresh : parseDuration(sink.refresh);
      return { ...shared, type, url, index, mapping, settings, routing, refresh: refresh ?? 1_000, numbers };
    }
  }
}

/** `orders:{*}`: the table's or view's own name, then its key. */
export function defaultKeyTemplate(from: string): string {
  return `${literalTemplate(lastPart(from))}:{*}`;
}

function buildColumns(columns: FileSink['columns']): SinkConfig['columns'] {
  if (columns === undefined) return null;
  if (Array.isArray(columns)) return columns.map((column) => ({ column, as: column }));
  return Object.entries(columns).map(([as, column]) => ({ column, as }));
}
