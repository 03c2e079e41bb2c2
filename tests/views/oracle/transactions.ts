import { Delta } from '../../../views/delta.ts';
import type { Chance } from './chance.ts';
import { quoted, randomKeyValue, randomValue } from './tables.ts';
import type { TestTable, TextRow } from './tables.ts';

/** One statement. Where it does not apply (an insert of a key that is there, a change of one that is not) it does nothing. */
export type Operation =
  | { readonly kind: 'insert'; readonly table: number; readonly row: TextRow }
  | { readonly kind: 'update'; readonly table: number; readonly key: string; readonly row: TextRow }
  | { readonly kind: 'delete'; readonly table: number; readonly key: string };

/** What one transaction does, for both sides: statements for PostgreSQL, and rows taken out (−1) and put in (+1) of each table. */
export interface AppliedTransaction {
  readonly sql: string;
  readonly changes: ReadonlyMap<string, { readonly rows: TextRow[]; readonly weights: number[] }>;
}

export function keyOf(table: TestTable, row: TextRow): string {
  return JSON.stringify(table.key.map((position) => row[position]));
}

/** The contents of the tables as transactions go by. */
export class Contents {
  readonly #tables: readonly TestTable[];
  readonly #rows: readonly Map<string, TextRow>[];

  constructor(tables: readonly TestTable[]) {
    this.#tables = tables;
    this.#rows = tables.map(() => new Map());
  }

  rowsOf(table: number): TextRow[] {
    return [...(this.#rows[table] ?? new Map<string, TextRow>()).values()];
  }

  row(table: number, key: string): TextRow | undefined {
    return this.#rows[table]?.get(key);
  }

  apply(operations: readonly Operation[]): AppliedTransaction {
    const sql: string[] = [];
    const changes = new Map<string, { rows: TextRow[]; weights: number[] }>();
    for (const operation of operations) {
      const table = this.#tables[operation.table];
      const rows = this.#rows[operation.table];
      if (!table || !rows) continue;
      const old = operation.kind === 'insert' ? undefined : rows.get(operation.key);
      const row = operation.kind === 'delete' ? undefined : operation.row;
      const newKey = row && keyOf(table, row);
      if (operation.kind !== 'insert' && !old) continue;
      if (newKey !== undefined && rows.has(newKey) && !(operation.kind === 'update' && newKey === operation.key))
        continue;
      const change = changes.get(table.name) ?? { rows: [], weights: [] };
      changes.set(table.name, change);
      if (old) {
        rows.delete(keyOf(table, old));
        change.rows.push(old);
        change.weights.push(-1);
      }
      if (row && newKey !== undefined) {
        rows.set(newKey, row);
        change.rows.push(row);
        change.weights.push(1);
      }
      sql.push(statement(table, old, row));
    }
    return { sql: joined(sql), changes };
  }
}

/** Inserts into one table after another become one statement. */
function joined(statements: readonly string[]): string {
  const result: string[][] = [];
  let head = '';
  for (const text of statements) {
    const at = text.indexOf(' VALUES ');
    const start = at === -1 ? '' : text.slice(0, at + 8);
    if (start !== '' && start === head && (result.at(-1)?.length ?? 0) < 500)
      result.at(-1)?.push(text.slice(start.length));
    else result.push([text]);
    head = start;
  }
  return result.map((texts) => `${texts.join(', ')};\n`).join('');
}

function statement(table: TestTable, old: TextRow | undefined, row: TextRow | undefined): string {
  const names = table.columns.map(({ name }) => name);
  const where = (of: TextRow): string =>
    table.key.map((at) => `${names[at]} = ${quoted(of[at] ?? null)}`).join(' AND ');
  if (!old) return `INSERT INTO ${table.name} VALUES (${(row ?? []).map(quoted).join(', ')})`;
  if (!row) return `DELETE FROM ${table.name} WHERE ${where(old)}`;
  const set = names.flatMap((name, at) => (row[at] === old[at] ? [] : [`${name} = ${quoted(row[at] ?? null)}`]));
  return `UPDATE ${table.name} SET ${set.length > 0 ? set.join(', ') : `${names[0]} = ${names[0]}`} WHERE ${where(old)}`;
}

export function randomTransactions(chance: Chance, tables: readonly TestTable[], big: boolean): Operation[][] {
  const contents = new Contents(tables);
  const spread = big ? 300 : 10;
  const count = big ? chance.between(3, 6) : chance.between(5, 12);
  const transactions: Operation[][] = [];
  for (let index = 0; index < count; index++) {
    const operations = new Maker(chance, tables, contents, spread).transaction(index === 0, big);
    contents.apply(operations);
    transactions.push(operations);
  }
  if (chance.maybe(0.3)) {
    transactions.push(
      tables.flatMap((table, at) =>
        contents.rowsOf(at).map((row) => ({ kind: 'delete', table: at, key: keyOf(table, row) }) as const),
      ),
    );
  }
  return transactions;
}

class Maker {
  readonly #chance: Chance;
  readonly #tables: readonly TestTable[];
  readonly #contents: Contents;
  readonly #spread: number;

  constructor(chance: Chance, tables: readonly TestTable[], contents: Contents, spread: number) {
    this.#chance = chance;
    this.#tables = tables;
    this.#contents = contents;
    this.#spread = spread;
  }

  transaction(first: boolean, big: boolean): Operation[] {
    const chance = this.#chance;
    const size =
      big && (first || chance.maybe(0.4))
        ? chance.between(100, 400)
        : first
          ? chance.between(20, 50)
          : chance.between(1, 5);
    const only = chance.maybe(0.3) && !first ? chance.below(this.#tables.length) : null;
    const inserts = chance.of([0.4, 0.6, 0.8]);
    return Array.from({ length: size }, () =>
      this.#operation(only ?? chance.below(this.#tables.length), first ? 1 : inserts),
    );
  }

  #operation(at: number, inserts: number): Operation {
    const chance = this.#chance;
    const table = this.#tables[at];
    if (!table) throw new Error(`no table ${at}`);
    const rows = this.#contents.rowsOf(at);
    if (rows.length === 0 || chance.maybe(inserts)) return { kind: 'insert', table: at, row: this.#row(table) };
    const old = chance.of(rows);
    const key = keyOf(table, old);
    if (chance.maybe(0.35)) return { kind: 'delete', table: at, key };
    return { kind: 'update', table: at, key, row: this.#changed(table, old) };
  }

  #row(table: TestTable): TextRow {
    return table.columns.map((column, at) =>
      table.key.includes(at)
        ? randomKeyValue(this.#chance, column, this.#spread)
        : randomValue(this.#chance, column, this.#spread > 10 ? this.#spread : 0),
    );
  }

  #changed(table: TestTable, old: TextRow): TextRow {
    const chance = this.#chance;
    const fresh = this.#row(table);
    const keyChanges = chance.maybe(0.12);
    const one = chance.maybe(0.6) ? chance.below(table.columns.length) : null;
    return old.map((value, at) => {
      if (table.key.includes(at)) return keyChanges ? (fresh[at] ?? null) : value;
      return one === null || one === at ? (fresh[at] ?? null) : value;
    });
  }
}

/** A change as the engine takes it. */
export function deltaOf(
  change: { readonly rows: readonly TextRow[]; readonly weights: readonly number[] },
  positions: readonly number[],
  parse: (text: string | null, position: number) => null | boolean | number | bigint | string,
  into: Delta = new Delta(),
): Delta {
  for (const [index, row] of change.rows.entries()) {
    into.push(
      positions.map((position) => parse(row[position] ?? null, position)),
      change.weights[index] ?? 0,
    );
  }
  return into;
}
