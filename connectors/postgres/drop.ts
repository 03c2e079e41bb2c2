import type { PostgresTarget } from './options.ts';
import { dropPublications } from './publication.ts';
import { connect, queryOf } from './session.ts';
import { dropSlot } from './slot.ts';

/** Removes the slot and the publications that a source made; what is not there is fine. Returns what was removed. */
export async function dropPostgres(target: PostgresTarget): Promise<string[]> {
  const client = await connect(target, 'drop');
  try {
    const query = queryOf(client, target);
    const slot = (await dropSlot(target, query)) ? [`slot ${target.slot}`] : [];
    const publications = await dropPublications(target, query);
    return [...slot, ...publications.map((name) => `publication ${name}`)];
  } finally {
    await client.end().catch(() => {});
  }
}
