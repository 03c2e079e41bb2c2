import { join } from 'node:path';
import { Client } from 'pg';
import { TidemarkError } from '../base/errors.ts';
import { socketOf } from '../connectors/postgres/copy-socket.ts';
import { findClientProgram, timed } from './client-programs.ts';
import { faster, figure, Stopwatch } from './figure.ts';
import type { Figure, Measured } from './figure.ts';
import { BenchSource, chunkRows, dropSlot, makeTable, onPostgres, parallel, sourceName } from './pg-load.ts';

/**
 * A table of the standard load to the durable embedded log, from the connection's beginning (slot and publication included) until the
 * topic is consistent. Against the whole table by psql, and against the same chunk queries, read on as many connections and thrown away.
 */
export async function run(options: { scale: number }): Promise<Figure[]> {
  const rows = Math.max(1_000, Math.round(options.scale * 1_000_000));
  const psql = findClientProgram('psql');
  return onPostgres(async ({ url, client, directory }) => {
    await makeTable(client, 'bench', rows);
    let whole = 0;
    let chunks = 0;
    let best: Measured | null = null;
    for (let round = 0; round < (options.scale < 0.1 ? 1 : 3); round++) {
      if (psql !== null) whole = Math.max(whole, rows / (await timed(psql, [url, '-c', 'COPY bench TO STDOUT'])));
      chunks = Math.max(chunks, rows / (await readChunks(url, rows)));
      best = faster(best, await snapshot(client, url, join(directory, `round-${round}`)));
    }
    if (best === null || best.n !== rows) throw new TidemarkError('INTERNAL', `${best?.n} rows read of ${rows}`);
    return [
      figure('pg-snapshot', 'rows/s', best, psql === null ? null : { name: 'psql COPY', value: whole }),
      figure('pg-snapshot-chunks', 'rows/s', best, { name: 'chunk queries alone', value: chunks }),
    ];
  });
}

async function snapshot(client: Client, url: string, directory: string): Promise<Measured> {
  const bench = await BenchSource.open(directory, { url, table: 'bench', slot: 'measured' });
  const watch = new Stopwatch();
  bench.start();
  await bench.until('the snapshot', () => bench.source.status().consistent);
  const topics = await bench.log.topics();
  const measured = watch.rate(topics.reduce((sum, topic) => sum + topic.records, 0));
  await bench.stop();
  await dropSlot(client, 'measured');
  await client.query(`DROP PUBLICATION ${sourceName}`);
  return measured;
}

/** Seconds of the chunk queries, the table's ranges spread over the connections. */
async function readChunks(url: string, rows: number): Promise<number> {
  const clients = await Promise.all(
    Array.from({ length: parallel }, async () => {
      const client = new Client(url);
      await client.connect();
      await client.query('SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off');
      return client;
    }),
  );
  const start = performance.now();
  let after = 0;
  await Promise.all(
    clients.map(async (client) => {
      while (after < rows) {
        const from = after;
        after += chunkRows;
        await drain(client, `COPY (SELECT * FROM bench WHERE id > ${from} ORDER BY id LIMIT ${chunkRows}) TO STDOUT`);
      }
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  await Promise.all(clients.map(async (client) => client.end()));
  return seconds;
}

/** ReadyForQuery outside a transaction: the answer to a query is complete. */
const ready = Buffer.from('Z\0\0\0\x05I', 'latin1');

/** Runs a query and looks at nothing but the end of its answer: the barest of clients. */
async function drain(client: Client, sql: string): Promise<void> {
  const socket = socketOf(client);
  const body = Buffer.from(`${sql}\0`);
  const head = Buffer.from('Q\0\0\0\0', 'latin1');
  head.writeUInt32BE(4 + body.length, 1);
  const listeners = socket.listeners('data') as ((chunk: Buffer) => void)[];
  socket.removeAllListeners('data');
  await new Promise<void>((resolve, reject) => {
    let tail: Buffer = Buffer.alloc(0);
    socket.once('error', reject);
    socket.on('data', (chunk: Buffer) => {
      const end = Buffer.concat([tail, chunk.subarray(-ready.length)]).subarray(-ready.length);
      tail = end;
      if (!end.equals(ready)) return;
      socket.off('error', reject);
      resolve();
    });
    socket.write(Buffer.concat([head, body]));
  });
  socket.removeAllListeners('data');
  for (const listener of listeners) socket.on('data', listener);
}
