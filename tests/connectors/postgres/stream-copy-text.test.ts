import * as fc from 'fast-check';
import type { Client } from 'pg';
import { beforeAll, expect, it } from 'vitest';
import { isTidemarkError } from '../../../base/errors.ts';
import { CopySocket } from '../../../connectors/postgres/copy-socket.ts';
import { CopyTextReader } from '../../../connectors/postgres/copy-text.ts';
import { fieldNull, fieldPositions } from '../../../model/row.ts';
import { describePostgres } from '../../servers/suite.ts';

/**
 * What the reader makes of one row, taken from the middle of a buffer so that it cannot rely on what follows: the same wherever the
 * row lies between the words of the buffer, and when the buffer is not one of whole words.
 */
function read(row: Buffer, columns: number, filler = 0x5c): (string | null)[] {
  const whole = Buffer.alloc(row.length + 28 - (row.length % 4), filler);
  const [first, ...others] = [
    ...[8, 9, 10, 11].map((at) => outcomeOf(() => readAt(whole, row, at, columns, filler))),
    outcomeOf(() => readAt(whole.subarray(1), row, 10, columns, filler)),
  ];
  for (const other of others) expect(other).toEqual(first);
  if (first === undefined || 'error' in first) throw first?.error;
  return first.values;
}

function outcomeOf(work: () => (string | null)[]): { values: (string | null)[] } | { error: unknown } {
  try {
    return { values: work() };
  } catch (error) {
    return { error };
  }
}

function readAt(buffer: Buffer, row: Buffer, at: number, columns: number, filler: number): (string | null)[] {
  buffer.fill(filler);
  row.copy(buffer, at);
  const reader = new CopyTextReader(columns, fieldPositions(columns + 1));
  reader.read(buffer, at, at + row.length);
  return Array.from({ length: columns }, (_, column) => {
    const end = reader.fields.end[column] ?? 0;
    return end === fieldNull ? null : reader.bytes.toString('utf8', reader.fields.start[column], end);
  });
}

const hostile = fc.oneof(
  fc.constantFrom('', '\\', '\\N', '\\\\N', 'N', '\t', '\n', '\r\n', '\\.', '\b\f\v', 'é\\', '\\t', '😀\t😀', ' '),
  fc.string({
    unit: fc.constantFrom(
      '\\',
      '\t',
      '\n',
      '\r',
      'N',
      'x',
      '.',
      '\b',
      '\f',
      '\v',
      '\u007f',
      '\u0001',
      'ß',
      '漢',
      '😀',
      '"',
      ',',
    ),
  }),
  fc.string({ unit: 'binary', maxLength: 200 }).map((text) => text.replaceAll(/\0|[\uD800-\uDFFF]/g, '')),
);
const value = fc.option(hostile, { freq: 5 });

describePostgres('rows of COPY', (database) => {
  let client: Client;

  beforeAll(async () => {
    client = await database.connect();
  });

  async function copy(sql: string): Promise<Buffer[]> {
    const rows: Buffer[] = [];
    await new CopySocket(client).run(`COPY (${sql}) TO STDOUT`, {
      data: (buffer, start, end) => {
        rows.push(Buffer.from(buffer.subarray(start, end)));
        return undefined;
      },
    });
    return rows;
  }

  it('hold exactly the text that the table holds, NULL apart from the text \\N and from nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(value, value, value), { minLength: 1, maxLength: 20 }), async (rows) => {
        await client.query('CREATE TEMP TABLE hostile (n int, a text, b text, c text)');
        try {
          await client.query(
            'INSERT INTO hostile SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[])',
            [rows.map((_, index) => index), ...[0, 1, 2].map((column) => rows.map((row) => row[column] ?? null))],
          );
          const copied = await copy('SELECT a, b, c FROM hostile ORDER BY n');
          expect(copied.map((row) => read(row, 3))).toEqual(rows);
          const single = await copy('SELECT b FROM hostile ORDER BY n');
          expect(single.map((row) => read(row, 1))).toEqual(rows.map(([, b]) => [b]));
        } finally {
          await client.query('DROP TABLE hostile');
        }
      }),
      { numRuns: 60 },
    );
  });

  it('of any other number of columns are refused', async () => {
    const [row = Buffer.alloc(0)] = await copy(String.raw`SELECT 1, E'a\tb', NULL, ''`);
    expect(read(row, 4)).toEqual(['1', 'a\tb', null, '']);
    for (const columns of [1, 2, 3, 5, 6]) {
      expect(() => read(row, columns)).toThrow(expect.objectContaining({ code: 'SOURCE_PROTOCOL' }));
    }
  });

  it('that are damaged are read or refused, by their own bytes alone', () => {
    const byte = fc.oneof(fc.constantFrom(0x5c, 0x09, 0x0a, 0x4e), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 40 }), fc.integer({ min: 1, max: 5 }), (bytes, columns) => {
        const outcome = (filler: number): unknown => {
          try {
            return read(Buffer.from(bytes), columns, filler);
          } catch (error) {
            if (!isTidemarkError(error, 'SOURCE_PROTOCOL')) throw error;
            return error.code;
          }
        };
        expect(outcome(0x4e)).toEqual(outcome(0x09));
      }),
      { numRuns: 3_000 },
    );
  });
});
