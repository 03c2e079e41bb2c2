import { createHash } from 'node:crypto';
import type { Client } from 'pg';
import { expect, it } from 'vitest';
import { BulkSocket } from '../../../connectors/postgres/bulk-socket.ts';
import { CopySocket, socketOf } from '../../../connectors/postgres/copy-socket.ts';
import { connect } from '../../../connectors/postgres/session.ts';
import { describePostgres } from '../../servers/suite.ts';

/** 60,000 rows of 0 to 6,000 bytes, 20 MB: far more than the buffers of a connection, and cut by them everywhere. */
const sql = `SELECT g, repeat(md5(g::text), CASE g % 1000 WHEN 0 THEN 190 ELSE g % 20 END) AS text FROM generate_series(1, 60000) g`;

describePostgres('a connection that reads into its own buffers', (database) => {
  const target = { name: 'bulk', url: database.url, tables: [], slot: 'bulk', publication: 'bulk' };

  async function hashOf(client: Client, slow: boolean): Promise<string> {
    const hash = createHash('md5');
    let rows = 0;
    await new CopySocket(client).run(`COPY (${sql}) TO STDOUT`, {
      data: (buffer, start, end) => {
        rows++;
        if (!slow || rows % 50 !== 0) {
          hash.update(buffer.subarray(start, end));
          return undefined;
        }
        // What was handed over must still be there when the promise settles, however much arrives meanwhile.
        return new Promise<void>((resolve) => {
          setImmediate(() => {
            hash.update(buffer.subarray(start, end));
            resolve();
          });
        });
      },
    });
    expect(rows).toBe(60_000);
    return hash.digest('hex');
  }

  it('loses and mixes up nothing, whether its reader is fast or slow', async () => {
    const client = await connect(target, 'test');
    expect(socketOf(client)).toBeInstanceOf(BulkSocket);
    const { rows } = await client.query<{ md5: string }>(
      `SELECT md5(string_agg(g || E'\\t' || text || E'\\n', '' ORDER BY g)) FROM (${sql}) q`,
    );
    expect(await hashOf(client, false)).toBe(rows[0]?.md5);
    expect(await hashOf(client, true)).toBe(rows[0]?.md5);
    // Between copies pg reads from it as from any socket.
    const after = await client.query<{ n: number }>(`SELECT count(*)::int AS n, string_agg(text, '') FROM (${sql}) q`);
    expect(after.rows[0]?.n).toBe(60_000);
    expect(await hashOf(client, true)).toBe(rows[0]?.md5);
    await client.end();
  });

  it('is not read from while its reader is busy', async () => {
    const client = await connect(target, 'test');
    const socket = socketOf(client);
    const release = Promise.withResolvers<void>();
    let rows = 0;
    const copy = new CopySocket(client).run(`COPY (${sql}) TO STDOUT`, {
      data: () => (++rows === 1 ? release.promise : undefined),
    });
    let before = -1;
    await expect
      .poll(
        () => {
          const still = socket.bytesRead === before && before > 0;
          before = socket.bytesRead;
          return still;
        },
        { interval: 100, timeout: 60_000 },
      )
      .toBe(true);
    expect(before).toBeLessThan(2 * 1024 * 1024);
    expect(rows).toBe(1);
    release.resolve();
    await copy;
    expect(rows).toBe(60_000);
    await client.end();
  });
});
