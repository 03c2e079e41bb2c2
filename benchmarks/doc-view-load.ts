import { ChangeWriter, opCreate, opUpdate } from '../model/change.ts';
import type { DataType } from '../model/data-type.ts';
import { scalar } from '../model/data-type.ts';
import { keyEncodingOf, keySizeMax, writeKeyPart } from '../model/key.ts';
import type { LogWriter } from '../model/log.ts';
import { packRow } from '../model/row.ts';
import type { Table } from '../model/table.ts';

/** Lines of the standard load; there is an order to every four, and a customer to every five orders. */
export const standardLines = 1_000_000;
const linesPerOrder = 4;
const ordersPerCustomer = 5;
const rowsPerCommit = 5_000;

/** One document a customer, with the customer's orders, each with its lines. */
export const documentSql = `
  SELECT c.id, c.name,
    json_agg(json_build_object('id', o.id, 'status', o.status, 'lines', o.lines) ORDER BY o.id) FILTER (WHERE o.id IS NOT NULL) AS orders
  FROM customers c LEFT JOIN (
    SELECT o.id, o.customer_id, o.status,
      json_agg(json_build_object('sku', l.sku, 'qty', l.qty, 'price', l.price) ORDER BY l.line_no) AS lines
    FROM orders o JOIN lines l ON l.order_id = o.id
    GROUP BY o.id, o.customer_id, o.status
  ) o ON o.customer_id = c.id
  GROUP BY c.id, c.name`;

type Values = readonly (string | number)[];

const int4 = scalar('int4');
const text = scalar('text');

export const customers = table(
  'customers',
  [
    ['id', int4, 'integer'],
    ['name', text, 'text'],
  ],
  1,
);
export const orders = table(
  'orders',
  [
    ['id', int4, 'integer'],
    ['customer_id', int4, 'integer'],
    ['status', text, 'text'],
  ],
  1,
);
export const lines = table(
  'lines',
  [
    ['order_id', int4, 'integer'],
    ['line_no', int4, 'integer'],
    ['sku', text, 'text'],
    ['qty', int4, 'integer'],
    ['price', scalar('numeric'), 'numeric(12,2)'],
  ],
  2,
);

function table(name: string, columns: readonly [string, DataType, string][], keyColumns: number): Table {
  return {
    source: 'bench',
    schema: 'public',
    name,
    topic: `bench.public.${name}`,
    kind: 'table',
    columns: columns.map(([column, type, declared], index) => ({
      id: index + 1,
      name: column,
      type,
      declared,
      nullable: index >= keyColumns,
    })),
    key: Array.from({ length: keyColumns }, (_, index) => index),
  };
}

export function counts(lineCount: number): { orders: number; customers: number } {
  const orderCount = Math.ceil(lineCount / linesPerOrder);
  return { orders: orderCount, customers: Math.ceil(orderCount / ordersPerCustomer) };
}

function line(index: number, qty: number): Values {
  return [
    Math.floor(index / linesPerOrder) + 1,
    (index % linesPerOrder) + 1,
    `SKU-${(index * 7919) % 10_000}`,
    qty,
    `${(index % 900) + 1}.50`,
  ];
}

/** The same rows as SQL. */
export const fillSql = (lineCount: number): string => {
  const { orders: orderCount, customers: customerCount } = counts(lineCount);
  return `
    CREATE TABLE customers (id int PRIMARY KEY, name text);
    CREATE TABLE orders (id int PRIMARY KEY, customer_id int, status text);
    CREATE TABLE lines (order_id int, line_no int, sku text, qty int, price numeric(12,2), PRIMARY KEY (order_id, line_no));
    INSERT INTO customers SELECT i, 'customer ' || i FROM generate_series(1, ${customerCount}) i;
    INSERT INTO orders SELECT i, (i - 1) / ${ordersPerCustomer} + 1, 'placed' FROM generate_series(1, ${orderCount}) i;
    INSERT INTO lines SELECT i / ${linesPerOrder} + 1, i % ${linesPerOrder} + 1, 'SKU-' || (i::bigint * 7919) % 10000, 1, i % 900 + 1.5
      FROM generate_series(0, ${lineCount - 1}) i;
    ANALYZE;`;
};

/** Writes tables and changes into the log as a connector would. */
export class DocumentLoad {
  readonly #writer: LogWriter;
  readonly #changes = new ChangeWriter(1024 * 1024);
  #position = 0;

  constructor(writer: LogWriter) {
    this.#writer = writer;
  }

  /** All rows, as commits of a snapshot, the last of which makes the tables consistent. */
  async fill(lineCount: number): Promise<void> {
    const { orders: orderCount, customers: customerCount } = counts(lineCount);
    await this.#rows(customers, customerCount, (index) => [index + 1, `customer ${index + 1}`]);
    await this.#rows(orders, orderCount, (index) => [index + 1, Math.floor(index / ordersPerCustomer) + 1, 'placed']);
    await this.#rows(lines, lineCount, (index) => line(index, 1));
    const seq = this.#writer.last.seq;
    const consistent = [customers, orders, lines].map(({ topic }) => [`consistent:${topic}`, JSON.stringify({ seq })]);
    this.#commit(true, Object.fromEntries(consistent));
    await this.#writer.durable();
  }

  /** One changed line in each of `count` commits, spread over all lines. Returns the position of the last one. */
  async update(count: number, lineCount: number): Promise<string> {
    for (let index = 0; index < count; index++) {
      const at = (index * 48_271) % lineCount;
      this.#add(lines, line(at, 2 + Math.floor(index / lineCount)), opUpdate);
      this.#commit(false);
      if (index % 1000 === 0) await this.#writer.drained();
    }
    await this.#writer.durable();
    return String(this.#position);
  }

  async #rows(of: Table, count: number, row: (index: number) => Values): Promise<void> {
    for (let index = 0; index < count; index++) {
      this.#add(of, row(index), opCreate);
      if (this.#changes.count < rowsPerCommit) continue;
      this.#commit(true);
      await this.#writer.drained();
    }
    this.#commit(true);
  }

  #add(of: Table, values: Values, op: typeof opCreate | typeof opUpdate): void {
    const texts = values.map((value) => Buffer.from(String(value)));
    const key = Buffer.alloc(of.key.reduce((size, at) => size + keySizeMax(texts[at]?.length ?? 0), 0));
    let end = 0;
    for (const at of of.key) {
      const part = texts[at] ?? Buffer.alloc(0);
      end = writeKeyPart(keyEncodingOf(of.columns[at]?.type ?? text), part, 0, part.length, key, end);
    }
    this.#changes.add({ op, schemaId: this.#writer.schemaId(of), key: key.subarray(0, end), after: packRow(texts) });
  }

  #commit(snapshot: boolean, state?: Record<string, string>): void {
    if (this.#changes.count > 0) this.#writer.append(this.#changes.batch());
    else if (state === undefined) return;
    this.#changes.reset();
    const position = String(++this.#position);
    this.#writer.commit({ position, commitTimeMs: Date.now(), snapshot, txId: '', ...(state ? { state } : {}) });
  }
}
