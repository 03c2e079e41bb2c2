import '../seed.ts';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { present } from '../../base/assert.ts';
import { scalar } from '../../model/data-type.ts';
import type { DataType, ScalarName } from '../../model/data-type.ts';
import { columnJsonEncoder, rowJsonEncoder } from '../../model/json.ts';
import { packRow } from '../../model/row.ts';
import type { Table } from '../../model/table.ts';
import { describeRedis } from '../servers/redis-suite.ts';
import { Harness, caughtUp, table } from './harness.ts';
import type { Row } from './harness.ts';
import { RedisDelivery, redisSink } from './redis-harness.ts';

const text = fc
  .string({ unit: 'binary', maxLength: 300 })
  .filter((value) => !value.includes('\0') && value.isWellFormed());
const digits = fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }).map(String);

/** Texts as PostgreSQL prints values of the type. */
const values: Record<ScalarName, fc.Arbitrary<string>> = {
  bool: fc.constantFrom('t', 'f'),
  int2: fc.integer({ min: -32_768, max: 32_767 }).map(String),
  int4: fc.integer().map(String),
  int8: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  numeric: fc.oneof(
    digits,
    digits.map((value) => `${value}.0${value.replace('-', '')}`),
    fc.constantFrom('NaN', 'Infinity'),
  ),
  float4: fc.constantFrom('1.5', '-0', '1e+20', 'NaN', '-Infinity'),
  float8: fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }).map(String), fc.constantFrom('NaN', 'Infinity')),
  text,
  bytea: fc.uint8Array({ maxLength: 50 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
  uuid: fc.uuid(),
  date: fc.constantFrom('2026-11-21', '0044-03-15 BC', 'infinity', '294276-12-31'),
  time: fc.constantFrom('00:00:00', '23:59:59.999999', '24:00:00'),
  timetz: fc.constantFrom('12:00:00+00', '12:00:00.5-05:30'),
  timestamp: fc.constantFrom('2026-11-21 14:55:00', '0044-03-15 00:00:00.000001 BC', '-infinity'),
  timestamptz: fc.constantFrom('2026-11-21 14:55:00.5+00', '0001-01-01 00:00:00+00 BC', 'infinity'),
  interval: fc.constantFrom('1 mon -1 days +02:03:04.5', '00:00:00'),
  json: fc.json().map((value) => value.replace(',', ',\n  ')),
  jsonb: fc.json(),
  other: text,
};

const arrayOf = (element: DataType): DataType => ({ kind: 'array', element, delimiter: ',' });
const nested: Record<string, [DataType, fc.Arbitrary<string>]> = {
  numbers: [
    arrayOf(scalar('int8')),
    fc.constantFrom('{}', '{1,NULL,9007199254740993}', '{{1,2},{3,4}}', '[0:1]={1,2}'),
  ],
  texts: [arrayOf(scalar('text')), fc.constantFrom('{"a \\"b\\"",NULL,"NULL"}', '{ä,"{x}"}')],
  pair: [
    {
      kind: 'composite',
      fields: [
        { name: 'a "b"', type: scalar('int4') },
        { name: 'c', type: arrayOf(scalar('timestamptz')) },
      ],
    },
    fc.constantFrom('(1,"{""2026-01-01 00:00:00+00""}")', '(,)'),
  ],
};

const names = Object.keys(values) as ScalarName[];
const wide = table('wide', {
  id: 'int8',
  ...Object.fromEntries(names.map((name) => [`a "${name}"`, name])),
  ...Object.fromEntries(Object.entries(nested).map(([name, [type]]) => [name, type])),
});
const rows: fc.Arbitrary<(string | null)[]> = fc.tuple(
  ...names.map((name) => fc.option(values[name])),
  ...Object.values(nested).map(([, value]) => fc.option(value)),
);

/** What the field of a hash is to hold, by what PostgreSQL's JSON of the value is: that, without quotes around a scalar. */
function fieldOf(of: Table, index: number, value: string): string {
  const bytes = Buffer.from(value);
  const json = columnJsonEncoder(of, index).stringify(bytes, 0, bytes.length);
  const { type } = present(of.columns[index], 'a column');
  const isText = type.kind === 'scalar' && type.name !== 'json' && type.name !== 'jsonb';
  return isText && json.startsWith('"') ? (JSON.parse(json) as string) : json;
}

describeRedis('values of every type in Redis', {}, (suite) => {
  it('are those of the canonical JSON, as strings and as hashes', async () => {
    const harness = await Harness.create();
    const client = suite.client();
    const samples = fc.sample(rows, 300);
    for (const [id, sample] of samples.entries()) {
      const row: Row = {};
      wide.columns.forEach(({ name }, index) => (row[name] = index === 0 ? String(id) : (sample[index - 1] ?? null)));
      harness.feeder.upsert(wide, row);
    }
    const seq = harness.feeder.commitConsistent(wide);
    await harness.feeder.durable();
    const delivery = new RedisDelivery(harness, [
      redisSink(suite.url, wide),
      redisSink(suite.url, wide, { name: 'hashes', key: 'h:{id}', format: 'hash' }),
    ]);
    try {
      await caughtUp(delivery.groups, seq);
      for (const [id, sample] of samples.entries()) {
        const packed = [String(id), ...sample];
        const json = rowJsonEncoder(wide).encode(packRow(packed), 0);
        expect(await client.getBuffer(`wide:${id}`)).toEqual(json);
        const fields = packed.flatMap((value, index): [string, string][] =>
          value === null ? [] : [[wide.columns[index]?.name ?? '', fieldOf(wide, index, value)]],
        );
        expect(await client.hgetall(`h:${id}`)).toEqual(Object.fromEntries(fields));
      }
    } finally {
      await delivery.stop();
      await harness.close();
      client.disconnect();
    }
  });

  it('make keys of every type that are told apart, and by which rows are deleted', async () => {
    for (const name of [...names.filter((one) => one !== 'json'), 'numbers'] as const) {
      await harnessed(async (harness) => {
        const type = name === 'numbers' ? arrayOf(scalar('int8')) : scalar(name);
        const of = table('keyed', { key: type, other: 'text' }, [0, 1]);
        const from = name === 'numbers' ? present(nested['numbers'], 'numbers')[1] : values[name];
        const samples = fc.sample(fc.tuple(from, text), 40).map(([key, other]) => ({ key, other }));
        const distinct = new Map(samples.map((row) => [JSON.stringify(row), row]));
        for (const row of distinct.values()) harness.feeder.upsert(of, row);
        harness.feeder.commitConsistent(of);
        await harness.feeder.durable();
        const client = suite.client();
        const delivery = new RedisDelivery(harness, [redisSink(suite.url, of)]);
        try {
          await caughtUp(delivery.groups, harness.feeder.seq);
          expect([name, (await client.keys('keyed:*')).length]).toEqual([name, distinct.size]);
          for (const row of distinct.values()) harness.feeder.delete(of, row);
          harness.feeder.commit();
          await harness.feeder.durable();
          await caughtUp(delivery.groups, harness.feeder.seq);
          expect([name, (await client.keys('keyed:*')).length]).toEqual([name, 0]);
        } finally {
          await delivery.stop();
          await client.flushall();
          client.disconnect();
        }
      });
    }
  });
});

async function harnessed(work: (harness: Harness) => Promise<void>): Promise<void> {
  const harness = await Harness.create();
  try {
    await work(harness);
  } finally {
    await harness.close();
  }
}
