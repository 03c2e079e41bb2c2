import type { FastifyInstance } from 'fastify';
import type { HttpContext } from './server.ts';

/** Probes and metrics. Returns the paths that it adds. */
export function addHealthRoutes(server: FastifyInstance, context: HttpContext): string[] {
  const { pipeline, metrics, secrets } = context;
  server.get('/healthz', async () => ({ ok: true }));

  server.get('/readyz', async (_request, reply) => {
    const reasons = context.stopping.aborted ? ['the service is stopping'] : pipeline.reasons();
    reply.status(reasons.length === 0 ? 200 : 503);
    return {
      ready: reasons.length === 0,
      reasons: reasons.map((reason) => secrets.clean(reason)),
      notes: pipeline.notes(),
    };
  });

  server.get('/metrics', async (_request, reply) => {
    const text = await metrics.scrape(await pipeline.status());
    return reply.type(metrics.contentType).send(text);
  });
  return ['GET /healthz', 'GET /readyz', 'GET /metrics'];
}
