import { TidemarkError } from '../../base/errors.ts';
import type { SearchSinkOptions } from '../options.ts';
import type { SinkShape } from '../port.ts';
import { unfit } from '../unfit.ts';
import { faultOf, wordsOf } from './engine-client.ts';
import type { EngineClient } from './engine-client.ts';
import {
  derivedFields,
  engineRefresh,
  fieldLimit,
  fieldOf,
  mappingOf,
  settingsOf,
  settingsProblem,
} from './mapping.ts';

/** Whose an index is: kept in `_meta` of its mapping. */
export interface Owner {
  readonly deployment: string;
  readonly sink: string;
}

/** An index as the engine has it. */
export interface ExistingIndex {
  readonly aliases: readonly string[];
  /** Null for an index that is not of our making. */
  readonly owner: Owner | null;
  /** Shape of its rows; null before any. */
  readonly shape: SinkShape | null;
  readonly shards: number;
}

/** Creates, changes and drops the indexes of one sink, and moves its alias. */
export class IndexAdmin {
  readonly #client: EngineClient;
  readonly #options: SearchSinkOptions;
  readonly #owner: Owner;

  constructor(client: EngineClient, options: SearchSinkOptions, deployment: string) {
    this.#client = client;
    this.#options = options;
    this.#owner = { deployment, sink: options.name };
  }

  /** The index or alias that the sink is to have, `<alias>-…`, and `others`, as far as they exist; hidden ones too. */
  async list(others: readonly string[]): Promise<Map<string, ExistingIndex>> {
    const { index } = this.#options;
    const names = [...new Set([index, `${index}-*`, ...others])].map(encodeURIComponent).join(',');
    const query =
      'expand_wildcards=all&ignore_unavailable=true&allow_no_indices=true&filter_path=*.aliases,*.mappings._meta.tidemark,*.settings.index.number_of_shards';
    const { body } = await this.#client.json('GET', `/${names}?${query}`);
    const found = new Map<string, ExistingIndex>();
    for (const [name, each] of Object.entries(body as Record<string, RawIndex>)) {
      const meta = each.mappings?._meta?.tidemark;
      found.set(name, {
        aliases: Object.keys(each.aliases ?? {}),
        owner:
          meta?.deployment === undefined || meta.sink === undefined
            ? null
            : { deployment: meta.deployment, sink: meta.sink },
        shape: meta?.shape ?? null,
        shards: Number(each.settings?.index?.number_of_shards ?? 1),
      });
    }
    return found;
  }

  isOurs(owner: Owner | null): boolean {
    return owner?.deployment === this.#owner.deployment;
  }

  /** Creates an empty index that is not refreshed, and the alias that it is written by. False when the name is taken. */
  async create(index: string): Promise<boolean> {
    const problem = settingsProblem(this.#options);
    if (problem !== null) throw this.refused(problem);
    const body = {
      settings: { index: settingsOf(this.#options) },
      mappings: mappingOf(this.#options, { ...this.#owner }),
      aliases: { [writeAlias(index)]: { is_hidden: true } },
    };
    const answer = await this.#client.json(
      'PUT',
      `/${encodeURIComponent(index)}?wait_for_active_shards=1`,
      body,
      [400],
    );
    if (answer.status < 300) return true;
    const fault = faultOf(answer.body);
    if (fault?.type === 'resource_already_exists_exception') return false;
    throw this.refused(wordsOf(fault));
  }

  /** An index as it is configured is none that the engine has. */
  refused(words: string): TidemarkError {
    return unfit(
      'SINK_TARGET',
      `The engine does not make an index as sink '${this.#options.name}' wants it: ${words}`,
      {
        hint: 'Correct `mapping`, `settings` or `index` of the sink, then start again.',
        place: { sink: this.#options.name },
      },
    );
  }

  /** Gives the index the fields of the shape's columns, and remembers the shape there. Returns the engine's words when it has fields that these contradict. */
  async reshape(index: string, shape: SinkShape): Promise<string | null> {
    const path = `/${encodeURIComponent(index)}`;
    const limit = fieldLimit(shape.columns, this.#options);
    if (limit !== null) {
      await this.#client.json('PUT', `${path}/_settings`, { index: { 'mapping.total_fields.limit': limit } });
    }
    const body = {
      _meta: { tidemark: { ...this.#owner, shape } },
      properties: derivedFields(shape.columns, this.#options),
    };
    const answer = await this.#client.json('PUT', `${path}/_mapping`, body, [400]);
    return answer.status < 300 ? null : wordsOf(faultOf(answer.body));
  }

  /** How many shards an index was made with. */
  async shardsOf(index: string): Promise<number> {
    return (await this.list([index])).get(index)?.shards ?? 1;
  }

  /** Lets the engine refresh the index by itself. */
  async letRefresh(index: string): Promise<void> {
    const settings = { index: { refresh_interval: engineRefresh(this.#options) } };
    await this.#client.json('PUT', `/${encodeURIComponent(index)}/_settings`, settings);
  }

  /** Moves the alias in one step: nobody who reads by it finds nothing, or both. */
  async moveAlias(alias: string, from: readonly string[], to: string): Promise<void> {
    const actions = [
      ...from.map((index) => ({ remove: { index, alias } })),
      { add: { index: to, alias, is_write_index: false } },
    ];
    await this.#client.json('POST', '/_aliases', { actions });
  }

  /** Puts the alias by which the index is written where somebody removed it. */
  async ensureWriteAlias(index: string, existing: ExistingIndex | undefined): Promise<void> {
    if (existing?.aliases.includes(writeAlias(index)) !== false) return;
    const actions = [{ add: { index, alias: writeAlias(index), is_hidden: true } }];
    await this.#client.json('POST', '/_aliases', { actions });
  }

  async drop(index: string): Promise<void> {
    await this.#client.json('DELETE', `/${encodeURIComponent(index)}?ignore_unavailable=true`, undefined, [404]);
  }

  /** Whether the index can still be written to. */
  async exists(index: string): Promise<boolean> {
    const path = `/_alias/${encodeURIComponent(writeAlias(index))}`;
    const { status } = await this.#client.json('HEAD', path, undefined, [404]);
    return status === 200;
  }

  /** SINK_TARGET when the name that readers are to use is somebody else's. */
  checkAlias(existing: ReadonlyMap<string, ExistingIndex>): void {
    const { index: alias, name: sink } = this.#options;
    if (existing.has(alias)) {
      throw new TidemarkError('SINK_TARGET', `'${alias}' is an index, not of sink '${sink}'s making`, {
        hint: `Give the sink another \`index\`, or delete that one (DELETE /${alias}): the name is to be an alias.`,
        place: { sink },
      });
    }
    for (const [name, { aliases, owner }] of existing) {
      if (!aliases.includes(alias) || this.isOurs(owner)) continue;
      throw new TidemarkError(
        'SINK_TARGET',
        `Alias '${alias}' leads to '${name}', which is not of sink '${sink}'s making`,
        {
          hint: 'Give the sink another `index`, or remove that alias.',
          place: { sink },
        },
      );
    }
  }
}

interface RawIndex {
  readonly aliases?: Readonly<Record<string, unknown>>;
  readonly mappings?: {
    readonly _meta?: { readonly tidemark?: { deployment?: string; sink?: string; shape?: SinkShape } };
  };
  readonly settings?: { readonly index?: { readonly number_of_shards?: string } };
}

/**
 * The hidden alias by which an index is written. Bulks ask for an alias (`require_alias`), so where the index was deleted they fail, and no
 * index with a guessed mapping takes its place.
 */
export function writeAlias(index: string): string {
  return `${index}-write`;
}

/** What an index cannot follow: a column that is gone, renamed or of another field, or another key. Null when columns were added at most. */
export function unfollowable(from: SinkShape, to: SinkShape): string | null {
  for (const { id, name, type } of from.columns) {
    const next = to.columns.find((column) => column.id === id);
    if (next === undefined) return `column '${name}' is gone`;
    if (next.name !== name) return `column '${name}' is named '${next.name}' now`;
    if (JSON.stringify(fieldOf(type)) !== JSON.stringify(fieldOf(next.type)))
      return `column '${name}' has another type`;
  }
  return keyOf(from) === keyOf(to) ? null : 'the key is another one';
}

function keyOf({ key, columns }: SinkShape): string {
  return JSON.stringify(key.map((position) => columns[position]?.id));
}
