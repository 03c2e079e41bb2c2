import { expect, test } from 'vitest';
import { TidemarkError } from '../../base/errors.ts';
import { logEvent } from '../../telemetry/event-log.ts';
import { createLogger, wantsColour } from '../../telemetry/logger.ts';
import { SecretFilter } from '../../telemetry/secrets.ts';

async function logged(isTTY: boolean, colour = false): Promise<string[]> {
  const lines: string[] = [];
  const output = { write: (line: string): void => void lines.push(line), isTTY };
  const logger = await createLogger({ level: 'info', output, secrets: new SecretFilter(['hunter2']), colour });
  const error = new TidemarkError('SOURCE_UNREACHABLE', 'db:5432 refused hunter2', {
    hint: 'Start it.',
    place: { source: 'shop' },
  });
  logEvent(logger, { type: 'source.retrying', source: 'shop', error, attempt: 2, waitMs: 123.4 });
  logEvent(logger, { type: 'sink.applied', sink: 'search', upserts: 1, deletes: 0, seq: 1 });
  return lines;
}

test('a pipe gets one JSON object a line, with code and hint, and per-batch events stay out', async () => {
  const lines = await logged(false);
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    source: 'shop',
    code: 'SOURCE_UNREACHABLE',
    hint: 'Start it.',
    attempt: 2,
    waitMs: 123,
    msg: 'source is retried: db:5432 refused ***',
  });
});

test('a terminal gets a line for people, coloured only when that is wanted', async () => {
  const [plain] = await logged(true);
  expect(plain).toMatch(/WARN.*source is retried: db:5432 refused \*\*\*/);
  expect(plain).not.toContain('\u001B');
  const [coloured] = await logged(true, true);
  expect(coloured).toContain('\u001B[');
  expect(coloured).not.toContain('hunter2');
});

test('NO_COLOR wins over everything', () => {
  expect(wantsColour({ NO_COLOR: '1', FORCE_COLOR: '1' }, true)).toBe(false);
  expect(wantsColour({ FORCE_COLOR: '1' }, false)).toBe(true);
  expect(wantsColour({ NO_COLOR: '' }, true)).toBe(true);
  expect(wantsColour({ TERM: 'dumb' }, true)).toBe(false);
  expect(wantsColour({}, false)).toBe(false);
});
