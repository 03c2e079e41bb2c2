import { TidemarkError } from '../../base/errors.ts';
import { keyEncodingOf } from '../../model/key.ts';
import type { KeyEncoding } from '../../model/key.ts';
import type { LogWriter } from '../../model/log.ts';
import type { Column, Table } from '../../model/table.ts';
import { sameShape, topicOf } from '../../model/table.ts';
import type { CatalogTable } from './catalog.ts';
import { keyOf } from './catalog.ts';
import type { TableSelection } from './options.ts';
import type { RelationMessage } from './pgoutput.ts';
import type { TypeCache } from './types.ts';

/** One version of a captured table, with what is needed to pack its rows from a tuple of the stream. */
export interface Relation {
  readonly oid: number;
  readonly topic: string;
  readonly table: Table;
  readonly schemaId: number;
  readonly captured: CapturedTable;
  readonly selection: TableSelection;
  readonly partitioned: boolean;
  /** Columns of the tuples. */
  readonly columns: number;
  /** For each column of `table`, its place in the tuples. */
  readonly tuple: Int32Array;
  /** For each key column, its place in the tuples. */
  readonly keyTuple: Int32Array;
  readonly keyEncodings: readonly KeyEncoding[];
  /**
   * For each column of `table`: how many bytes a byte of its text may take when stored, 0 for those never stored out of line. Binary forms
   * can be larger than their text: an array of bigint takes eight bytes for `1,`.
   */
  readonly weights: Uint8Array;
  /** Estimated stored bytes from which on a row may have values out of line. */
  readonly toastBytes: number;
  readonly hasToastable: boolean;
  /** Changes since they were last reported. */
  readonly counts: { create: number; update: number; delete: number };
}

/** A table that the configuration selects and the catalog has. */
export interface CapturedTable {
  readonly topic: string;
  readonly selection: TableSelection;
  catalog: CatalogTable;
  /** Under which the large values of its rows are kept (generations.ts). */
  generation: number;
}

const textLike = new Set(['text', 'json', 'bytea', 'numeric']);
const binaryWeight = 16;
/** PostgreSQL stores values out of line when a row exceeds TOAST_TUPLE_TARGET, about 2,032 bytes with 8 kB pages; a margin for headers and padding. */
const toastBytesDefault = 1_900;

/** Builds the relation that a message (or, before the first one, the catalog) describes. */
export async function buildRelation(
  source: string,
  captured: CapturedTable,
  message: RelationMessage,
  previous: Relation | undefined,
  context: { types: TypeCache; writer: Pick<LogWriter, 'schemaId'>; formerId?: (name: string) => number | undefined },
): Promise<Relation> {
  const { catalog, selection, topic } = captured;
  const types = await context.types.resolve(message.columns.map((column) => column.typeOid));
  const columns: Column[] = [];
  const tuple: number[] = [];
  const weights: number[] = [];
  message.columns.forEach((column, index) => {
    if (selection.exclude.includes(column.name)) return;
    const type = types[index];
    if (type === undefined) return;
    const now = catalog.columns.find(({ name }) => name === column.name);
    if (now?.generated === true) return;
    const before = previous?.table.columns.find(({ name }) => name === column.name);
    columns.push({
      // One that is gone, or not to be identified, only needs to differ from the others.
      id: now?.id ?? before?.id ?? context.formerId?.(column.name) ?? -1 - index,
      name: column.name,
      type,
      declared: now?.declared ?? before?.declared ?? 'text',
      nullable: now?.nullable ?? true,
    });
    tuple.push(index);
    const fixedSize = now !== undefined && !now.toastable;
    weights.push(fixedSize ? 0 : type.kind === 'scalar' && textLike.has(type.name) ? 1 : binaryWeight);
  });
  const key = keyColumns(source, captured, message, columns);
  const table: Table = {
    source,
    schema: message.schema,
    name: message.name,
    topic,
    kind: selection.kind,
    columns,
    key,
  };
  const kept = previous !== undefined && sameShape(previous.table, table);
  return {
    oid: message.oid,
    topic,
    table: kept ? previous.table : table,
    schemaId: kept ? previous.schemaId : context.writer.schemaId(table),
    captured,
    selection,
    partitioned: catalog.partitioned,
    columns: message.columns.length,
    tuple: Int32Array.from(tuple),
    keyTuple: Int32Array.from(key, (column) => tuple[column] ?? 0),
    keyEncodings: key.map((column) => keyEncodingOf(columns[column]?.type ?? { kind: 'scalar', name: 'text' })),
    weights: Uint8Array.from(weights),
    toastBytes: Math.min(toastBytesDefault, catalog.toastTupleTarget ?? toastBytesDefault),
    hasToastable: weights.some((weight) => weight > 0),
    counts: previous?.counts ?? { create: 0, update: 0, delete: 0 },
  };
}

/** The relation message that the server would send for the table as the catalog has it now. */
export function messageOf(catalog: CatalogTable): RelationMessage {
  const identity = keyOf(catalog) ?? [];
  return {
    oid: catalog.oid,
    schema: catalog.schema,
    name: catalog.name,
    replicaIdentity: catalog.replicaIdentity,
    columns: catalog.columns
      .filter((column) => !column.generated)
      .map(({ name, typeOid, typeModifier }) => ({ name, typeOid, typeModifier, identity: identity.includes(name) })),
  };
}

/**
 * Whether it is not certain which of the table's columns a relation's are: some were added and renamed, or dropped beside others that were
 * added, where nobody looked. A message has its columns in the order of their numbers, and a column that is there now was there
 * whenever one with a larger number was.
 */
export function hasUnidentified({ table, captured: { catalog, selection } }: Relation): boolean {
  let newest = 0;
  let unknown = false;
  for (const { id } of table.columns) {
    if (id < 0) unknown = true;
    else if (id < newest) return true;
    else newest = id;
  }
  return catalog.columns.some(
    (column) =>
      !column.generated &&
      !selection.exclude.includes(column.name) &&
      !table.columns.some(({ id }) => id === column.id) &&
      (unknown || column.id < newest),
  );
}

function keyColumns(
  source: string,
  captured: CapturedTable,
  message: RelationMessage,
  columns: readonly Column[],
): number[] {
  const { selection, catalog, topic } = captured;
  const flagged = message.columns.filter((column) => column.identity).map((column) => column.name);
  // With FULL every column is flagged; the catalog's order is the key's own order.
  const fromCatalog = keyOf(catalog);
  const usable =
    fromCatalog?.every((name) => columns.some((column) => column.name === name)) === true ? fromCatalog : null;
  const names = selection.key.length > 0 ? selection.key : (usable ?? (message.replicaIdentity === 'f' ? [] : flagged));
  return names.map((name) => {
    const column = columns.findIndex((candidate) => candidate.name === name);
    if (column < 0) {
      throw new TidemarkError('TABLE_NO_KEY', `key column ${name} of ${topic} is not among its captured columns`, {
        place: { source, table: topicOf(source, captured.catalog.schema, captured.catalog.name) },
        hint: `Take it out of \`exclude\`, or name other columns in \`key\`.`,
      });
    }
    return column;
  });
}
