import type { SqlType } from '../type.ts';
import { sqlScalar } from '../type.ts';
import type { Value } from '../value.ts';
import { compileScalar } from './compile.ts';
import type { Expression } from './expression.ts';
import { castTo } from './resolve.ts';

/**
 * Reads any text that PostgreSQL takes for a value of the type, as in a row that is inserted: what is too long for varchar(n) is an error,
 * where an explicit cast would cut it. RowError, in PostgreSQL's words, for other text.
 */
export function compileInput(type: SqlType, typmod: number | undefined): (text: string) => Value {
  const text: Expression = { kind: 'column', id: 0, type: sqlScalar('text') };
  const context =
    type.kind === 'scalar' && (type.name === 'varchar' || type.name === 'bpchar') ? 'assignment' : 'explicit';
  const input = compileScalar(castTo(text, type, context, 0, typmod), new Map([[0, 0]]));
  const row: Value[] = [null];
  return (given) => {
    row[0] = given;
    return input(row);
  };
}
