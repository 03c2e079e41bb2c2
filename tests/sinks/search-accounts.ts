import { table } from './harness.ts';
import type { Feeder } from './harness.ts';

/** Accounts of search-readers.ts: what one has more its neighbour has less, and every transaction writes all of them. */
export const accounts = table('accounts', { id: 'int8', balance: 'int8', round: 'int8', pad: 'text' });
/** More than one request holds, so that a transaction is never written at once. */
export const accountCount = 2_500;
export const pad = 'x'.repeat(40);

/** One transaction in which every account changes. */
export function feedRound(feeder: Feeder, round: number): void {
  for (let id = 0; id < accountCount; id++) {
    const balance = (id % 2 === 0 ? 1 : -1) * ((round * 7919 + (id >> 1)) % 1000);
    feeder.upsert(accounts, { id: String(id), balance: String(balance), round: String(round), pad }, 'update');
    if (id % 400 === 399) feeder.piece();
  }
  if (feeder.seq === 0) feeder.commitConsistent(accounts);
  else feeder.commit();
}
