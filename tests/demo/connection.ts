import { Client } from 'pg';

/** A connection whose values arrive as the text that the server printed, times in UTC. */
export async function connectTo(url: string): Promise<Client> {
  const client = new Client({
    connectionString: url,
    options: '-c timezone=UTC',
    application_name: 'shop',
    types: { getTypeParser: () => (text: string) => text },
  });
  // The end of an idle connection surfaces at its next query; without a listener it would end the process.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** The first column of the first row. */
export async function valueOf(client: Client, sql: string, values: readonly unknown[] = []): Promise<string | null> {
  const { rows } = await client.query<Record<string, string | null>>(sql, [...values]);
  return Object.values(rows[0] ?? {})[0] ?? null;
}
