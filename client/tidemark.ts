import { ServiceUnreachableError, TidemarkClientError, WaitTimeoutError, errorOfAnswer } from './errors.ts';
import type { Position, Status } from './status.ts';

/** One request waits no longer than this; a longer wait is several requests, so that nothing on the way cuts it. */
const requestMsMax = 60_000;
/** The service ends a wait by itself; an answer that is this late does not come. */
const graceMs = 5_000;
const waitMsDefault = 10_000;
const answerMsDefault = 10_000;

export interface TidemarkOptions {
  /** Where the service answers: `http://127.0.0.1:7070`. */
  readonly url: string | URL;
  /** `http.token` of the service, if it has one. */
  readonly token?: string;
  /** How long answers may take that need no waiting, in milliseconds. */
  readonly answerMs?: number;
}

export interface WaitOptions {
  /** After so many milliseconds the wait rejects with WaitTimeoutError. Default 10,000. */
  readonly timeoutMs?: number;
  /** Have a search index refreshed too, so that searches find it, not only reads by id. */
  readonly searchable?: boolean;
  /** The source that the position is of, where a sink has several. */
  readonly source?: string;
  readonly signal?: AbortSignal;
}

export interface Waited {
  readonly sink: string;
  /** What the sink holds now: everything that the source committed up to here. */
  readonly position: Position;
  readonly waitedMs: number;
}

export interface ViewRow {
  readonly view: string;
  /** Number of the view's step that the row equals. */
  readonly seq: number;
  /** The row, parsed: numbers beyond a double lose digits here, and have them all in `json`. */
  readonly row: Readonly<Record<string, unknown>>;
  readonly json: string;
}

/** A running tidemark service. Needs Node.js 18 or newer, or anything else that has fetch. */
export class Tidemark {
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #answerMs: number;

  constructor({ url, token, answerMs = answerMsDefault }: TidemarkOptions) {
    this.#url = new URL(url);
    this.#headers = {
      accept: 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    this.#answerMs = answerMs;
  }

  get url(): string {
    return this.#url.href;
  }

  /**
   * Resolves once the sink is consistent and holds everything that its source had committed up to the position: one that `pgPosition` or
   * `withPosition` gave, or `now`. Rejects with WaitTimeoutError, UnknownNameError, SinkFailingError, ServiceUnreachableError, with
   * TidemarkClientError for a position that is none, or with the signal's reason.
   */
  async waitFor(sink: string, position: string, options: WaitOptions = {}): Promise<Waited> {
    const { timeoutMs = waitMsDefault, searchable = false, source, signal } = options;
    const startedMs = performance.now();
    for (;;) {
      const leftMs = Math.max(0, startedMs + timeoutMs - performance.now());
      const nowMs = Math.ceil(Math.min(leftMs, requestMsMax));
      const query = new URLSearchParams({ sink, position, timeout: `${nowMs}ms` });
      if (source !== undefined) query.set('source', source);
      if (searchable) query.set('searchable', 'true');
      try {
        const { body } = await this.#get(`api/v1/wait?${query.toString()}`, nowMs + graceMs, signal);
        const answer = body as { sink: string; position: Position };
        return { sink: answer.sink, position: answer.position, waitedMs: Math.round(performance.now() - startedMs) };
      } catch (error) {
        const isOver = performance.now() - startedMs >= timeoutMs;
        if (!(error instanceof WaitTimeoutError) || isOver) throw error;
      }
    }
  }

  /** Sources, views and sinks: how far they are, and what is wrong with them. */
  async status(options: { readonly signal?: AbortSignal } = {}): Promise<Status> {
    const { body } = await this.#get('api/v1/status', this.#answerMs, options.signal);
    return body as Status;
  }

  /** The row of a view's newest result with that key, the values of several columns in the key's order; null when there is none. */
  async view(
    view: string,
    key: string | number | bigint | readonly (string | number | bigint)[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<ViewRow | null> {
    const parts = (typeof key === 'object' ? key : [key]).map((part) =>
      String(part).replace(/[\\|]/g, String.raw`\$&`),
    );
    const path = `api/v1/views/${encodeURIComponent(view)}/${encodeURIComponent(parts.join('|'))}`;
    const { body, text, status } = await this.#get(path, this.#answerMs, options.signal, [404]);
    const { seq, row, error } = body as { seq: number; row: Readonly<Record<string, unknown>> | null; error?: unknown };
    if (error !== undefined) throw errorOfAnswer(status, body);
    if (row === null) return null;
    // Within the name of the view the quotes would be escaped.
    const start = text.indexOf('"row":') + '"row":'.length;
    return { view, seq, row, json: text.slice(start, text.lastIndexOf('}')) };
  }

  async #get(
    path: string,
    answerMs: number,
    signal: AbortSignal | undefined,
    alsoGood: readonly number[] = [],
  ): Promise<{ status: number; body: unknown; text: string }> {
    signal?.throwIfAborted();
    // Not AbortSignal.any, which Node.js 18 has not.
    const request = new AbortController();
    const forward = (): void => request.abort(signal?.reason);
    signal?.addEventListener('abort', forward);
    const timer = setTimeout(() => request.abort(silence), answerMs);
    try {
      const base = this.#url.href.endsWith('/') ? this.#url : new URL(`${this.#url.href}/`);
      const response = await fetch(new URL(path, base), { headers: this.#headers, signal: request.signal });
      const text = await response.text();
      const body = parse(text);
      const { status } = response;
      if (body === undefined && response.ok) throw this.#unreachable('is something else', undefined, status);
      if (!response.ok && !(body !== undefined && alsoGood.includes(status))) throw errorOfAnswer(status, body);
      return { status, body, text };
    } catch (error) {
      if (error instanceof TidemarkClientError) throw error;
      signal?.throwIfAborted();
      if (request.signal.aborted) throw this.#unreachable(`gave no answer within ${answerMs} ms`);
      throw this.#unreachable('does not answer', error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', forward);
    }
  }

  #unreachable(what: string, cause?: unknown, status?: number): ServiceUnreachableError {
    return new ServiceUnreachableError(`the service at ${this.#url.origin} ${what}`, {
      code: 'SERVICE_UNREACHABLE',
      hint: 'See that `tidemark run` is running and that its http address is this one.',
      ...(cause === undefined ? {} : { cause }),
      ...(status === undefined ? {} : { status }),
    });
  }
}

const silence = Symbol('no answer');

/** The JSON of an answer; undefined when it is none. */
function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
