import { crc32 } from 'node:zlib';
import type { Files } from '../../base/files.ts';
import { corrupt, decodeFileHead, fileHeadBytes } from './format.ts';

/** Reads and checks what a file says of itself; `start` is where its first frame begins. */
export async function readFileHead(
  files: Files,
  path: string,
): Promise<{ salt: number; start: number; bytes: number; description: unknown }> {
  const file = await files.open(path, 'read');
  try {
    const head = Buffer.alloc(fileHeadBytes);
    const read = await file.read(head, 0);
    const { salt, jsonBytes, jsonCrc } = decodeFileHead(head.subarray(0, read), path);
    const json = Buffer.alloc(jsonBytes);
    await file.read(json, fileHeadBytes);
    if (crc32(json) !== jsonCrc) throw corrupt(path, fileHeadBytes, 'its description fails the checksum');
    const description: unknown = JSON.parse(json.toString());
    return { salt, start: fileHeadBytes + jsonBytes, bytes: await file.size(), description };
  } finally {
    await file.close();
  }
}
