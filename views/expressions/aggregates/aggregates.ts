import type { AggregateDefinition } from './definition.ts';

/** Every aggregate by name, its overloads in the order in which they are tried. */
export const aggregates: ReadonlyMap<string, readonly AggregateDefinition[]> = new Map();
