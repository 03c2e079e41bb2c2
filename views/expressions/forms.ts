import type { Native } from './functions/definition.ts';
import { dateForms, dateInputs } from './functions/dates-form.ts';
import { jsonInputs } from './functions/json-casts.ts';
import { numericForm } from './functions/numeric-form.ts';
import {
  inputBool,
  inputBytea,
  inputFloat4,
  inputFloat8,
  inputInt2,
  inputInt4,
  inputInt8,
  inputNumeric,
  inputUuid,
} from './inputs.ts';
import type { SqlName, SqlType } from '../type.ts';

/**
 * The native form of a type whose values are text in rows: what expressions compute with. `read` trusts its text, which `write`, or a
 * source, has printed.
 */
export interface NativeForm {
  readonly read: (text: string) => Native;
  readonly write: (value: never) => string;
}

/**
 * PostgreSQL's input function of a type: any text that it accepts, to the type's native form (the Value itself for types without one). RowError 22P02,
 * 22003, 22007 … in its words for what it refuses.
 */
export type Input = (text: string) => Native;

const forms: Partial<Record<SqlName, NativeForm>> = {
  numeric: numericForm,
  ...dateForms,
};

/** null: values are computed with as they stand in rows. */
export function formOf(type: SqlType): NativeForm | null {
  return type.kind === 'scalar' ? (forms[type.name] ?? null) : null;
}

const inputs: Partial<Record<SqlName, Input>> = {
  bool: inputBool,
  int2: inputInt2,
  int4: inputInt4,
  int8: inputInt8,
  numeric: inputNumeric,
  float4: inputFloat4,
  float8: inputFloat8,
  uuid: inputUuid,
  bytea: inputBytea,
  ...dateInputs,
  ...jsonInputs,
};

/** null: any text is a value of the type. */
export function inputOf(type: SqlType): Input | null {
  return type.kind === 'scalar' ? (inputs[type.name] ?? null) : null;
}
