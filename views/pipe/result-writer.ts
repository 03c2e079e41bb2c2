import type { Delta } from '../delta.ts';
import { compileScalar } from '../expressions/compile.ts';
import { compareBy } from '../expressions/order.ts';
import { callFunction } from '../expressions/resolve.ts';
import type { Expression } from '../expressions/expression.ts';
import type { BoundView } from '../plan/plan.ts';
import { identityOf } from '../stage/view-output.ts';
import type { Row } from '../value.ts';

/** Prints rows of a view as the JSON that PostgreSQL's row_to_json gives, on one line each. */
export class ResultWriter {
  readonly #json: (row: Row) => string;
  readonly #compare: (a: Row, b: Row) => number;
  #out: string[] = [];
  #length = 0;
  /** The rows at present with their multiplicities; kept for `rows` only. */
  readonly #rows: Map<string, { row: Row; weight: number }> | null;

  constructor(view: BoundView, options: { readonly keepRows: boolean }) {
    this.#json = rowJson(view);
    this.#compare = orderOf(view);
    this.#rows = options.keepRows ? new Map() : null;
  }

  /** Adds the changes of a transaction: retractions first, then additions. */
  changes(delta: Delta, transaction: number): void {
    for (const sign of [-1, 1]) {
      for (let index = 0; index < delta.length; index++) {
        const weight = (delta.weights[index] as number) * sign;
        if (weight <= 0) continue;
        const line = `{"op":"${sign < 0 ? '-' : '+'}","row":${this.#json(delta.rows[index] as Row)}}\n`;
        for (let count = 0; count < weight; count++) this.#push(line);
      }
    }
    this.#push(`{"tx": ${transaction}}\n`);
  }

  /** Remembers the changes of a transaction. */
  keep(delta: Delta): void {
    const rows = this.#rows;
    if (rows === null) return;
    for (let index = 0; index < delta.length; index++) {
      const row = delta.rows[index] as Row;
      const identity = identityOf(row);
      const weight = (rows.get(identity)?.weight ?? 0) + (delta.weights[index] as number);
      if (weight === 0) rows.delete(identity);
      else rows.set(identity, { row, weight });
    }
  }

  /** Adds every row at present, in the view's order. */
  rows(): void {
    const sorted = [...(this.#rows?.values() ?? [])].toSorted((a, b) => this.#compare(a.row, b.row));
    for (const { row, weight } of sorted) {
      const line = `${this.#json(row)}\n`;
      for (let count = 0; count < weight; count++) this.#push(line);
    }
  }

  #push(line: string): void {
    this.#out.push(line);
    this.#length += line.length;
  }

  /** Characters that wait to be taken. */
  get length(): number {
    return this.#length;
  }

  /** What was added since the last call. */
  take(): string {
    const text = this.#out.join('');
    this.#out = [];
    this.#length = 0;
    return text;
  }
}

function rowJson({ columns, orderColumns = 0 }: BoundView): (row: Row) => string {
  const shown = columns.slice(0, columns.length - orderColumns);
  const fields: Expression[] = shown.map(({ id, type }) => ({ kind: 'column', id, type }));
  const record: Expression = {
    kind: 'row',
    fields,
    type: { kind: 'record', fields: shown.map(({ name, type }) => ({ name, type })) },
  };
  const layout = new Map(columns.map(({ id }, index) => [id, index]));
  const json = compileScalar(callFunction('row_to_json', [record], 0), layout);
  // Line ends between the tokens of json values; within strings they are escaped.
  return (row) => String(json(row)).replaceAll('\n', ' ');
}

/** The view's ORDER BY, then the whole row. */
function orderOf({ columns, order }: BoundView): (a: Row, b: Row) => number {
  const position = new Map(columns.map(({ id }, index) => [id, index]));
  const sorted = order.flatMap(({ expression, descending, nullsFirst }) => {
    const at = expression.kind === 'column' ? position.get(expression.id) : undefined;
    return at === undefined ? [] : [{ position: at, type: expression.type, descending, nullsFirst }];
  });
  const rest = columns.map(({ type }, at) => ({ position: at, type, descending: false, nullsFirst: false }));
  return compareBy([...sorted, ...rest]);
}
