import { Pool } from 'undici';
import type { Clock } from '../../base/clock.ts';
import { TidemarkError, messageOf, systemCodeOf } from '../../base/errors.ts';
import { backoffMs } from '../../base/retry.ts';

/** What an engine answered: any status, and the body's text. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** What engines say went wrong, of a request as a whole or of one item of a bulk. */
export interface EngineFault {
  readonly type?: string;
  readonly reason?: string;
  readonly caused_by?: EngineFault;
}

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';

/** An answer that takes longer than this is not waited for; a bulk may meet a long garbage collection or merge. */
const answerTimeoutMs = 60_000;
const connectTimeoutMs = 10_000;
/** Two bulks in flight and a cursor or refresh beside them. */
const connections = 3;
/** How long what is under way may still take once the service stops. */
const lastAnswerMs = 3_000;
/** How long an engine that has no room (429) is asked again before that is a failure. */
const busyMsMax = 60_000;
const busyFirstMs = 20;
/** Between two attempts there is never more than this: a queue that is full now has room again in a moment. */
const busyPauseMsMax = 1_000;

export interface ClientDependencies {
  readonly clock: Clock;
  readonly random: () => number;
  /** Milliseconds that an answer may take, and that a busy engine is asked again; the defaults are for delivery. */
  readonly patienceMs?: number;
}

/**
 * HTTP to one engine. The engines' official clients refuse each other's servers; what is used of them here is plain JSON over HTTP, the
 * same for both.
 */
export class EngineClient {
  readonly sink: string;
  readonly #deps: ClientDependencies;
  readonly #pool: Pool;
  readonly #prefix: string;
  readonly #authorization: string | null;
  readonly #origin: string;
  readonly #interrupted = new AbortController();
  readonly #closed = new AbortController();

  constructor(sink: string, url: string, deps: ClientDependencies) {
    const { origin, pathname, username, password } = new URL(url);
    this.sink = sink;
    this.#deps = deps;
    this.#origin = origin;
    this.#prefix = pathname.replace(/\/+$/, '');
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    this.#authorization = username === '' ? null : `Basic ${Buffer.from(credentials).toString('base64')}`;
    this.#pool = new Pool(origin, {
      connections,
      headersTimeout: deps.patienceMs ?? answerTimeoutMs,
      bodyTimeout: deps.patienceMs ?? answerTimeoutMs,
      keepAliveTimeout: 30_000,
      connect: { timeout: Math.min(deps.patienceMs ?? connectTimeoutMs, connectTimeoutMs) },
    });
  }

  /** Sends a request, again while the engine says 429. SINK_FAILED when there is no answer, or one that is nobody's to handle: 401, 403, 5xx. */
  async send(
    method: Method,
    path: string,
    body: Buffer | string | null,
    contentType: string,
    expected: readonly number[] = [],
  ): Promise<Answer> {
    const { clock } = this.#deps;
    const deadline = clock.monotonic() + (this.#deps.patienceMs ?? busyMsMax);
    for (let attempt = 0; ; attempt++) {
      const answer = await this.#sendOnce(method, path, body, contentType);
      if (answer.status !== 429) return expected.includes(answer.status) ? answer : this.#checked(answer);
      if (clock.monotonic() > deadline) throw this.refused('has no room for requests', answer);
      await this.pauseWhileBusy(attempt);
    }
  }

  /** The same for requests and answers in JSON; statuses in `expected` are the caller's, all others but 2xx are SINK_FAILED. */
  async json(method: Method, path: string, body?: unknown, expected: readonly number[] = []): Promise<JsonAnswer> {
    const text = body === undefined ? null : JSON.stringify(body);
    const answer = await this.send(method, path, text, 'application/json', expected);
    if (answer.status >= 300 && !expected.includes(answer.status)) {
      throw this.refused(`refuses ${method} ${path}`, answer);
    }
    return { status: answer.status, body: parsed(answer.text) };
  }

  /** Gives a busy engine time, unless interrupted. */
  async pauseWhileBusy(attempt: number): Promise<void> {
    const { signal } = this.#interrupted;
    const { clock, random } = this.#deps;
    try {
      await clock.sleep(Math.min(backoffMs(attempt, busyFirstMs, random), busyPauseMsMax), signal);
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  /** What is under way, and whatever is asked later, fails before long. */
  interrupt(): void {
    const end = (): void => this.#interrupted.abort();
    void this.#deps.clock.sleep(lastAnswerMs, this.#closed.signal).then(end, end);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#pool.destroy();
  }

  async #sendOnce(method: Method, path: string, body: Buffer | string | null, contentType: string): Promise<Answer> {
    const headers: Record<string, string> = {};
    if (body !== null) headers['content-type'] = contentType;
    if (this.#authorization !== null) headers['authorization'] = this.#authorization;
    try {
      const { signal } = this.#interrupted;
      const response = await this.#pool.request({ method, path: this.#prefix + path, headers, body, signal });
      return { status: response.statusCode, text: await response.body.text() };
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  #checked(answer: Answer): Answer {
    const { status } = answer;
    if (status === 401) {
      throw this.refused('does not know this user and password', answer, 'Correct user and password in `url`.');
    }
    if (status === 403) {
      const hint =
        'Give the user the privileges that docs/opensearch.md lists; `tidemark check` says which are missing.';
      throw this.refused('does not allow this', answer, hint);
    }
    if (status >= 500) throw this.refused('failed', answer);
    return answer;
  }

  #unreachable(cause: unknown): TidemarkError {
    const what = this.#interrupted.signal.aborted ? 'was not waited for' : 'does not answer';
    const code = systemCodeOf(cause);
    return new TidemarkError(
      'SINK_FAILED',
      `${this.#origin} ${what}: ${messageOf(cause)}${code === undefined ? '' : ` (${code})`}`,
      {
        hint: retried,
        place: { sink: this.sink },
        cause,
      },
    );
  }

  /** The error for an answer that is not what was asked for. */
  refused(what: string, { status, text }: Answer, hint = retried): TidemarkError {
    const said = wordsOf(faultOf(parsed(text)));
    return new TidemarkError('SINK_FAILED', `${this.#origin} ${what} (${status}${said === '' ? '' : `: ${said}`})`, {
      hint,
      place: { sink: this.sink },
    });
  }
}

export interface JsonAnswer {
  readonly status: number;
  /** The JSON value; an empty object when there was none. */
  readonly body: Record<string, unknown>;
}

export const retried = 'It is tried again with growing pauses; nothing is lost meanwhile.';

/** The engine's words of a fault and of what caused it, in one line. */
export function wordsOf(fault: EngineFault | undefined): string {
  const words: string[] = [];
  for (let at = fault; at !== undefined && words.length < 3; at = at.caused_by) {
    const said = [at.type, at.reason].filter((part) => part !== undefined && part !== '').join(': ');
    if (said !== '' && !words.includes(said)) words.push(said);
  }
  return words.join('; ').slice(0, 1000);
}

/** The fault in the body of an answer. */
export function faultOf(body: Record<string, unknown>): EngineFault | undefined {
  const { error } = body;
  if (typeof error === 'string') return { reason: error };
  return typeof error === 'object' && error !== null ? error : undefined;
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // A proxy before the engine may answer in HTML.
    return { error: text.slice(0, 200) };
  }
}
