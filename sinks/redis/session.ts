import { TidemarkError } from '../../base/errors.ts';
import type { RedisConnection } from './connection.ts';
import type { KeyForm } from './key-form.ts';
import { packedStrings } from './packed-rows.ts';
import { exchange, move, probe, sweep, takeOver, write } from './scripts.ts';
import type { Script } from './scripts.ts';
import type { Version } from './record.ts';

/** The keys that the program keeps for itself. */
export interface OwnKeys {
  /** A hash: who may write, and which templates this deployment has written keys of. */
  readonly owner: string;
  /** A sink's record. */
  record(sink: string): string;
  /** A hash of rows, by their keys, that readers do not see yet. */
  staged(sink: string): string;
}

export function ownKeys(deployment: string): OwnKeys {
  const prefix = `tidemark:${deployment}`;
  return {
    owner: `${prefix}#owner`,
    record: (sink) => `${prefix}:${sink}`,
    staged: (sink) => `${prefix}:${sink}#next`,
  };
}

/** A part of a commit; see the script. */
export type Chunk =
  | { readonly kind: 'put'; readonly ttlMs: number | null; readonly count: number; readonly rows: Buffer }
  | { readonly kind: 'stage' | 'fill'; readonly target: string; readonly count: number; readonly rows: Buffer }
  | { readonly kind: 'drop'; readonly target: string }
  | { readonly kind: 'made'; readonly target: string; readonly sink: string };

/** The record of a sink: the text that its key is known to hold, and the new one. */
export interface RecordChange {
  readonly sink: string;
  readonly held: string;
  readonly text: string;
}

/** What `exchange` is told of a sink. */
export interface Exchange extends RecordChange {
  readonly version: Version;
  /** The keys that the sink has until then. */
  readonly present: readonly string[];
}

/** Keys of one call: few enough for a Lua stack, and for the server to be free again in a few milliseconds. */
const movedRows = 1_000;
const sweptKeys = 1_000;

/**
 * A turn as the one writer of a deployment's keys in a database. Every step asks whether that still holds, in the same script that
 * writes: whoever opened later is the writer (SINK_FENCED), and a server that has lost what it was told has to be opened anew.
 */
export class RedisSession {
  readonly connection: RedisConnection;
  readonly keys: OwnKeys;
  readonly #deployment: string;
  readonly #id: string;
  #token = '';

  constructor(connection: RedisConnection, deployment: string, id: string) {
    this.connection = connection;
    this.keys = ownKeys(deployment);
    this.#deployment = deployment;
    this.#id = id;
  }

  /** SINK_PRIVILEGE when the user may not do what a write does: it would be heard of in the middle of one. */
  async checkPermissions(forms: readonly KeyForm[]): Promise<void> {
    await this.connection.run(probe, [`${this.keys.owner}-probe-${this.#id}`, ...forms.map(probeKey)], []);
  }

  /** Takes the keys over from an older writer. Returns the sinks' records, empty where there is none. */
  async takeOver(sinks: readonly string[], time: string): Promise<string[]> {
    const keys = sinks.flatMap((sink) => [this.keys.record(sink), this.keys.staged(sink)]);
    const reply = await this.connection.run(takeOver, [this.keys.owner, ...keys], [this.#id, time]);
    const [token, ...records] = reply as string[];
    this.#token = token ?? '';
    return records;
  }

  /** Name of the sink that wrote keys of the template last; null when this deployment never has. */
  async makerOf(template: string): Promise<string | null> {
    const reply = await this.connection.call('HMGET', this.keys.owner, `made:${template}`);
    return (reply as (string | null)[])[0] ?? null;
  }

  async write(records: readonly RecordChange[], chunks: readonly Chunk[]): Promise<void> {
    const keys = records.map(({ sink }) => this.keys.record(sink));
    const texts = records.flatMap(({ held, text }) => [held, text]);
    await this.#run(write, keys, [records.length, ...texts, ...chunks.flatMap(argumentsOf)]);
  }

  /** Makes staged states readable, all of them in one step: for those that are small. */
  async exchange(changes: readonly Exchange[]): Promise<void> {
    const keys = changes.flatMap(({ sink }) => [this.keys.record(sink), this.keys.staged(sink)]);
    const args = changes.flatMap(({ held, text, version, present }) => [
      held,
      text,
      version.format,
      version.ttlMs ?? 0,
      present.length,
      packedStrings(present),
    ]);
    await this.#run(exchange, keys, args);
  }

  /** Makes all staged rows visible, some at a time. Each is staged until it is visible, so that this can be done again. */
  async moveAll(sink: string, { format, ttlMs }: Version): Promise<void> {
    let cursor = '0';
    for (;;) {
      const args = [cursor, movedRows, ttlMs ?? 0, format];
      const [next, left] = (await this.#run(move, [this.keys.staged(sink)], args)) as [string, number];
      // Rows that are moved by one call and may be seen again by the next are as they were.
      if (left === 0) return;
      cursor = next;
    }
  }

  /** Deletes those of the keys that are not staged. */
  async sweep(sink: string, keys: readonly string[]): Promise<void> {
    for (let from = 0; from < keys.length; from += sweptKeys) {
      await this.#run(sweep, [this.keys.staged(sink)], keys.slice(from, from + sweptKeys));
    }
  }

  async #run(script: Script, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown> {
    const reply = await this.connection.run(script, [this.keys.owner, ...keys], [this.#id, this.#token, ...args]);
    const { label } = this.connection.place;
    if (reply === 'FENCED') {
      const message = `Another tidemark has taken over the keys of '${this.#deployment}' in Redis at ${label}`;
      throw new TidemarkError('SINK_FENCED', message, {
        hint: 'Two services write there under one name: stop one, or give it another `name` or database; then start again. Sinks of one file on one Redis name the same host.',
      });
    }
    if (reply === 'LOST') {
      const message = `Redis at ${label} has lost what was written to it, or somebody changed the keys tidemark:${this.#deployment}*`;
      throw new TidemarkError('SINK_FAILED', message, {
        hint: 'It is filled again from the log. Keep appendonly on if that takes too long.',
      });
    }
    return reply;
  }
}

/** A key of the form that no row has: `%` in a value is always followed by two digits, or by NULL. */
function probeKey({ template }: KeyForm): string {
  return template.replaceAll(/\{\{|\}\}|\{[^{}]*\}/g, (part) => (part.length === 2 ? part.slice(1) : '%probe'));
}

function argumentsOf(chunk: Chunk): (string | number | Buffer)[] {
  switch (chunk.kind) {
    case 'put':
      return ['put', '', chunk.ttlMs ?? 0, 2 * chunk.count, chunk.rows];
    case 'drop':
      return ['drop', chunk.target, 0, 0, ''];
    case 'made':
      return ['made', chunk.target, 0, 0, chunk.sink];
    default:
      return [chunk.kind, chunk.target, 0, 2 * chunk.count, chunk.rows];
  }
}
