import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The folder of docs/sql.md's examples: files of SQL whose comments are the page's words. */
export const examplesFolder = join(import.meta.dirname, '../../../../docs/examples/sql');

export interface Chapter {
  readonly title: string;
  readonly text: string;
  readonly sections: readonly Section[];
}

export interface Section {
  readonly title: string;
  readonly text: string;
  /** query: a view. expressions: a SELECT list, one expression a line. refused: a view that is not taken. */
  readonly kind: 'query' | 'expressions' | 'refused';
  readonly sql: string;
  /** What to write in place of a refused one: words and SQL. */
  readonly instead: { readonly words: string; readonly sql: string } | null;
}

const refusedMark = 'Not supported: ';

export function readChapters(): Chapter[] {
  const files = readdirSync(examplesFolder).filter((name) => /^\d.*\.sql$/.test(name));
  return files.toSorted().map((name) => chapter(readFileSync(join(examplesFolder, name), 'utf8')));
}

/** CREATE TABLE statements, and the INSERTs that fill the tables. */
export function readTables(): { readonly text: string; readonly tables: string[]; readonly inserts: string[] } {
  const text = readFileSync(join(examplesFolder, 'tables.sql'), 'utf8').trim();
  const statements = text.split(/;\n/).map((sql) => sql.trim().replace(/;$/, ''));
  return {
    text,
    tables: statements.filter((sql) => sql.startsWith('CREATE')),
    inserts: statements.filter((sql) => sql.startsWith('INSERT')),
  };
}

function chapter(text: string): Chapter {
  const [head = '', ...parts] = text.split(/^-- ## /m);
  const [title = '', ...words] = comments(head);
  return { title: title.replace(/^# /, ''), text: words.join('\n'), sections: parts.map(section) };
}

function section(part: string): Section {
  const lines = part.split('\n');
  const title = lines.shift() ?? '';
  const insteadAt = lines.findIndex((line) => line.startsWith('-- instead'));
  const own = insteadAt < 0 ? lines : lines.slice(0, insteadAt);
  const sql = statement(own);
  const isRefused = title.startsWith(refusedMark);
  return {
    title: isRefused ? title.slice(refusedMark.length) : title,
    text: comments(own.join('\n')).join('\n'),
    kind: isRefused ? 'refused' : sql.startsWith('SELECT\n') ? 'expressions' : 'query',
    sql,
    instead:
      insteadAt < 0
        ? null
        : {
            words: (lines[insteadAt] ?? '').replace(/^-- instead,? ?/, '').replace(/:$/, ''),
            sql: statement(lines.slice(insteadAt)),
          },
  };
}

function comments(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('-- '))
    .map((line) => line.slice(3));
}

function statement(lines: readonly string[]): string {
  return lines
    .filter((line) => !line.startsWith('-- '))
    .join('\n')
    .trim()
    .replace(/;$/, '');
}

/** The expressions of a SELECT list with one on each line, and what follows it. */
export function expressionsOf(sql: string): { readonly expressions: readonly string[]; readonly from: string } {
  const lines = sql.split('\n').slice(1);
  const fromAt = lines.findIndex((line) => line.startsWith('FROM'));
  const list = fromAt < 0 ? lines : lines.slice(0, fromAt);
  return {
    expressions: list.map((line) => line.trim().replace(/,$/, '')),
    from: fromAt < 0 ? '' : lines.slice(fromAt).join('\n'),
  };
}
