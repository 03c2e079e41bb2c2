import type { FastifyInstance, FastifyRequest } from 'fastify';
import { parseDuration } from '../../config/duration.ts';
import { cleanStatus } from '../clean-status.ts';
import { snapshotTable } from '../snapshot-table.ts';
import { describeTopic } from '../topic-report.ts';
import { waitForSink } from '../wait.ts';
import { requestInvalid } from './errors.ts';
import type { HttpContext } from './server.ts';

const waitDefaultMs = 10_000;
const waitMaxMs = 24 * 3600 * 1000;

/** Status, topics, wait and snapshot. Returns the paths that it adds. */
export function addPipelineRoutes(server: FastifyInstance, context: HttpContext): string[] {
  const { pipeline } = context;
  server.get('/api/v1/status', async () => cleanStatus(await pipeline.status(), context.secrets));

  server.get('/api/v1/topics', async () => ({
    topics: (await pipeline.topics()).map(describeTopic),
  }));

  server.get('/api/v1/wait', async (request, reply) => {
    const sink = parameter(request, 'sink');
    const position = parameter(request, 'position');
    if (sink === undefined) throw requestInvalid('wait needs ?sink=', 'Name a sink of the file.');
    if (position === undefined)
      throw requestInvalid('wait needs ?position=', 'Give a position of the source, or `now`.');
    const source = parameter(request, 'source');
    const timeoutMs = timeoutOf(parameter(request, 'timeout'));
    const searchable = flagOf(parameter(request, 'searchable'), 'searchable');
    return waitForSink(pipeline, {
      sink,
      position,
      timeoutMs,
      searchable,
      signal: AbortSignal.any([context.stopping, closedSignal(reply.raw)]),
      ...(source === undefined ? {} : { source }),
    });
  });

  server.post('/api/v1/snapshot', async (request) => {
    const { table, where } = snapshotBody(request.body);
    return snapshotTable(pipeline, table, where);
  });
  return ['GET /api/v1/status', 'GET /api/v1/topics', 'GET /api/v1/wait', 'POST /api/v1/snapshot'];
}

/** One query parameter; REQUEST_INVALID when it is there twice. */
export function parameter(request: FastifyRequest, name: string): string | undefined {
  const value: unknown = typeof request.query === 'object' ? Reflect.get(request.query ?? {}, name) : undefined;
  if (value === undefined || typeof value === 'string') return value;
  throw requestInvalid(`?${name}= is given more than once`);
}

/** Aborted when the client goes away before its answer: nobody waits on for it. */
export function closedSignal(response: { once(event: 'close', listener: () => void): unknown }): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => controller.abort());
  return controller.signal;
}

function timeoutOf(text: string | undefined): number {
  if (text === undefined) return waitDefaultMs;
  const value = parseDuration(text);
  if (value === null) throw requestInvalid(`'${text}' is not a duration`, 'Write it as 250ms, 10s or 5m.');
  return Math.min(value, waitMaxMs);
}

/** A parameter that is `true` or `false`; false when absent. */
function flagOf(text: string | undefined, name: string): boolean {
  if (text === undefined || text === 'false') return false;
  if (text === 'true') return true;
  throw requestInvalid(`?${name}= is true or false, not '${text}'`);
}

function snapshotBody(body: unknown): { table: string; where: string | undefined } {
  const hint = 'Send {"table": "shop.public.orders", "where": "id > 100"}; `where` may be left out.';
  if (typeof body !== 'object' || body === null) throw requestInvalid('snapshot needs a JSON object', hint);
  const { table, where, ...rest } = body as Record<string, unknown>;
  const unknownKey = Object.keys(rest)[0];
  if (unknownKey !== undefined) throw requestInvalid(`snapshot does not know '${unknownKey}'`, hint);
  if (typeof table !== 'string' || table === '') throw requestInvalid("snapshot needs 'table'", hint);
  if (where !== undefined && where !== null && typeof where !== 'string')
    throw requestInvalid("'where' is no text", hint);
  return { table, where: where ?? undefined };
}
