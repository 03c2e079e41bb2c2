import { createHash } from 'node:crypto';
import { Socket } from 'node:net';
import { Client } from 'pg';
import { expect, it } from 'vitest';
import { TidemarkError } from '../../../base/errors.ts';
import { CopySocket } from '../../../connectors/postgres/copy-socket.ts';
import { describePostgres } from '../../servers/suite.ts';

/** A socket whose bytes arrive in pieces, each in a turn of its own, as `cut` says from the number of bytes that came before. */
class PiecewiseSocket extends Socket {
  /** Length of the piece that begins after `seen` bytes. */
  cut: ((seen: number) => number) | null = null;
  #seen = 0;
  #waiting: Promise<void> = Promise.resolve();

  restart(cut: (seen: number) => number): void {
    this.#seen = 0;
    this.cut = cut;
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    const [chunk] = args;
    if (event === 'data' && this.cut !== null && chunk instanceof Buffer) {
      this.#waiting = this.#waiting.then(async () => this.#pieces(chunk));
      return true;
    }
    return super.emit(event, ...args);
  }

  async #pieces(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length;) {
      const length = Math.max(1, this.cut?.(this.#seen) ?? chunk.length);
      const piece = chunk.subarray(at, at + length);
      at += piece.length;
      this.#seen += piece.length;
      super.emit('data', piece);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  }
}

async function rows(client: Client, sql: string): Promise<string[]> {
  const found: string[] = [];
  await new CopySocket(client).run(sql, {
    data: (buffer, start, end) => {
      found.push(buffer.toString('utf8', start, end));
      return found.length % 3 === 0 ? Promise.resolve() : undefined;
    },
  });
  return found;
}

describePostgres('what a COPY sends', (database) => {
  async function open(): Promise<{ client: Client; socket: PiecewiseSocket }> {
    const socket = new PiecewiseSocket();
    const client = new Client({ connectionString: database.url, stream: () => socket });
    client.on('error', () => undefined);
    await client.connect();
    return { client, socket };
  }

  const few = `COPY (SELECT g, repeat('é', g) FROM generate_series(0, 8) g) TO STDOUT`;
  const expected = Array.from({ length: 9 }, (_, index) => `${index}\t${'é'.repeat(index)}\n`);

  it('is read the same wherever the network cuts it', async () => {
    const { client, socket } = await open();
    for (let piece = 1; piece <= 12; piece++) {
      socket.restart(() => piece);
      expect(await rows(client, few)).toEqual(expected);
    }
    // The whole answer is some 250 bytes: one cut, at each of them.
    for (let cut = 1; cut < 260; cut++) {
      socket.restart((seen) => (seen < cut ? cut - seen : 1_000_000));
      expect(await rows(client, few)).toEqual(expected);
    }
    socket.cut = null;
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  it('can hold a row of 60 MB between small ones', async () => {
    const { client } = await open();
    const sizes: number[] = [];
    const hash = createHash('md5');
    await new CopySocket(client).run(
      `COPY (SELECT repeat(chr(96 + g), CASE g WHEN 2 THEN 60000000 ELSE 3 END) FROM generate_series(1, 3) g) TO STDOUT`,
      {
        data: (buffer, start, end) => {
          sizes.push(end - start);
          hash.update(buffer.subarray(start, end));
          return undefined;
        },
      },
    );
    expect(sizes).toEqual([4, 60_000_001, 4]);
    const whole = createHash('md5').update(`aaa\n${'b'.repeat(60_000_000)}\nccc\n`);
    expect(hash.digest('hex')).toBe(whole.digest('hex'));
    await client.end();
  });

  it("ends with the server's error, after which the connection can be used again", async () => {
    const { client, socket } = await open();
    for (const piece of [1, 7, 100_000]) {
      socket.restart(() => piece);
      await expect(rows(client, 'COPY (SELECT 1/(3-g) FROM generate_series(1, 5) g) TO STDOUT')).rejects.toMatchObject({
        code: '22012',
        message: 'division by zero',
      });
      await expect(rows(client, 'COPY nothing TO STDOUT')).rejects.toMatchObject({ code: '42P01' });
      expect(await rows(client, few)).toEqual(expected);
    }
    await client.end();
  });

  it('ends with what the server says when it closes the connection', async () => {
    const { client } = await open();
    await expect(
      rows(
        client,
        "COPY (SELECT pg_terminate_backend(pg_backend_pid()), repeat('x', 100) FROM generate_series(1, 1000)) TO STDOUT",
      ),
    ).rejects.toMatchObject({ code: '57P01' });
  });

  it('ends at once when it is given up, even while a row is being worked on', async () => {
    const { client } = await open();
    const socket = new CopySocket(client);
    const reason = new TidemarkError('SOURCE_UNREACHABLE', 'given up');
    let count = 0;
    const copy = socket.run('COPY (SELECT g FROM generate_series(1, 1000000) g) TO STDOUT', {
      data: () => {
        if (++count === 100) socket.destroy(reason);
        return undefined;
      },
    });
    await expect(copy).rejects.toBe(reason);
    // What had arrived may still be handed over, not the whole table.
    expect(count).toBeLessThan(1_000_000);
  });

  it('that follows no protocol is refused', async () => {
    for (const garbage of [
      Buffer.from([0x64, 0, 0, 0, 0, 1, 2, 3]),
      Buffer.from([0x64, 0x7f, 0xff, 0xff, 0xff, 1, 2]),
    ]) {
      const { client, socket } = await open();
      const copy = rows(client, 'COPY (SELECT pg_sleep(30)) TO STDOUT');
      socket.emit('data', garbage);
      await expect(copy).rejects.toMatchObject({ code: 'SOURCE_PROTOCOL' });
      socket.destroy();
    }
    await database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid()`,
    );
  });
});
