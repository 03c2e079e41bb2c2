import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChangeCursor, ChangeWriter, opRead } from '../../model/change.ts';
import type { Visibility } from '../../snapshot/port.ts';
import type { OpenRead } from '../../snapshot/window.ts';
import { Window, withoutKeys } from '../../snapshot/window.ts';

const topic = 'shop.public.t';

/** What sees exactly these transactions. */
function seeing(...txIds: (string | number)[]): Visibility {
  const ended = new Set(txIds.map(String));
  return { includes: (txId) => ended.has(txId), text: [...ended].join(',') };
}

function stream(window: Window, txId: number, keys: readonly string[], of = topic): void {
  if (window.begin(String(txId), txId)) {
    for (const key of keys) window.add(of, Buffer.from(key, 'latin1'), 0, key.length);
  }
  window.end();
}

describe('the window', () => {
  it('leaves out the keys of transactions that a read does not see, though they were streamed before it', () => {
    const window = new Window(seeing(), 1e6);
    stream(window, 1, ['a', 'b']);
    stream(window, 2, ['c']);
    stream(window, 3, ['d'], 'shop.public.other');
    expect(window.displacement(topic, seeing(1))).toEqual({ kind: 'keys', keys: new Set(['c']) });
    expect(window.displacement(topic, seeing())).toEqual({ kind: 'keys', keys: new Set(['a', 'b', 'c']) });
    expect(window.displacement(topic, seeing(1, 2))).toEqual({ kind: 'none' });
    expect(window.displacement('shop.public.other', seeing(1, 2))).toEqual({ kind: 'keys', keys: new Set(['d']) });
  });

  it('forgets a transaction once every read, under way and to come, sees it', () => {
    const window = new Window(seeing(), 1e6);
    stream(window, 1, ['a']);
    const early = window.open();
    window.saw(seeing(1));
    expect(window.oldestSeq).toBe(1);
    window.close(early);
    expect(window.oldestSeq).toBeNull();
    expect(window.begin('1', 2)).toBe(false);
    // Seen by reads to come, but not by one under way.
    const read = window.open();
    read.low = seeing(1);
    window.saw(seeing(1, 2));
    stream(window, 2, ['b']);
    expect(window.displacement(topic, read.low)).toEqual({ kind: 'keys', keys: new Set(['b']) });
    window.close(read);
    expect(window.hasUnseen).toBe(false);
  });

  it('displaces every row of a table whose truncate a read does not see', () => {
    const window = new Window(seeing(), 1e6);
    window.begin('1', 1);
    window.truncate(topic);
    window.end();
    expect(window.displacement(topic, seeing())).toEqual({ kind: 'all' });
    expect(window.displacement(topic, seeing(1))).toEqual({ kind: 'none' });
    expect(window.displacement('shop.public.other', seeing())).toEqual({ kind: 'none' });
  });

  it('forgets what was not committed after all', () => {
    const window = new Window(seeing(), 1e6);
    stream(window, 1, ['a']);
    window.begin('2', 2);
    window.add(topic, Buffer.from('b'), 0, 1);
    window.truncate(topic);
    window.abandon();
    window.abandon();
    expect(window.displacement(topic, seeing())).toEqual({ kind: 'keys', keys: new Set(['a']) });
  });

  it('knows that it does not know the keys of a transaction that the log no longer tells apart', () => {
    const window = new Window(seeing(1), 1e6);
    window.addUnknown('1', 5);
    window.addUnknown('2', 5);
    stream(window, 3, ['c']);
    expect(window.oldestSeq).toBe(5);
    expect(window.displacement(topic, seeing(1))).toEqual({ kind: 'unknown', txId: '2' });
    expect(window.displacement(topic, seeing(1, 2))).toEqual({ kind: 'keys', keys: new Set(['c']) });
    window.saw(seeing(1, 2, 3));
    expect(window.hasUnseen).toBe(false);
  });

  it('drops the keys of the largest transaction beyond its limit, and knows that it does not know them', () => {
    const window = new Window(seeing(), 1_000);
    stream(window, 1, ['a']);
    stream(
      window,
      2,
      Array.from({ length: 30 }, (_, index) => `key ${index}`),
    );
    stream(window, 3, ['c']);
    expect(window.displacement(topic, seeing(1, 3))).toEqual({ kind: 'unknown', txId: '2' });
    expect(window.displacement(topic, seeing(2))).toEqual({ kind: 'keys', keys: new Set(['a', 'c']) });
    window.saw(seeing(1, 2));
    expect(window.displacement(topic, seeing(1, 2))).toEqual({ kind: 'keys', keys: new Set(['c']) });
    // Room again.
    stream(window, 4, ['d']);
    expect(window.displacement(topic, seeing(1, 2))).toEqual({ kind: 'keys', keys: new Set(['c', 'd']) });
  });

  const steps = fc.array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          do: fc.constant('stream' as const),
          keys: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 4 }),
        }),
      },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('see' as const), which: fc.nat() }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('open' as const) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('read' as const), which: fc.nat() }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('publish' as const), which: fc.nat() }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('saw' as const) }) },
    ),
    { maxLength: 120 },
  );

  it.each([
    ['room for all', 1e9],
    ['little room', 400],
  ] as const)('never forgets a key that a read needs, with %s', (_title, bytesMax) => {
    fc.assert(
      fc.property(steps, (plan) => {
        const streamed: { txId: string; keys: string[] }[] = [];
        const visible = new Set<string>();
        const now = (): Visibility => seeing(...visible);
        const window = new Window(now(), bytesMax);
        const reads: { read: OpenRead; low: Visibility | null }[] = [];
        for (const step of plan) {
          if (step.do === 'stream') {
            const txId = String(streamed.length + 1);
            const keys = step.keys.map((key) => `k${key}`);
            streamed.push({ txId, keys });
            stream(window, Number(txId), keys);
          } else if (step.do === 'see' && streamed.length > 0) {
            // A streamed transaction becomes visible, in any order.
            visible.add(streamed[step.which % streamed.length]?.txId ?? '');
          } else if (step.do === 'open') {
            reads.push({ read: window.open(), low: null });
          } else if (step.do === 'saw') {
            window.saw(now());
          } else if (step.do === 'read' || step.do === 'publish') {
            const index = step.which % Math.max(1, reads.length);
            const entry = reads[index];
            if (entry === undefined) continue;
            if (entry.low === null) {
              entry.low = now();
              entry.read.low = entry.low;
              window.saw(entry.low);
            }
            if (step.do === 'read') continue;
            const { low } = entry;
            const unseen = streamed.filter(({ txId }) => !low.includes(txId));
            const wanted = new Set(unseen.flatMap(({ keys }) => keys));
            const found = window.displacement(topic, low);
            if (found.kind === 'unknown') expect(unseen.some(({ txId }) => txId === found.txId)).toBe(true);
            else expect(found.kind === 'keys' ? found.keys : new Set()).toEqual(wanted);
            if (bytesMax === 1e9) expect(found.kind).not.toBe('unknown');
            window.close(entry.read);
            reads.splice(index, 1);
          }
        }
        for (const { txId } of streamed) visible.add(txId);
        for (const { read } of reads) window.close(read);
        window.saw(now());
        expect(window.oldestSeq).toBeNull();
      }),
      { numRuns: 500 },
    );
  });
});

describe('leaving displaced keys out of a batch', () => {
  it('keeps the other records as they are, and the batch itself when there is nothing to leave out', () => {
    const writer = new ChangeWriter();
    for (const key of ['a', 'b', 'c']) {
      writer.add({ op: opRead, schemaId: 7, key: Buffer.from(key), after: Buffer.from([1, key.charCodeAt(0)]) });
    }
    const batch = writer.batch();
    expect(withoutKeys(batch, new Set(['x']))).toBe(batch);
    const kept = withoutKeys(batch, new Set(['b']));
    const cursor = new ChangeCursor().reset(kept.bytes);
    const keys: string[] = [];
    while (cursor.next())
      keys.push(`${cursor.key().toString()}${cursor.bytes.toString('latin1', cursor.afterStart + 1, cursor.afterEnd)}`);
    expect([keys, kept.count]).toEqual([['aa', 'cc'], 2]);
    expect(withoutKeys(batch, new Set(['a', 'b', 'c'])).count).toBe(0);
  });
});
