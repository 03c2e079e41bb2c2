import type { File } from '../../base/files.ts';
import { ChangeCursor, emptyBatch, opDelete } from '../../model/change.ts';
import type { ChangeBatch } from '../../model/change.ts';
import type { Piece } from '../../model/log.ts';
import type { Base } from './base.ts';
import type { Section } from './block-file.ts';
import { seqBytes } from './block-file.ts';
import { flagDeletes, readU48 } from './format.ts';
import { FrameReader } from './frames.ts';

/** Hands a base out as one transaction: to a reader from `fromSeq` < the horizon, what changed since then or, when that cannot be told, everything. */
export class BaseReader {
  readonly base: Base;
  readonly #file: File;
  readonly #fromSeq: number;
  readonly #kind: 'net' | 'full';
  readonly #sections: Section[];
  readonly #cursor = new ChangeCursor();
  #frames: FrameReader | null = null;
  #end = 0;
  #first = true;

  constructor(base: Base, file: File, fromSeq: number, wants: (topic: number) => boolean) {
    this.base = base;
    this.#file = file;
    this.#fromSeq = fromSeq;
    this.#kind = fromSeq === 0 || fromSeq < base.manifest.deletesAfter ? 'full' : 'net';
    this.#sections = base.manifest.sections.filter((section) => wants(section.topic));
  }

  /** The next pieces, of about `bytesMax`; the last one of all, which is empty, says so. */
  async next(bytesMax: number): Promise<Piece[]> {
    const pieces: Piece[] = [];
    while (pieces.length === 0) {
      const frames = this.#nextSection();
      if (!frames) return [this.#piece(emptyBatch, true)];
      if (!frames.next() && !((await frames.fill(this.#end, bytesMax)) && frames.next())) throw frames.corruption();
      let bytes = 0;
      do {
        const changes = this.#changesOf(frames);
        if (changes.count > 0) pieces.push(this.#piece(changes, false));
        bytes += changes.bytes.length;
      } while (bytes < bytesMax && frames.nextOffset < this.#end && frames.next());
    }
    return pieces;
  }

  #nextSection(): FrameReader | null {
    if (this.#frames && this.#frames.nextOffset < this.#end) return this.#frames;
    const section = this.#sections.shift();
    if (!section) return null;
    const { path } = this.base.shared;
    this.#frames = new FrameReader({ file: this.#file, path, salt: this.base.salt }, section.start, false);
    this.#end = section.end;
    return this.#frames;
  }

  #piece(changes: ChangeBatch, last: boolean): Piece {
    const { frontier, state } = this.base.manifest;
    const first = this.#first;
    this.#first = false;
    const piece = {
      seq: frontier.seq,
      position: frontier.position ?? '',
      commitTimeMs: frontier.timeMs,
      snapshot: false,
      txId: '',
      first,
      last,
      kind: this.#kind,
      changes,
    };
    return last && Object.keys(state).length > 0 ? { ...piece, state } : piece;
  }

  /** The records of the current block that count for this reader: a view when all do. */
  #changesOf(frames: FrameReader): ChangeBatch {
    const { header, buffer, bodyStart } = frames;
    const recordsEnd = bodyStart + header.bodyBytes - header.metaBytes;
    const bytes = buffer.subarray(bodyStart, recordsEnd);
    if (this.#kind === 'full' && (header.flags & flagDeletes) === 0) return { bytes, count: header.count };
    if (this.#kind === 'net' && header.seq <= this.#fromSeq) return emptyBatch;
    const into = Buffer.allocUnsafe(bytes.length);
    const cursor = this.#cursor.reset(bytes);
    let at = 0;
    let count = 0;
    for (let seqAt = recordsEnd; cursor.next(); seqAt += seqBytes) {
      if (!this.#counts(cursor, readU48(buffer, seqAt))) continue;
      at += bytes.copy(into, at, cursor.start, cursor.afterEnd);
      count++;
    }
    return { bytes: into.subarray(0, at), count };
  }

  #counts(cursor: ChangeCursor, seq: number): boolean {
    if (this.#kind === 'net') return seq > this.#fromSeq;
    // The deletes of a table without a key are a part of its history.
    return cursor.op !== opDelete || cursor.keyStart === cursor.keyEnd;
  }
}
