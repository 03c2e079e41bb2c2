import { afterAll, beforeAll, describe } from 'vitest';
import { search, startSearch } from './search.ts';
import type { SearchEngine, SearchOptions, SearchServer } from './search.ts';
import { withoutServer } from './suite.ts';

/** What a request to the engine gave: the status, the body as text, and parsed. */
export interface Reply {
  readonly status: number;
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- answers have many forms, and a test looks at few of their fields
  readonly body: any;
}

/** A search engine of a suite's own; valid inside its tests and hooks. */
export class SearchSuite {
  readonly engine: SearchEngine;
  readonly #options: SearchOptions;
  #server: SearchServer | null = null;
  #names = 0;

  constructor(options: SearchOptions) {
    this.engine = options.engine;
    this.#options = options;
  }

  get server(): SearchServer {
    if (this.#server === null) throw new Error('the server is not running yet: ask inside a test or a hook');
    return this.#server;
  }

  get url(): string {
    return this.server.url;
  }

  /** A name that no other test has. */
  name(what: string): string {
    return `${what}${++this.#names}`;
  }

  async request(method: string, path: string, body?: unknown): Promise<Reply> {
    const isText = typeof body === 'string';
    const response = await fetch(this.url + path, {
      method,
      ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
      headers: { 'content-type': isText ? 'application/x-ndjson' : 'application/json' },
    });
    const text = await response.text();
    return { status: response.status, text, body: text.startsWith('{') ? JSON.parse(text) : {} };
  }

  async start(): Promise<void> {
    this.#server = await startSearch(this.#options);
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }
}

/** A suite with a search engine of its own, started before its tests and stopped after them; fetched first where it has to be. */
export function describeSearch(title: string, options: SearchOptions, body: (suite: SearchSuite) => void): void {
  const suite = new SearchSuite(options);
  const found = search.find(options);
  if (!found.found) {
    withoutServer(title, found.reason, () => {
      body(suite);
    });
    return;
  }
  describe(title, () => {
    // Fetching takes its time once on a machine.
    beforeAll(async () => suite.start(), 600_000);
    afterAll(async () => suite.stop());
    body(suite);
  });
}
