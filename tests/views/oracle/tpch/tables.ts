import type { TestColumn, TestTable } from '../tables.ts';

/** The eight tables of TPC-H (specification, section 1.4) with its fixed-length texts as `char(n)`. */
export interface TpchTable extends TestTable {
  readonly declared: readonly string[];
}

function table(name: string, key: readonly string[], columns: Readonly<Record<string, string>>): TpchTable {
  const names = Object.keys(columns);
  return {
    name,
    declared: Object.values(columns),
    key: key.map((column) => names.indexOf(column)),
    columns: names.map((column): TestColumn => ({
      name: column,
      type: typeOf(columns[column] ?? ''),
      nullable: false,
    })),
  };
}

function typeOf(declared: string): TestColumn['type'] {
  if (declared === 'integer') return 'int4';
  if (declared.startsWith('decimal')) return 'numeric';
  if (declared === 'date') return 'date';
  return declared.startsWith('char') ? 'bpchar' : 'varchar';
}

export const tpchTables = {
  region: table('region', ['r_regionkey'], { r_regionkey: 'integer', r_name: 'char(25)', r_comment: 'varchar(152)' }),
  nation: table('nation', ['n_nationkey'], {
    n_nationkey: 'integer',
    n_name: 'char(25)',
    n_regionkey: 'integer',
    n_comment: 'varchar(152)',
  }),
  supplier: table('supplier', ['s_suppkey'], {
    s_suppkey: 'integer',
    s_name: 'char(25)',
    s_address: 'varchar(40)',
    s_nationkey: 'integer',
    s_phone: 'char(15)',
    s_acctbal: 'decimal(15,2)',
    s_comment: 'varchar(101)',
  }),
  part: table('part', ['p_partkey'], {
    p_partkey: 'integer',
    p_name: 'varchar(55)',
    p_mfgr: 'char(25)',
    p_brand: 'char(10)',
    p_type: 'varchar(25)',
    p_size: 'integer',
    p_container: 'char(10)',
    p_retailprice: 'decimal(15,2)',
    p_comment: 'varchar(23)',
  }),
  partsupp: table('partsupp', ['ps_partkey', 'ps_suppkey'], {
    ps_partkey: 'integer',
    ps_suppkey: 'integer',
    ps_availqty: 'integer',
    ps_supplycost: 'decimal(15,2)',
    ps_comment: 'varchar(199)',
  }),
  customer: table('customer', ['c_custkey'], {
    c_custkey: 'integer',
    c_name: 'varchar(25)',
    c_address: 'varchar(40)',
    c_nationkey: 'integer',
    c_phone: 'char(15)',
    c_acctbal: 'decimal(15,2)',
    c_mktsegment: 'char(10)',
    c_comment: 'varchar(117)',
  }),
  orders: table('orders', ['o_orderkey'], {
    o_orderkey: 'integer',
    o_custkey: 'integer',
    o_orderstatus: 'char(1)',
    o_totalprice: 'decimal(15,2)',
    o_orderdate: 'date',
    o_orderpriority: 'char(15)',
    o_clerk: 'char(15)',
    o_shippriority: 'integer',
    o_comment: 'varchar(79)',
  }),
  lineitem: table('lineitem', ['l_orderkey', 'l_linenumber'], {
    l_orderkey: 'integer',
    l_partkey: 'integer',
    l_suppkey: 'integer',
    l_linenumber: 'integer',
    l_quantity: 'decimal(15,2)',
    l_extendedprice: 'decimal(15,2)',
    l_discount: 'decimal(15,2)',
    l_tax: 'decimal(15,2)',
    l_returnflag: 'char(1)',
    l_linestatus: 'char(1)',
    l_shipdate: 'date',
    l_commitdate: 'date',
    l_receiptdate: 'date',
    l_shipinstruct: 'char(25)',
    l_shipmode: 'char(10)',
    l_comment: 'varchar(44)',
  }),
} as const;

export type TpchName = keyof typeof tpchTables;
export const tpchNames = Object.keys(tpchTables) as TpchName[];

export function createTpchTable(name: TpchName): string {
  const { columns, declared, key } = tpchTables[name];
  const list = columns.map((column, at) => `${column.name} ${declared[at]} NOT NULL`);
  return `CREATE TABLE ${name} (${list.join(', ')}, PRIMARY KEY (${key.map((at) => columns[at]?.name).join(', ')}));`;
}

/** What makes PostgreSQL's own answers fast enough to be asked after each transaction. */
export const tpchIndexes = [
  'CREATE INDEX ON lineitem (l_partkey, l_suppkey);',
  'CREATE INDEX ON lineitem (l_suppkey);',
  'CREATE INDEX ON orders (o_custkey);',
  'CREATE INDEX ON partsupp (ps_suppkey);',
].join('\n');
