import type { DatabaseSync } from 'node:sqlite';
import { accounts } from './schema.ts';

/** What is true of the views' rows at every commit: a query that gives rows where it is not, over views of one file. */
const invariants: readonly { readonly views: readonly string[]; readonly sql: string }[] = [
  {
    views: ['money'],
    sql: `SELECT * FROM view_money WHERE CAST(total AS INT) <> 0 OR savings + checking <> 0 OR accounts <> ${2 * accounts}`,
  },
  { views: ['work'], sql: `SELECT * FROM view_work WHERE CAST(lines AS INT) <> counter OR newest <> counter` },
  {
    views: ['item_docs'],
    sql: `SELECT id, items, lines FROM view_item_docs WHERE items <> coalesce(json_array_length(lines), 0)`,
  },
  {
    views: ['item_docs', 'money'],
    sql: `SELECT total(balance) AS documents, (SELECT total(CAST(savings AS INT)) FROM view_money) AS money, count(*) AS accounts
          FROM view_item_docs HAVING documents <> money OR accounts <> ${accounts}`,
  },
  {
    views: ['work_by_kind', 'work'],
    sql: `SELECT b.conn, sum(b.lines) AS lines, min(w.counter) AS counter FROM view_work_by_kind b LEFT JOIN view_work w USING (conn)
          GROUP BY b.conn HAVING sum(b.lines) IS NOT min(w.counter) OR max(b.newest) IS NOT min(w.counter)`,
  },
  {
    views: ['latest', 'work'],
    sql: `SELECT l.conn, max(l.n) AS latest, w.counter FROM view_latest l LEFT JOIN view_work w USING (conn)
          GROUP BY l.conn HAVING max(l.n) IS NOT w.counter OR count(*) <> min(w.counter, 3)`,
  },
  { views: ['richest'], sql: `SELECT count(*) AS richest FROM view_richest HAVING count(*) <> 5` },
];

/** What is not of one commit in the file, in words; null when all is. */
export function viewHalves(file: DatabaseSync, views: readonly string[]): string | null {
  for (const { views: needed, sql } of invariants) {
    if (!needed.every((view) => views.includes(view))) continue;
    const row = file.prepare(sql).get();
    if (row !== undefined) return `${needed.join(' and ')} do not agree: ${JSON.stringify(row)}`.slice(0, 400);
  }
  return null;
}
