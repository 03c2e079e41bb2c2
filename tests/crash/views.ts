export interface CrashView {
  readonly name: string;
  readonly key: readonly string[];
  readonly sql: string;
}

/**
 * The load's tables in every shape that the stage keeps state for: nested, joined, grouped, the best few, each once, over another view.
 * A view comes after those that it names.
 */
export const views: readonly CrashView[] = [
  {
    // The children of a document move to another when their key or their quantity changes.
    name: 'item_docs',
    key: ['id'],
    sql: `SELECT s.id, s.balance, count(i.id) AS items, sum(i.price) AS price,
            json_agg(json_build_object('id', i.id, 'name', i.name, 'price', i.price) ORDER BY i.id)
              FILTER (WHERE i.id IS NOT NULL) AS lines
          FROM savings s LEFT JOIN items i ON (i.id + i.qty) % 60 + 1 = s.id
          GROUP BY s.id, s.balance`,
  },
  {
    // Money neither appears nor goes: a total other than 0 is half a transaction.
    name: 'money',
    key: ['what'],
    sql: `SELECT 'all' AS what, sum(balance) AS total, sum(CASE WHEN side = 's' THEN balance END) AS savings,
            sum(CASE WHEN side = 'c' THEN balance END) AS checking, count(*) AS accounts
          FROM (SELECT 's' AS side, balance FROM savings UNION ALL SELECT 'c', balance FROM checking) AS a`,
  },
  {
    name: 'work_by_kind',
    key: ['conn', 'what'],
    sql: `SELECT conn, what, count(*) AS lines, max(n) AS newest FROM journal GROUP BY conn, what`,
  },
  {
    // Every transaction writes one line and its number into the counter: all three are one number.
    name: 'work',
    key: ['conn'],
    sql: `SELECT c.conn, w.lines, w.newest, c.n AS counter, w.kinds
          FROM counters c
          JOIN (SELECT conn, sum(lines) AS lines, max(newest) AS newest, count(*) AS kinds FROM work_by_kind GROUP BY conn) w
            ON w.conn = c.conn`,
  },
  {
    name: 'holdings',
    key: ['id'],
    sql: `SELECT s.id, s.balance, count(*) AS items, sum(i.price) AS price, string_agg(f.a, ',' ORDER BY f.id) AS fulls
          FROM savings s JOIN items i ON i.qty = s.id JOIN fulls f ON f.id = i.id
          GROUP BY s.id, s.balance`,
  },
  { name: 'richest', key: ['id'], sql: `SELECT id, balance FROM savings ORDER BY balance DESC, id LIMIT 5` },
  {
    name: 'latest',
    key: ['conn', 'n'],
    sql: `SELECT c.conn, l.n, l.what
          FROM counters c
          CROSS JOIN LATERAL (SELECT n, what FROM journal j WHERE j.conn = c.conn ORDER BY n DESC LIMIT 3) l`,
  },
  {
    name: 'pair_kinds',
    key: ['kind', 'tens'],
    sql: `SELECT DISTINCT kind, id / 100 AS tens FROM pairs`,
  },
  {
    name: 'pair_counts',
    key: ['kind'],
    sql: `SELECT kind, count(*) AS pairs, count(DISTINCT value) AS different, max(at) AS at, min(id) AS least
          FROM pairs GROUP BY kind`,
  },
  {
    name: 'items_and_fulls',
    key: ['id'],
    sql: `SELECT coalesce(i.id, f.id) AS id, i.name, i.price * i.qty AS worth, f.a, length(f.b) AS b
          FROM items i FULL JOIN fulls f ON f.id = i.id`,
  },
  {
    // Its input comes in transactions of 20,000 rows.
    name: 'batches',
    key: ['batch'],
    sql: `SELECT batch, count(*) AS rows, min(id) AS first, max(id) AS last, max(v) AS v FROM bulk GROUP BY batch`,
  },
  {
    name: 'doc_sizes',
    key: ['id'],
    sql: `SELECT id, n, upper(title) AS title, length(body) + coalesce(length(extra), 0) AS size, substring(body, 1, 12) AS start
          FROM docs
          WHERE NOT EXISTS (SELECT 1 FROM items i WHERE i.id = docs.n)`,
  },
];

/** The files of sinks that hold views: one of their own, and one beside the tables. */
export const viewFiles: readonly { readonly file: string; readonly views: readonly string[] }[] = [
  { file: 'views.db', views: views.filter(({ name }) => name !== 'richest').map(({ name }) => name) },
  { file: 'sink.db', views: ['richest', 'money', 'work'] },
];

/** The view that has a feed. */
export const fedView = 'latest';

export function viewSink(file: string, view: string): string {
  return `${file.replace('.db', '')}_${view}`;
}

/** The sections of the deployment's file. */
export function viewsSection(): string {
  const lines = views.map(
    ({ name, key, sql }) =>
      `  ${name}:\n    key: [${key.join(', ')}]\n    sql: |\n${sql.replace(/^\s*/gm, '      ')}\n`,
  );
  return `views:\n${lines.join('')}`;
}

export function viewSinks(): string {
  const sqlite = viewFiles.flatMap(({ file, views: names }) =>
    names.map(
      (name) => `  ${viewSink(file, name)}: { type: sqlite, path: ./${file}, from: ${name}, table: view_${name} }`,
    ),
  );
  return [...sqlite, `  ${fedView}_feed: { type: ndjson, path: ./view-feed.ndjson, from: ${fedView} }`].join('\n');
}
