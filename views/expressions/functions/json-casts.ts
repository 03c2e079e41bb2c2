import { RowError } from '../expression.ts';
import type { Input } from '../forms.ts';
import { jsonKind } from '../json-scan.ts';
import { parseJson, parseJsonb } from '../jsonb-text.ts';
import { readNumeric, roundNumeric } from '../numeric.ts';
import type { Numeric } from '../numeric.ts';
import type { SqlName } from '../../type.ts';
import { sqlScalar, typeName } from '../../type.ts';
import { integer } from '../../value.ts';
import { defineCast } from './definition.ts';
import type { CastDefinition, Native } from './definition.ts';

export const jsonInputs = { json: parseJson, jsonb: parseJsonb } satisfies Record<string, Input>;

function numberOf(json: string, type: SqlName): Numeric {
  const kind = jsonKind(json);
  if (kind !== 'number') throw cannot(kind, type);
  return readNumeric(json);
}

function cannot(kind: string, type: SqlName): RowError {
  const what =
    kind === 'array' || kind === 'object' || kind === 'boolean' || kind === 'null' || kind === 'string'
      ? kind
      : 'numeric';
  return new RowError('22023', `cannot cast jsonb ${what} to type ${typeName(sqlScalar(type))}`);
}

function toNumber(type: SqlName, convert: (value: Numeric) => Native): CastDefinition {
  return defineCast('jsonb', type, 'explicit', (json: string) => convert(numberOf(json, type)), { mayFail: true });
}

function wholeBetween(min: bigint, max: bigint, type: SqlName): (value: Numeric) => number | bigint {
  return (value) => {
    const whole = BigInt(roundNumeric(value, 0).unscaled);
    if (whole < min || whole > max) throw new RowError('22003', `${typeName(sqlScalar(type))} out of range`);
    return integer(whole);
  };
}

function float(value: Numeric): number {
  return Number(`${String(value.unscaled)}e-${value.scale}`);
}

export const jsonCasts: readonly CastDefinition[] = [
  defineCast('json', 'jsonb', 'assignment', parseJsonb, { mayFail: true }),
  defineCast('jsonb', 'json', 'assignment', (json: string) => json),
  defineCast(
    'jsonb',
    'bool',
    'explicit',
    (json: string) => {
      const kind = jsonKind(json);
      if (kind !== 'boolean') throw cannot(kind === 'number' ? 'numeric' : kind, 'bool');
      return json === 'true';
    },
    { mayFail: true },
  ),
  toNumber('numeric', (value) => value),
  toNumber('int2', wholeBetween(-32_768n, 32_767n, 'int2')),
  toNumber('int4', wholeBetween(-2_147_483_648n, 2_147_483_647n, 'int4')),
  toNumber('int8', wholeBetween(-(2n ** 63n), 2n ** 63n - 1n, 'int8')),
  toNumber('float4', (value) => Math.fround(float(value))),
  toNumber('float8', float),
];
