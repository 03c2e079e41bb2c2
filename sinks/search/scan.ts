import type { SinkDocument } from '../port.ts';
import type { EngineClient } from './engine-client.ts';
import { comparable, elementsOf, membersOf, valueOf } from './json-text.ts';

const batchDocuments = 1_000;
/** How long the engine keeps the scroll between two batches. */
const keepAlive = '5m';

/**
 * All documents that searches see, at one moment, in batches. By scroll, which both engines have in one form and which keeps the order and
 * the state of its beginning; `_source` comes back as the very bytes that were sent.
 */
export async function* scanDocuments(client: EngineClient, index: string): AsyncGenerator<readonly SinkDocument[]> {
  const start = { size: batchDocuments, sort: ['_doc'] };
  const path = `/${encodeURIComponent(index)}/_search?scroll=${keepAlive}`;
  let answer = await client.send('POST', path, JSON.stringify(start), 'application/json');
  let scroll = '';
  try {
    for (;;) {
      const { id, documents } = await read(client, answer.status, answer.text);
      scroll = id;
      if (documents.length === 0) return;
      yield documents;
      const next = { scroll: keepAlive, scroll_id: scroll };
      answer = await client.send('POST', '/_search/scroll', JSON.stringify(next), 'application/json');
    }
  } finally {
    if (scroll !== '') {
      await client.json('DELETE', '/_search/scroll', { scroll_id: [scroll] }, [404]).catch(() => undefined);
    }
  }
}

async function read(
  client: EngineClient,
  status: number,
  text: string,
): Promise<{ id: string; documents: SinkDocument[] }> {
  if (status !== 200) throw client.refused(`refuses to be searched`, { status, text });
  const from = Buffer.from(text);
  const answer = membersOf(from, 0);
  const outer = answer.find(({ name }) => name === '"hits"');
  const hits = outer && membersOf(from, outer.start).find(({ name }) => name === '"hits"');
  const documents: SinkDocument[] = [];
  for (const start of hits === undefined ? [] : elementsOf(from, hits.start)) {
    const members = membersOf(from, start);
    const source = members.find(({ name }) => name === '"_source"');
    documents.push({
      key: JSON.parse(valueOf(from, members, '"_id"') ?? '""') as string,
      text: source === undefined ? '' : comparable(from, source.start),
    });
  }
  return { id: JSON.parse(valueOf(from, answer, '"_scroll_id"') ?? '""') as string, documents };
}
