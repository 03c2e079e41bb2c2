import { aggregateDefinitions } from './aggregates/aggregates.ts';
import type {
  AggregateDefinition,
  CastDefinition,
  FunctionDefinition,
  TypmodDefinition,
} from './functions/definition.ts';
import { dateCasts, dateOperators, dateTypmods } from './functions/dates.ts';
import { dateFunctions } from './functions/dates-calls.ts';
import { arrayFunctions, arrayOperators } from './functions/arrays.ts';
import { jsonFunctions, jsonOperators } from './functions/json.ts';
import { jsonCasts } from './functions/json-casts.ts';
import { scalarCasts, textTypmods } from './functions/casts.ts';
import { comparisonFunctions, comparisonOperators } from './functions/comparison.ts';
import { floatFunctions, floatOperators } from './functions/floats.ts';
import { integerFunctions, integerOperators } from './functions/integers.ts';
import { numericFunctions, numericOperators, numericTypmods } from './functions/numerics.ts';
import { patternFunctions, patternOperators } from './functions/text-patterns.ts';
import { formatFunctions } from './functions/text-format.ts';
import { textFunctions, textOperators } from './functions/text.ts';

/** Every function that views may call, by name. Each topic's file is listed here and nowhere else. */
const functionTables: readonly (readonly FunctionDefinition[])[] = [
  integerFunctions,
  numericFunctions,
  floatFunctions,
  comparisonFunctions,
  textFunctions,
  formatFunctions,
  patternFunctions,
  dateFunctions,
  arrayFunctions,
  jsonFunctions,
];
const operatorTables: readonly (readonly FunctionDefinition[])[] = [
  integerOperators,
  numericOperators,
  floatOperators,
  comparisonOperators,
  textOperators,
  patternOperators,
  dateOperators,
  arrayOperators,
  jsonOperators,
];
const castTables: readonly (readonly CastDefinition[])[] = [scalarCasts, dateCasts, jsonCasts];
const typmodTables: readonly (readonly TypmodDefinition[])[] = [numericTypmods, textTypmods, dateTypmods];
const aggregateTables: readonly (readonly AggregateDefinition[])[] = [aggregateDefinitions];

const functions = byName(functionTables);
const operators = byName(operatorTables);
const aggregates = byName(aggregateTables);
const casts = new Map(castTables.flat().map((cast) => [`${cast.from} ${cast.to}`, cast]));
const typmods = new Map(typmodTables.flat().map((typmod) => [typmod.type, typmod]));

export function functionsNamed(name: string): readonly FunctionDefinition[] {
  return functions.get(name) ?? [];
}

export function operatorsNamed(name: string): readonly FunctionDefinition[] {
  return operators.get(name) ?? [];
}

export function aggregatesNamed(name: string): readonly AggregateDefinition[] {
  return aggregates.get(name) ?? [];
}

export function castBetween(from: string, to: string): CastDefinition | undefined {
  return casts.get(`${from} ${to}`);
}

export function typmodOf(type: TypmodDefinition['type']): TypmodDefinition | undefined {
  return typmods.get(type);
}

/** For hints. */
export function functionNames(): Iterable<string> {
  return functions.keys();
}

function byName<T extends { readonly name: string }>(
  tables: readonly (readonly T[])[],
): ReadonlyMap<string, readonly T[]> {
  const found = new Map<string, T[]>();
  for (const definition of tables.flat()) {
    const group = found.get(definition.name);
    if (group === undefined) found.set(definition.name, [definition]);
    else group.push(definition);
  }
  return found;
}
