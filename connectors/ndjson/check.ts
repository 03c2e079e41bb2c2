import { isTidemarkError } from '../../base/errors.ts';
import { ChangeWriter } from '../../model/change.ts';
import { LineCutter } from '../../model/lines.ts';
import type { CheckResult } from '../../model/source.ts';
import { isWholeLine, openLines } from './line-file.ts';
import { LineTaker } from './line-taker.ts';
import type { NdjsonTarget } from './options.ts';
import { RowPacker } from './row-packer.ts';
import { declaredTable } from './tables.ts';

/** The first line is looked for in so many bytes. */
const headBytes = 1024 * 1024;

/** Every preflight of an ndjson source, one result each: that the file can be read, and that its first line is what it should be. */
export async function* checkNdjson(target: NdjsonTarget): AsyncGenerator<CheckResult> {
  const { name, path, files } = target;
  const subject = `${name}: path`;
  if (path === '-') {
    yield { level: 'ok', subject, message: 'standard input, which is read when the service runs' };
    return;
  }
  let head: Buffer;
  try {
    const file = await openLines(files, path, name);
    try {
      head = Buffer.alloc(headBytes);
      head = head.subarray(0, await file.read(head, 0));
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isTidemarkError(error, 'SOURCE_UNREACHABLE')) {
      const fix = error.hint === undefined ? {} : { fix: error.hint };
      yield { level: 'warning', subject, message: error.message, ...fix };
      return;
    }
    const fix = isTidemarkError(error) ? error.hint : undefined;
    const message = isTidemarkError(error) ? error.message : `${path} cannot be read: ${String(error)}`;
    yield { level: 'error', subject, message, fix: fix ?? 'Give the source the `path` of a file.' };
    return;
  }
  yield { level: 'ok', subject, message: `${path} can be read` };
  yield* checkFirstLine(target, head);
}

function* checkFirstLine({ name, path, tables }: NdjsonTarget, head: Buffer): Generator<CheckResult> {
  const taker = new LineTaker(tables.map((table) => new RowPacker(declaredTable(name, table), table.columns, 1)));
  const subject = `${name}: first line`;
  const changes = new ChangeWriter();
  let isDone = false;
  try {
    const cutter = new LineCutter();
    const take = (line: Parameters<LineTaker['take']>[0]): void => {
      if (!isDone) taker.take(line, changes);
      isDone = true;
    };
    const first = head.indexOf(
      0x0a,
      head.findIndex((byte) => byte > 0x20),
    );
    cutter.feed(first < 0 ? head : head.subarray(0, first + 1), take);
    if (first < 0 && isWholeLine(head)) cutter.end(take);
  } catch (error) {
    if (!isTidemarkError(error, 'VALUE_INVALID')) throw error;
    const fix = 'Correct the line, or the columns of the table in the file.';
    yield { level: 'error', subject, message: `${path}: ${error.message}`, fix };
    return;
  }
  yield {
    level: 'ok',
    subject,
    message: isDone ? 'fits the table that it is of' : 'there is none yet',
  };
}
