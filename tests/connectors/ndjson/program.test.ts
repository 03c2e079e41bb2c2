import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, onTestFinished } from 'vitest';
import { until } from './harness.ts';

const program = join(import.meta.dirname, '..', '..', '..', 'tidemark');

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder with a file; `./tidemark` runs in it as a user runs it. */
class Place {
  readonly folder: string;
  readonly #port: number;
  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.#port = port;
  }

  static async make(source: string, sinks: string, rest = ''): Promise<Place> {
    const port = await freePort();
    const place = new Place(await mkdtemp(join(tmpdir(), 'tidemark-lines-')), port);
    onTestFinished(async () => rm(place.folder, { recursive: true, force: true }));
    const file = `version: 1\nname: web\nsources:\n  web: ${source}\nsinks:\n  ${sinks}\nhttp: { port: ${port} }\n${rest}`;
    await writeFile(join(place.folder, 'tidemark.yaml'), file);
    return place;
  }

  /** The position of the source, of a service that answers. */
  async position(): Promise<number> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.#port}/api/v1/status`);
      const { sources } = (await answer.json()) as { sources: { position: string | null }[] };
      return Number(sources[0]?.position ?? 0);
    } catch {
      return 0;
    }
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  start(
    args: readonly string[],
    input: 'none' | 'pipe' = 'none',
  ): { child: ReturnType<typeof spawn>; ended: Promise<Ended> } {
    const child = spawn(program, args, {
      cwd: this.folder,
      env: { ...process.env, NO_COLOR: '1' },
      stdio: [input === 'none' ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const ended = once(child, 'close').then(([code]) => ({
      code: typeof code === 'number' ? code : null,
      stdout,
      stderr,
    }));
    return { child, ended };
  }

  async run(...args: readonly string[]): Promise<Ended> {
    return this.start(args).ended;
  }

  rows(table: string): unknown[] {
    const database = new DatabaseSync(this.path('out.db'), { readOnly: true });
    try {
      return database
        .prepare(`SELECT * FROM ${table} ORDER BY 1`)
        .all()
        .map((row) => ({ ...row }));
    } finally {
      database.close();
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const clicks =
  '{ type: ndjson, path: ./clicks.ndjson, tables: { clicks: { columns: { id: bigint, page: text }, key: [id] } } }';
const local = 'local: { type: sqlite, path: ./out.db, from: clicks }';

describe('tidemark over a file of lines', () => {
  it('carries every type to a table and to events', async () => {
    const columns =
      'id: bigint, ok: boolean, price: "numeric(12,2)", at: timestamptz, day: date, tags: "text[]", doc: jsonb, raw: bytea, ratio: double precision';
    const place = await Place.make(
      `{ type: ndjson, path: ./clicks.ndjson, tables: { clicks: { columns: { ${columns} }, key: [id] } } }`,
      local,
    );
    const line =
      '{"id":9007199254740993,"ok":true,"price":1.5,"at":"2024-01-01T10:00:00+02:00","day":"2024-02-29","tags":["a",null],"doc":{"b":1,"a":[]},"raw":"\\\\x00ff","ratio":1e21,"more":1}';
    await writeFile(place.path('clicks.ndjson'), `${line}\n`);
    expect(await place.run('check')).toMatchObject({ code: 0 });
    expect(await place.run('run', '--until', 'caught-up')).toMatchObject({ code: 0 });
    const { code, stdout } = await place.run('tail', 'clicks', '--count', '1');
    expect(code).toBe(0);
    expect(stdout).toContain(
      '"after":{"id":9007199254740993,"ok":true,"price":1.50,"at":"2024-01-01T08:00:00+00:00","day":"2024-02-29","tags":["a",null],"doc":{"a": [], "b": 1},"raw":"\\\\x00ff","ratio":1e+21}',
    );
    expect(stdout).toContain('"connector":"ndjson","name":"web"');
    const database = new DatabaseSync(place.path('out.db'), { readOnly: true });
    expect(database.prepare("SELECT id || '' AS id, ok, price, at, tags, doc, ratio FROM clicks").get()).toEqual(
      expect.objectContaining({
        id: '9007199254740993',
        price: '1.50',
        at: '2024-01-01T08:00:00+00:00',
        tags: '["a",null]',
        doc: '{"a": [], "b": 1}',
        ratio: 1e21,
      }),
    );
    database.close();
  });

  it('holds each line once, whenever it is killed while the file grows', async () => {
    const place = await Place.make(clicks, `feed: { type: ndjson, path: ./feed.ndjson, from: clicks }\n  ${local}`);
    const path = place.path('clicks.ndjson');
    const total = 40_000;
    let written = 0;
    await writeFile(path, '');
    const write = async (count: number): Promise<void> => {
      const text = Array.from({ length: count }, (_, index) => `{"id":${written + index},"page":"/p"}\n`).join('');
      written += count;
      await appendFile(path, text);
    };
    for (let kill = 0; kill < 4; kill++) {
      const { child, ended } = place.start(['run']);
      const before = written * 24;
      for (let part = 0; part < 5; part++) await write(total / 20);
      await until(async () => (await place.position()) > before);
      child.kill('SIGKILL');
      await ended;
    }
    expect(await place.run('run', '--until', 'caught-up')).toMatchObject({ code: 0 });
    expect(place.rows('clicks')).toHaveLength(total);
    const lines = (await readFile(place.path('feed.ndjson'), 'utf8')).trimEnd().split('\n');
    const upserts = lines
      .map((text) => JSON.parse(text) as { op?: string; doc?: { id: number }; seq?: number })
      .filter(({ op }) => op === 'upsert');
    expect(upserts.map(({ doc }) => doc?.id)).toEqual(Array.from({ length: total }, (_, id) => id));
    expect(upserts.at(-1)?.seq).toBe(total);
  }, 120_000);

  it('waits for positions in bytes, and knows what it cannot do', async () => {
    const place = await Place.make(clicks, local);
    await writeFile(place.path('clicks.ndjson'), '{"id":1,"page":"/a"}\n');
    const { child, ended } = place.start(['run']);
    await until(async () => (await place.position()) === 21);
    expect(await place.run('wait', '--sink', 'local', '--now', '--timeout', '20s')).toMatchObject({ code: 0 });
    await appendFile(place.path('clicks.ndjson'), '{"id":2,"page":"/b"}\n');
    expect(await place.run('wait', '--sink', 'local', '--position', '42', '--timeout', '20s')).toMatchObject({
      code: 0,
    });
    expect(place.rows('clicks')).toHaveLength(2);
    expect(await place.run('wait', '--sink', 'local', '--position', '0/16B3748')).toMatchObject({ code: 2 });
    const again = await place.run('snapshot', '--table', 'clicks');
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('source web takes each line once; there is no table to read again');
    child.kill('SIGTERM');
    expect(await ended).toMatchObject({ code: 143 });
    expect(await place.run('drop', '--source', 'web')).toMatchObject({
      code: 0,
      stdout: 'source web had nothing to remove\n',
    });
  });

  it('ends with the malformed line, and goes on once that is corrected', async () => {
    const place = await Place.make(clicks, local);
    await writeFile(place.path('clicks.ndjson'), '{"id":1}\n{"id":}\n{"id":3}\n');
    const check = await place.run('check');
    expect(check.code).toBe(0);
    const { code, stderr } = await place.run('run', '--until', 'caught-up');
    expect(code).toBe(1);
    expect(stderr).toContain(`${place.path('clicks.ndjson')}:2: not a JSON object: a value is expected`);
    await writeFile(place.path('clicks.ndjson'), '{"id":1}\n{"id":2}\n{"id":3}\n');
    expect(await place.run('run', '--until', 'caught-up')).toMatchObject({ code: 0 });
    expect(place.rows('clicks')).toMatchObject([{ id: 1 }, { id: 2 }, { id: 3 }]);
  });

  it('is told by check what the file lacks', async () => {
    const place = await Place.make(clicks, local);
    const absent = await place.run('check');
    expect(absent).toMatchObject({ code: 0 });
    expect(absent.stdout).toContain('clicks.ndjson is not there yet');
    await writeFile(place.path('clicks.ndjson'), '\n{"id":"x"}\n');
    const malformed = await place.run('check');
    expect(malformed).toMatchObject({ code: 1 });
    expect(malformed.stdout).toContain('clicks.id is no bigint: invalid input syntax for type bigint: "x"');
  });

  it('is caught up with a file that holds nothing yet', async () => {
    const place = await Place.make(clicks, local);
    await writeFile(place.path('clicks.ndjson'), '');
    expect(await place.run('run', '--until', 'caught-up')).toMatchObject({ code: 0 });
    expect(place.rows('clicks')).toEqual([]);
  });

  it('reads standard input to its end', async () => {
    const place = await Place.make(
      clicks.replace('./clicks.ndjson', '"-"'),
      'feed: { type: ndjson, path: "-", from: clicks }',
    );
    const { child, ended } = place.start(['run', '--until', 'caught-up'], 'pipe');
    child.stdin?.write('{"id":1}\n{"id"');
    child.stdin?.end(':2}');
    const { code, stdout } = await ended;
    expect(code).toBe(0);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((text) => JSON.parse(text) as unknown),
    ).toEqual([
      { op: 'upsert', key: { id: 1 }, doc: { id: 1, page: null }, seq: 1 },
      { commit: 1, source: 'web', position: '9' },
      { op: 'upsert', key: { id: 2 }, doc: { id: 2, page: null }, seq: 2 },
      { commit: 2, source: 'web', position: '17' },
    ]);
  });
});
