import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PgSnapshot, widen } from '../../../connectors/postgres/visibility.ts';
import { describePostgres } from '../../servers/suite.ts';

const low = (xid: bigint): string => (xid & 0xffff_ffffn).toString();

describe('what a snapshot of PostgreSQL sees', () => {
  it('is told by 32-bit transaction numbers across their wraparound', () => {
    const wide = fc.bigInt({ min: 3n, max: 2n ** 40n });
    const near = fc.integer({ min: -2_000_000_000, max: 2_000_000_000 });
    fc.assert(
      fc.property(wide, near, (xmax, distance) => {
        const xid = xmax + BigInt(distance);
        fc.pre(xid >= 3n);
        expect(widen(Number(low(xid)), xmax)).toBe(xid);
      }),
      {
        examples: [
          [2n ** 32n, -1],
          [2n ** 32n, 0],
          [2n ** 32n - 1n, 5],
          [2n ** 32n + 5n, -10],
          [3n * 2n ** 32n, -2_000_000_000],
        ],
      },
    );
  });

  it('is every transaction that had ended, and no other', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 2n ** 31n, max: 2n ** 36n }),
        fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { maxLength: 20 }),
        fc.integer({ min: 0, max: 60 }),
        (xmin, running, span) => {
          const xmax = xmin + BigInt(span);
          const list = running.map((offset) => xmin + BigInt(offset)).filter((xid) => xid < xmax);
          const snapshot = new PgSnapshot(`${xmin}:${xmax}:${list.join(',')}`);
          for (let xid = xmin - 70n; xid < xmax + 70n; xid++) {
            const ended = xid < xmin || (xid < xmax && !list.includes(xid));
            expect(snapshot.includes(low(xid)), `${xid} in ${snapshot.text}`).toBe(ended);
          }
          expect(snapshot.running()).toEqual(list.map(low));
        },
      ),
    );
  });
});

describePostgres('what a snapshot of PostgreSQL sees', (database) => {
  it('is what pg_visible_in_snapshot says', async () => {
    const open = await Promise.all([database.connect(), database.connect(), database.connect()]);
    for (const client of open) {
      await client.query('BEGIN');
      await client.query('SELECT pg_current_xact_id()');
      await database.query('SELECT pg_current_xact_id()');
    }
    const [row] = await database.query('SELECT pg_current_snapshot() AS snapshot');
    const snapshot = new PgSnapshot(row?.['snapshot'] ?? '');
    expect(snapshot.running().length).toBeGreaterThanOrEqual(3);
    const xids = await database.query(
      `SELECT x AS xid, pg_visible_in_snapshot(x::text::xid8, $1::pg_snapshot) AS seen FROM generate_series(greatest(3, ${snapshot.xmin - 20n}), ${snapshot.xmax + 20n}) x`,
      [snapshot.text],
    );
    for (const { xid, seen } of xids)
      expect(snapshot.includes(low(BigInt(xid ?? '0'))), `transaction ${xid}`).toBe(seen === 't');
    for (const client of open) await client.query('ROLLBACK');
  });
});
