import { TidemarkError } from '../base/errors.ts';
import type { Pipeline } from './pipeline.ts';
import type { SourceUnit } from './source-unit.ts';
import { waitForSink } from './wait.ts';

const lookEveryMs = 20;

/**
 * Resolves once everything that the sources had committed at the call is in every sink (and, for a source without a sink, in the
 * log), all of it consistent. Rejects with the first failure of a part that needs a person.
 */
export async function caughtUp(pipeline: Pipeline, signal: AbortSignal): Promise<void> {
  await Promise.all(
    pipeline.sources.map(async (source) => {
      const position = await firstPosition(pipeline, source, signal);
      await logReaches(pipeline, source, position, signal);
      // By now it is known which sources the views are made of, or what is wrong with them.
      await viewsAreBound(pipeline, signal);
      const sinks = pipeline.sinkGroups
        .flatMap((group) => group.sinks)
        .filter(({ name }) => pipeline.sink(name).sources.includes(source));
      const wait = { source: source.name, position, signal, failFast: true };
      await Promise.all(sinks.map(async ({ name }) => waitForSink(pipeline, { ...wait, sink: name })));
    }),
  );
}

async function viewsAreBound(pipeline: Pipeline, signal: AbortSignal): Promise<void> {
  const { views } = pipeline;
  while (views && !views.isBound) {
    if (views.supervised.failure) throw views.supervised.failure;
    await Promise.race([pipeline.changed(), pipeline.clock.sleep(lookEveryMs, signal)]);
    signal.throwIfAborted();
  }
}

/** The source's position now, asked until it answers. */
async function firstPosition(pipeline: Pipeline, source: SourceUnit, signal: AbortSignal): Promise<string> {
  let isOver = false;
  const ended = source.ended().then(() => (isOver = true));
  for (;;) {
    signal.throwIfAborted();
    if (source.supervised.failure) throw source.supervised.failure;
    if (!isOver) {
      await Promise.race([ended, pipeline.clock.sleep(100, signal)]);
      continue;
    }
    try {
      return await source.currentPosition();
    } catch (error) {
      if (!(error instanceof TidemarkError) || error.code !== 'SOURCE_UNREACHABLE') throw error;
    }
    await pipeline.clock.sleep(100, signal);
  }
}

async function logReaches(pipeline: Pipeline, source: SourceUnit, wanted: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    if (source.supervised.failure) throw source.supervised.failure;
    const { position, consistent } = source.rawStatus();
    if (consistent && position !== null && source.order.covers(position, wanted)) return;
    await Promise.race([pipeline.changed(), pipeline.clock.sleep(lookEveryMs, signal)]);
    signal.throwIfAborted();
  }
}
