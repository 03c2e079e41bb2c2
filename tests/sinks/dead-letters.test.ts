import { expect, test } from 'vitest';
import { DeadLetters } from '../../sinks/dead-letters.ts';
import type { DeadLetter } from '../../sinks/dead-letters.ts';
import { FaultyFiles } from '../simulation/faulty-files.ts';
import { randomFrom } from '../simulation/random.ts';

function letter(seq: number): DeadLetter {
  return {
    sink: 'local',
    topic: 't',
    row: `row${seq % 7}`,
    key: '{}',
    epoch: 1,
    seq,
    reason: 'x'.repeat(seq * 3),
    atMs: 0,
  };
}

test('dead letters that were acknowledged survive a power cut, each once', async () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = randomFrom(seed);
    let files = new FaultyFiles();
    await files.makeDirectory('data');
    await files.syncDirectory('.');
    const kept = new Map<number, DeadLetter>();
    for (let seq = 1; seq <= 20;) {
      files.stepsLeft = Math.floor(random() * 40);
      try {
        const letters = new DeadLetters(files, 'data/sinks', 'local');
        await letters.load();
        const seqs = letters.list().map((each) => each.seq);
        expect(new Set(seqs).size).toBe(seqs.length);
        expect(seqs).toEqual(expect.arrayContaining([...kept.keys()]));
        while (seq <= 20) {
          // Every fifth settles the letters of its row and adds none.
          const settled = seq % 5 === 0 ? [letter(seq).row] : [];
          // A cut may come after they were settled and before that is acknowledged.
          for (const [at, { row }] of kept) if (settled.includes(row)) kept.delete(at);
          await letters.update(settled.length > 0 ? [] : [letter(seq)], settled);
          if (settled.length === 0) kept.set(seq, letter(seq));
          seq++;
        }
      } catch (error) {
        if (!String(error).includes('EPOWER')) throw error;
        files = files.crash(random);
      }
    }
  }
});
