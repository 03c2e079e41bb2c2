/**
 * `npm run -s sql -- WHERE STATEMENT…`: runs SQL on a PostgreSQL (a URL) or an SQLite file, and prints the rows, so that the tour
 * in README.md needs no psql and no sqlite3. Each statement is a transaction of its own.
 */
import { DatabaseSync } from 'node:sqlite';
import { connectTo } from './connection.ts';

type Rows = readonly Readonly<Record<string, unknown>>[];

async function run(where: string, statements: readonly string[]): Promise<Rows> {
  if (!/^postgres(ql)?:/.test(where)) {
    const db = new DatabaseSync(where, { readOnly: true });
    try {
      return statements.map((statement) => db.prepare(statement).all()).at(-1) ?? [];
    } finally {
      db.close();
    }
  }
  const client = await connectTo(where);
  try {
    let rows: Rows = [];
    for (const statement of statements) ({ rows } = await client.query<Record<string, unknown>>(statement));
    return rows;
  } finally {
    await client.end();
  }
}

/** One value alone, so that a shell can take it; rows with their columns' names otherwise. */
function show(rows: Rows): string {
  const columns = Object.keys(rows[0] ?? {});
  const cells = rows.map((row) => columns.map((name) => textOf(row[name])));
  if (cells.length === 1 && columns.length === 1) return `${cells[0]?.[0]}\n`;
  const widths = columns.map((name, column) => Math.max(name.length, ...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return rows.length === 0 ? '' : `${[columns, ...cells].map(line).join('\n')}\n`;
}

/** PostgreSQL's values come as text, SQLite's as text or numbers. */
function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

const [where = '', ...statements] = process.argv.slice(2);
process.stdout.write(show(await run(where, statements)));
