import type { FastifyInstance } from 'fastify';
import type { VerifyAnswer } from '../verify/answer.ts';
import type { VerifyProgress } from '../verify/verify.ts';
import { requestInvalid } from './errors.ts';
import { answerByLines } from './lines.ts';
import { closedSignal } from './pipeline-routes.ts';
import type { HttpContext } from './server.ts';

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
    return answerByLines(request, reply, { ...context, signal }, async (onProgress) =>
      answerJson(await verify(onProgress)),
    );
  });
  return ['POST /api/v1/sinks/{sink}/verify'];
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
