import { setFlagsFromString } from 'node:v8';
import { TidemarkError } from '../../base/errors.ts';
import { SqlError } from './sql-error.ts';
import type * as LibPgQuery from 'libpg-query';

/** A statement of a script with the place of its first character. */
export interface Statement {
  readonly node: LibPgQuery.Node;
  readonly location: number;
  /** Bytes of the statement without its semicolon; 0 where it ends with the text. */
  readonly length: number;
}

type Parser = typeof LibPgQuery;

let parser: Parser | undefined;

/** PostgreSQL's parser is WebAssembly that loads asynchronously: to be awaited once before anything is parsed. */
export async function loadParser(): Promise<void> {
  if (parser !== undefined) return;
  // The parser runs for a moment only. Left to itself V8 would optimise it in the background: 550 MB, and 0.4 s at every start.
  for (const flag of ['--liftoff-only', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering']) setFlagsFromString(flag);
  const loaded = await import('libpg-query');
  await loaded.loadModule();
  parser = loaded;
}

export function parseStatements(sql: string): readonly Statement[] {
  if (parser === undefined) throw new TidemarkError('INTERNAL', 'SQL is parsed before its parser has been loaded');
  if (sql.trim() === '') throw new SqlError('the SQL is empty', null, 'Write one SELECT.');
  try {
    const { stmts = [] } = parser.parseSync(sql);
    return stmts.flatMap(({ stmt, stmt_location = 0, stmt_len = 0 }) =>
      stmt === undefined ? [] : [{ node: stmt, location: stmt_location, length: stmt_len }],
    );
  } catch (error) {
    if (!parser.hasSqlDetails(error) || error.sqlDetails === undefined) throw error;
    const { message, cursorPosition } = error.sqlDetails;
    throw new SqlError(message, cursorPosition < 0 ? null : byteOffset(sql, cursorPosition));
  }
}

/** The parser counts characters (code points) in its own errors, and bytes everywhere else. */
function byteOffset(sql: string, characters: number): number {
  return Buffer.byteLength(Array.from(sql).slice(0, characters).join(''));
}
