import { Chance } from '../chance.ts';
import type { TextRow } from '../tables.ts';
import { tpchTables } from './tables.ts';
import type { TpchName } from './tables.ts';
import * as words from './words.ts';

/** Rows per table at scale 1 (specification, section 4.2.5). */
const atScaleOne = { supplier: 10_000, part: 200_000, customer: 150_000, orders: 1_500_000 };
const day = 86_400_000;
const firstDay = Date.UTC(1992, 0, 1);
const lastOrderDay = (Date.UTC(1998, 11, 31) - firstDay) / day - 151;
/** The specification's CURRENTDATE. */
const currentDay = (Date.UTC(1995, 5, 17) - firstDay) / day;

export interface Order {
  readonly order: TextRow;
  readonly lines: readonly TextRow[];
}

/** Seeded rows with the distributions that TPC-H's queries depend on (specification, section 4.2.3). Values as PostgreSQL prints them. */
export class TpchData {
  readonly counts: {
    readonly supplier: number;
    readonly part: number;
    readonly customer: number;
    readonly orders: number;
  };
  readonly #chance: Chance;

  constructor(scale: number, seed: number) {
    this.#chance = new Chance(seed);
    const count = (name: keyof typeof atScaleOne): number => Math.max(10, Math.round(atScaleOne[name] * scale));
    this.counts = {
      supplier: count('supplier'),
      part: count('part'),
      customer: count('customer'),
      orders: count('orders'),
    };
  }

  /** All rows of a table but orders and their lines. */
  rows(name: Exclude<TpchName, 'orders' | 'lineitem'>): TextRow[] {
    if (name === 'region') return words.regions.map((region, key) => padded(name, [key, region, this.#comment(20)]));
    if (name === 'nation') {
      return words.nations.map(([nation, region], key) => padded(name, [key, nation, region, this.#comment(20)]));
    }
    if (name === 'partsupp') return keys(this.counts.part).flatMap((part) => this.#suppliersOf(part));
    return keys(this.counts[name]).map((key) => {
      if (name === 'supplier') return this.#supplier(key);
      return name === 'part' ? this.#part(key) : this.#customer(key);
    });
  }

  /** The key of the nth order: 8 of every 32 are used, the next 8 are for refreshes. */
  orderKey(index: number, refresh = false): number {
    return (index >> 3) * 32 + (index & 7) + 1 + (refresh ? 8 : 0);
  }

  order(key: number): Order {
    const chance = this.#chance;
    const ordered = chance.between(0, lastOrderDay);
    const lines = keys(chance.between(1, 7)).map((number) => this.line(key, number, ordered));
    const statuses = new Set(lines.map((line) => line[9]));
    let total = 0;
    for (const line of lines) total += Number(line[5]) * (1 + Number(line[7])) * (1 - Number(line[6]));
    const status = statuses.size > 1 ? 'P' : ([...statuses][0] ?? 'O');
    const clerk = `Clerk#${String(chance.between(1, 1000)).padStart(9, '0')}`;
    const comment = chance.maybe(0.02)
      ? `${this.#comment(15)} special ${this.#comment(10)} requests`
      : this.#comment(40);
    const row = [
      key,
      this.#buyer(),
      status,
      total.toFixed(2),
      dateText(ordered),
      chance.of(words.priorities),
      clerk,
      0,
      comment,
    ];
    return { order: padded('orders', row), lines };
  }

  line(order: number, number: number, ordered: number): TextRow {
    const chance = this.#chance;
    const part = chance.between(1, this.counts.part);
    const quantity = chance.between(1, 50);
    const shipped = ordered + chance.between(1, 121);
    const received = shipped + chance.between(1, 30);
    return padded('lineitem', [
      order,
      part,
      this.#supplierOf(part, chance.below(4)),
      number,
      `${quantity}.00`,
      ((quantity * retailPrice(part)) / 100).toFixed(2),
      (chance.between(0, 10) / 100).toFixed(2),
      (chance.between(0, 8) / 100).toFixed(2),
      received <= currentDay ? chance.of(['R', 'A']) : 'N',
      shipped > currentDay ? 'O' : 'F',
      dateText(shipped),
      dateText(ordered + chance.between(30, 90)),
      dateText(received),
      chance.of(words.instructions),
      chance.of(words.modes),
      this.#comment(25),
    ]);
  }

  #supplier(key: number): TextRow {
    const chance = this.#chance;
    const nation = chance.below(words.nations.length);
    const said = chance.weighted({ nothing: 18, 'Customer Complaints': 1, 'Customer Recommends': 1 });
    const comment =
      said === 'nothing' ? this.#comment(60) : this.#comment(20) + said.replace(' ', ` ${this.#comment(10)} `);
    const name = `Supplier#${String(key).padStart(9, '0')}`;
    return padded('supplier', [key, name, this.#comment(12), nation, this.#phone(nation), this.#balance(), comment]);
  }

  #part(key: number): TextRow {
    const chance = this.#chance;
    const maker = chance.between(1, 5);
    return padded('part', [
      key,
      chance.some(words.colours, 5).join(' '),
      `Manufacturer#${maker}`,
      `Brand#${maker}${chance.between(1, 5)}`,
      words.types.map((syllables) => chance.of(syllables)).join(' '),
      chance.between(1, 50),
      words.containers.map((syllables) => chance.of(syllables)).join(' '),
      (retailPrice(key) / 100).toFixed(2),
      this.#comment(10),
    ]);
  }

  #customer(key: number): TextRow {
    const chance = this.#chance;
    const nation = chance.below(words.nations.length);
    const name = `Customer#${String(key).padStart(9, '0')}`;
    const row = [key, name, this.#comment(12), nation, this.#phone(nation), this.#balance(), chance.of(words.segments)];
    return padded('customer', [...row, this.#comment(50)]);
  }

  #suppliersOf(part: number): TextRow[] {
    const chance = this.#chance;
    const suppliers = new Set([0, 1, 2, 3].map((index) => this.#supplierOf(part, index)));
    return [...suppliers].map((supplier) => {
      const cost = (chance.between(100, 100_000) / 100).toFixed(2);
      return padded('partsupp', [part, supplier, chance.between(1, 9999), cost, this.#comment(40)]);
    });
  }

  #supplierOf(part: number, index: number): number {
    const count = this.counts.supplier;
    return ((part + index * (Math.floor(count / 4) + Math.floor((part - 1) / count))) % count) + 1;
  }

  /** A third of the customers never order. */
  #buyer(): number {
    const key = this.#chance.between(1, this.counts.customer);
    return key % 3 === 0 ? key - 1 : key;
  }

  #phone(nation: number): string {
    const chance = this.#chance;
    return `${nation + 10}-${chance.between(100, 999)}-${chance.between(100, 999)}-${chance.between(1000, 9999)}`;
  }

  #balance(): string {
    return (this.#chance.between(-99_999, 999_999) / 100).toFixed(2);
  }

  #comment(length: number): string {
    let text = this.#chance.of(words.nouns);
    while (text.length < length) text += ` ${this.#chance.of(words.nouns)}`;
    return text.slice(0, length).trimEnd();
  }
}

/** Days since 1992-01-01. */
export function dateText(days: number): string {
  return new Date(firstDay + days * day).toISOString().slice(0, 10);
}

function retailPrice(part: number): number {
  return 90_000 + (Math.floor(part / 10) % 20_001) + 100 * (part % 1000);
}

function keys(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/** `char(n)` is printed with its blanks. */
export function padded(name: TpchName, values: readonly (string | number)[]): TextRow {
  const { declared } = tpchTables[name];
  return values.map((value, at) => {
    const width = /^char\((\d+)\)$/.exec(declared[at] ?? '')?.[1];
    return width === undefined ? String(value) : String(value).padEnd(Number(width));
  });
}
