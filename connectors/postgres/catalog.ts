import { literal } from './session.ts';
import type { Query } from './session.ts';

/** A column as the catalog has it now. */
export interface CatalogColumn {
  /** Attribute number: the column's identity through renames. */
  readonly id: number;
  readonly name: string;
  readonly typeOid: number;
  readonly typeModifier: number;
  /** As format_type prints it. */
  readonly declared: string;
  readonly nullable: boolean;
  readonly generated: boolean;
  /** Rows written before the column was added take its value from the catalog, and no event was sent for them. */
  readonly hasMissing: boolean;
  /** xmin of the attribute's catalog row: changes whenever ALTER TABLE touches the column. */
  readonly version: string;
  /** Its values can be stored out of line. */
  readonly toastable: boolean;
}

export interface CatalogKey {
  readonly primary: boolean;
  readonly identity: boolean;
  readonly columns: readonly string[];
}

export interface CatalogTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly partitioned: boolean;
  /** `d` default (the primary key), `n` nothing, `f` full, `i` index. */
  readonly replicaIdentity: string;
  readonly columns: readonly CatalogColumn[];
  /** Unique indexes on plain columns that hold no NULL, the primary key first. */
  readonly keys: readonly CatalogKey[];
  readonly rowsEstimated: number;
  /** File nodes of the table, or of its leaf partitions by their oid: they change when the table is rewritten or truncated. */
  readonly files: Readonly<Record<string, string>>;
  /** Bytes beyond which values are stored out of line, if the table sets it. */
  readonly toastTupleTarget: number | null;
  readonly rowSecurity: boolean;
  /** The attributes of all composite types that the columns' types are made of, as one text. */
  readonly composites: string;
  /** Changes whenever the name, a column or a file node does. */
  readonly fingerprint: string;
}

/** The attributes of the composite types that the columns of table `c` are made of; only types that users made are looked into. */
const composites = `(
      WITH RECURSIVE part(oid) AS (
        SELECT a.atttypid FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384
        UNION
        SELECT inner_type.oid FROM part JOIN pg_catalog.pg_type t ON t.oid = part.oid
        CROSS JOIN LATERAL (
          SELECT t.typbasetype UNION ALL SELECT t.typelem UNION ALL
          SELECT a.atttypid FROM pg_catalog.pg_attribute a
          WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
        ) inner_type(oid) WHERE inner_type.oid >= 16384)
      SELECT string_agg(concat_ws(':', a.attrelid, a.attnum, a.attname, a.atttypid), ',' ORDER BY a.attrelid, a.attnum)
      FROM part JOIN pg_catalog.pg_type t ON t.oid = part.oid AND t.typtype = 'c'
      JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)`;

/** One text that changes with the name, the columns (and what their types are made of) or the file nodes of table `c`. */
const fingerprint = `pg_catalog.concat_ws('/', c.relnamespace::regnamespace, c.relname,
      (SELECT string_agg(concat_ws(':', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.xmin), ',' ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
      ${composites},
      CASE WHEN c.relkind = 'p'
        THEN (SELECT string_agg(concat_ws(':', leaf.oid, leaf.relfilenode), ',' ORDER BY leaf.oid)
          FROM pg_catalog.pg_partition_tree(c.oid) tree JOIN pg_catalog.pg_class leaf ON leaf.oid = tree.relid WHERE tree.isleaf)
        ELSE c.relfilenode::text END)`;

/** The table's fingerprint now, or no row when it is gone. The oid may be a parameter of a prepared statement. */
export function fingerprintQuery(oid: number | '$1'): string {
  return `SELECT ${fingerprint} AS fingerprint FROM pg_catalog.pg_class c WHERE c.oid = ${oid}`;
}

const tablesQuery = `
  SELECT c.oid::int8::text AS oid, ${fingerprint} AS fingerprint, ${composites} AS composites, n.nspname AS schema, c.relname AS name, c.relkind = 'p' AS partitioned,
    c.relreplident::text AS identity, c.relrowsecurity AS row_security,
    (SELECT option_value FROM pg_catalog.pg_options_to_table(c.reloptions) WHERE option_name = 'toast_tuple_target') AS toast_target,
    CASE WHEN c.relkind = 'p'
      THEN (SELECT coalesce(sum(greatest(leaf.reltuples, 0)), 0) FROM pg_catalog.pg_partition_tree(c.oid) tree
            JOIN pg_catalog.pg_class leaf ON leaf.oid = tree.relid WHERE tree.isleaf)
      ELSE CASE WHEN c.reltuples > 0 THEN c.reltuples
        -- Never analysed.
        WHEN pg_catalog.pg_stat_get_live_tuples(c.oid) > 0 THEN pg_catalog.pg_stat_get_live_tuples(c.oid)
        -- Asking for the size on disk (100 bytes a row are a guess) would wait for whoever alters the table.
        WHEN EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.relation = c.oid AND l.mode = 'AccessExclusiveLock') THEN 0
        ELSE pg_catalog.pg_relation_size(c.oid) / 100 END
    END::float8 AS rows,
    CASE WHEN c.relkind = 'p'
      THEN (SELECT coalesce(json_object_agg(leaf.oid::int8, leaf.relfilenode::int8::text), '{}') FROM pg_catalog.pg_partition_tree(c.oid) tree
            JOIN pg_catalog.pg_class leaf ON leaf.oid = tree.relid WHERE tree.isleaf)
      ELSE json_build_object(c.oid::int8, c.relfilenode::int8::text)
    END AS files,
    (SELECT json_agg(json_build_array(a.attnum, a.attname, a.atttypid::int8, a.atttypmod,
        pg_catalog.format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, a.attgenerated <> '', a.atthasmissing, a.xmin::text,
        a.attlen = -1 AND a.attstorage <> 'p') ORDER BY a.attnum)
      FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
    (SELECT json_agg(json_build_array(i.indisprimary, i.indisreplident, (
        SELECT json_agg(a.attname ORDER BY k.ordinal)
        FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY k(number, ordinal)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number)) ORDER BY i.indisprimary DESC, i.indexrelid)
      FROM pg_catalog.pg_index i
      WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
        AND NOT EXISTS (SELECT FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k(number)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number WHERE NOT a.attnotnull)) AS keys
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`;

type ColumnRow = [number, string, number, number, string, boolean, boolean, boolean, string, boolean];
type KeyRow = [boolean, boolean, string[]];

/** Every table that could be captured, partitioned ones by their roots; only those whose `schema.table` matches the regular expression, if one is given. */
export async function readTables(query: Query, pattern?: string): Promise<CatalogTable[]> {
  const rows = await query(
    pattern === undefined ? tablesQuery : `${tablesQuery} AND n.nspname || '.' || c.relname ~ ${literal(pattern)}`,
  );
  return rows.map((row) => ({
    oid: Number(row['oid']),
    schema: String(row['schema']),
    name: String(row['name']),
    partitioned: row['partitioned'] === true,
    replicaIdentity: String(row['identity']),
    columns: ((row['columns'] ?? []) as ColumnRow[]).map(readColumn),
    keys: ((row['keys'] ?? []) as KeyRow[]).map(([primary, identity, columns]) => ({ primary, identity, columns })),
    rowsEstimated: Number(row['rows']),
    files: row['files'] as Record<string, string>,
    toastTupleTarget: row['toast_target'] === null ? null : Number(row['toast_target']),
    rowSecurity: row['row_security'] === true,
    composites: typeof row['composites'] === 'string' ? row['composites'] : '',
    fingerprint: String(row['fingerprint']),
  }));
}

function readColumn(row: ColumnRow): CatalogColumn {
  const [id, name, typeOid, typeModifier, declared, nullable, generated, hasMissing, version, toastable] = row;
  return { id, name, typeOid, typeModifier, declared, nullable, generated, hasMissing, version, toastable };
}

/** The columns that tell rows apart in the stream, by name; null when updates and deletes cannot be told apart. */
export function keyOf(table: CatalogTable): readonly string[] | null {
  const primary = table.keys.find((key) => key.primary);
  switch (table.replicaIdentity) {
    case 'i':
      return table.keys.find((key) => key.identity)?.columns ?? null;
    case 'f':
      return (primary ?? table.keys[0])?.columns ?? null;
    case 'd':
      return primary?.columns ?? null;
    default:
      return null;
  }
}

/** Whether the server can publish the table's updates and deletes at all; else the application's own UPDATE would fail. */
export function hasIdentity(table: CatalogTable): boolean {
  return table.replicaIdentity === 'f' || keyOf(table) !== null;
}

/** What of a table's storage and columns an ALTER TABLE without row events would change; kept in the log's state. */
export interface TableVersion {
  /** Absent in logs written before it was kept. */
  readonly oid?: number;
  readonly partitioned: boolean;
  readonly files: Readonly<Record<string, string>>;
  /** By attribute number: type oid, catalog version, has missing, name. */
  readonly columns: Readonly<Record<string, readonly [number, string, boolean, string]>>;
  readonly composites: string;
}

export function versionOf(table: CatalogTable): TableVersion {
  return {
    oid: table.oid,
    partitioned: table.partitioned,
    files: table.files,
    columns: Object.fromEntries(
      table.columns
        .filter((column) => !column.generated)
        .map((column) => [column.id, [column.typeOid, column.version, column.hasMissing, column.name]]),
    ),
    composites: table.composites,
  };
}

/** Which table a version is of; undefined when an older log does not tell. */
export function oidOf(version: TableVersion): number | undefined {
  const [file] = Object.keys(version.files);
  return version.oid ?? (version.partitioned || file === undefined ? undefined : Number(file));
}

export type Rewrite =
  | { readonly kind: 'none' }
  /** Another table has the name now. */
  | { readonly kind: 'other'; readonly why: string }
  /** Stored values changed without events: the whole table is to be read again. */
  | { readonly kind: 'table'; readonly why: string }
  /** These leaf partitions (by oid) came with rows for which there may be no events. */
  | { readonly kind: 'partitions'; readonly oids: readonly string[] };

/**
 * Whether rows may have changed between two versions without events. A new file node alone says nothing (TRUNCATE sends events;
 * VACUUM FULL and CLUSTER change no value), but together with a touched column it is ALTER … TYPE … USING. The TRUNCATE of a single
 * partition, though, sends none to a publication that publishes through the root.
 */
export function rewriteBetween(before: TableVersion, after: TableVersion): Rewrite {
  if ((oidOf(before) ?? after.oid) !== after.oid)
    return { kind: 'other', why: 'the table was made again, or another took its name' };
  const rewritten = Object.entries(before.files).some(
    ([oid, file]) => after.files[oid] !== undefined && after.files[oid] !== file,
  );
  if (before.composites !== after.composites)
    return { kind: 'table', why: 'the attributes of a composite type changed' };
  const idOfName = new Map(Object.entries(before.columns).map(([id, [, , , name]]) => [name, id]));
  for (const [id, [typeOid, version, missing, name]] of Object.entries(after.columns)) {
    // Changes in the stream name columns: those made before and after could not be told apart for certain.
    if ((idOfName.get(name) ?? id) !== id) return { kind: 'table', why: 'a column took the name of another' };
    const old = before.columns[id];
    if (old === undefined) {
      if (missing || rewritten) return { kind: 'table', why: 'a column was added with a value for existing rows' };
    } else if (old[0] !== typeOid) {
      return { kind: 'table', why: "a column's type changed" };
    } else if (rewritten && old[1] !== version) {
      return { kind: 'table', why: 'the table was rewritten' };
    }
  }
  if (rewritten && after.partitioned) return { kind: 'table', why: 'a partition was truncated or rewritten by itself' };
  if (Object.keys(before.files).some((oid) => after.files[oid] === undefined))
    return { kind: 'table', why: 'a partition was detached or dropped' };
  const added = Object.keys(after.files).filter((oid) => before.files[oid] === undefined);
  return added.length > 0 ? { kind: 'partitions', oids: added } : { kind: 'none' };
}
