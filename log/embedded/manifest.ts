import { crc32 } from 'node:zlib';
import type { Files } from '../../base/files.ts';
import { replaceFile } from '../../base/files.ts';
import { corrupt, formatVersion, newerFormat } from './format.ts';

/**
 * A small file that is replaced as a whole: one line `{"format":1,"crc":"<hex>"}`, where crc is the crc32 of `<format>\n` and
 * what follows the line, then a JSON value.
 */
export async function writeManifest(files: Files, path: string, value: unknown): Promise<void> {
  const body = `${JSON.stringify(value, null, 1)}\n`;
  const first = JSON.stringify({ format: formatVersion, crc: checksum(formatVersion, body) });
  await replaceFile(files, path, Buffer.from(`${first}\n${body}`));
}

/** The value, or undefined when there is no such file. Fails with LOG_CORRUPT or LOG_FORMAT. */
export async function readManifest<T>(files: Files, path: string): Promise<T | undefined> {
  if (!(await files.exists(path))) return undefined;
  const text = (await readWhole(files, path)).toString();
  const lineEnd = text.indexOf('\n');
  const first = parse(text.slice(0, lineEnd), path) as { format?: unknown; crc?: unknown } | null;
  if (first === null || typeof first.format !== 'number' || typeof first.crc !== 'string') {
    throw corrupt(path, 0, 'its first line is not that of a manifest');
  }
  const body = text.slice(lineEnd + 1);
  if (first.crc !== checksum(first.format, body)) throw corrupt(path, 0, 'its content fails the checksum');
  if (first.format > formatVersion) throw newerFormat(path, first.format);
  return parse(body, path) as T;
}

async function readWhole(files: Files, path: string): Promise<Buffer> {
  const file = await files.open(path, 'read');
  try {
    const content = Buffer.alloc(await file.size());
    const read = await file.read(content, 0);
    return content.subarray(0, read);
  } finally {
    await file.close();
  }
}

function checksum(format: number, body: string): string {
  return crc32(`${format}\n${body}`).toString(16).padStart(8, '0');
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw corrupt(path, 0, `it is not JSON (${String(error)})`);
  }
}
