/**
 * Gives a large buffer's memory back to the system now, instead of when the collector next comes by, which for memory outside its
 * heap can be tens of megabytes later. Only for whole buffers (`Buffer.allocUnsafeSlow`, typed arrays) that nobody reads, writes or
 * looks into any more: it has no bytes afterwards, and neither has any view of it.
 */
export function freeBuffer(buffer: NodeJS.TypedArray): void {
  const memory = buffer.buffer;
  if (memory instanceof ArrayBuffer && memory.byteLength === buffer.byteLength) memory.transfer(0);
}
