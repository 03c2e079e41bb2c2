import type { FastifyInstance, FastifyRequest } from 'fastify';
import { chosenLetters, lettersJson, retryLetters, skipLetters } from '../dead-letters.ts';
import type { LetterChoice } from '../dead-letters.ts';
import { pauseSink, rebuildSink } from '../sink-commands.ts';
import { requestInvalid } from './errors.ts';
import { answerByLines } from './lines.ts';
import { closedSignal, parameter } from './pipeline-routes.ts';
import type { HttpContext } from './server.ts';

type OfSink = { Params: { sink: string } };

/** What is done with single sinks: pause, resume, rebuild, dead letters. Returns the paths that it adds. */
export function addSinkRoutes(server: FastifyInstance, context: HttpContext): string[] {
  const { pipeline } = context;
  server.post<OfSink>('/api/v1/sinks/:sink/pause', async ({ params }) => pauseSink(pipeline, params.sink, true));
  server.post<OfSink>('/api/v1/sinks/:sink/resume', async ({ params }) => pauseSink(pipeline, params.sink, false));
  server.post<OfSink>('/api/v1/sinks/:sink/rebuild', async (request, reply) => {
    const { sink } = request.params;
    // Before anything is answered: a sink that there is none of is a plain 404.
    pipeline.sinkUnit(sink);
    // A client that goes away ends the wait for the rebuild, not the rebuild.
    const signal = AbortSignal.any([context.stopping, closedSignal(reply.raw)]);
    return answerByLines(request, reply, { ...context, signal }, async (onProgress) =>
      JSON.stringify(await rebuildSink(pipeline, sink, { signal, onProgress })),
    );
  });

  server.get('/api/v1/dead-letters', async (request, reply) => {
    const choice = { sink: parameter(request, 'sink'), key: parameter(request, 'key') };
    checkKey(choice.key);
    const body = context.secrets.clean(lettersJson(await chosenLetters(pipeline, choice)));
    return reply.type('application/json; charset=utf-8').send(body);
  });
  server.post('/api/v1/dead-letters/retry', async (request) => retryLetters(pipeline, choiceOf(request)));
  server.post('/api/v1/dead-letters/skip', async (request) => skipLetters(pipeline, choiceOf(request)));
  return [
    'POST /api/v1/sinks/{sink}/pause',
    'POST /api/v1/sinks/{sink}/resume',
    'POST /api/v1/sinks/{sink}/rebuild',
    'GET /api/v1/dead-letters',
    'POST /api/v1/dead-letters/retry',
    'POST /api/v1/dead-letters/skip',
  ];
}

/** `{"sink": "search", "key": {"id": 42}}`, each may be left out; the key may also be its JSON as a text, with digits that a parser would lose. */
function choiceOf({ body }: FastifyRequest): LetterChoice {
  const hint = 'Send {"sink": "search", "key": {"id": 42}}; both may be left out.';
  if (body === undefined || body === null) return {};
  if (typeof body !== 'object' || Array.isArray(body)) throw requestInvalid('this is no JSON object', hint);
  const { sink, key, ...rest } = body as Record<string, unknown>;
  const unknownKey = Object.keys(rest)[0];
  if (unknownKey !== undefined) throw requestInvalid(`dead letters are not chosen by '${unknownKey}'`, hint);
  if (sink !== undefined && typeof sink !== 'string') throw requestInvalid("'sink' is the name of a sink", hint);
  const text = key === undefined || typeof key === 'string' ? key : JSON.stringify(key);
  checkKey(text);
  return { sink, key: text };
}

function checkKey(key: string | undefined): void {
  if (key === undefined) return;
  try {
    JSON.parse(key);
  } catch {
    throw requestInvalid(`the key is no JSON: ${key.slice(0, 100)}`, 'Write it as it is listed: {"id":42}.');
  }
}
