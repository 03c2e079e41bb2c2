/**
 * SQL text as a tree that knows just enough to be made smaller: which parts can be left out and which can stand in for one another.
 * Whether a smaller text is still a query is for PostgreSQL to say.
 */
export type Sql = string | SqlBranch;

export interface SqlBranch {
  /**
   * sequence: all parts. optional: all parts, or nothing. list: parts joined by `separator`, at least `least` of them, with
   * `before` and `after` around them unless there are none. value: an expression of `type`. query: a SELECT whose columns have `type`.
   */
  readonly kind: 'sequence' | 'optional' | 'list' | 'value' | 'query';
  readonly parts: readonly Sql[];
  readonly type?: string;
  readonly separator?: string;
  readonly least?: number;
  readonly before?: string;
  readonly after?: string;
}

export function sequence(...parts: Sql[]): SqlBranch {
  return { kind: 'sequence', parts };
}

export function optional(...parts: Sql[]): SqlBranch {
  return { kind: 'optional', parts };
}

export function list(
  parts: readonly Sql[],
  options: { separator?: string; least?: number; before?: string; after?: string } = {},
): SqlBranch {
  return { kind: 'list', parts, separator: options.separator ?? ', ', least: options.least ?? 1, ...options };
}

export function value(type: string, ...parts: Sql[]): SqlBranch {
  return { kind: 'value', type, parts };
}

export function query(types: readonly string[], ...parts: Sql[]): SqlBranch {
  return { kind: 'query', type: types.join(','), parts };
}

export function render(sql: Sql): string {
  if (typeof sql === 'string') return sql;
  const parts = sql.parts.map(render);
  if (sql.kind !== 'list') return parts.join('');
  if (parts.length === 0) return '';
  return `${sql.before ?? ''}${parts.join(sql.separator)}${sql.after ?? ''}`;
}

/** Every tree that is smaller by one step, the largest steps first. */
export function* smaller(sql: Sql): Generator<Sql> {
  if (typeof sql === 'string') return;
  yield* reduced(sql);
  for (const [index, part] of sql.parts.entries()) {
    for (const replacement of smaller(part)) yield { ...sql, parts: sql.parts.with(index, replacement) };
  }
}

function* reduced(sql: SqlBranch): Generator<Sql> {
  if (sql.kind === 'optional') {
    yield '';
  } else if (sql.kind === 'list') {
    const least = sql.least ?? 0;
    if (sql.parts.length > least + 1) yield { ...sql, parts: sql.parts.slice(0, Math.max(least, 1)) };
    if (sql.parts.length > least) {
      for (const index of sql.parts.keys()) yield { ...sql, parts: sql.parts.toSpliced(index, 1) };
    }
  } else if (sql.kind === 'query') {
    yield* descendants(sql, sql);
  } else if (sql.kind === 'value') {
    yield* descendants(sql, sql);
    const simplest = literals[sql.type ?? ''];
    if (simplest !== undefined && render(sql).length > simplest.length) yield simplest;
  }
}

/** The topmost branches below that could stand for it. */
function* descendants(sql: SqlBranch, wanted: SqlBranch): Generator<Sql> {
  for (const part of sql.parts) {
    if (typeof part === 'string') continue;
    if (part.kind === wanted.kind && part.type === wanted.type) yield part;
    else yield* descendants(part, wanted);
  }
}

const literals: Readonly<Record<string, string>> = {
  bool: 'true',
  int2: '1::int2',
  int4: '1',
  int8: '1::int8',
  numeric: '1.5',
  float8: '0.5::float8',
  text: "'a'",
  date: "'2024-01-01'::date",
  timestamp: "'2024-01-01'::timestamp",
  timestamptz: "'2024-01-01'::timestamptz",
  interval: "'1 day'::interval",
  jsonb: "'1'::jsonb",
  json: "'1'::json",
  'int4[]': "'{1}'::int4[]",
  'text[]': "'{a}'::text[]",
};
