import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a request holds, as docs/http-sink.md has it. */
export interface RequestBody {
  readonly sink: string;
  readonly seq: number;
  readonly position: string | Record<string, string> | null;
  readonly snapshot?: true;
  readonly part?: number;
  readonly last?: boolean;
  readonly changes: readonly {
    readonly op: 'upsert' | 'delete';
    readonly key: Record<string, unknown>;
    readonly doc: Record<string, unknown> | null;
    readonly seq: number;
  }[];
}

export interface Received {
  readonly key: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: RequestBody;
}

/**
 * What a server does with a request: answers it with a status, takes it and cuts the connection instead of answering (`lost`), cuts it
 * before reading (`cut`), never answers (`hang`), or begins an answer and cuts it (`half`).
 */
export type Behaviour =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  | 'lost'
  | 'cut'
  | 'hang'
  | 'half';

export const ok: Behaviour = { status: 204 };

/** A web server as a user of the sink might run it, that behaves as a test says. */
export class Receiver {
  readonly received: Received[] = [];
  /** Asked for every request; those answered with 2xx, lost and half answered ones count as taken. */
  behave: (request: Received, index: number) => Behaviour | Promise<Behaviour> = () => ok;
  readonly #server: Server;
  readonly #isSecure: boolean;
  #port: number;

  private constructor(server: Server, port: number, isSecure: boolean) {
    this.#server = server;
    this.#isSecure = isSecure;
    this.#port = port;
    server.on('request', (request, response) => void this.#answer(request, response));
  }

  static async start(
    options: { port?: number; keepAliveMs?: number; tls?: { key: string; cert: string } } = {},
  ): Promise<Receiver> {
    const server: Server = options.tls === undefined ? createServer() : createSecureServer(options.tls);
    if (options.keepAliveMs !== undefined) server.keepAliveTimeout = options.keepAliveMs;
    server.listen(options.port ?? 0, '127.0.0.1');
    await once(server, 'listening');
    return new Receiver(server, (server.address() as AddressInfo).port, options.tls !== undefined);
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `${this.#isSecure ? 'https' : 'http'}://127.0.0.1:${this.#port}/hook`;
  }

  /** Bodies of what came, in order. */
  get bodies(): RequestBody[] {
    return this.received.map(({ body }) => body);
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    try {
      for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    } catch {
      return;
    }
    const text = Buffer.concat(parts).toString();
    const key = String(request.headers['idempotency-key']);
    const received = { key, headers: request.headers, text, body: JSON.parse(text) as RequestBody };
    this.received.push(received);
    const behaviour = await this.behave(received, this.received.length - 1);
    if (behaviour === 'cut' || behaviour === 'lost') request.socket.destroy();
    else if (behaviour === 'half') {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half an ', () => request.socket.destroy());
    } else if (behaviour !== 'hang') {
      response.writeHead(behaviour.status, behaviour.headers).end(behaviour.body);
    }
  }
}
