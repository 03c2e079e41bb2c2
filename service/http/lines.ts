import { once } from 'node:events';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { asTidemarkError } from '../supervise.ts';
import { errorBody } from './errors.ts';
import { rawHeaders } from './guard.ts';
import type { HttpContext } from './server.ts';

/** Progress is written this often, also while there is none, so that a client sees that the work goes on. */
const progressEveryMs = 500;
const linesType = 'application/x-ndjson';

/**
 * Answers with what long work comes to, a JSON text. To those who accept lines (`application/x-ndjson`): lines `{"progress":{…}}` while it
 * goes on, then one with the answer, or `{"error":{…}}`.
 */
export async function answerByLines(
  request: FastifyRequest,
  reply: FastifyReply,
  context: HttpContext & { readonly signal: AbortSignal },
  work: (onProgress: (progress: object) => void) => Promise<string>,
): Promise<FastifyReply> {
  if (request.headers.accept?.includes(linesType) !== true) {
    return reply.type('application/json; charset=utf-8').send(await work(() => undefined));
  }
  reply.hijack();
  const { raw: response } = reply;
  const { signal } = context;
  response.writeHead(200, { ...rawHeaders(), 'content-type': `${linesType}; charset=utf-8` });
  let progress: object | null = null;
  const write = (): void => void response.write(`${JSON.stringify({ progress })}\n`);
  write();
  const timer = setInterval(write, progressEveryMs);
  timer.unref();
  let last: string;
  try {
    last = await work((now) => (progress = now));
  } catch (error) {
    const known = asTidemarkError(error);
    if (!signal.aborted) context.logger.warn({ code: known.code }, `${request.url}: ${known.message}`);
    last = JSON.stringify(errorBody(known, context.secrets));
  } finally {
    clearInterval(timer);
  }
  if (!signal.aborted && !response.write(`${last}\n`)) await once(response, 'drain', { signal }).catch(() => undefined);
  response.end();
  return reply;
}
