import { present } from '../base/assert.ts';
import { TidemarkError } from '../base/errors.ts';
import { HttpTarget } from './http/http-target.ts';
import type { TargetClasses } from './load-targets.ts';
import { FeedFile } from './ndjson/feed-file.ts';
import { FeedPipe } from './ndjson/feed-pipe.ts';
import { NdjsonTarget } from './ndjson/ndjson-target.ts';
import { fingerprintOf, streamOf } from './options.ts';
import type { NdjsonSinkOptions, SinkOptions, SqliteSinkOptions } from './options.ts';
import { placeOf } from './place.ts';
import type { Target } from './port.ts';
import { SinkGroup } from './sink-group.ts';
import { Sink } from './sink.ts';
import type { SinkDependencies } from './sink.ts';
import { SqliteTarget } from './sqlite/sqlite-target.ts';

/**
 * One group for each target: sinks that write to the same place share a loop, a cursor and a commit. `classes` are those of the kinds of
 * sinks that there are (`loadTargets`).
 */
export function createSinkGroups(
  options: readonly SinkOptions[],
  deps: SinkDependencies,
  classes: TargetClasses = {},
): SinkGroup[] {
  const targets = new Map<string, SinkOptions[]>();
  for (const sink of options) {
    const place = placeOf(sink);
    targets.set(place, [...(targets.get(place) ?? []), sink]);
  }
  return [...targets.values()].map((members) => {
    const sinks = members.map((member) => new Sink(member, deps));
    return new SinkGroup(sinks, targetOf(members, deps, classes), deps);
  });
}

function targetOf(members: readonly SinkOptions[], deps: SinkDependencies, classes: TargetClasses): Target {
  const [member] = members;
  switch (member?.type) {
    case 'sqlite':
      return sqliteTarget(membersOf(members, 'sqlite'), deps);
    case 'ndjson':
      return ndjsonTarget(membersOf(members, 'ndjson'), deps);
    case 'redis':
      return new (present(classes.redis, 'the class of Redis targets'))(membersOf(members, 'redis'), deps);
    case 'opensearch':
    case 'elasticsearch':
      return new (present(classes.search, 'the class of search targets'))(member, deps);
    case 'http':
      return new HttpTarget(member, deps);
    default:
      throw new TidemarkError('INTERNAL', `a group without sinks`);
  }
}

/** The members with the type that they all have. */
function membersOf<Type extends SinkOptions['type']>(
  members: readonly SinkOptions[],
  type: Type,
): Extract<SinkOptions, { type: Type }>[] {
  return members.filter((member): member is Extract<SinkOptions, { type: Type }> => member.type === type);
}

function sqliteTarget(members: readonly SqliteSinkOptions[], deps: SinkDependencies): Target {
  const tables = new Map<string, string>();
  for (const { name, table, path } of members) {
    const other = tables.get(table.toLowerCase());
    tables.set(table.toLowerCase(), name);
    if (other === undefined) continue;
    throw new TidemarkError('CONFIG_INVALID', `Sinks '${other}' and '${name}' write to the same table, '${table}'`, {
      hint: 'Give one of them another `table`.',
      place: { sink: name, file: path },
    });
  }
  return new SqliteTarget(members, deps);
}

function ndjsonTarget(members: readonly NdjsonSinkOptions[], deps: SinkDependencies): Target {
  const feeds = new Map(
    members.map((member) => {
      const { name, sourceName = streamOf(member), numbers = 'exact' } = member;
      return [name, { source: sourceName, numbers }];
    }),
  );
  const [first, second] = members;
  if (first === undefined || first.path === '-') {
    const fingerprints = new Map(members.map((member) => [member.name, fingerprintOf(member)]));
    return new NdjsonTarget(new FeedPipe(deps.output ?? process.stdout, deps, fingerprints), feeds, deps);
  }
  if (second !== undefined) {
    throw new TidemarkError('CONFIG_INVALID', `Sinks '${first.name}' and '${second.name}' write to the same file`, {
      hint: 'Give each ndjson sink a path of its own.',
      place: { sink: second.name, file: first.path },
    });
  }
  const feed = new FeedFile(deps.files, deps.directory, {
    sink: first.name,
    path: first.path,
    epoch: deps.log.epoch,
    fingerprint: fingerprintOf(first),
  });
  return new NdjsonTarget(feed, feeds, deps);
}
