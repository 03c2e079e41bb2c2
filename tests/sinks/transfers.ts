import { table } from './harness.ts';

/** The tables of transfers-child.ts. */
export const sides = [
  table('left_side', { id: 'int8', balance: 'int8' }),
  table('right_side', { id: 'int8', balance: 'int8' }),
] as const;
export const accountsPerTable = 40;
