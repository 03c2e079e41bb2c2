import type { IncomingMessage } from 'node:http';
import { TidemarkError, errorCodes, systemCodeOf } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';

// The import of node:http as a module evaluates all its exports, an undici of 17 MB and 40 ms among them.
const { request } = process.getBuiltinModule('node:http');

/** An object of JSON. */
type Answer = Record<string, unknown>;

/**
 * Talks to the running service. node:http rather than fetch: a wait or a snapshot answers when it is done, which may take longer than
 * fetch's five minutes.
 */
export class ServiceClient {
  readonly url: string;
  readonly #token: string | null;
  readonly #signal: AbortSignal;

  constructor(options: { url: string; token: string | null; signal: AbortSignal }) {
    this.url = options.url;
    this.#token = options.token;
    this.#signal = options.signal;
  }

  /** The answer to a GET, an object that the caller knows the shape of; errors of the API are thrown as what they were in the service. */
  async get(path: string, query: Readonly<Record<string, string | undefined>> = {}): Promise<unknown> {
    return this.#json(await this.#request('GET', path, query));
  }

  async post(path: string, body: object): Promise<unknown> {
    return this.#json(await this.#request('POST', path, {}, body));
  }

  /** The `data` of server-sent events, one after the other; ends when the service ends the stream. */
  async *events(path: string, query: Readonly<Record<string, string | undefined>>): AsyncGenerator<string> {
    const response = await this.#request('GET', path, query);
    if (response.statusCode !== 200) await this.#json(response);
    let rest = '';
    let name = '';
    response.setEncoding('utf8');
    try {
      for await (const text of response as AsyncIterable<string>) {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          if (line === '') name = '';
          else if (line.startsWith('event: ')) name = line.slice(7);
          else if (line.startsWith('data: ') && name === '') yield line.slice(6);
          else if (line.startsWith('data:') && name === 'error') throw streamError(line);
          else if (name === 'end') return;
        }
      }
      if (!this.#signal.aborted) throw endedEarly(this.url);
    } finally {
      response.destroy();
    }
  }

  async #request(
    method: string,
    path: string,
    query: Readonly<Record<string, string | undefined>>,
    body?: object,
  ): Promise<IncomingMessage> {
    const url = new URL(path, this.url);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
    const headers: Record<string, string> = { accept: 'application/json' };
    if (this.#token !== null) headers['authorization'] = `Bearer ${this.#token}`;
    if (body) headers['content-type'] = 'application/json';
    return new Promise((resolve, reject) => {
      const outgoing = request(url, { method, headers, signal: this.#signal, agent: false }, resolve);
      outgoing.on('error', (error) => reject(this.#unreachable(error)));
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async #json(response: IncomingMessage): Promise<Answer> {
    const parts: Buffer[] = [];
    try {
      for await (const part of response as AsyncIterable<Buffer>) parts.push(part);
    } catch (error) {
      throw this.#unreachable(error);
    }
    const answer = parseObject(Buffer.concat(parts).toString());
    if (answer === null) {
      throw new TidemarkError('SERVICE_UNREACHABLE', `what answers at ${this.url} is not tidemark`, {
        hint: 'Check `http: { host, port }` in the file.',
      });
    }
    if ((response.statusCode ?? 500) < 400) return answer;
    throw apiError(answer, response.statusCode ?? 500);
  }

  #unreachable(error: unknown): unknown {
    if (this.#signal.aborted) return error;
    const code = systemCodeOf(error);
    return new TidemarkError(
      'SERVICE_UNREACHABLE',
      `no running service answers at ${this.url}${code ? ` (${code})` : ''}`,
      {
        hint: 'Start it with `tidemark run`, and give this command the same file with -c.',
        cause: error,
      },
    );
  }
}

function parseObject(text: string): Answer | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Answer) : null;
  } catch {
    return null;
  }
}

function apiError(answer: Answer, status: number): TidemarkError {
  const { error } = answer;
  const body: Answer = typeof error === 'object' && error !== null ? (error as Answer) : {};
  const { code, message, hint } = body;
  const known: ErrorCode = typeof code === 'string' && code in errorCodes ? (code as ErrorCode) : 'SERVICE_UNREACHABLE';
  const text = typeof message === 'string' ? message : `the service answered ${status}`;
  return new TidemarkError(known, text, typeof hint === 'string' ? { hint } : {});
}

function streamError(line: string): TidemarkError {
  const { message } = parseObject(line.slice('data:'.length)) ?? {};
  return new TidemarkError(
    'SERVICE_UNREACHABLE',
    `the service ended the stream: ${typeof message === 'string' ? message : 'unknown'}`,
  );
}

function endedEarly(url: string): TidemarkError {
  return new TidemarkError('SERVICE_UNREACHABLE', `the service at ${url} went away in the middle of the stream`, {
    hint: 'Run the command again; --from takes the number of the last transaction seen.',
  });
}
