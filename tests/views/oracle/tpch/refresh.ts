import { Chance } from '../chance.ts';
import type { TextRow } from '../tables.ts';
import { Contents, keyOf } from '../transactions.ts';
import type { AppliedTransaction, Operation } from '../transactions.ts';
import { TpchData, padded } from './data.ts';
import { tpchNames, tpchTables } from './tables.ts';
import type { TpchName } from './tables.ts';

type Changes = Readonly<Record<string, string>>;

/**
 * The database of a scale, and what happens to it: refresh function 1 (new orders with their lines), refresh function 2 (old ones go;
 * specification, section 2.6), and changes of rows of every table, which the specification does not have.
 */
export class TpchHistory {
  readonly #data: TpchData;
  readonly #chance: Chance;
  readonly #contents = new Contents(tpchNames.map((name) => tpchTables[name]));
  readonly #orders: number[] = [];
  readonly #perRefresh: number;
  #added = 0;

  constructor(scale: number, seed: number) {
    this.#data = new TpchData(scale, seed);
    this.#chance = new Chance(seed + 1);
    this.#perRefresh = Math.max(2, Math.round(scale * 1500));
  }

  /** The first contents, one table after another. */
  load(): AppliedTransaction[] {
    const names = ['region', 'nation', 'supplier', 'part', 'partsupp', 'customer'] as const;
    const loads = names.map((name) => this.#contents.apply(this.#data.rows(name).map((row) => insert(name, row))));
    for (let index = 0; index < this.#data.counts.orders; index++) this.#orders.push(this.#data.orderKey(index));
    const orders = this.#orders.map((key) => this.#data.order(key));
    loads.push(this.#contents.apply(orders.map(({ order }) => insert('orders', order))));
    loads.push(this.#contents.apply(orders.flatMap(({ lines }) => lines.map((line) => insert('lineitem', line)))));
    return loads;
  }

  /** The next transaction. */
  refresh(): AppliedTransaction {
    const kind = this.#chance.weighted({ insert: 3, delete: 3, change: 3, all: 2 });
    const operations: Operation[] = [];
    if (kind === 'insert' || kind === 'all') operations.push(...this.#insert());
    if (kind === 'delete' || kind === 'all') operations.push(...this.#delete());
    if (kind === 'change' || kind === 'all') operations.push(...this.#change());
    return this.#contents.apply(operations);
  }

  #insert(): Operation[] {
    return Array.from({ length: this.#perRefresh }, () => {
      const key = this.#data.orderKey(this.#added++, true);
      this.#orders.push(key);
      const { order, lines } = this.#data.order(key);
      return [insert('orders', order), ...lines.map((line) => insert('lineitem', line))];
    }).flat();
  }

  #delete(): Operation[] {
    return this.#orders
      .splice(this.#chance.below(5), this.#perRefresh)
      .flatMap((key) => [
        ...this.#lines(key).map((line) => remove('lineitem', line)),
        { kind: 'delete', table: tpchNames.indexOf('orders'), key: JSON.stringify([String(key)]) } as const,
      ]);
  }

  #change(): Operation[] {
    const chance = this.#chance;
    const { counts } = this.#data;
    const nation = String(chance.below(25));
    const some = (count: number): string => String(chance.between(1, count));
    const operations = [
      this.#update('customer', [some(counts.customer)], {
        c_acctbal: '5000.00',
        c_phone: `${Number(nation) + 10}-111-222-3333`,
      }),
      this.#update('customer', [some(counts.customer)], { c_nationkey: nation, c_mktsegment: 'BUILDING' }),
      this.#update('supplier', [some(counts.supplier)], { s_nationkey: nation }),
      this.#update('supplier', [some(counts.supplier)], { s_comment: chance.of(['fine', 'Customer bold Complaints']) }),
      this.#update('part', [some(counts.part)], {
        p_brand: chance.of(['Brand#23', 'Brand#12']),
        p_container: 'MED BOX',
      }),
      this.#update('part', [some(counts.part)], { p_name: chance.of(['forest green', 'plain']), p_size: some(50) }),
      this.#update('part', [some(counts.part)], {
        p_type: chance.of(['PROMO PLATED BRASS', 'ECONOMY ANODIZED STEEL']),
      }),
      ...this.#changedOrders(),
    ];
    const [part, supplier] = chance.of(this.#someSupply());
    if (part && supplier) {
      operations.push(
        this.#update('partsupp', [part, supplier], { ps_availqty: some(9999), ps_supplycost: `${some(999)}.50` }),
      );
    }
    return operations.filter((operation) => operation !== null);
  }

  #changedOrders(): (Operation | null)[] {
    const chance = this.#chance;
    return chance.some(this.#orders.slice(0, 500), 4).flatMap((key) => {
      const lines = chance.some(this.#lines(key), 2).map((line) => {
        const quantity = `${chance.between(1, 50)}.00`;
        const changes = chance.of<Changes>([
          { l_quantity: quantity },
          { l_discount: '0.06', l_returnflag: 'R' },
          { l_receiptdate: '1994-12-31', l_shipmode: 'MAIL' },
          { l_shipdate: '1995-09-12', l_linestatus: 'F' },
        ]);
        return this.#update('lineitem', [line[0] ?? '', line[3] ?? ''], changes);
      });
      const customer = String(chance.between(1, this.#data.counts.customer));
      const comment = chance.of(['special packages requests', 'nothing']);
      return [
        ...lines,
        this.#update('orders', [String(key)], chance.of<Changes>([{ o_custkey: customer }, { o_comment: comment }])),
      ];
    });
  }

  #someSupply(): (readonly (string | null)[])[] {
    const rows = this.#contents.rowsOf(tpchNames.indexOf('partsupp'));
    return [this.#chance.of(rows)];
  }

  #lines(order: number): TextRow[] {
    const lines: TextRow[] = [];
    for (let number = 1; number <= 7; number++) {
      const row = this.#contents.row(tpchNames.indexOf('lineitem'), JSON.stringify([String(order), String(number)]));
      if (row) lines.push(row);
    }
    return lines;
  }

  #update(name: TpchName, key: readonly string[], changes: Changes): Operation | null {
    const table = tpchNames.indexOf(name);
    const old = this.#contents.row(table, JSON.stringify(key));
    if (!old) return null;
    const row = padded(
      name,
      tpchTables[name].columns.map((column, at) => changes[column.name] ?? old[at] ?? ''),
    );
    return { kind: 'update', table, key: JSON.stringify(key), row };
  }
}

function insert(name: TpchName, row: TextRow): Operation {
  return { kind: 'insert', table: tpchNames.indexOf(name), row };
}

function remove(name: TpchName, row: TextRow): Operation {
  return { kind: 'delete', table: tpchNames.indexOf(name), key: keyOf(tpchTables[name], row) };
}
