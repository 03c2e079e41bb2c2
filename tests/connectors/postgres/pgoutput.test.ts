import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PgoutputReader } from '../../../connectors/postgres/pgoutput.ts';
import { Recorder, encode, outcome, readAll, readOne, unchanged } from './pgoutput-messages.ts';
import type { Field, Told } from './pgoutput-messages.ts';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const lsn = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const timeMs = fc.integer({ min: 0, max: 4_102_444_800_000 });
const latin1 = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const field: fc.Arbitrary<Field> = fc.oneof(
  { weight: 6, arbitrary: latin1 },
  { weight: 2, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.constant(unchanged) },
);
const row = fc.array(field, { maxLength: 12 });
const identifierText = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .map((name) => name.replaceAll('\0', '_'));
const column = fc.record({
  name: identifierText,
  typeOid: u32,
  typeModifier: fc.integer({ min: -1, max: 0x7fff_ffff }),
  identity: fc.boolean(),
});
const relation = fc.record({
  oid: u32,
  schema: identifierText,
  name: identifierText,
  replicaIdentity: fc.constantFrom('d', 'n', 'f', 'i'),
  columns: fc.array(column, { maxLength: 12 }),
});
const old = fc.constantFrom('key' as const, 'full' as const);

interface Message {
  readonly bytes: Buffer;
  readonly means: Told;
}

const change: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ oid: u32, row }).map(({ oid, row: after }) => ({
    bytes: encode.insert(oid, after),
    means: { what: 'insert', oid, row: after } as const,
  })),
  fc.record({ oid: u32, row, before: fc.option(row), kind: old }).map(({ oid, row: after, before, kind }) => ({
    bytes: encode.update(oid, kind, before, after),
    means: { what: 'update', oid, old: before === null ? 'none' : kind, before, row: after } as const,
  })),
  fc.record({ oid: u32, before: row, kind: old }).map(({ oid, before, kind }) => ({
    bytes: encode.delete(oid, kind, before),
    means: { what: 'delete', oid, old: kind, before } as const,
  })),
  fc
    .record({ oids: fc.array(u32, { maxLength: 20 }), flags: fc.integer({ min: 0, max: 3 }) })
    .map(({ oids, flags }) => ({
      bytes: encode.truncate(oids, flags),
      means: { what: 'truncate', oids } as const,
    })),
  relation.map((described) => ({
    bytes: encode.relation(described),
    means: { what: 'relation', relation: described } as const,
  })),
);

const outside: fc.Arbitrary<Message> = fc.oneof(
  change,
  fc.record({ xid: u32, lsn, timeMs }).map((begin) => ({
    bytes: encode.begin(begin.xid, begin.lsn, begin.timeMs),
    means: { what: 'begin', ...begin } as const,
  })),
  fc.record({ lsn, endLsn: lsn, timeMs }).map((commit) => ({
    bytes: encode.commit(commit.lsn, commit.endLsn, commit.timeMs),
    means: { what: 'commit', ...commit } as const,
  })),
  fc.record({ xid: u32, lsn, endLsn: lsn, timeMs }).map((commit) => ({
    bytes: encode.streamCommit(commit.xid, commit.lsn, commit.endLsn, commit.timeMs),
    means: { what: 'streamCommit', ...commit } as const,
  })),
  fc.record({ xid: u32, subXid: u32, parallel: fc.boolean() }).map(({ xid, subXid, parallel }) => ({
    bytes: encode.streamAbort(xid, subXid, parallel),
    means: { what: 'streamAbort', xid, subXid } as const,
  })),
);

describe('messages of the replication stream', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(fc.array(outside, { minLength: 1, maxLength: 10 }), (messages) => {
        expect(readAll(messages.map(({ bytes }) => bytes))).toEqual(messages.map(({ means }) => means));
      }),
      { numRuns: 400 },
    );
  });

  it('of a transaction in progress are kept without their xid, and mean the same when read later', () => {
    fc.assert(
      fc.property(u32, fc.array(fc.tuple(u32, change), { maxLength: 8 }), (xid, changes) => {
        const told = readAll([
          encode.streamStart(xid),
          ...changes.map(([subXid, { bytes }]) => encode.streamed(subXid, bytes)),
          encode.streamStop(),
        ]);
        expect(told[0]).toEqual({ what: 'streamStart', xid });
        expect(told.at(-1)).toEqual({ what: 'streamStop' });
        const kept = told.slice(1, -1).map((message) => {
          if (message.what !== 'streamed') throw new Error(`unexpected ${message.what}`);
          return message;
        });
        expect(kept.map((message) => message.xid)).toEqual(changes.map(([subXid]) => subXid));
        const replayed = readAll(kept.map(({ message }) => Buffer.from(message, 'latin1')));
        expect(replayed).toEqual(changes.map(([, { means }]) => means));
      }),
      { numRuns: 200 },
    );
  });

  it('cut at any byte are refused, whatever follows them in the buffer', () => {
    fc.assert(
      fc.property(outside, ({ bytes, means }) => {
        for (let length = 0; length < bytes.length; length++) {
          // A protocol 4 abort is a protocol 2 abort with more behind it.
          if (means.what === 'streamAbort' && length >= 9) continue;
          for (const filler of [0, 0x42, 0x45, 0x4e, 0x6e, 0xff]) {
            expect(outcome(bytes.subarray(0, length), filler, false)).toBe('SOURCE_PROTOCOL');
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  it('of random bytes are refused or read, and nothing outside them is looked at', () => {
    const type = fc.constantFrom(...Buffer.from('BCORYIUDTMSEcAxbPKrp\0'));
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      // Small numbers make counts and lengths that nearly fit.
      fc.array(fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constantFrom(0x4e, 0x4b, 0x4f, 0x74, 0x6e, 0x75)), {
        maxLength: 60,
      }),
    );
    fc.assert(
      fc.property(fc.option(type), bytes, fc.boolean(), (tag, rest, streaming) => {
        const message = Buffer.from(tag === null ? [] : [tag, ...rest]);
        const first = outcome(message, 0, streaming);
        if (typeof first === 'string') expect(first).toBe('SOURCE_PROTOCOL');
        for (const filler of [0x45, 0x4e, 0x6e, 0xff]) expect(outcome(message, filler, streaming)).toEqual(first);
      }),
      { numRuns: 5_000 },
    );
  });

  it('claiming more columns than a table can have are refused', () => {
    const wide = Buffer.concat([
      encode.insert(1, []).subarray(0, 6),
      Buffer.from([0xff, 0xff]),
      Buffer.alloc(0xffff, 'n'),
    ]);
    expect(outcome(wide, 0, false)).toBe('SOURCE_PROTOCOL');
    const columns = Array.from({ length: 1665 }, (_, index) => ({
      name: `c${index}`,
      typeOid: 23,
      typeModifier: -1,
      identity: false,
    }));
    const described = { oid: 1, schema: 's', name: 't', replicaIdentity: 'd', columns };
    expect(outcome(encode.relation(described), 0, false)).toBe('SOURCE_PROTOCOL');
  });

  it('ask for nothing that the stream has not begun, and forget a stream block with its connection', () => {
    expect(outcome(encode.streamStop(), 0, false)).toBe('SOURCE_PROTOCOL');
    expect(outcome(encode.streamStart(2), 0, true)).toBe('SOURCE_PROTOCOL');
    expect(outcome(encode.commit(1n, 2n, 0), 0, true)).toBe('SOURCE_PROTOCOL');
    const recorder = new Recorder();
    const reader = new PgoutputReader(recorder);
    readOne(reader, recorder, encode.streamStart(1), 0);
    reader.reset();
    readOne(reader, recorder, encode.begin(5, 9n, 946_684_800_000), 0);
    expect(recorder.told.at(-1)).toEqual({ what: 'begin', xid: 5, lsn: 9n, timeMs: 946_684_800_000 });
  });
});
