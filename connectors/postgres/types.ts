import { scalar } from '../../model/data-type.ts';
import type { CompositeField, DataType, ScalarName } from '../../model/data-type.ts';

/**
 * Runs one statement and gives its rows, as pg's `client.query(sql).then((result) => result.rows)` does. Statements here carry no
 * parameters, so that they run on a replication connection too.
 */
export type CatalogQuery = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** Built-in types whose text tidemark understands, by their fixed oids (src/include/catalog/pg_type.dat). */
const builtIn = new Map<number, DataType>(
  Object.entries({
    16: 'bool',
    17: 'bytea',
    18: 'text', // "char"
    19: 'text', // name
    20: 'int8',
    21: 'int2',
    23: 'int4',
    25: 'text',
    114: 'json',
    700: 'float4',
    701: 'float8',
    1042: 'text', // character(n)
    1043: 'text', // character varying
    1082: 'date',
    1083: 'time',
    1114: 'timestamp',
    1184: 'timestamptz',
    1186: 'interval',
    1266: 'timetz',
    1700: 'numeric',
    2950: 'uuid',
    3802: 'jsonb',
  } satisfies Record<number, ScalarName>).map(([oid, name]) => [Number(oid), scalar(name)]),
);

const other = scalar('other');

/**
 * The types asked for and all that they are made of, in one statement: one row a type, but one an attribute for composites.
 * `vector` marks the types that are arrays to to_json (variable length with elements) but print no braces; anything else with an
 * output function of its own travels as text. Elements are parted by their own type's delimiter (array_out).
 */
function typesQuery(oids: readonly number[]): string {
  return `
    WITH RECURSIVE wanted(oid) AS (
      SELECT oid FROM pg_catalog.pg_type WHERE oid = ANY ('{${oids.join(',')}}'::oid[])
      UNION
      SELECT part.oid
      FROM wanted JOIN pg_catalog.pg_type t ON t.oid = wanted.oid
      CROSS JOIN LATERAL (
        SELECT t.typbasetype WHERE t.typtype = 'd'
        UNION ALL
        SELECT t.typelem WHERE t.typlen = -1 AND t.typelem <> 0
        UNION ALL
        SELECT a.atttypid FROM pg_catalog.pg_attribute a
        WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
      ) part(oid)
    )
    SELECT t.oid::text AS oid, t.typtype::text AS kind, t.typdelim::text AS delimiter, t.typbasetype::text AS base,
      CASE WHEN t.typlen = -1 AND (t.typoutput = 'pg_catalog.array_out'::pg_catalog.regproc OR t.oid IN (22, 30))
        THEN t.typelem::text ELSE '0' END AS element,
      t.oid IN (22, 30) AS vector, a.attname::text AS attribute, a.atttypid::text AS attribute_type
    FROM wanted JOIN pg_catalog.pg_type t ON t.oid = wanted.oid
    LEFT JOIN pg_catalog.pg_attribute a
      ON t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY t.oid, a.attnum`;
}

interface CatalogType {
  readonly kind: string;
  readonly delimiter: string;
  readonly base: number;
  readonly element: number;
  readonly vector: boolean;
  readonly attributes: { readonly name: string; readonly type: number }[];
}

/**
 * What values of the given types look like, from the catalog as it is now: domains become their base types, arrays and composites
 * are followed to their elements and attributes. A type that the catalog does not have is left out.
 */
export async function loadTypes(query: CatalogQuery, oids: Iterable<number>): Promise<Map<number, DataType>> {
  const types = new Map<number, DataType>();
  const asked = new Set(oids);
  const unknown = [...asked].filter((oid) => !builtIn.has(oid));
  const catalog = unknown.length === 0 ? new Map<number, CatalogType>() : readCatalog(await query(typesQuery(unknown)));
  for (const oid of asked) {
    if (builtIn.has(oid) || catalog.has(oid)) types.set(oid, resolve(oid, catalog, []));
  }
  return types;
}

function readCatalog(rows: readonly Readonly<Record<string, unknown>>[]): Map<number, CatalogType> {
  const catalog = new Map<number, CatalogType>();
  for (const row of rows) {
    const oid = Number(row['oid']);
    let type = catalog.get(oid);
    if (!type) {
      type = {
        kind: String(row['kind']),
        delimiter: String(row['delimiter']),
        base: Number(row['base']),
        element: Number(row['element']),
        vector: row['vector'] === true || row['vector'] === 't',
        attributes: [],
      };
      catalog.set(oid, type);
    }
    const attribute = row['attribute'];
    if (typeof attribute === 'string') type.attributes.push({ name: attribute, type: Number(row['attribute_type']) });
  }
  return catalog;
}

function resolve(oid: number, catalog: ReadonlyMap<number, CatalogType>, within: readonly number[]): DataType {
  const known = builtIn.get(oid);
  if (known) return known;
  const type = catalog.get(oid);
  // PostgreSQL lets no type contain itself; a catalog that says so all the same must not hang us.
  if (!type || within.includes(oid)) return other;
  const inner = [...within, oid];
  if (type.kind === 'd') return resolve(type.base, catalog, inner);
  if (type.kind === 'c') {
    const fields: CompositeField[] = type.attributes.map((attribute) => ({
      name: attribute.name,
      type: resolve(attribute.type, catalog, inner),
    }));
    return { kind: 'composite', fields };
  }
  if (type.element !== 0) {
    const delimiter = type.vector ? ' ' : (catalog.get(type.element)?.delimiter ?? ',');
    return { kind: 'array', element: resolve(type.element, catalog, inner), delimiter };
  }
  return other;
}

/**
 * Types by oid, read from the catalog when they are first asked for. Types can be altered (an attribute added to a composite) and
 * dropped, and their oids used again: `forget` when the server says that something changed, and ask anew.
 */
export class TypeCache {
  readonly #query: CatalogQuery;
  readonly #types = new Map<number, DataType>();

  constructor(query: CatalogQuery) {
    this.#query = query;
  }

  /** The type, if it is known without asking the server. */
  known(oid: number): DataType | undefined {
    return builtIn.get(oid) ?? this.#types.get(oid);
  }

  /**
   * The types of `oids`, in their order. A type that the catalog does not have (it was dropped since) travels as its text; it is
   * asked for again the next time.
   */
  async resolve(oids: readonly number[]): Promise<DataType[]> {
    const unknown = oids.filter((oid) => this.known(oid) === undefined);
    if (unknown.length > 0) {
      for (const [oid, type] of await loadTypes(this.#query, unknown)) this.#types.set(oid, type);
    }
    return oids.map((oid) => this.known(oid) ?? other);
  }

  /** Forgets what was read from the catalog, so that it is read again when it is next asked for. */
  forget(): void {
    this.#types.clear();
  }
}
