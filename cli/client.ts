import type { IncomingMessage } from 'node:http';
import type { Clock } from '../base/clock.ts';
import { TidemarkError, errorCodes, isTidemarkError, systemCodeOf } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';

// The import of node:http as a module evaluates all its exports, an undici of 17 MB and 40 ms among them.
const { request } = process.getBuiltinModule('node:http');

/** What takes no work of the service's is answered at once; a service that is busy may take a little. */
const answerMsDefault = 10_000;
/** A stream of events says that it is alive four times as often (service/http/event-routes.ts). */
const silentStreamMs = 60_000;

/** An object of JSON. */
type Answer = Record<string, unknown>;

type Query = Readonly<Record<string, string | undefined>>;

interface Request {
  readonly method: string;
  readonly path: string;
  readonly query: Query;
  readonly body?: object;
  /** How long nothing may come; for ever when absent. */
  readonly silentMs?: number;
  /** The answer may pause for longer than its beginning. */
  readonly isStream?: boolean;
  /** The answer is wanted line by line. */
  readonly lines?: boolean;
  readonly signal?: AbortSignal;
}

/** Timers of Node count milliseconds in 31 bits. */
const timerMsMax = 2 ** 31 - 1;

/**
 * Talks to the running service. node:http rather than fetch: a wait or a snapshot answers when it is done, which may take longer than
 * fetch's five minutes.
 */
export class ServiceClient {
  readonly url: string;
  readonly #token: string | null;
  readonly #signal: AbortSignal;
  readonly #clock: Clock;

  /** How long an answer may take that needs no work. */
  readonly #answerMs: number;

  constructor(options: { url: string; token: string | null; signal: AbortSignal; clock: Clock; answerMs?: number }) {
    this.#answerMs = options.answerMs ?? answerMsDefault;
    this.#clock = options.clock;
    this.url = options.url;
    this.#token = options.token;
    this.#signal = options.signal;
  }

  /**
   * The answer to a GET, an object that the caller knows the shape of; errors of the API are thrown as what they were in the service.
   * SERVICE_UNREACHABLE when nothing comes for `silentMs`.
   */
  async get(path: string, query: Query = {}, silentMs = this.#answerMs): Promise<unknown> {
    return this.#json(await this.#request({ method: 'GET', path, query, silentMs }));
  }

  /** As `get`, with the text of the answer: what it holds may have more digits than numbers here. */
  async getText(path: string, query: Query = {}): Promise<string> {
    return this.#text(await this.#request({ method: 'GET', path, query, silentMs: this.#answerMs }));
  }

  /** Waits for the answer however long the work takes, as long as the service is alive. */
  async post(path: string, body: object): Promise<unknown> {
    const done = new AbortController();
    const work = this.#request({ method: 'POST', path, query: {}, body, signal: done.signal });
    const answer = work.then(async (response) => this.#json(response));
    // The loser of the race must not surface as an unhandled rejection.
    answer.catch(() => undefined);
    try {
      return await Promise.race([answer, this.#whileAlive(done.signal)]);
    } finally {
      done.abort();
    }
  }

  /** The lines of an answer that comes line by line, while the work goes on; an error among them is thrown as what it was in the service. */
  async *lines(path: string, body: object): AsyncGenerator<string> {
    const silentMs = this.#answerMs;
    const response = await this.#request({
      method: 'POST',
      path,
      query: {},
      body,
      silentMs,
      isStream: true,
      lines: true,
    });
    if (response.statusCode !== 200) await this.#json(response);
    response.setEncoding('utf8');
    response.setTimeout(silentStreamMs, () => response.destroy(silent(this.url, silentStreamMs)));
    let rest = '';
    try {
      for await (const text of response as AsyncIterable<string>) {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          if (line.startsWith('{"error":')) throw apiError(parseObject(line) ?? {}, 500);
          yield line;
        }
      }
    } catch (error) {
      throw this.#unreachable(error);
    } finally {
      response.destroy();
    }
  }

  /** Rejects once the service does not answer any more. */
  async #whileAlive(signal: AbortSignal): Promise<never> {
    for (;;) {
      const silentMs = this.#answerMs;
      await this.#json(await this.#request({ method: 'GET', path: '/healthz', query: {}, silentMs, signal }));
      await this.#clock.sleep(silentMs, AbortSignal.any([signal, this.#signal]));
    }
  }

  /** The `data` of server-sent events, one after the other; ends when the service ends the stream. */
  async *events(path: string, query: Query): AsyncGenerator<string> {
    const response = await this.#request({ method: 'GET', path, query, silentMs: this.#answerMs, isStream: true });
    if (response.statusCode !== 200) await this.#json(response);
    let rest = '';
    let name = '';
    let waits = true;
    response.setEncoding('utf8');
    // While what came is being printed, to a reader who may be slow, nothing is read, and silence says nothing.
    response.setTimeout(silentStreamMs, () => {
      if (waits) response.destroy(silent(this.url, silentStreamMs));
    });
    try {
      for await (const text of response as AsyncIterable<string>) {
        waits = false;
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          if (line === '') name = '';
          else if (line.startsWith('event: ')) name = line.slice(7);
          else if (line.startsWith('data: ') && name === '') yield line.slice(6);
          else if (line.startsWith('data:') && name === 'error') throw streamError(line);
          else if (name === 'end') return;
        }
        waits = true;
      }
      if (!this.#signal.aborted) throw endedEarly(this.url);
    } finally {
      response.destroy();
    }
  }

  async #request(wanted: Request): Promise<IncomingMessage> {
    const { method, path, query, body, silentMs, signal = this.#signal } = wanted;
    const url = new URL(path, this.url);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
    const headers: Record<string, string> = {
      accept: wanted.lines === true ? 'application/x-ndjson' : 'application/json',
    };
    if (this.#token !== null) headers['authorization'] = `Bearer ${this.#token}`;
    if (body) headers['content-type'] = 'application/json';
    const options = { method, headers, signal: AbortSignal.any([signal, this.#signal]), agent: false };
    return new Promise((resolve, reject) => {
      let response: IncomingMessage | null = null;
      const outgoing = request(url, options, (begun) => resolve((response = begun)));
      outgoing.on('error', (error) => reject(this.#unreachable(error)));
      // A service that is stopped or stuck still accepts connections: its system does.
      if (silentMs !== undefined) {
        outgoing.setTimeout(Math.min(silentMs, timerMsMax), () => {
          if (response === null) outgoing.destroy(silent(this.url, silentMs));
          else if (wanted.isStream !== true) response.destroy(silent(this.url, silentMs));
        });
      }
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async #json(response: IncomingMessage): Promise<Answer> {
    return JSON.parse(await this.#text(response)) as Answer;
  }

  /** The text of an answer that is an object of JSON; errors of the API are thrown. */
  async #text(response: IncomingMessage): Promise<string> {
    const parts: Buffer[] = [];
    try {
      for await (const part of response as AsyncIterable<Buffer>) parts.push(part);
    } catch (error) {
      throw this.#unreachable(error);
    }
    const text = Buffer.concat(parts).toString();
    const answer = parseObject(text);
    if (answer === null) {
      throw new TidemarkError('SERVICE_UNREACHABLE', `what answers at ${this.url} is not tidemark`, {
        hint: 'Check `http: { host, port }` in the file.',
      });
    }
    if ((response.statusCode ?? 500) < 400) return text;
    throw apiError(answer, response.statusCode ?? 500);
  }

  #unreachable(error: unknown): unknown {
    if (this.#signal.aborted || isTidemarkError(error)) return error;
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

/** The cause of an error about a service that takes connections and says nothing. */
class Silence {
  readonly forMs: number;
  constructor(forMs: number) {
    this.forMs = forMs;
  }
}

function silent(url: string, forMs: number): TidemarkError {
  return new TidemarkError(
    'SERVICE_UNREACHABLE',
    `the service at ${url} takes connections and does not answer (waited ${(forMs / 1000).toFixed(0)} s)`,
    {
      hint: 'It is stopped, stuck or overloaded: look at its process and its log, and start it again if need be.',
      cause: new Silence(forMs),
    },
  );
}

/** Whether the service took the connection and then said nothing for too long. */
export function isSilence(error: unknown): error is TidemarkError {
  return isTidemarkError(error) && error.cause instanceof Silence;
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
