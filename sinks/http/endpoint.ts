import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import { TidemarkError, isTidemarkError, systemCodeOf } from '../../base/errors.ts';
import { signatureHeaders } from './signature.ts';

// The import of node:http as a module evaluates all its exports, an undici of 17 MB among them.
const http = process.getBuiltinModule('node:http');

/** Limits of one exchange. */
export interface ExchangeLimits {
  /** From the beginning of a request to the headers of its answer. */
  readonly answerMs: number;
  /** For the rest of an answer, which is of no use but for its first words. */
  readonly bodyMs: number;
  /** For a request under way when the service stops: after that its answer is not waited for. */
  readonly stopMs: number;
}

export const exchangeLimits: ExchangeLimits = { answerMs: 30_000, bodyMs: 2_000, stopMs: 2_000 };

/** More of an answer's body is not read. */
const bodyBytesMax = 64 * 1024;
const excerptLength = 200;
/** No pause that an endpoint asks for is longer. */
const retryAfterMsMax = 3_600_000;

/** What is wrong with the changes themselves, so that they are refused whenever they come. */
const refusing = new Set([400, 413, 422]);

/** An endpoint's no to what a request holds. */
export interface Refusal {
  readonly status: number;
  /** Status line and first words of the answer. */
  readonly reason: string;
}

interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly location: string | undefined;
  readonly retryAfter: string | undefined;
}

/** The web server that requests are sent to, one at a time, on a connection that is kept. */
export class Endpoint {
  readonly #sink: string;
  readonly #url: URL;
  readonly #secret: string | null;
  readonly #clock: Clock;
  readonly #limits: ExchangeLimits;
  readonly #agent;
  #stop = new AbortController();
  /** The endpoint asked not to be spoken to before this time of the clock. */
  #notBeforeMs = -Infinity;

  constructor(
    options: { readonly sink: string; readonly url: string; readonly secret: string | null },
    clock: Clock,
    limits: ExchangeLimits,
  ) {
    this.#sink = options.sink;
    this.#url = new URL(options.url);
    this.#secret = options.secret;
    this.#clock = clock;
    this.#limits = limits;
    const { Agent } = this.#isSecure ? process.getBuiltinModule('node:https') : http;
    this.#agent = new Agent({ keepAlive: true, maxFreeSockets: 1 });
  }

  /** Forgets an interruption. */
  open(): void {
    this.#stop = new AbortController();
  }

  /** Resolves when the endpoint may be spoken to again. */
  async ready(): Promise<void> {
    const waitMs = this.#notBeforeMs - this.#clock.monotonic();
    if (waitMs > 0) await this.#clock.sleep(waitMs, this.#stop.signal);
  }

  /** Ends what waits for the endpoint, until the next `open`. */
  interrupt(): void {
    this.#stop.abort();
  }

  close(): void {
    this.#agent.destroy();
  }

  /**
   * Sends one request. Null when it was taken, a refusal when the endpoint will never take these changes; SINK_FAILED for everything
   * that may pass: no answer, and answers that say that the endpoint, not the changes, is the matter.
   */
  async post(body: Buffer, key: string): Promise<Refusal | null> {
    const answer = await this.#exchange(body, key);
    const { status, reason } = answer;
    if (status >= 200 && status < 300) return null;
    if (refusing.has(status)) return { status, reason };
    const waitMs = retryAfterMs(answer.retryAfter, this.#clock.now());
    if (waitMs > 0) this.#notBeforeMs = this.#clock.monotonic() + Math.min(waitMs, retryAfterMsMax);
    throw this.#failure(`answered ${reason}`, hintFor(answer));
  }

  get #isSecure(): boolean {
    return this.#url.protocol === 'https:';
  }

  /** A kept connection may be closed by the other side just as a request goes out: then it is sent once more, on a new one. */
  async #exchange(body: Buffer, key: string): Promise<Answer> {
    try {
      return await this.#attempt(body, key);
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error;
      return await this.#attempt(body, key).catch((again: unknown) => {
        throw again instanceof StaleConnection ? this.#failure('closed the connection', brokenHint) : again;
      });
    }
  }

  async #attempt(body: Buffer, key: string): Promise<Answer> {
    const done = new AbortController();
    const { answerMs, stopMs } = this.#limits;
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        const outgoing = this.#begin(body, key);
        const giveUp = (why: string) => () => outgoing.destroy(this.#failure(why, 'Look at what the endpoint does.'));
        outgoing.on('response', resolve);
        outgoing.on('error', (error) => reject(this.#broken(error, outgoing.reusedSocket)));
        const sleep = async (ms: number): Promise<void> => this.#clock.sleep(ms, done.signal);
        sleep(answerMs).then(giveUp(`gave no answer within ${answerMs / 1000} s`), () => undefined);
        const onStop = (): void => void sleep(stopMs).then(giveUp('gave no answer before the stop'), () => undefined);
        if (this.#stop.signal.aborted) onStop();
        this.#stop.signal.addEventListener('abort', onStop, { signal: done.signal });
        outgoing.end(body);
      });
      return await this.#read(response, done.signal);
    } finally {
      done.abort();
    }
  }

  #begin(body: Buffer, key: string): ClientRequest {
    const { request } = this.#isSecure ? process.getBuiltinModule('node:https') : http;
    const signed =
      this.#secret === null ? {} : signatureHeaders(this.#secret, { id: key, timeMs: this.#clock.now(), body });
    const headers = {
      'content-type': 'application/json',
      'content-length': body.length,
      'user-agent': 'tidemark',
      'idempotency-key': key,
      ...signed,
    };
    return request(this.#url, { method: 'POST', headers, agent: this.#agent });
  }

  /** Reads the first words of an answer, and the rest as far as it is worth keeping the connection for. */
  async #read(response: IncomingMessage, signal: AbortSignal): Promise<Answer> {
    const parts: Buffer[] = [];
    let bytes = 0;
    await new Promise<void>((resolve) => {
      const cut = (): void => {
        response.destroy();
        resolve();
      };
      response.on('data', (part: Buffer) => {
        if (bytes < excerptLength * 4) parts.push(part);
        bytes += part.length;
        if (bytes > bodyBytesMax) cut();
      });
      response.on('end', resolve);
      // The status has come; an end that is missing changes nothing.
      response.on('error', () => resolve());
      response.on('close', resolve);
      this.#clock.sleep(this.#limits.bodyMs, signal).then(cut, () => undefined);
    });
    const { statusCode = 0, statusMessage = '', headers } = response;
    const words = [`${statusCode} ${statusMessage}`.trim(), excerpt(Buffer.concat(parts))].filter(
      (text) => text !== '',
    );
    return {
      status: statusCode,
      reason: words.join(': '),
      location: headers.location,
      retryAfter: headers['retry-after'],
    };
  }

  #broken(error: unknown, wasReused: boolean): Error {
    if (isTidemarkError(error)) return error;
    const code = systemCodeOf(error);
    if (wasReused && (code === 'ECONNRESET' || code === 'EPIPE')) return new StaleConnection();
    if (code === 'ECONNRESET' || code === 'EPIPE') return this.#failure('closed the connection', brokenHint, error);
    const text = error instanceof Error ? error.message : String(error);
    return this.#failure(`cannot be reached: ${text || code}`, brokenHint, error);
  }

  #failure(what: string, hint: string, cause?: unknown): TidemarkError {
    // Without user, password and query, which may hold secrets.
    const shown = `${this.#url.origin}${this.#url.pathname}`;
    return new TidemarkError('SINK_FAILED', `Sink '${this.#sink}': ${shown} ${what}`, {
      hint,
      place: { sink: this.#sink },
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

const brokenHint = 'See that the endpoint runs and that its address is right; it is tried again with growing pauses.';

/** A connection that was kept turned out to be closed before the endpoint can have seen the request. */
class StaleConnection extends Error {
  override readonly name = 'StaleConnection';
}

function hintFor({ status, location }: Answer): string {
  if (status >= 300 && status < 400) {
    return `Redirects are not followed: set \`url\` to where it points${location === undefined ? '' : ` (${location})`}.`;
  }
  if (status === 401 || status === 403) return 'Put user and password into `url`, or have the endpoint check `secret`.';
  return 'It is tried again with growing pauses; nothing is lost meanwhile.';
}

/** What a Retry-After header says: seconds, or a date. 0 without one. */
function retryAfterMs(value: string | undefined, nowMs: number): number {
  if (value === undefined) return 0;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? 0 : date - nowMs;
}

/** The beginning of a body as one line. */
function excerpt(body: Buffer): string {
  const line = body
    .toString('utf8')
    // oxlint-disable-next-line no-control-regex -- these are what a line of a log must not hold
    .replace(/[\s\u0000-\u001f\u007f-\u009f\ufffd]+/g, ' ')
    .trim();
  return line.length <= excerptLength ? line : `${line.slice(0, excerptLength)}…`;
}
