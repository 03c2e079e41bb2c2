import { table } from './harness.ts';

/** The tables of redis-transfers-child.ts. Every change of an account has a version of its own, higher than those before. */
export const sides = [
  table('left', { id: 'int8', balance: 'int8', version: 'int8' }),
  table('right', { id: 'int8', balance: 'int8', version: 'int8' }),
] as const;
export const accountsPerTable = 40;

/** The keys of all accounts, and those of both cursors. */
export const accountKeys: readonly string[] = sides.flatMap(({ name }) =>
  Array.from({ length: accountsPerTable }, (_, id) => `${name}:${id}`),
);
export const cursorKeys: readonly string[] = sides.map(({ name }) => `tidemark:test:${name}`);
