export interface TextPlace {
  /** From 1. */
  readonly line: number;
  /** In characters (code points), from 1. */
  readonly column: number;
}

/** Line and column of a byte offset in the UTF-8 of `text`. */
export function textPlace(text: string, byteOffset: number): TextPlace {
  const before = Buffer.from(text).subarray(0, byteOffset).toString();
  const lineStart = before.lastIndexOf('\n') + 1;
  return {
    line: before.split('\n').length,
    column: Array.from(before.slice(lineStart)).length + 1,
  };
}
