import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { asTidemarkError } from '../supervise.ts';
import type { VerifyAnswer } from '../verify/answer.ts';
import type { VerifyProgress } from '../verify/verify.ts';
import { errorBody, requestInvalid } from './errors.ts';
import { rawHeaders } from './guard.ts';
import { closedSignal } from './pipeline-routes.ts';
import type { HttpContext } from './server.ts';

/** Progress is written this often, also while there is none, so that a client sees that the work goes on. */
const progressEveryMs = 500;
const linesType = 'application/x-ndjson';

/** Verify. Returns the paths that it adds. */
export function addVerifyRoutes(server: FastifyInstance, context: HttpContext): string[] {
  server.post<{ Params: { sink: string } }>('/api/v1/sinks/:sink/verify', async (request, reply) => {
    const { sink } = request.params;
    const repair = repairOf(request.body);
    // Before anything is answered: a sink that there is none of is a plain 404.
    context.pipeline.sink(sink);
    const { verifySink } = await import('../verify/verify.ts');
    const { answerJson } = await import('../verify/answer.ts');
    const signal = AbortSignal.any([context.stopping, closedSignal(reply.raw)]);
    const verify = async (onProgress: (progress: VerifyProgress) => void): Promise<VerifyAnswer> =>
      verifySink(context.pipeline, { sink, repair, signal, onProgress });
    if (request.headers.accept?.includes(linesType) !== true) {
      return reply.type('application/json; charset=utf-8').send(answerJson(await verify(() => undefined)));
    }
    reply.hijack();
    await stream(reply.raw, signal, context, async (onProgress) => answerJson(await verify(onProgress)));
    return reply;
  });
  return ['POST /api/v1/sinks/{sink}/verify'];
}

/** Lines `{"progress":{…}}`, then one with the answer, or `{"error":{…}}`. */
async function stream(
  response: ServerResponse,
  signal: AbortSignal,
  context: HttpContext,
  work: (onProgress: (progress: VerifyProgress) => void) => Promise<string>,
): Promise<void> {
  response.writeHead(200, { ...rawHeaders(), 'content-type': `${linesType}; charset=utf-8` });
  let progress: VerifyProgress | null = null;
  const write = (): void => void response.write(`${JSON.stringify({ progress })}\n`);
  write();
  const timer = setInterval(write, progressEveryMs);
  timer.unref();
  let last: string;
  try {
    last = await work((now) => (progress = now));
  } catch (error) {
    const known = asTidemarkError(error);
    if (!signal.aborted) context.logger.warn({ code: known.code }, `a verify failed: ${known.message}`);
    last = JSON.stringify(errorBody(known, context.secrets));
  } finally {
    clearInterval(timer);
  }
  if (!signal.aborted && !response.write(`${last}\n`)) await once(response, 'drain', { signal }).catch(() => undefined);
  response.end();
}

function repairOf(body: unknown): boolean {
  const hint = 'Send {"repair": true}, or no body at all.';
  if (body === undefined || body === null) return false;
  if (typeof body !== 'object') throw requestInvalid('verify takes a JSON object', hint);
  const { repair = false, ...rest } = body as Record<string, unknown>;
  const unknownKey = Object.keys(rest)[0];
  if (unknownKey !== undefined) throw requestInvalid(`verify does not know '${unknownKey}'`, hint);
  if (typeof repair !== 'boolean') throw requestInvalid("'repair' is true or false", hint);
  return repair;
}
