import { describe, expect, it } from 'vitest';
import { ChangeCursor, ChangeWriter, opCreate, opDelete, opRead, opUpdate } from '../../model/change.ts';
import { scalar } from '../../model/data-type.ts';
import { EventEncoder } from '../../model/envelope.ts';
import type { PieceInfo } from '../../model/envelope.ts';
import { ByteWriter } from '../../model/json-writer.ts';
import { packRow } from '../../model/row.ts';
import type { Table } from '../../model/table.ts';

const customers: Table = {
  source: 'shop',
  schema: 'public',
  name: 'customers',
  topic: 'shop.public.customers',
  kind: 'table',
  columns: [
    { id: 1, name: 'id', type: scalar('int8'), declared: 'bigint', nullable: false },
    { id: 2, name: 'name', type: scalar('text'), declared: 'text', nullable: true },
    { id: 3, name: 'doc', type: scalar('json'), declared: 'json', nullable: true },
  ],
  key: [0],
};
const clicks: Table = { ...customers, name: 'clicks', topic: 'shop.public.clicks', kind: 'stream', key: [] };
const tables = new Map([
  [1, customers],
  [2, clicks],
  [3, { ...customers, columns: customers.columns.slice(0, 2) }],
]);

const piece: PieceInfo = {
  seq: 42,
  position: '16/B374D848',
  commitTimeMs: 1_700_000_000_123,
  snapshot: false,
  txId: '571',
  first: true,
  kind: 'transaction',
};
const origin = { version: '0.1.0', connector: 'postgres', name: 'shop', database: 'shop_db' };

function events(
  encoder: EventEncoder,
  write: (writer: ChangeWriter) => void,
): { key: unknown; value: unknown; text: string }[] {
  const writer = new ChangeWriter();
  write(writer);
  const cursor = new ChangeCursor().reset(writer.batch().bytes);
  const list = [];
  const into = new ByteWriter(8);
  while (cursor.next()) {
    const table = tables.get(cursor.schemaId) as Table;
    into.reset();
    encoder.key(cursor, table, into);
    const key: unknown = JSON.parse(into.bytes().toString());
    into.reset();
    encoder.value(cursor, table, into);
    const text = into.bytes().toString();
    list.push({ key, value: JSON.parse(text) as unknown, text });
  }
  return list;
}

const key = Buffer.from('k');
const row = (id: string, name: string | null = null): Buffer => packRow([id, name, null]);

const full = (id: number): unknown => ({ id, name: null, doc: null });
const one = (writer: ChangeWriter): void => writer.add({ op: opRead, schemaId: 1, key, after: row('1') });

/** The counts of each event: over the transaction, and within its table. */
function order(list: readonly { value: unknown }[]): unknown[] {
  return list.map(({ value }) => {
    const { transaction } = value as { transaction: { total_order: number; data_collection_order: number } };
    return [transaction.total_order, transaction.data_collection_order];
  });
}

describe('change events', () => {
  it('have every field of the contract, to the byte', () => {
    const encoder = new EventEncoder(origin);
    encoder.begin(piece, 1_700_000_000_500);
    const [event] = events(encoder, (writer) => {
      writer.add({ op: opUpdate, schemaId: 1, key, before: row('1', 'a'), after: row('1', 'b') });
    });
    expect(event?.key).toEqual({ id: 1 });
    expect(event?.text).toBe(
      '{"before":{"id":1,"name":"a","doc":null},"after":{"id":1,"name":"b","doc":null},' +
        '"source":{"version":"0.1.0","connector":"postgres","name":"shop","ts_ms":1700000000123,"snapshot":"false",' +
        '"db":"shop_db","schema":"public","table":"customers","txId":571,"lsn":97500059720},"op":"u","ts_ms":1700000000500,' +
        '"transaction":{"id":"571:97500059720","total_order":1,"data_collection_order":1},"seq":42,"position":"16/B374D848"}',
    );
  });

  it('tell create, update, delete and read apart, with what the database gave of the old row', () => {
    const encoder = new EventEncoder(origin);
    encoder.begin(piece, 0);
    const list = events(encoder, (writer) => {
      writer.add({ op: opCreate, schemaId: 1, key, after: row('1') });
      writer.add({ op: opUpdate, schemaId: 1, key, after: row('2') });
      writer.add({ op: opDelete, schemaId: 1, key, before: row('3'), keyOnly: true });
      writer.add({ op: opDelete, schemaId: 1, key, before: row('4') });
      writer.add({ op: opRead, schemaId: 1, key, after: row('5') });
      writer.add({ op: opCreate, schemaId: 2, key: Buffer.alloc(0), after: row('6') });
    });
    expect(list).toMatchObject([
      { key: { id: 1 }, value: { op: 'c', before: null, after: full(1) } },
      { key: { id: 2 }, value: { op: 'u', before: null, after: full(2) } },
      { key: { id: 3 }, value: { op: 'd', before: { id: 3 }, after: null } },
      { key: { id: 4 }, value: { op: 'd', before: full(4), after: null } },
      { key: { id: 5 }, value: { op: 'r', before: null, after: full(5) } },
      { key: null, value: { op: 'c', before: null, after: full(6) } },
    ]);
    expect(list[2]?.text).toContain('"before":{"id":3},');
  });

  it('are counted over the whole transaction and per table, over pieces, skipped ones and changes of shape', () => {
    const encoder = new EventEncoder(origin);
    const three = (writer: ChangeWriter): void => {
      writer.add({ op: opCreate, schemaId: 1, key, after: row('1') });
      writer.add({ op: opCreate, schemaId: 2, key, after: row('1') });
      writer.add({ op: opCreate, schemaId: 3, key, after: packRow(['1', null]) });
    };
    encoder.begin(piece, 0);
    expect(order(events(encoder, three))).toEqual([[1, 1], [2, 1], [3, 2]]); // prettier-ignore
    encoder.begin({ ...piece, first: false }, 0);
    const cursor = new ChangeCursor();
    const writer = new ChangeWriter();
    writer.add({ op: opCreate, schemaId: 1, key, after: row('1') });
    cursor.reset(writer.batch().bytes).next();
    encoder.skip(cursor, customers);
    expect(order(events(encoder, three))).toEqual([[5, 4], [6, 2], [7, 5]]); // prettier-ignore
    encoder.begin({ ...piece, seq: 43 }, 0);
    expect(order(events(encoder, three))).toEqual([[1, 1], [2, 1], [3, 2]]); // prettier-ignore
  });

  it('of a snapshot, and net changes, belong to no transaction of the database', () => {
    const encoder = new EventEncoder(origin);
    encoder.begin({ ...piece, snapshot: true, txId: '' }, 0);
    expect(events(encoder, one)).toMatchObject([
      { value: { transaction: null, source: { snapshot: 'true', txId: null }, seq: 42 } },
    ]);
    encoder.begin({ ...piece, kind: 'net' }, 0);
    expect(events(encoder, one)).toMatchObject([{ value: { transaction: null, source: { snapshot: 'false' } } }]);
  });

  it('of other databases have no lsn, and keep names that are no numbers as text', () => {
    const encoder = new EventEncoder({ ...origin, connector: 'mysql' });
    const position = '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5';
    encoder.begin({ ...piece, position, txId: 'x:5' }, 0);
    const [event] = events(encoder, (writer) => writer.add({ op: opCreate, schemaId: 1, key, after: row('1') }));
    expect(event).toMatchObject({ value: { position, source: { txId: 'x:5' } } });
    expect(event?.text).not.toContain('"lsn"');
  });

  it('are one line each where lines are asked for, and get a value through that has no JSON', () => {
    const encoder = new EventEncoder(origin, { singleLine: true });
    encoder.begin(piece, 0);
    const [event] = events(encoder, (writer) =>
      writer.add({ op: opCreate, schemaId: 1, key, after: packRow(['1', Buffer.from('a\nb\xff', 'latin1'), '{\n}']) }),
    );
    expect(event?.text).not.toContain('\n');
    expect(event).toMatchObject({ value: { after: { name: 'a\nb\ufffd', doc: {} } } });
  });
});
