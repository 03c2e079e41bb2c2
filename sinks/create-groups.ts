import { resolve } from 'node:path';
import { DeadLetters } from './dead-letters.ts';
import type { SinkOptions, SqliteSinkOptions } from './options.ts';
import type { Target } from './port.ts';
import { SinkGroup } from './sink-group.ts';
import { Sink } from './sink.ts';
import type { SinkDependencies } from './sink.ts';
import { SqliteTarget } from './sqlite/sqlite-target.ts';

/** One group for each target: sinks that write to the same place share a loop, a cursor and a commit. */
export function createSinkGroups(options: readonly SinkOptions[], deps: SinkDependencies): SinkGroup[] {
  const targets = new Map<string, SinkOptions[]>();
  for (const sink of options) {
    const place = `${sink.type}:${sink.path === '-' ? '-' : resolve(sink.path)}`;
    targets.set(place, [...(targets.get(place) ?? []), sink]);
  }
  return [...targets.values()].map((members) => {
    const sinks = members.map(
      (member) => new Sink(member, new DeadLetters(deps.files, deps.directory, member.name), deps.log),
    );
    return new SinkGroup(sinks, targetOf(members, deps), deps);
  });
}

function targetOf(members: readonly SinkOptions[], deps: SinkDependencies): Target {
  return new SqliteTarget(members.filter(isSqlite), deps);
}

function isSqlite(options: SinkOptions): options is SqliteSinkOptions {
  return options.type === 'sqlite';
}
