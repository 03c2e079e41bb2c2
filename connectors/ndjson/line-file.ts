import { TidemarkError, messageOf, systemCodeOf } from '../../base/errors.ts';
import type { File, Files } from '../../base/files.ts';
import { JsonLineScanner } from '../../model/json-line.ts';

const lineFeed = 0x0a;
const blockBytes = 64 * 1024;

/** Opens the source's file. SOURCE_UNREACHABLE while there is none, SOURCE_PRIVILEGE when this user may not read it. */
export async function openLines(files: Files, path: string, source: string): Promise<File> {
  try {
    return await files.open(path, 'read');
  } catch (error) {
    throw fileError(error, path, source);
  }
}

/** What the system says of a file, in our words. */
export function fileError(error: unknown, path: string, source: string): TidemarkError {
  if (error instanceof TidemarkError) return error;
  const code = systemCodeOf(error);
  const place = { source, file: path };
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new TidemarkError('SOURCE_UNREACHABLE', `${path} is not there yet`, {
      hint: 'The source begins as soon as the file is made; check its `path`.',
      place,
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new TidemarkError('SOURCE_PRIVILEGE', `${path} may not be read by this user`, {
      hint: `Give it the right: chmod a+r ${path} (and a+x on the folders above).`,
      place,
    });
  }
  const what = code === 'EISDIR' ? 'is a folder' : `cannot be read: ${messageOf(error)}`;
  return new TidemarkError('SOURCE_UNREACHABLE', `${path} ${what}`, { hint: 'Check the `path` of the source.', place });
}

/** Where the last whole line of a file of `size` bytes ends, `from` where it has none behind that. */
export async function endOfLines(file: File, from: number, size: number): Promise<number> {
  const block = Buffer.allocUnsafe(blockBytes);
  for (let end = size; end > from;) {
    const start = Math.max(from, end - blockBytes);
    const read = await file.read(block.subarray(0, end - start), start);
    const last = block.subarray(0, read).lastIndexOf(lineFeed);
    if (last < 0) {
      end = start;
      continue;
    }
    return lastLineEnd(file, start + last + 1, size);
  }
  return lastLineEnd(file, from, size);
}

/** The end of the file where what follows its last line end is a whole line without one, else that line end. */
async function lastLineEnd(file: File, from: number, size: number): Promise<number> {
  if (size - from > unfinishedBytesMax || from >= size) return from;
  const rest = Buffer.allocUnsafe(size - from);
  const read = await file.read(rest, from);
  return isWholeLine(rest.subarray(0, read)) ? from + read : from;
}

/** A line without an end is not looked at beyond this. */
const unfinishedBytesMax = 64 * 1024 * 1024;

const anyObject = new JsonLineScanner([]);

/** Whether the bytes of a line without line end are a JSON object already: no beginning of an object is one. */
export function isWholeLine(bytes: Buffer): boolean {
  let last = bytes.length - 1;
  while (last >= 0 && (bytes[last] as number) <= 0x20) last--;
  if (bytes[last] !== 0x7d /* } */) return false;
  try {
    anyObject.scan(bytes, 0, bytes.length);
    return true;
  } catch {
    return false;
  }
}

/** Number, from 1, of the line that begins at `offset` or, after blank lines, behind it. */
export async function lineNumberAt(file: File, offset: number): Promise<number> {
  const block = Buffer.allocUnsafe(blockBytes);
  let lines = 1;
  let at = 0;
  for (let isBefore = true; ;) {
    const read = await file.read(block, at);
    if (read === 0) return lines;
    for (let index = 0; index < read; index++) {
      if (isBefore && at + index >= offset) isBefore = false;
      if (!isBefore && (block[index] as number) > 0x20) return lines;
      if (block[index] === lineFeed) lines++;
    }
    at += read;
  }
}
