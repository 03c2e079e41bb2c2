import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { EventOrigin } from '../../model/envelope.ts';
import { viewsStream } from '../../views/port.ts';
import { viewsOrigin } from '../event-origin.ts';
import type { Pipeline } from '../pipeline.ts';
import { knownTopics, resolveTopic } from '../topic-name.ts';
import { parseEventId, parseTopicStart, topicEvents } from '../topic-events.ts';
import type { TopicEvent, TopicStart } from '../topic-events.ts';
import { requestInvalid } from './errors.ts';
import { rawHeaders } from './guard.ts';
import { closedSignal, parameter } from './pipeline-routes.ts';
import type { HttpContext } from './server.ts';

/** A comment this often keeps proxies from closing a stream on which nothing happens. */
const keepAliveMs = 15_000;

/** Change events of a topic as server-sent events. Returns the paths that it adds. */
export function addEventRoutes(server: FastifyInstance, context: HttpContext): string[] {
  const { pipeline } = context;
  server.get<{ Params: { topic: string } }>(
    '/api/v1/topics/:topic/events',
    { exposeHeadRoute: false },
    async (request, reply) => {
      const topic = resolveTopic(await knownTopics(pipeline), request.params.topic);
      const start = startOf(request);
      const follow = followOf(parameter(request, 'follow'));
      const { name, origin } = originOf(topic, pipeline);
      const signal = AbortSignal.any([context.stopping, closedSignal(reply.raw)]);
      const events = topicEvents({
        log: pipeline.log,
        stream: name,
        topic,
        start,
        follow,
        origin,
        now: () => pipeline.clock.now(),
        signal,
      });
      reply.hijack();
      await stream(reply.raw, events, signal, context);
    },
  );
  return ['GET /api/v1/topics/{topic}/events'];
}

/** The stream that holds a topic, and what its events say of where they come from. */
function originOf(topic: string, pipeline: Pipeline): { name: string; origin: EventOrigin } {
  if (topic.startsWith(`${viewsStream}.`)) return { name: viewsStream, origin: viewsOrigin() };
  return pipeline.sourceOfTopic(topic);
}

function startOf(request: FastifyRequest): TopicStart {
  const id = request.headers['last-event-id'];
  if (typeof id === 'string' && id !== '') return parseEventId(id);
  return parseTopicStart(parameter(request, 'from') ?? 'now');
}

function followOf(text: string | undefined): boolean {
  if (text === undefined || text === 'true') return true;
  if (text === 'false') return false;
  throw requestInvalid(`?follow= is true or false, not '${text}'`);
}

async function stream(
  response: ServerResponse,
  events: AsyncGenerator<TopicEvent[]>,
  signal: AbortSignal,
  context: HttpContext,
): Promise<void> {
  response.writeHead(200, {
    ...rawHeaders(),
    'content-type': 'text/event-stream; charset=utf-8',
    'x-accel-buffering': 'no',
  });
  response.write('retry: 1000\n\n');
  const keepAlive = setInterval(() => response.write(': alive\n\n'), keepAliveMs);
  keepAlive.unref();
  try {
    for await (const piece of events) {
      if (!response.write(formatEvents(piece)) && !signal.aborted) await once(response, 'drain', { signal });
    }
    // Told apart from a broken connection, after which a client comes back.
    if (!signal.aborted) response.write('event: end\ndata: \n\n');
  } catch (error) {
    if (!signal.aborted) {
      context.logger.warn({ error: String(error) }, 'an event stream ended');
      response.write(`event: error\ndata: ${JSON.stringify({ message: context.secrets.clean(String(error)) })}\n\n`);
    }
  } finally {
    clearInterval(keepAlive);
    response.end();
  }
}

function formatEvents(events: readonly TopicEvent[]): string {
  let text = '';
  for (const { id, json } of events) text += json === null ? `id: ${id}\n\n` : `id: ${id}\ndata: ${json}\n\n`;
  return text;
}
