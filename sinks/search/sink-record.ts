import { TidemarkError } from '../../base/errors.ts';
import type { Cursor } from '../port.ts';
import type { EngineClient } from './engine-client.ts';
import { retried } from './engine-client.ts';

/** One index of the sink. */
export interface IndexState {
  readonly index: string;
  cursor: Cursor;
  /** No transaction after this one has been written to the index, be it in part. Saved before the rows are. */
  reach: number;
}

/** What the engine keeps of one sink: the document of its name in `.tidemark-<deployment>`. */
export interface SinkRecord {
  readonly deployment: string;
  readonly sink: string;
  /** Of the one writer: who opens last takes the sink over. */
  token: string;
  fingerprint: string;
  /** Number of the newest index. */
  number: number;
  /** The index that readers see, under which alias; its cursor is how far the sink has come. */
  visible: (IndexState & { readonly alias: string }) | null;
  /** The index that is being filled beside it. */
  copy: IndexState | null;
  /** The alias is to be on `visible` and may be on `previous` still. */
  swapping: boolean;
  /** The index that readers saw before. Kept until another takes its place. */
  previous: string | null;
  /** The visible index cannot be brought to what the sink is to be by now: another must be filled. */
  stale: boolean;
  /** Indexes to delete. */
  garbage: string[];
}

/** Where the document stands, for the next compare-and-set. */
interface Place {
  readonly seqNo: number;
  readonly primaryTerm: number;
}

/**
 * Reads and writes a sink's document. Every write but the first names the version that it replaces, so that of two writers the one that
 * opened the sink last goes on and the other is stopped at its next commit: SINK_FENCED.
 */
export class RecordStore {
  readonly #client: EngineClient;
  readonly #index: string;
  readonly #sink: string;
  #place: Place | null = null;

  constructor(client: EngineClient, deployment: string, sink: string) {
    this.#client = client;
    this.#index = recordIndex(deployment);
    this.#sink = sink;
  }

  /** The document, or null where there is none. Makes the index where it is missing. */
  async load(): Promise<SinkRecord | null> {
    const { status, body } = await this.#client.json('GET', this.#path, undefined, [404]);
    this.#place = null;
    if (status === 404 && body['found'] !== false) await this.#createIndex();
    if (status === 404) return null;
    this.#place = placeOf(body);
    return body['_source'] as SinkRecord;
  }

  /** The document as it is, for whoever does not go on to write. */
  async peek(): Promise<SinkRecord | null> {
    const { status, body } = await this.#client.json('GET', this.#path, undefined, [404]);
    return status === 404 ? null : (body['_source'] as SinkRecord);
  }

  /** Writes the document in place of the one that was loaded or saved last. SINK_FENCED when another writer has come between. */
  async save(record: SinkRecord): Promise<void> {
    const condition =
      this.#place === null
        ? 'op_type=create'
        : `if_seq_no=${this.#place.seqNo}&if_primary_term=${this.#place.primaryTerm}`;
    const shown = { ...summary(record), ...record };
    const { status, body } = await this.#client.json('PUT', `${this.#path}?${condition}`, shown, [404, 409]);
    if (status < 300) this.#place = placeOf(body);
    else await this.#lost(record.token);
  }

  /** SINK_FENCED when another writer has taken the sink over, SINK_FAILED when the document is gone. */
  async check(token: string): Promise<void> {
    const { status, body } = await this.#client.json('GET', `${this.#path}?_source=token`, undefined, [404]);
    const holder = status === 404 ? null : (body['_source'] as { token?: string }).token;
    if (holder !== token) await this.#lost(token);
  }

  async #lost(token: string): Promise<never> {
    const { status, body } = await this.#client.json('GET', this.#path, undefined, [404]);
    const place = { sink: this.#sink };
    const what = `document '${this.#sink}' of ${this.#index}`;
    if (status === 404) {
      throw new TidemarkError('SINK_FAILED', `The ${what}, which says how far the sink is, was deleted`, {
        hint: 'The sink is built anew from the log.',
        place,
      });
    }
    if ((body['_source'] as SinkRecord).token === token) {
      // A write of ours whose answer was lost.
      throw new TidemarkError('SINK_FAILED', `The ${what} is not as it was written last`, { hint: retried, place });
    }
    throw new TidemarkError('SINK_FENCED', `Another tidemark has taken over sink '${this.#sink}' (${what})`, {
      hint: 'Stop one of the two, then start this one again.',
      place,
    });
  }

  async #createIndex(): Promise<void> {
    const body = {
      settings: { index: { hidden: true, number_of_shards: 1, auto_expand_replicas: '0-1' } },
      mappings: { dynamic: false, _meta: { tidemark: { about: 'how far sinks have come' } } },
    };
    const { status, body: answer } = await this.#client.json('PUT', `/${this.#index}`, body, [400]);
    if (status !== 400 || JSON.stringify(answer).includes('resource_already_exists')) return;
    throw new TidemarkError('SINK_TARGET', `Index ${this.#index} cannot be made: ${JSON.stringify(answer['error'])}`, {
      hint: 'The sink keeps there how far it has come; correct what the engine objects to.',
      place: { sink: this.#sink },
    });
  }

  get #path(): string {
    return `/${this.#index}/_doc/${encodeURIComponent(this.#sink)}`;
  }
}

/** The index with the documents of a deployment's sinks. */
export function recordIndex(deployment: string): string {
  return `.tidemark-${deployment.toLowerCase()}`;
}

export function newRecord(deployment: string, sink: string): SinkRecord {
  return {
    deployment,
    sink,
    token: '',
    fingerprint: '',
    number: 0,
    visible: null,
    copy: null,
    swapping: false,
    previous: null,
    stale: false,
    garbage: [],
  };
}

/** The indexes that the record names. */
export function indexesOf({ visible, copy, previous, garbage }: SinkRecord): string[] {
  return [visible?.index, copy?.index, previous, ...garbage].filter((index) => typeof index === 'string');
}

/** What people look for, at the top. */
function summary({ visible }: SinkRecord): Record<string, unknown> {
  if (visible === null) return { consistent: false };
  const { seq, epoch, position, timeMs } = visible.cursor;
  return { consistent: true, seq, epoch, position, time_ms: timeMs, alias: visible.alias, index: visible.index };
}

function placeOf(body: Record<string, unknown>): Place {
  return { seqNo: Number(body['_seq_no']), primaryTerm: Number(body['_primary_term']) };
}
