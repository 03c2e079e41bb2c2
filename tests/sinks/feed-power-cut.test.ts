import { expect, test } from 'vitest';
import { FeedFile } from '../../sinks/ndjson/feed-file.ts';
import { commitLine } from '../../sinks/ndjson/commit-line.ts';
import { FaultyFiles } from '../simulation/faulty-files.ts';
import { randomFrom } from '../simulation/random.ts';

const seeds = Number(process.env['TIDEMARK_CRASH_SEEDS'] ?? 30);
const commits = 12;

function cursorAt(seq: number): { epoch: number; seq: number; position: string; timeMs: number } {
  return { epoch: 1, seq, position: `0/${seq}`, timeMs: 0 };
}

/** The lines of one transaction, always the same for a seed. */
function linesOf(seed: number, seq: number): Buffer[] {
  const random = randomFrom(seed * 1000 + seq);
  const count = 1 + Math.floor(random() * 5);
  const changes = Array.from({ length: count }, (_, index) =>
    Buffer.from(
      `${JSON.stringify({ op: 'upsert', key: { id: index }, doc: 'x'.repeat(Math.floor(random() * 3000)), seq })}\n`,
    ),
  );
  return [...changes, Buffer.from(commitLine('shop', cursorAt(seq)))];
}

/** Writes what is missing of the feed; several transactions a commit, as delivery does when it is behind. */
async function fill(files: FaultyFiles, seed: number, fingerprint: string, random: () => number): Promise<void> {
  await files.makeDirectory('data');
  const feed = new FeedFile(files, 'data/sinks', { sink: 'feed', path: 'data/feed', epoch: 1, fingerprint });
  const state = (await feed.open()).get('feed');
  let seq = state?.fingerprint === fingerprint ? (state.cursor?.seq ?? 0) : 0;
  if (seq === 0) await feed.beginAnew();
  while (seq < commits) {
    const upTo = Math.min(commits, seq + 1 + Math.floor(random() * 3));
    while (seq < upTo) for (const line of linesOf(seed, ++seq)) await feed.write(line);
    await feed.commit();
  }
  await feed.close();
}

test('a feed holds each commit once, whenever the power fails', async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const random = randomFrom(seed);
    let files = new FaultyFiles();
    // The second part of the run rebuilds the feed under another definition, in place of the first.
    for (const fingerprint of ['first', 'second']) {
      const content = fingerprint === 'first' ? seed : -seed;
      for (;;) {
        files.stepsLeft = random() < 0.2 ? Infinity : Math.floor(random() * 60);
        try {
          await fill(files, content, fingerprint, random);
          break;
        } catch (error) {
          if (!String(error).includes('EPOWER')) throw error;
          files = random() < 0.3 ? files.kill() : files.crash(random);
        }
      }
      const whole = Buffer.concat(Array.from({ length: commits }, (_, index) => linesOf(content, index + 1)).flat());
      expect(files.bytesOf('data/feed').equals(whole), `seed ${seed}, ${fingerprint}`).toBe(true);
    }
  }
});
