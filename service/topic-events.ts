import { TidemarkError } from '../base/errors.ts';
import { present } from '../base/assert.ts';
import { ChangeCursor } from '../model/change.ts';
import { EventEncoder } from '../model/envelope.ts';
import type { EventOrigin } from '../model/envelope.ts';
import { ByteWriter } from '../model/json-writer.ts';
import type { Log, Piece } from '../model/log.ts';

/** Bytes of changes read at a time: an event in JSON is a few times larger, and one reader must stay small. */
const readBytes = 256 * 1024;
/** Characters of JSON handed over at a time. */
const batchCharacters = 64 * 1024;

/** Where events begin. `resume` goes on behind the last event somebody got (see TopicEvent.id). */
export type TopicStart =
  | { readonly kind: 'beginning' }
  | { readonly kind: 'now' }
  | { readonly kind: 'seq'; readonly seq: number }
  | { readonly kind: 'resume'; readonly id: EventId };

interface EventId {
  readonly seq: number;
  /** Events of that transaction already delivered; null for all of them. */
  readonly index: number | null;
}

export interface TopicEvent {
  /**
   * Where to go on after this event. `<seq>:<n>`: transaction `seq` up to its n-th event of the topic. `<seq>`: everything up to
   * that transaction; events of a net transaction carry the number from before it until the last one, since its contents may
   * have changed when it is read again.
   */
  readonly id: string;
  /** The event's envelope on one line; null where only the id has moved on. */
  readonly json: string | null;
}

export interface TopicEventsOptions {
  readonly log: Log;
  readonly stream: string;
  readonly topic: string;
  readonly start: TopicStart;
  /** Wait for more at the end, or end there. */
  readonly follow: boolean;
  readonly origin: EventOrigin;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** The events of one topic, in batches of bounded size. Ends when the signal is aborted. */
export async function* topicEvents(options: TopicEventsOptions): AsyncGenerator<TopicEvent[]> {
  const { log, stream, signal } = options;
  const resume = options.start.kind === 'resume' ? options.start.id : null;
  const fromSeq = firstSeq(options, resume);
  const writer = new PieceEvents(options, fromSeq, resume);
  const reader = log.read(stream, { fromSeq, follow: options.follow, signal });
  try {
    for (;;) {
      const batch = await reader.next(readBytes);
      if (batch === null) return;
      for (const piece of batch.pieces) {
        yield* writer.events(piece);
      }
    }
  } finally {
    await reader.close();
  }
}

/** Reads `beginning`, `now` or a transaction's number. */
export function parseTopicStart(text: string): TopicStart {
  if (text === 'beginning' || text === 'now') return { kind: text };
  if (/^\d{1,15}$/.test(text)) return { kind: 'seq', seq: Number(text) };
  throw new TidemarkError('REQUEST_INVALID', `'${text}' is not a place to begin at`, {
    hint: 'Write beginning, now, or the number of a transaction.',
  });
}

/** Goes on behind the event of that id; REQUEST_INVALID when it is not one. */
export function parseEventId(id: string): TopicStart {
  const match = /^(\d{1,15})(?::(\d{1,15}))?$/.exec(id);
  if (!match) {
    throw new TidemarkError('REQUEST_INVALID', `'${id}' is not the id of an event`, {
      hint: 'Send the Last-Event-ID that the stream gave, unchanged.',
    });
  }
  const index = match[2] === undefined ? null : Number(match[2]);
  return { kind: 'resume', id: { seq: Number(match[1]), index } };
}

function firstSeq({ start, log, stream }: TopicEventsOptions, resume: EventId | null): number {
  if (resume) return resume.index === null ? resume.seq : Math.max(0, resume.seq - 1);
  switch (start.kind) {
    case 'now':
      return log.frontier(stream).seq;
    case 'seq':
      return Math.max(0, start.seq - 1);
    default:
      return 0;
  }
}

/** Turns pieces into the events of one topic. */
class PieceEvents {
  readonly #options: TopicEventsOptions;
  readonly #resume: EventId | null;
  readonly #encoder: EventEncoder;
  readonly #cursor = new ChangeCursor();
  readonly #bytes = new ByteWriter(64 * 1024);
  /** Everything up to here has been handed over. */
  #held: number;
  /** Events of the topic in the transaction under way. */
  #index = 0;

  constructor(options: TopicEventsOptions, fromSeq: number, resume: EventId | null) {
    this.#options = options;
    this.#resume = resume;
    this.#held = fromSeq;
    this.#encoder = new EventEncoder(options.origin, { singleLine: true });
  }

  *events(piece: Piece): Generator<TopicEvent[]> {
    if (piece.first) this.#index = 0;
    let events: TopicEvent[] = [];
    let characters = 0;
    const isWhole = piece.kind === 'transaction';
    const skipTo = isWhole && this.#resume?.seq === piece.seq ? (this.#resume.index ?? 0) : 0;
    this.#encoder.begin(piece, this.#options.now());
    const cursor = this.#cursor.reset(piece.changes.bytes);
    while (cursor.next()) {
      const table = present(this.#options.log.table(cursor.schemaId), `table of schema ${cursor.schemaId}`);
      if (table.topic !== this.#options.topic) {
        this.#encoder.skip(cursor, table);
        continue;
      }
      this.#index++;
      if (this.#index <= skipTo) {
        this.#encoder.skip(cursor, table);
        continue;
      }
      this.#bytes.reset();
      this.#encoder.value(cursor, table, this.#bytes);
      const json = this.#bytes.buffer.toString('utf8', 0, this.#bytes.at);
      events.push({ id: isWhole ? `${piece.seq}:${this.#index}` : String(this.#held), json });
      characters += json.length;
      if (characters < batchCharacters) continue;
      yield events;
      events = [];
      characters = 0;
    }
    if (piece.last) {
      this.#held = piece.seq;
      if (!isWhole && this.#index > 0) events.push({ id: String(piece.seq), json: null });
    }
    if (events.length > 0) yield events;
  }
}
