import { TidemarkError } from '../../base/errors.ts';
import type { Report } from '../../model/events.ts';
import type { LogWriter } from '../../model/log.ts';
import { topicOf } from '../../model/table.ts';
import type { Snapshotter } from '../../snapshot/snapshotter.ts';
import type { CatalogTable, Rewrite, TableVersion } from './catalog.ts';
import { hasIdentity, keyOf, oidOf, readTables, rewriteBetween, versionOf } from './catalog.ts';
import type { TableWatch } from './generations.ts';
import type { PostgresTarget, TableSelection } from './options.ts';
import type { RelationMessage } from './pgoutput.ts';
import type { CapturedTable, Relation } from './relations.ts';
import { buildRelation, hasUnidentified, messageOf } from './relations.ts';
import type { Query } from './session.ts';
import { TypeCache } from './types.ts';

/** The selection of `tables` that a table falls under: an exact name before patterns, the first of these. */
function selectionOf(selections: readonly TableSelection[], schema: string, name: string): TableSelection | undefined {
  const exact = selections.find(
    (selection) => !selection.isPattern && selection.schema === schema && selection.table === name,
  );
  return (
    exact ??
    selections.find(
      (selection) => selection.isPattern && new RegExp(`^${patternSource(selection)}$`).test(`${schema}.${name}`),
    )
  );
}

/** A regular expression, to JavaScript and to PostgreSQL alike, for the names that a selection means. */
function patternSource({ schema, table, isPattern }: TableSelection): string {
  const escaped = `${schema}.${table}`.replaceAll(/[.+?^${}()|[\]\\*]/g, String.raw`\$&`);
  return isPattern ? escaped.replaceAll(String.raw`\*`, '[^.]*') : escaped;
}

/** The captured tables: which they are, what they look like, and what happens when that changes. */
export class Tables {
  readonly #target: PostgresTarget;
  readonly #query: Query;
  readonly #report: Report;
  readonly #types: TypeCache;
  readonly #byOid = new Map<number, CapturedTable>();
  readonly #byTopic = new Map<string, CapturedTable>();
  readonly #relations = new Map<string, Relation>();
  /** Relations as the catalog has the tables now, for reading; the stream may be behind it. */
  readonly #current = new Map<string, Relation>();
  /** The message that each relation was built from. */
  readonly #messages = new Map<string, RelationMessage>();

  /** Who is told of tables that come and go. */
  watch: TableWatch | null = null;

  constructor(target: PostgresTarget, query: Query, report: Report) {
    this.#target = target;
    this.#query = query;
    this.#report = report;
    this.#types = new TypeCache(query);
  }

  get all(): CapturedTable[] {
    return [...this.#byTopic.values()];
  }

  captured(topic: string): CapturedTable | undefined {
    return this.#byTopic.get(topic);
  }

  /** Whether rows of a table cannot be told apart. */
  isKeyless(topic: string): boolean {
    const table = this.#byTopic.get(topic);
    return table !== undefined && table.selection.key.length === 0 && (keyOf(table.catalog) ?? []).length === 0;
  }

  /** Whether the table of an oid is captured under a topic. */
  isCaptured(oid: number, topic: string): boolean {
    return this.#byOid.get(oid)?.topic === topic;
  }

  /** Whether tables came or went since `takeAdded`. */
  get differs(): boolean {
    return this.#differs;
  }

  /** Changes of each table since the last call. */
  *takeCounts(): Iterable<{ topic: string; create: number; update: number; delete: number }> {
    for (const { topic, counts } of [...this.#departed.splice(0), ...this.#relations.values()]) {
      if (counts.create + counts.update + counts.delete === 0) continue;
      yield { topic, ...counts };
      counts.create = counts.update = counts.delete = 0;
    }
  }

  /**
   * Topics whose table is new (or another one under the name) since the last call. Kept until asked for, since
   * whoever looks at the catalog may be the first to see it.
   */
  takeAdded(): ReadonlySet<string> {
    const added = new Set(this.#added);
    this.#differs = false;
    this.#added.clear();
    return added;
  }
  /** Relations whose counts are still to be taken. */
  readonly #departed: Relation[] = [];
  #differs = false;
  readonly #added = new Set<string>();

  /** Reads the catalog. */
  async refresh(): Promise<void> {
    const { name: source, tables: selections } = this.#target;
    const found = await readTables(this.#query, `^(${selections.map(patternSource).join('|')})$`);
    const seen = new Set<number>();
    const arrived: CapturedTable[] = [];
    for (const catalog of found) {
      const selection = selectionOf(selections, catalog.schema, catalog.name);
      if (selection === undefined) continue;
      seen.add(catalog.oid);
      const known = this.#byOid.get(catalog.oid);
      if (known === undefined && selection.isPattern && selection.kind === 'table' && !hasIdentity(catalog)) {
        this.#leaveOut(catalog);
        continue;
      }
      if (known !== undefined && known.topic === topicOf(source, catalog.schema, catalog.name)) {
        if (known.catalog.fingerprint !== catalog.fingerprint) this.#stale.add(known.topic);
        if (known.catalog.composites !== catalog.composites) this.#types.forget();
        known.catalog = catalog;
        continue;
      }
      // Under another name before: another topic.
      if (known !== undefined) this.#forget(known);
      arrived.push({ topic: topicOf(source, catalog.schema, catalog.name), selection, catalog, generation: 0 });
    }
    for (const [oid, table] of this.#byOid) if (!seen.has(oid)) this.#forget(table);
    for (const table of arrived) this.#take(table);
  }

  #take(table: CapturedTable): void {
    this.#byOid.set(table.catalog.oid, table);
    this.#byTopic.set(table.topic, table);
    this.#added.add(table.topic);
    this.#differs = true;
    this.watch?.arrived(table);
  }

  #forget(table: CapturedTable): void {
    const { topic } = table;
    this.#differs = true;
    this.#byOid.delete(table.catalog.oid);
    this.#byTopic.delete(topic);
    this.#added.delete(topic);
    // Another table of this name has other columns by the same numbers.
    const relation = this.#relations.get(topic);
    if (relation !== undefined) this.#departed.push(relation);
    this.#relations.delete(topic);
    this.#current.delete(topic);
    this.#messages.delete(topic);
    this.#stale.delete(topic);
    this.#versions.delete(`version:${topic}`);
    this.#formerIds.delete(topic);
    this.#unidentified.delete(topic);
    this.watch?.departed(table);
  }

  /** A pattern must not make the application's updates fail: publishing a table without an identity would. */
  #leaveOut(catalog: CatalogTable): void {
    if (this.#leftOut.has(catalog.oid)) return;
    this.#leftOut.add(catalog.oid);
    const name = `${catalog.schema}.${catalog.name}`;
    this.#report({
      type: 'source.notice',
      source: this.#target.name,
      table: name,
      message: `table ${name} matches a pattern but has no primary key and no replica identity: it is left out`,
      hint: `Give it one (it is picked up then), or name it in \`tables\` as { name: ${name}, kind: stream }.`,
    });
  }
  readonly #leftOut = new Set<number>();

  /** Fails for exact names that match no table: TABLE_UNKNOWN. */
  requireAll(): void {
    for (const { schema, table, isPattern } of this.#target.tables) {
      if (isPattern || this.all.some(({ catalog }) => catalog.schema === schema && catalog.name === table)) continue;
      throw new TidemarkError('TABLE_UNKNOWN', `there is no table ${schema}.${table}`, {
        place: { source: this.#target.name },
        hint: 'Check schema and spelling in `tables` (names are case-sensitive), and that the user may see it. Views and partitions are captured by their tables.',
      });
    }
    for (const table of this.all) this.#requireIdentity(table);
  }

  #requireIdentity({ catalog, selection }: CapturedTable): void {
    if (selection.kind === 'stream') return;
    const name = `${catalog.schema}.${catalog.name}`;
    const sent = catalog.replicaIdentity === 'f' ? selection.key : (keyOf(catalog) ?? []);
    const missing = selection.key.filter((column) => !sent.includes(column));
    if (hasIdentity(catalog) && missing.length > 0) {
      throw new TidemarkError(
        'TABLE_NO_KEY',
        `column ${missing[0]} of \`key\` is not in the replica identity of ${name}`,
        {
          place: { source: this.#target.name, table: name },
          hint: `The server would not say from which key a row moved: leave \`key\` out, or run ALTER TABLE ${name} REPLICA IDENTITY FULL.`,
        },
      );
    }
    if (hasIdentity(catalog)) return;
    throw new TidemarkError('TABLE_NO_KEY', `table ${name} has no primary key and no replica identity`, {
      place: { source: this.#target.name, table: name },
      hint:
        `Publishing its updates would make the application's own UPDATE fail. Give it a primary key, run ALTER TABLE ${name} REPLICA IDENTITY FULL` +
        ' (or USING INDEX a unique one on NOT NULL columns), or capture it as { name: …, kind: stream } if rows are only ever added.',
    });
  }

  /** The relation that chunks of the table were last packed with. */
  relationOf(topic: string): Relation | undefined {
    return this.#current.get(topic);
  }

  /** The relation of a table as the catalog has it now. */
  async current(topic: string, writer: LogWriter): Promise<Relation> {
    const table = this.#byTopic.get(topic);
    if (table === undefined)
      throw new TidemarkError('TABLE_UNKNOWN', `table ${topic} is gone`, {
        place: { source: this.#target.name, table: topic },
      });
    const relation = await buildRelation(this.#target.name, table, messageOf(table.catalog), this.#current.get(topic), {
      types: this.#types,
      writer,
    });
    if (this.#byTopic.get(topic) !== table) return this.current(topic, writer);
    this.#current.set(topic, relation);
    return relation;
  }

  /**
   * The relation that a message of the stream describes; null when it is not captured. `seen` resolves once the catalog shows what the
   * transaction of the message did: a commit can be streamed before it is visible.
   */
  async relation(message: RelationMessage, writer: LogWriter, seen: () => Promise<void>): Promise<Relation | null> {
    if (!this.#isAsNamed(message)) {
      // Renamed, or new to a publication FOR ALL TABLES: the stream is ahead of the last look at the catalog.
      await seen();
      await this.refresh();
    }
    const table = this.#byOid.get(message.oid);
    if (table === undefined) return null;
    // Read before the catalog is looked at again: columns that it no longer has keep their identity.
    const earlier = this.#current.get(table.topic)?.table.columns;
    const previous = this.#relations.get(table.topic);
    const expected = this.#messages.get(table.topic) ?? messageOf(table.catalog);
    if (!sameColumns(message, expected)) {
      await seen();
      // The table changed: types may have, too (a composite's attributes).
      this.#types.forget();
      await this.refresh();
    }
    const relation = await buildRelation(this.#target.name, table, message, previous, {
      types: this.#types,
      writer,
      formerId: (name) => {
        const id = earlier?.find((column) => column.name === name)?.id;
        return id ?? this.#formerIds.get(table.topic)?.get(name) ?? undefined;
      },
    });
    if (this.#byOid.get(message.oid) !== table) return null;
    this.#relations.set(table.topic, relation);
    this.#messages.set(table.topic, message);
    if (hasUnidentified(relation)) this.#unidentified.add(table.topic);
    return relation;
  }
  /** Topics to whose columns the stream has given names that nobody has seen on them. */
  readonly #unidentified = new Set<string>();

  /** Whether a message names its table as the catalog did at the last look, or names none that is selected. */
  #isAsNamed({ oid, schema, name }: RelationMessage): boolean {
    const table = this.#byOid.get(oid);
    if (table === undefined) return selectionOf(this.#target.tables, schema, name) === undefined;
    return table.catalog.schema === schema && table.catalog.name === name;
  }

  /**
   * Builds the relations of the stream again for tables that have changed since in ways that no message tells: a composite's attributes,
   * a column dropped and added again under its name.
   */
  async renewed(writer: LogWriter): Promise<Relation[]> {
    const renewed: Relation[] = [];
    for (const topic of this.#stale) {
      const table = this.#byTopic.get(topic);
      const message = this.#messages.get(topic);
      const previous = this.#relations.get(topic);
      if (table === undefined || message === undefined || previous === undefined) continue;
      const relation = await buildRelation(this.#target.name, table, message, previous, { types: this.#types, writer });
      this.#relations.set(topic, relation);
      renewed.push(relation);
    }
    this.#stale.clear();
    return renewed;
  }
  readonly #stale = new Set<string>();

  /**
   * Compares each table with what the log knows of it, and has it read again when rows may have changed without events
   * (`on_schema_change`). Called when a table's columns change in the stream, and at each heartbeat for tables that send nothing.
   */
  checkVersions(state: ReadonlyMap<string, string>, snapshotter: Snapshotter): void {
    for (const table of this.all) {
      const text = JSON.stringify(versionOf(table.catalog));
      const name = `version:${table.topic}`;
      const known = this.#versions.get(name) ?? state.get(name);
      if (known === text) continue;
      this.#versions.set(name, text);
      if (known !== undefined) {
        const before = JSON.parse(known) as TableVersion;
        this.#remember(table, before);
        this.#changed(table, rewriteBetween(before, versionOf(table.catalog)), snapshotter);
      }
      snapshotter.changes.set(name, text);
    }
    for (const topic of this.#unidentified) {
      const table = this.#byTopic.get(topic);
      const why = 'columns were added and renamed or dropped, and changes name one that cannot be told from the others';
      if (table !== undefined) this.#changed(table, { kind: 'table', why }, snapshotter);
    }
    this.#unidentified.clear();
  }

  /** Changes from before name columns as they were called then. */
  #remember({ topic, catalog }: CapturedTable, before: TableVersion): void {
    if (oidOf(before) !== catalog.oid) return;
    const ids = this.#formerIds.get(topic) ?? new Map<string, number | null>();
    this.#formerIds.set(topic, ids);
    for (const [id, [, , , name]] of Object.entries(before.columns)) {
      const other = ids.get(name);
      ids.set(name, other === undefined || other === Number(id) ? Number(id) : null);
    }
  }
  /** By topic: the number of the column that a name stood for; null when it stood for several. */
  readonly #formerIds = new Map<string, Map<string, number | null>>();
  /** What `checkVersions` has set and the log may not hold yet. */
  readonly #versions = new Map<string, string>();

  #changed(table: CapturedTable, rewrite: Rewrite, snapshotter: Snapshotter): void {
    const { topic, selection } = table;
    if (rewrite.kind === 'none') return;
    const place = { source: this.#target.name, table: topic };
    const why = rewrite.kind === 'partitions' ? 'a partition was attached or created' : rewrite.why;
    if (selection.onSchemaChange === 'stop') {
      throw new TidemarkError('TABLE_CHANGED', `${topic}: ${why}, and on_schema_change is stop`, {
        place,
        hint: `Set on_schema_change: reread for this table, or run 'tidemark snapshot --table ${topic}' once it is.`,
      });
    }
    const whole = rewrite.kind !== 'partitions' || snapshotter.jobs.has(topic);
    const where = rewrite.kind === 'partitions' && !whole ? `tableoid IN (${rewrite.oids.join(', ')})` : null;
    this.#report({
      type: 'source.notice',
      source: this.#target.name,
      table: topic,
      message: `${topic}: ${why}; ${whole ? 'the table' : 'its new part'} is read ${rewrite.kind === 'other' ? 'anew' : 'again'}`,
    });
    if (rewrite.kind === 'other') {
      // It may not be published yet: whoever sees to that plans its reading.
      snapshotter.withdraw(topic);
      return;
    }
    if (rewrite.kind === 'table') this.watch?.rewritten(table);
    snapshotter.begin(topic, { reread: whole, where, barrier: [] });
  }
}

/** Whether a message describes the columns that are expected. */
function sameColumns(message: RelationMessage, expected: RelationMessage): boolean {
  return shapeOf(message) === shapeOf(expected);
}

function shapeOf({ columns }: RelationMessage): string {
  return JSON.stringify(columns.map(({ name, typeOid, typeModifier }) => [name, typeOid, typeModifier]));
}
