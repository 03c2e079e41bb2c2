import { TidemarkError } from '../../base/errors.ts';
import type { EngineClient } from './engine-client.ts';

export interface EngineInfo {
  readonly flavour: 'opensearch' | 'elasticsearch';
  readonly version: string;
}

/** The first versions with aliases that bulks can ask for and that can be hidden. */
const oldest = { opensearch: [1, 0], elasticsearch: [7, 16] } as const;

/**
 * What the server says it is; null when it does not tell: users may be kept from asking, and distributions exist without the page.
 * SINK_TARGET when it is no search engine, or one too old.
 */
export async function identify(client: EngineClient): Promise<EngineInfo | null> {
  const { status, body } = await client.json('GET', '/', undefined, [400, 403, 404, 405]);
  if (status !== 200) return null;
  const version = (body['version'] ?? {}) as { number?: unknown; distribution?: unknown };
  if (typeof version.number !== 'string') {
    throw new TidemarkError('SINK_TARGET', 'What answers at `url` is neither OpenSearch nor Elasticsearch', {
      hint: 'Correct `url` of the sink: it is to lead to the engine itself, by HTTP.',
      place: { sink: client.sink },
    });
  }
  const flavour = version.distribution === 'opensearch' ? 'opensearch' : 'elasticsearch';
  const [major = 0, minor = 0] = version.number.split('.').map(Number);
  const [oldestMajor, oldestMinor] = oldest[flavour];
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    throw new TidemarkError('SINK_TARGET', `The server is ${flavour} ${version.number}, which is too old`, {
      hint: `It must be ${oldestMajor}.${oldestMinor} or newer.`,
      place: { sink: client.sink },
    });
  }
  return { flavour, version: version.number };
}
