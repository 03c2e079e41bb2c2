import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseError } from 'pg';
import type { Client } from 'pg';
import { connectTo, valueOf } from './connection.ts';

/** Each connection begins a transaction this often. With `kinds` as they are, a transaction changes about three rows. */
const slotMs = 16;
const connections = 2;

/** Two customers' orders meeting: the database refuses one of the transactions, and the shop goes on. */
const conflicts = new Set(['40001', '40P01', '23503']);

/** How often each kind of transaction occurs, of 100. */
const kinds: readonly (readonly [weight: number, kind: keyof Shop])[] = [
  [42, 'placeOrder'],
  [3, 'refuseOrder'],
  [25, 'advanceOrders'],
  [10, 'cancelOrder'],
  [12, 'moveCustomer'],
  [5, 'welcomeCustomer'],
  [2, 'forgetCustomer'],
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

/** What customers and clerks do. Each method returns the rows it changed; what it did is rolled back when that is none. */
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

  async cancelOrder(): Promise<number> {
    const { rows } = await this.#client.query<{ customer_id: string; total_cents: string }>(
      'DELETE FROM orders WHERE id = $1 RETURNING customer_id, total_cents',
      [this.#anyOrder()],
    );
    const order = rows[0];
    if (order === undefined) return 0;
    const updated = await this.#change(
      'UPDATE customers SET orders = orders - 1, spent_cents = spent_cents - $2 WHERE id = $1',
      order.customer_id,
      order.total_cents,
    );
    return 1 + updated;
  }

  async moveCustomer(): Promise<number> {
    const customer = this.#anyCustomer();
    const moved = await this.#change(
      `UPDATE customers SET city = (SELECT city FROM customers WHERE id = $2) WHERE id = $1
         AND EXISTS (SELECT FROM customers WHERE id = $2)`,
      customer,
      this.#anyCustomer(),
    );
    const readdressed = await this.#change(
      `UPDATE orders SET ship_to = customers.name || ', ' || customers.city FROM customers
       WHERE customers.id = $1 AND customer_id = $1 AND status IN ('placed', 'packed')`,
      customer,
    );
    return moved + readdressed;
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
    const orders = await this.#change('DELETE FROM orders WHERE customer_id = $1', customer);
    return orders + (await this.#change('DELETE FROM customers WHERE id = $1', customer));
  }

  async shipMany(): Promise<number> {
    return this.#change(
      `UPDATE orders SET status = 'shipped'
       WHERE id IN (SELECT id FROM orders WHERE id >= $1 AND status IN ('placed', 'packed') ORDER BY id LIMIT 100)`,
      this.#anyOrder(),
    );
  }

  async #order(customer: number): Promise<number> {
    const { rows } = await this.#client.query<{ id: string; total_cents: string }>(
      `INSERT INTO orders (customer_id, product, quantity, total_cents, ship_to)
       SELECT c.id, p.name, $3::int, $3::int * p.price_cents, c.name || ', ' || c.city
       FROM customers c, products p WHERE c.id = $1 AND p.id = $2 RETURNING id, total_cents`,
      [customer, 1 + Math.floor(this.#random() * 240), 1 + Math.floor(this.#random() ** 3 * 5)],
    );
    const order = rows[0];
    if (order === undefined) return 0;
    this.#newestOrder = Math.max(this.#newestOrder, Number(order.id));
    const updated = await this.#change(
      'UPDATE customers SET orders = orders + 1, spent_cents = spent_cents + $2 WHERE id = $1',
      customer,
      order.total_cents,
    );
    return 1 + updated;
  }

  #anyOrder(): number {
    return 1 + Math.floor(this.#random() * this.#newestOrder);
  }

  #anyCustomer(): number {
    return 1 + Math.floor(this.#random() * this.#newestCustomer);
  }

  async #change(sql: string, ...values: readonly unknown[]): Promise<number> {
    const { rowCount } = await this.#client.query(sql, [...values]);
    return rowCount ?? 0;
  }
}
