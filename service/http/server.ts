import type { Socket } from 'node:net';
import { fastify } from 'fastify';
import type { FastifyInstance } from 'fastify';
import { TidemarkError, messageOf, systemCodeOf } from '../../base/errors.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { SecretFilter } from '../../telemetry/secrets.ts';
import type { Pipeline } from '../pipeline.ts';
import { asTidemarkError } from '../supervise.ts';
import { errorBody, httpStatusOf, requestInvalid } from './errors.ts';
import { addEventRoutes } from './event-routes.ts';
import { guard, rawHeaders } from './guard.ts';
import { addHealthRoutes } from './health-routes.ts';
import { addPipelineRoutes } from './pipeline-routes.ts';
import { addVerifyRoutes } from './verify-routes.ts';
import { addSinkRoutes } from './sink-routes.ts';
import { addViewRoutes } from './view-routes.ts';

/** Requests carry a table's name and a condition, never data. */
const bodyBytesMax = 64 * 1024;

export interface HttpOptions {
  readonly host: string;
  readonly port: number;
  readonly token: string | undefined;
}

export interface HttpContext {
  readonly pipeline: Pipeline;
  readonly metrics: Metrics;
  readonly secrets: SecretFilter;
  readonly logger: Logger;
  /** Aborted when the service stops: ends what would otherwise stay open. */
  readonly stopping: AbortSignal;
}

/** The HTTP API of a running service. */
export class HttpServer {
  readonly #server: FastifyInstance;
  readonly #sockets = new Set<Socket>();
  /** Where it answers: `http://127.0.0.1:7070`. */
  readonly url: string;

  private constructor(server: FastifyInstance, url: string) {
    this.#server = server;
    this.url = url;
    server.server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** Listens, or throws HTTP_ADDRESS. */
  static async listen(options: HttpOptions, context: HttpContext): Promise<HttpServer> {
    const server = newServer();
    guard(server, options);
    const paths = [
      ...addHealthRoutes(server, context),
      ...addPipelineRoutes(server, context),
      ...addEventRoutes(server, context),
      ...addViewRoutes(server, context),
      ...addSinkRoutes(server, context),
      ...addVerifyRoutes(server, context),
    ];
    addErrorHandling(server, context, paths);
    try {
      const url = await server.listen({ host: options.host, port: options.port });
      return new HttpServer(server, url);
    } catch (error) {
      await server.close();
      throw addressError(options, error);
    }
  }

  /** Ends open requests and stops listening. */
  async close(): Promise<void> {
    const closed = this.#server.close();
    for (const socket of this.#sockets) socket.destroySoon();
    await closed;
  }
}

function newServer(): FastifyInstance {
  return fastify({
    bodyLimit: bodyBytesMax,
    forceCloseConnections: true,
    exposeHeadRoutes: true,
    requestTimeout: 30_000,
    // A topic is three names of up to 63 bytes, each byte up to three characters in a URL.
    routerOptions: { maxParamLength: 600 },
    // A URL that cannot be decoded reaches no route, and so not the error handler either.
    frameworkErrors: (error, _request, reply) => {
      const body = { error: { code: 'REQUEST_INVALID', message: error.message, hint: null } };
      reply.hijack();
      reply.raw.writeHead(400, { ...rawHeaders(), 'content-type': 'application/json' }).end(JSON.stringify(body));
    },
  });
}

function addErrorHandling(server: FastifyInstance, context: HttpContext, paths: readonly string[]): void {
  server.setErrorHandler(async (error, _request, reply) => {
    // Work that was given up because the service stops, or because nobody waits for it any more, is no failure.
    const known = context.stopping.aborted || reply.raw.destroyed ? stopping : fromFastify(error);
    const status = httpStatusOf(known);
    if (status >= 500 && known !== stopping)
      context.logger.error({ code: known.code }, `a request failed: ${known.message}`);
    return reply.status(status).send(errorBody(known, context.secrets));
  });
  server.setNotFoundHandler(async (request, reply) => {
    const error = new TidemarkError('PATH_UNKNOWN', `there is no ${request.method} ${request.url.split('?', 1)[0]}`, {
      hint: `Paths: ${paths.join(', ')}.`,
    });
    return reply.status(404).send(errorBody(error, context.secrets));
  });
}

const stopping = new TidemarkError('SERVICE_UNREACHABLE', 'the service is stopping');

/** fastify's own refusals (a body that is no JSON, too large, of another type) are mistakes in the request. */
function fromFastify(error: unknown): TidemarkError {
  const isRefusal =
    error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' && error.statusCode < 500;
  return isRefusal ? requestInvalid(messageOf(error)) : asTidemarkError(error);
}

function addressError(options: HttpOptions, error: unknown): TidemarkError {
  const where = `${options.host}:${options.port}`;
  const isTaken = systemCodeOf(error) === 'EADDRINUSE';
  return new TidemarkError(
    'HTTP_ADDRESS',
    `http cannot listen on ${where}: ${isTaken ? 'it is in use' : messageOf(error)}`,
    {
      hint: 'Set another `http: { host, port }` in the file, or stop what listens there.',
      cause: error,
    },
  );
}
