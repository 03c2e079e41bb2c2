import type { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkPostgres } from '../../../connectors/postgres/check.ts';
import type { PostgresTarget, TableSelection } from '../../../connectors/postgres/options.ts';
import type { CheckResult } from '../../../model/source.ts';
import { connectTo, describePostgresServer } from '../../servers/suite.ts';

function selection(table: string, rest: Partial<TableSelection> = {}): TableSelection {
  return {
    schema: 'public',
    table,
    isPattern: table.includes('*'),
    kind: 'table',
    key: [],
    exclude: [],
    onSchemaChange: 'reread',
    where: null,
    ...rest,
  };
}

/** The lines that are not ok, by what they are about. */
function complaints(results: readonly CheckResult[]): Map<string, CheckResult> {
  return new Map(
    results.filter(({ level }) => level !== 'ok').map((result) => [result.subject.replace('shop: ', ''), result]),
  );
}

describePostgresServer('check', { auth: 'scram-sha-256', settings: { max_replication_slots: 3 } }, (server) => {
  let admin: Client;
  beforeAll(async () => {
    admin = await connectTo(server().url());
    await admin.query(`CREATE TABLE good (id int PRIMARY KEY); CREATE TABLE "Guarded ""x""" (id int PRIMARY KEY);
      ALTER TABLE "Guarded ""x""" ENABLE ROW LEVEL SECURITY; CREATE TABLE loose (a int);
      CREATE ROLE "Odd role" LOGIN PASSWORD 'Odd role'`);
  });
  afterAll(async () => admin?.end());

  async function check(options: Partial<PostgresTarget> = {}, user = 'postgres'): Promise<CheckResult[]> {
    const target = {
      name: 'shop',
      url: server().url('postgres', user),
      tables: [selection('good')],
      slot: 'sl',
      publication: 'pub',
      ...options,
    };
    const results: CheckResult[] = [];
    for await (const result of checkPostgres(target)) results.push(result);
    return results;
  }

  const line = async (slot: string): Promise<CheckResult | undefined> =>
    (await check({ slot })).find(({ subject }) => subject === 'shop: slot');

  async function fix(result: CheckResult | undefined): Promise<void> {
    const [statements] = /(?:ALTER|GRANT|CREATE|DROP|SELECT) [\s\S]*;/.exec(result?.fix ?? '') ?? [];
    expect(statements, `the fix of ${String(result?.subject)} has no statement: ${String(result?.fix)}`).toBeDefined();
    await admin.query(String(statements));
  }

  it('tells each thing once, in an order that begins with the server', async () => {
    const subjects = (await check()).map(({ subject }) => subject);
    expect(subjects).toEqual([
      'shop: version',
      'shop: wal_level',
      'shop: replication',
      'shop: slot',
      'shop: max_slot_wal_keep_size',
      'shop: public.good',
      'shop: publication',
    ]);
    expect([...complaints(await check()).keys()]).toEqual(['max_slot_wal_keep_size']);
  });

  it('prints fixes for a role with an odd name and a table with one, which do when they are run', async () => {
    const tables = [selection('good'), selection('Guarded "x"')];
    const before = complaints(await check({ tables }, 'Odd role'));
    expect([...before.keys()]).toEqual([
      'replication',
      'max_slot_wal_keep_size',
      'public.good',
      'public.Guarded "x"',
      'publication',
    ]);
    for (const name of ['replication', 'public.good', 'public.Guarded "x"', 'publication']) await fix(before.get(name));
    const after = complaints(await check({ tables }, 'Odd role'));
    expect([...after.keys()]).toEqual(['max_slot_wal_keep_size', 'public.Guarded "x"']);
    expect(after.get('public.Guarded "x"')).toMatchObject({ level: 'warning' });
    await fix(after.get('public.Guarded "x"'));
    const { rows } = await admin.query<{ bypass: string }>(
      `SELECT rolbypassrls AS bypass FROM pg_roles WHERE rolname = 'Odd role'`,
    );
    expect(rows).toEqual([{ bypass: 't' }]);
    await admin.query(`DROP PUBLICATION pub`);
  });

  it('sees a publication that is out of step with the tables', async () => {
    await admin.query(`CREATE PUBLICATION pub FOR TABLE good WITH (publish = 'insert')`);
    const told = complaints(await check({}, 'Odd role')).get('publication');
    expect(told).toMatchObject({ level: 'error' });
    await fix(told);
    expect(complaints(await check({}, 'Odd role')).has('publication')).toBe(false);
    await admin.query(`DROP PUBLICATION pub`);
  });

  it('tells of a row filter that would make updates fail, and whether the publication has it as it should', async () => {
    await admin.query(`CREATE TABLE part (id int PRIMARY KEY, region text, n int)`);
    const told = complaints(await check({ tables: [selection('part', { where: `region = 'eu' AND part.n > 1` })] }));
    expect(told.get('public.part')).toMatchObject({ level: 'error', message: expect.stringContaining('column') });
    await fix(told.get('public.part'));
    const publication = async (where: string): Promise<CheckResult | undefined> => {
      const results = await check({ tables: [selection('part', { where })] });
      expect([...complaints(results).keys()]).toEqual(['max_slot_wal_keep_size']);
      return results.find(({ subject }) => subject === 'shop: publication');
    };
    const where = `region IN ('eu', 'us') AND part.n > 1`;
    expect((await publication(where))?.message).toBe('pub will be made');
    await admin.query(
      `CREATE PUBLICATION pub FOR TABLE ONLY part WHERE (${where}) WITH (publish_via_partition_root = true)`,
    );
    expect((await publication(where))?.message).toBe('pub publishes these tables, as it should');
    expect((await publication(`region in ( 'eu','us' ) and n>1`))?.message).toContain('as it should');
    expect((await publication(`region IN ('eu', 'us') AND n > 2`))?.message).toContain('will be changed: ALTER');
    const wrong = complaints(await check({ tables: [selection('part', { where: 'regoin = 1' })] })).get('public.part');
    expect(wrong).toMatchObject({ level: 'error', message: expect.stringContaining('regoin') });
    await admin.query(`DROP PUBLICATION pub; CREATE PUBLICATION pub FOR ALL TABLES`);
    const everything = complaints(await check({ tables: [selection('part', { where })] })).get('publication');
    expect(everything).toMatchObject({ level: 'error', message: expect.stringContaining('cannot leave out rows') });
    await admin.query(`DROP PUBLICATION pub; DROP TABLE part`);
  });

  it('tells names and patterns that match nothing, and tables whose rows cannot be told apart', async () => {
    const told = complaints(await check({ tables: [selection('absent'), selection('absent_*'), selection('loose')] }));
    expect(told.get('public.absent')).toMatchObject({ level: 'error' });
    expect(told.get('public.absent_*')).toMatchObject({ level: 'warning' });
    expect(told.get('public.loose')).toMatchObject({ level: 'error' });
    expect(complaints(await check({ tables: [selection('loose', { kind: 'stream' })] })).has('public.loose')).toBe(
      false,
    );
  });

  it('sees the slot: to be made, there, in use, of something else, and none left', async () => {
    expect(await line('sl')).toMatchObject({ level: 'ok', message: expect.stringContaining('3 slots are free') });
    await admin.query(
      `SELECT pg_create_logical_replication_slot('sl', 'pgoutput'), pg_create_physical_replication_slot('phys'), pg_create_physical_replication_slot('more')`,
    );
    expect(await line('sl')).toMatchObject({ level: 'ok' });
    expect(await line('phys')).toMatchObject({ level: 'error' });
    expect(await line('none_left')).toMatchObject({
      level: 'error',
      fix: expect.stringContaining('max_replication_slots'),
    });
    for (const slot of ['sl', 'phys', 'more']) await admin.query(`SELECT pg_drop_replication_slot($1)`, [slot]);
  });

  it('changes nothing on the server', async () => {
    const { rows } = await admin.query(
      `SELECT (SELECT count(*) FROM pg_publication) AS publications, (SELECT count(*) FROM pg_replication_slots) AS slots`,
    );
    expect(rows).toEqual([{ publications: '0', slots: '0' }]);
  });
});
