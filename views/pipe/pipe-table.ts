import { TidemarkError, messageOf } from '../../base/errors.ts';
import { typeFromName } from '../expressions/resolve.ts';
import type { Relation } from '../sql/catalog.ts';
import { loadParser, parseStatements } from '../sql/parse.ts';
import type { Statement } from '../sql/parse.ts';
import type { SqlType } from '../type.ts';

/** A table of `tidemark pipe`, as its `--table` declares it. */
export interface PipeTable {
  readonly name: string;
  readonly columns: readonly PipeColumn[];
  /** Positions in `columns` of the PRIMARY KEY; empty when none is declared. */
  readonly key: readonly number[];
}

export interface PipeColumn {
  readonly name: string;
  readonly type: SqlType;
  /** As `varchar(20)` and `numeric(12,2)` restrict it. */
  readonly typmod: number | undefined;
  readonly nullable: boolean;
}

interface Constraint {
  readonly contype?: string;
  readonly keys?: readonly { readonly String?: { readonly sval?: string } }[];
}
interface ColumnDef {
  readonly colname?: string;
  readonly location?: number;
  readonly typeName?: {
    readonly names?: readonly { readonly String?: { readonly sval?: string } }[];
    readonly typmods?: readonly { readonly A_Const?: { readonly ival?: { readonly ival?: number } } }[];
    readonly arrayBounds?: readonly unknown[];
    readonly location?: number;
  };
  readonly constraints?: readonly { readonly Constraint?: Constraint }[];
}
interface CreateStmt {
  readonly relation?: { readonly relname?: string };
  readonly tableElts?: readonly { readonly ColumnDef?: ColumnDef; readonly Constraint?: Constraint }[];
}

/** Reads a CREATE TABLE body: `orders(id int PRIMARY KEY, total numeric(12,2))`. USAGE for what is none. */
export async function parsePipeTable(text: string): Promise<PipeTable> {
  await loadParser();
  const create = parseCreate(text);
  const name = create.relation?.relname ?? '';
  const elements = create.tableElts ?? [];
  const columns = elements.flatMap(({ ColumnDef: column }) => (column ? [columnOf(column, text)] : []));
  if (columns.length === 0) throw usage(text, 'it declares no columns');
  const repeated = columns.find(
    (column, index) => columns.findIndex(({ name: other }) => other === column.name) < index,
  );
  if (repeated) throw usage(text, `column "${repeated.name}" is declared twice`);
  const key = keyOf(elements).map((column) => {
    const position = columns.findIndex((candidate) => candidate.name === column);
    if (position < 0) throw usage(text, `its key names column "${column}", which it does not declare`);
    return position;
  });
  return {
    name,
    columns: columns.map((column, index) => (key.includes(index) ? { ...column, nullable: false } : column)),
    key,
  };
}

/** The table as queries see it. Its relation's name is the table's own. */
export function relationOf({ name, columns, key }: PipeTable): Relation {
  return { relation: name, columns, key };
}

function parseCreate(text: string): CreateStmt {
  const sql = /^\s*create\s/i.test(text) ? text : `CREATE TABLE ${text}`;
  let statements: readonly Statement[];
  try {
    statements = parseStatements(sql);
  } catch (error) {
    throw usage(text, messageOf(error));
  }
  const statement = statements.length === 1 ? (statements[0]?.node as { CreateStmt?: CreateStmt }) : undefined;
  if (!statement?.CreateStmt) throw usage(text, 'it is not one table');
  return statement.CreateStmt;
}

function columnOf({ colname = '', typeName = {}, constraints = [] }: ColumnDef, text: string): PipeColumn {
  const names = (typeName.names ?? []).map(({ String: part }) => part?.sval ?? '');
  const typmods = (typeName.typmods ?? []).map(({ A_Const: constant }) => constant?.ival?.ival ?? 0);
  const kinds = constraints.map(({ Constraint: constraint }) => constraint?.contype);
  try {
    const { type, typmod } = typeFromName(names, typmods, typeName.arrayBounds?.length ?? 0, typeName.location ?? 0);
    return {
      name: colname,
      type,
      typmod,
      nullable: !kinds.includes('CONSTR_NOTNULL') && !kinds.includes('CONSTR_PRIMARY'),
    };
  } catch (error) {
    throw usage(text, error instanceof Error ? error.message : String(error));
  }
}

function keyOf(elements: NonNullable<CreateStmt['tableElts']>): string[] {
  for (const { ColumnDef: column, Constraint: constraint } of elements) {
    if (constraint?.contype === 'CONSTR_PRIMARY')
      return (constraint.keys ?? []).map(({ String: part }) => part?.sval ?? '');
    const own = column?.constraints?.some(({ Constraint: inner }) => inner?.contype === 'CONSTR_PRIMARY');
    if (own === true) return [column?.colname ?? ''];
  }
  return [];
}

function usage(text: string, why: string): TidemarkError {
  return new TidemarkError('USAGE', `--table '${text}' is not understood: ${why}`, {
    hint: "Write it like the body of CREATE TABLE: --table 'orders(id int PRIMARY KEY, total numeric(12,2))'.",
  });
}
