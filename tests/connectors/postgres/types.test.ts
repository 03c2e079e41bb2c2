import { beforeAll, describe, expect, it } from 'vitest';
import { present } from '../../../base/assert.ts';
import { loadTypes, TypeCache } from '../../../connectors/postgres/types.ts';
import type { CatalogQuery } from '../../../connectors/postgres/types.ts';
import type { DataType } from '../../../model/data-type.ts';
import { scalar } from '../../../model/data-type.ts';
import { columnJsonEncoder } from '../../../model/json.ts';
import { ByteWriter } from '../../../model/json-writer.ts';
import { defaultMajor, postgresMajors } from '../../servers/postgres.ts';
import { connectTo, describePostgres, describePostgresServer } from '../../servers/suite.ts';
import { newerCases, typeCases, typesSetup } from './types-cases.ts';
import { compareWithToJson, oneColumnTable, sessionSettings, typesByName } from './types-oracle.ts';

type Query = (sql: string, values?: readonly unknown[]) => Promise<Record<string, string | null>[]>;

async function expectEveryTypeAsToJson(query: Query, major: number): Promise<void> {
  await query(sessionSettings);
  await query(typesSetup);
  const types = await typesByName(
    query,
    typeCases.map(({ type }) => type),
  );
  for (const { type, values } of [...typeCases, ...newerCases.filter(({ since }) => since <= major)]) {
    expect(await compareWithToJson(query, present(types.get(type), type), type, values)).toEqual([]);
  }
}

describePostgres('types of PostgreSQL', (database) => {
  const query: CatalogQuery = async (sql) => database.query(sql);
  const oidOf = async (name: string): Promise<number> =>
    Number((await query(`SELECT '${name}'::regtype::oid AS oid`))[0]?.['oid']);

  it('reads every value of every type into the JSON that to_json prints', async () => {
    await expectEveryTypeAsToJson(async (sql, values) => database.query(sql, values), database.major);
  });

  it('passes bytes that are not UTF-8 as to_json does, and tells them where a document is wanted', async () => {
    const name = `${database.name}_ascii`;
    await database.query(`CREATE DATABASE ${name} ENCODING SQL_ASCII LOCALE 'C' TEMPLATE template0`);
    try {
      const client = await connectTo(database.url.replace(database.name, name));
      // With UTF8, which pg asks for, the server refuses to send such bytes at all.
      await client.query('SET client_encoding = SQL_ASCII');
      const { rows } = await client.query<{ bytes: string; json: string }>(`
        SELECT encode(bytes, 'hex') AS bytes, encode(textsend(to_json(convert_from(bytes, 'SQL_ASCII'))::text), 'hex') AS json
        FROM unnest(ARRAY['\\x61ff22c3', '\\xe9', '\\xeda080', '\\xc3a9']::bytea[]) AS bytes`);
      await client.end();
      expect(rows).toHaveLength(4);
      const table = oneColumnTable(scalar('text'), 'text');
      const strict = columnJsonEncoder(table, 0);
      const lenient = columnJsonEncoder(table, 0, { poison: 'text' });
      for (const { bytes, json } of rows) {
        const into = new ByteWriter();
        const text = Buffer.from(bytes, 'hex');
        lenient.write(text, 0, text.length, into);
        expect(into.bytes().toString('hex')).toBe(json);
        const asked = (): string => strict.stringify(text, 0, text.length);
        if (bytes === 'c3a9') expect(asked()).toBe('"é"');
        else expect(asked).toThrow(expect.objectContaining({ code: 'VALUE_INVALID' }));
      }
    } finally {
      await database.query(`DROP DATABASE ${name} WITH (FORCE)`);
    }
  });

  describe('in the catalog', () => {
    beforeAll(async () => {
      await database.query('CREATE SCHEMA catalogue; SET search_path = catalogue');
    });

    it('follows domains, arrays and composites to what they are made of', async () => {
      await database.query(`
        CREATE DOMAIN price AS numeric(10, 2);
        CREATE DOMAIN prices AS price[];
        CREATE TYPE item AS (sku text, gone int, price price, at timestamptz[]);
        ALTER TYPE item DROP ATTRIBUTE gone;
        CREATE DOMAIN good_item AS item;
        CREATE TYPE cart AS (lines good_item[], boxes box[], tag "char")`);
      const oids = [await oidOf('cart'), await oidOf('prices'), await oidOf('int2vector')];
      const types = await loadTypes(query, oids);
      const item: DataType = {
        kind: 'composite',
        fields: [
          { name: 'sku', type: scalar('text') },
          { name: 'price', type: scalar('numeric') },
          { name: 'at', type: { kind: 'array', element: scalar('timestamptz'), delimiter: ',' } },
        ],
      };
      expect(oids.map((oid) => types.get(oid))).toEqual([
        {
          kind: 'composite',
          fields: [
            { name: 'lines', type: { kind: 'array', element: item, delimiter: ',' } },
            { name: 'boxes', type: { kind: 'array', element: scalar('other'), delimiter: ';' } },
            { name: 'tag', type: scalar('text') },
          ],
        },
        { kind: 'array', element: scalar('numeric'), delimiter: ',' },
        { kind: 'array', element: scalar('int2'), delimiter: ' ' },
      ]);
    });

    it('sees a type that was created or altered after the first look', async () => {
      const cache = new TypeCache(query);
      expect(await cache.resolve([23, 16])).toEqual([scalar('int4'), scalar('bool')]);
      await database.query('CREATE TYPE later AS (a int)');
      const oid = await oidOf('later');
      const first = { kind: 'composite', fields: [{ name: 'a', type: scalar('int4') }] };
      expect(await cache.resolve([oid, 25])).toEqual([first, scalar('text')]);
      await database.query('ALTER TYPE later ADD ATTRIBUTE b bool');
      expect(await cache.resolve([oid])).toEqual([first]);
      cache.forget();
      const [second] = await cache.resolve([oid]);
      expect(second).toEqual({ kind: 'composite', fields: [...first.fields, { name: 'b', type: scalar('bool') }] });
    });

    it('lets a value of a dropped type travel as its text', async () => {
      await database.query("CREATE TYPE brief AS ENUM ('x')");
      const oid = await oidOf('brief');
      await database.query('DROP TYPE brief');
      const cache = new TypeCache(query);
      expect(await cache.resolve([oid])).toEqual([scalar('other')]);
      expect(cache.known(oid)).toBeUndefined();
    });
  });
});

for (const major of postgresMajors.filter((other) => other !== defaultMajor)) {
  describePostgresServer(`types of PostgreSQL ${major}`, { major }, (server) => {
    it('reads every value of every type into the JSON that to_json prints', async () => {
      const client = await connectTo(server().url());
      const query: Query = async (sql, values) => {
        const result = await client.query<Record<string, string | null>>(sql, values ? [...values] : undefined);
        return result.rows;
      };
      await expectEveryTypeAsToJson(query, major);
      await client.end();
    });
  });
}
