/**
 * Whether search engines take the text as the name of an index, with room for what is added to it
 * (https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-indices-create): small letters, none of \ / * ? " < > | space , # :,
 * not beginning with - _ + (nor with a dot, which is for hidden ones), at most 255 bytes.
 */
export function isIndexName(text: string): boolean {
  if (Buffer.byteLength(text) > 255 - suffixBytes) return false;
  // oxlint-disable-next-line no-control-regex -- control characters are refused too
  return /^[^-_+.\\/*?"<>|\s,#:\x00-\x1f][^\\/*?"<>|\s,#:\x00-\x1f]*$/.test(text) && text === text.toLowerCase();
}

/** `-<number>` of the index behind the alias. */
const suffixBytes = 24;
