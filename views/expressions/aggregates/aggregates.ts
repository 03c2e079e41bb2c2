import type { AggregateDefinition } from '../functions/definition.ts';
import { collectionAggregates } from './collections.ts';
import { floatAggregates } from './float-sums.ts';
import { integerAggregates } from './integer-sums.ts';
import { intervalAggregates } from './interval-sums.ts';
import { logicAggregates } from './logic.ts';
import { numericAggregates } from './numeric-sums.ts';
import { varianceAggregates } from './variance.ts';

/** Every aggregate that views may call. */
export const aggregateDefinitions: readonly AggregateDefinition[] = [
  ...integerAggregates,
  ...numericAggregates,
  ...floatAggregates,
  ...intervalAggregates,
  ...logicAggregates,
  ...varianceAggregates,
  ...collectionAggregates,
];
