import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemFiles } from '../../../base/files.ts';
import type { Files } from '../../../base/files.ts';
import { StreamSpool } from '../../../connectors/postgres/spool.ts';

type Step =
  | { readonly do: 'add'; readonly xid: number; readonly sub: number; readonly size: number }
  | { readonly do: 'abortSub'; readonly xid: number; readonly sub: number }
  | { readonly do: 'drop' | 'replay'; readonly xid: number };

const xid = fc.integer({ min: 1, max: 3 });
const sub = fc.integer({ min: 0, max: 3 });
const size = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(5_000, 70_000, 262_136, 400_000));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('add' as const), xid, sub, size }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('abortSub' as const), xid, sub: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('drop' as const, 'replay' as const), xid }) },
);

/** Sub-transactions of a transaction have ids of their own; 0 stands for the transaction itself. */
function subXid(of: number, which: number): number {
  return which === 0 ? of : of * 100 + which;
}

async function replayed(spool: StreamSpool, of: number): Promise<string[]> {
  const messages: string[] = [];
  await spool.replay(of, (buffer, start, end) => {
    messages.push(buffer.toString('latin1', start, end));
    // Every other message holds the replay back, as a full log would.
    return messages.length % 2 === 0 ? Promise.resolve() : undefined;
  });
  return messages;
}

describe('transactions streamed before their commit', () => {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tidemark-spool-'));
  });
  afterAll(async () => rm(directory, { recursive: true, force: true }));

  it('come back whole and in order, without what was rolled back, however much of them went to disk', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 60 }),
        fc.constantFrom(20_000, 500_000, 2 ** 30),
        async (steps, memoryMax) => {
          const spool = await StreamSpool.open(systemFiles, join(directory, 'spool'), memoryMax);
          const model = new Map<number, { sub: number; text: string }[]>();
          const aborted = new Set<number>();
          const expected = (of: number): string[] =>
            (model.get(of) ?? []).filter(({ sub: by }) => !aborted.has(by)).map(({ text }) => text);
          for (const [index, taken] of steps.entries()) {
            if (taken.do === 'add') {
              // A sub-transaction that was rolled back changes nothing more.
              const by = subXid(taken.xid, taken.sub);
              if (aborted.has(by)) continue;
              const content = Buffer.alloc(taken.size, index);
              model.set(taken.xid, [
                ...(model.get(taken.xid) ?? []),
                { sub: by, text: `I${content.toString('latin1')}` },
              ]);
              await spool.add(taken.xid, by, 0x49, content, 0, content.length);
            } else if (taken.do === 'abortSub') {
              const by = subXid(taken.xid, taken.sub);
              if (!model.has(taken.xid)) continue;
              aborted.add(by);
              spool.abortSub(taken.xid, by);
            } else {
              if (taken.do === 'drop') await spool.drop(taken.xid);
              else expect(await replayed(spool, taken.xid)).toEqual(expected(taken.xid));
              model.delete(taken.xid);
              for (const by of aborted) if (Math.floor(by / 100) === taken.xid) aborted.delete(by);
            }
          }
          for (const of of [1, 2, 3]) {
            expect(await replayed(spool, of)).toEqual(expected(of));
            expect(await replayed(spool, of)).toEqual([]);
          }
          expect(await systemFiles.list(join(directory, 'spool'))).toEqual([]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('leave no file behind when the connection breaks, nor after a crash', async () => {
    const path = join(directory, 'left');
    const spool = await StreamSpool.open(systemFiles, path, 0);
    const content = Buffer.alloc(300_000, 'x');
    for (const of of [1, 2]) await spool.add(of, of, 0x49, content, 0, content.length);
    expect(await systemFiles.list(path)).toHaveLength(2);
    await spool.clear();
    expect(await systemFiles.list(path)).toEqual([]);
    await spool.add(3, 3, 0x49, content, 0, content.length);
    const again = await StreamSpool.open(systemFiles, path, 0);
    expect(await systemFiles.list(path)).toEqual([]);
    expect(await replayed(again, 3)).toEqual([]);
    await spool.clear();
  });

  it('are written in blocks, even when very many of them are open', async () => {
    let writes = 0;
    const files: Files = {
      ...systemFiles,
      open: async (path, mode) => {
        const file = await systemFiles.open(path, mode);
        const write = file.write.bind(file);
        file.write = async (data, offset) => {
          writes++;
          await write(data, offset);
        };
        return file;
      },
    };
    const spool = await StreamSpool.open(files, join(directory, 'many'), 1_000_000);
    const content = Buffer.alloc(90, 'x');
    const transactions = 150;
    for (let round = 0; round < 400; round++) {
      for (let of = 1; of <= transactions; of++) await spool.add(of, of, 0x49, content, 0, content.length);
    }
    const bytes = transactions * 400 * 100;
    expect(writes).toBeGreaterThan(0);
    expect(writes).toBeLessThan(bytes / 8_000);
    expect(await replayed(spool, 77)).toHaveLength(400);
    await spool.clear();
  });
});
