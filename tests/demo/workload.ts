import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseError } from 'pg';
import type { Client } from 'pg';
import { connectTo, valueOf } from './connection.ts';

/** Each connection begins a transaction this often. With `kinds` as they are, a transaction changes about four rows. */
const slotMs = 16;
const connections = 2;

/** Two customers' orders meeting: the database refuses one of the transactions, and the shop goes on. */
const conflicts = new Set(['40001', '40P01', '23503']);

/** How often each kind of transaction occurs, of 100. */
const kinds: readonly (readonly [weight: number, kind: keyof Shop])[] = [
  [30, 'placeOrder'],
  [3, 'refuseOrder'],
  [20, 'advanceOrders'],
  [14, 'changeQuantity'],
  [10, 'addLine'],
  [6, 'removeLine'],
  [6, 'cancelOrder'],
  [2, 'moveOrder'],
  [4, 'moveCustomer'],
  [3, 'welcomeCustomer'],
  [1, 'forgetCustomer'],
  [1, 'shipMany'],
];

/** An application at work: several connections, each with one transaction after the other. */
export class Workload {
  /** Committed. */
  transactions = 0;
  /** Rows changed by these. */
  changes = 0;
  readonly #stopping = new AbortController();
  readonly #workers: Promise<void>[] = [];
  readonly #clients: Client[] = [];

  /** `onFailure` is told of what is neither a conflict nor a stop. */
  async start(url: string, random: () => number, onFailure: (error: unknown) => void): Promise<void> {
    for (let index = 0; index < connections; index++) {
      const client = await connectTo(url);
      this.#clients.push(client);
      this.#workers.push(this.#work(new Shop(client, random), random).catch(onFailure));
    }
  }

  /** Stops after the transactions under way. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#workers);
    await Promise.allSettled(this.#clients.map(async (client) => client.end()));
  }

  async #work(shop: Shop, random: () => number): Promise<void> {
    const { signal } = this.#stopping;
    await shop.open();
    for (let due = performance.now(); !signal.aborted; due = Math.max(due + slotMs, performance.now() - slotMs)) {
      const changes = await shop.transaction(pick(random()));
      if (changes > 0) {
        this.transactions++;
        this.changes += changes;
      }
      await sleep(Math.max(0, due + slotMs - performance.now()), undefined, { signal }).catch(() => undefined);
    }
  }
}

function pick(random: number): keyof Shop {
  let left = random * 100;
  for (const [weight, kind] of kinds) {
    left -= weight;
    if (left < 0) return kind;
  }
  return 'placeOrder';
}

interface Order {
  readonly id: string;
  readonly customer_id: string;
}

/**
 * What customers and clerks do. Each method returns the rows it changed; what it did is rolled back when that is none. An order's
 * row is locked before anything of it changes, and with it its lines: sums that customers keep are of what is there at the commit.
 */
class Shop {
  readonly #client: Client;
  readonly #random: () => number;
  #newestOrder = 1;
  #newestCustomer = 1;

  constructor(client: Client, random: () => number) {
    this.#client = client;
    this.#random = random;
  }

  async open(): Promise<void> {
    this.#newestOrder = Number(await valueOf(this.#client, 'SELECT max(id) FROM orders'));
    this.#newestCustomer = Number(await valueOf(this.#client, 'SELECT max(id) FROM customers'));
  }

  /** Returns the rows changed; 0 when the transaction was rolled back. */
  async transaction(kind: keyof Shop): Promise<number> {
    if (kind === 'open' || kind === 'transaction') return 0;
    await this.#client.query('BEGIN');
    try {
      const changes = await this[kind]();
      await this.#client.query(changes > 0 ? 'COMMIT' : 'ROLLBACK');
      return changes;
    } catch (error) {
      if (!(error instanceof DatabaseError) || !conflicts.has(error.code ?? '')) throw error;
      await this.#client.query('ROLLBACK');
      return 0;
    }
  }

  async placeOrder(): Promise<number> {
    return this.#order(this.#anyCustomer());
  }

  /** The payment fails after the rows are written: nothing of it may ever be seen anywhere. */
  async refuseOrder(): Promise<number> {
    await this.#order(this.#anyCustomer());
    return 0;
  }

  async advanceOrders(): Promise<number> {
    return this.#change(
      `UPDATE orders SET status = CASE status WHEN 'placed' THEN 'packed' WHEN 'packed' THEN 'shipped' ELSE 'delivered' END
       WHERE id IN (SELECT id FROM orders WHERE id >= $1 AND status <> 'delivered' ORDER BY id LIMIT 3)`,
      this.#anyOrder(),
    );
  }

  async changeQuantity(): Promise<number> {
    return this.#reprice(
      `UPDATE order_lines l SET quantity = $2 FROM
         (SELECT line_no, quantity FROM order_lines WHERE order_id = $1 ORDER BY line_no LIMIT 1) old
       WHERE l.order_id = $1 AND l.line_no = old.line_no AND old.quantity <> $2
       RETURNING (l.quantity - old.quantity) * l.price_cents AS cents`,
      this.#anyQuantity(),
    );
  }

  async addLine(): Promise<number> {
    return this.#reprice(
      `INSERT INTO order_lines
       SELECT $1, (SELECT max(line_no) + 1 FROM order_lines WHERE order_id = $1), name, $3, price_cents FROM products WHERE id = $2
       RETURNING quantity * price_cents AS cents`,
      this.#anyProduct(),
      this.#anyQuantity(),
    );
  }

  /** An order's second line; no order is left empty. */
  async removeLine(): Promise<number> {
    return this.#reprice(
      `DELETE FROM order_lines
       WHERE order_id = $1 AND line_no = (SELECT line_no FROM order_lines WHERE order_id = $1 ORDER BY line_no OFFSET 1 LIMIT 1)
       RETURNING -quantity * price_cents AS cents`,
    );
  }

  async cancelOrder(): Promise<number> {
    const order = await this.#lockAnyOrder();
    if (order === null) return 0;
    const { lines, cents } = await this.#lines(
      'DELETE FROM order_lines WHERE order_id = $1 RETURNING -quantity * price_cents AS cents',
      order.id,
    );
    await this.#change('DELETE FROM orders WHERE id = $1', order.id);
    return lines + 1 + (await this.#settle(order.customer_id, -1, cents));
  }

  /** It was another customer's: two documents change in one transaction. */
  async moveOrder(): Promise<number> {
    const order = await this.#lockAnyOrder();
    const customer = String(this.#anyCustomer());
    if (order === null || order.customer_id === customer) return 0;
    await this.#change('UPDATE orders SET customer_id = $2 WHERE id = $1', order.id, customer);
    const { cents } = await this.#lines(
      'SELECT quantity * price_cents AS cents FROM order_lines WHERE order_id = $1',
      order.id,
    );
    return 1 + (await this.#settle(order.customer_id, -1, -cents)) + (await this.#settle(customer, 1, cents));
  }

  async moveCustomer(): Promise<number> {
    return this.#change(
      'UPDATE customers SET city = other.city FROM customers other WHERE customers.id = $1 AND other.id = $2',
      this.#anyCustomer(),
      this.#anyCustomer(),
    );
  }

  async welcomeCustomer(): Promise<number> {
    const id = await valueOf(
      this.#client,
      `INSERT INTO customers (name, email, city)
       SELECT split_part(a.name, ' ', 1) || ' ' || split_part(b.name, ' ', 2), 'welcome' || a.id || '.' || b.id || '@example.org', a.city
       FROM customers a, customers b WHERE a.id = $1 AND b.id = $2 RETURNING id`,
      [this.#anyCustomer(), this.#anyCustomer()],
    );
    if (id === null) return 0;
    this.#newestCustomer = Math.max(this.#newestCustomer, Number(id));
    return 1 + (await this.#order(Number(id)));
  }

  async forgetCustomer(): Promise<number> {
    const customer = this.#anyCustomer();
    await this.#change('SELECT FROM orders WHERE customer_id = $1 FOR UPDATE', customer);
    const lines = await this.#change(
      'DELETE FROM order_lines USING orders WHERE orders.id = order_id AND customer_id = $1',
      customer,
    );
    const orders = await this.#change('DELETE FROM orders WHERE customer_id = $1', customer);
    return lines + orders + (await this.#change('DELETE FROM customers WHERE id = $1', customer));
  }

  async shipMany(): Promise<number> {
    return this.#change(
      `UPDATE orders SET status = 'shipped'
       WHERE id IN (SELECT id FROM orders WHERE id >= $1 AND status IN ('placed', 'packed') ORDER BY id LIMIT 100)`,
      this.#anyOrder(),
    );
  }

  /** One to four lines. */
  async #order(customer: number): Promise<number> {
    const id = await valueOf(
      this.#client,
      'INSERT INTO orders (customer_id) SELECT id FROM customers WHERE id = $1 RETURNING id',
      [customer],
    );
    if (id === null) return 0;
    this.#newestOrder = Math.max(this.#newestOrder, Number(id));
    const picked = Array.from({ length: 1 + Math.floor(this.#random() * 4) }, () => this.#anyProduct());
    const { lines, cents } = await this.#lines(
      `INSERT INTO order_lines
       SELECT $1, picked.no, p.name, picked.quantity, p.price_cents
       FROM unnest($2::int[], $3::int[]) WITH ORDINALITY AS picked (product, quantity, no) JOIN products p ON p.id = picked.product
       RETURNING quantity * price_cents AS cents`,
      id,
      picked,
      picked.map(() => this.#anyQuantity()),
    );
    return 1 + lines + (await this.#settle(String(customer), 1, cents));
  }

  /** Changes lines of an order, $1; `sql` returns what each adds to the order's sum. */
  async #reprice(sql: string, ...values: readonly unknown[]): Promise<number> {
    const order = await this.#lockAnyOrder();
    if (order === null) return 0;
    const { lines, cents } = await this.#lines(sql, order.id, ...values);
    return lines === 0 ? 0 : lines + (await this.#settle(order.customer_id, 0, cents));
  }

  async #lines(sql: string, ...values: readonly unknown[]): Promise<{ lines: number; cents: number }> {
    const { rows } = await this.#client.query<{ cents: string }>(sql, [...values]);
    return { lines: rows.length, cents: rows.reduce((sum, row) => sum + Number(row.cents), 0) };
  }

  /** What the shop says of a customer, in the transaction that makes it so. */
  async #settle(customer: string, orders: number, cents: number): Promise<number> {
    return this.#change(
      'UPDATE customers SET order_count = order_count + $2, spent_cents = spent_cents + $3 WHERE id = $1',
      customer,
      orders,
      cents,
    );
  }

  async #lockAnyOrder(): Promise<Order | null> {
    const { rows } = await this.#client.query<Order>('SELECT id, customer_id FROM orders WHERE id = $1 FOR UPDATE', [
      this.#anyOrder(),
    ]);
    return rows[0] ?? null;
  }

  #anyOrder(): number {
    return 1 + Math.floor(this.#random() * this.#newestOrder);
  }

  #anyCustomer(): number {
    return 1 + Math.floor(this.#random() * this.#newestCustomer);
  }

  #anyProduct(): number {
    return 1 + Math.floor(this.#random() * 240);
  }

  #anyQuantity(): number {
    return 1 + Math.floor(this.#random() ** 3 * 5);
  }

  async #change(sql: string, ...values: readonly unknown[]): Promise<number> {
    const { rowCount } = await this.#client.query(sql, [...values]);
    return rowCount ?? 0;
  }
}
