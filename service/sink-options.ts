import type { Config } from '../config/config.ts';
import type { SinkConfig } from '../config/sink-config.ts';
import type { SinkOptions } from '../sinks/options.ts';
import { viewsStream } from '../views/port.ts';
import { topicOfSink } from './sink-topics.ts';

/** A sink of the file as delivery knows it: what it takes rows from by its topic, its columns by name. */
export function sinkOptions(sink: SinkConfig, config: Config, logged: Parameters<typeof topicOfSink>[2]): SinkOptions {
  const { topic, stream } = topicOfSink(sink, config, logged);
  const { from: _from, columns: chosen, ...specific } = sink;
  const columns = chosen && Object.fromEntries(chosen.map(({ column, as }) => [as, column]));
  const only = config.sources.length === 1 ? config.sources[0]?.name : undefined;
  return {
    ...specific,
    from: topic,
    stream,
    ...(stream === viewsStream && only !== undefined ? { sourceName: only } : {}),
    ...(columns ? { columns } : {}),
  };
}
