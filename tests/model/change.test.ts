import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTidemarkError } from '../../base/errors.ts';
import { ChangeCursor, ChangeWriter, flagKeyOnly, opCreate, opDelete, opRead, opUpdate } from '../../model/change.ts';
import { packRow } from '../../model/row.ts';

const rows = fc.array(fc.option(fc.string({ maxLength: 300 })), { maxLength: 4 }).map((values) => packRow(values));
const changes = fc.array(
  fc.record({
    op: fc.constantFrom(opCreate, opUpdate, opDelete, opRead),
    schemaId: fc.nat(2 ** 32 - 1),
    key: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
    before: fc.option(rows, { nil: undefined }),
    after: fc.option(rows, { nil: undefined }),
    keyOnly: fc.boolean(),
  }),
  { minLength: 1, maxLength: 20 },
);

type Change = Parameters<ChangeWriter['add']>[0];

function add(
  writer: ChangeWriter,
  {
    before,
    after,
    ...rest
  }: { before?: Buffer | undefined; after?: Buffer | undefined } & Omit<Change, 'before' | 'after'>,
): void {
  writer.add({ ...rest, ...(before ? { before } : {}), ...(after ? { after } : {}) });
}

describe('change records', () => {
  it('are read as they were written, however small the buffer began', () => {
    fc.assert(
      fc.property(changes, fc.integer({ min: 1, max: 600 }), (list, size) => {
        const writer = new ChangeWriter(size);
        for (const change of list) add(writer, change);
        const { bytes, count } = writer.batch();
        expect(count).toBe(list.length);
        const cursor = new ChangeCursor().reset(bytes);
        const copied = new ChangeWriter(1);
        for (const change of list) {
          expect(cursor.next()).toBe(true);
          expect(cursor.op).toBe(change.op);
          expect(cursor.schemaId).toBe(change.schemaId);
          expect(cursor.key().equals(change.key)).toBe(true);
          expect(cursor.hasBefore).toBe(change.before !== undefined);
          expect(cursor.hasAfter).toBe(change.after !== undefined);
          expect((cursor.flags & flagKeyOnly) !== 0).toBe(change.keyOnly);
          if (change.before)
            expect(bytes.subarray(cursor.beforeStart, cursor.beforeEnd).equals(change.before)).toBe(true);
          if (change.after) expect(bytes.subarray(cursor.afterStart, cursor.afterEnd).equals(change.after)).toBe(true);
          copied.copy(cursor.record());
        }
        expect(cursor.next()).toBe(false);
        expect(copied.batch().bytes.equals(bytes)).toBe(true);
      }),
    );
  });

  it('leave nothing behind when one is cancelled', () => {
    const writer = new ChangeWriter(64);
    writer.add({ op: opCreate, schemaId: 1, key: Buffer.from('a'), after: packRow(['a']) });
    const before = Buffer.from(writer.batch().bytes);
    writer.begin(opUpdate, 0, 2);
    writer.at += 3;
    writer.cancel();
    expect(writer.batch()).toEqual({ bytes: before, count: 1 });
    writer.reset();
    expect(writer.batch().count).toBe(0);
  });

  it('say so when they are damaged or cut: no read beyond the batch, no endless loop', () => {
    const cursor = new ChangeCursor();
    fc.assert(
      fc.property(
        changes,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        fc.nat(40),
        (list, flips, cut) => {
          const writer = new ChangeWriter(64);
          for (const change of list) add(writer, change);
          const bytes = Buffer.from(writer.batch().bytes);
          for (const [where, byte] of flips) bytes[where % bytes.length] = byte;
          const damaged = bytes.subarray(0, Math.max(0, bytes.length - cut));
          cursor.reset(damaged);
          let records = 0;
          try {
            while (cursor.next()) {
              records++;
              expect(records).toBeLessThanOrEqual(damaged.length / 16);
              expect([opCreate, opUpdate, opDelete, opRead]).toContain(cursor.op);
              const places = [cursor.start + 16, cursor.keyEnd, cursor.beforeEnd, cursor.afterEnd, damaged.length];
              expect(places).toEqual(places.toSorted((a, b) => a - b));
            }
          } catch (error) {
            if (!isTidemarkError(error, 'INTERNAL')) throw error;
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('refuse a key that its length field cannot tell', () => {
    const writer = new ChangeWriter(64);
    expect(() => writer.add({ op: opDelete, schemaId: 1, key: Buffer.alloc(65_536) })).toThrow(/key of 65536 bytes/);
  });

  it('refuse to end beyond the room that was reserved', () => {
    const writer = new ChangeWriter(64);
    writer.begin(opCreate, 0, 1);
    writer.at += 1000;
    expect(() => writer.end()).toThrow(/room/);
  });
});
