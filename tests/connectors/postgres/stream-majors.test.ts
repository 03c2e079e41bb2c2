import { expect, it } from 'vitest';
import { postgresMajors } from '../../servers/postgres.ts';
import { connectTo, describePostgresServer } from '../../servers/suite.ts';
import { TestPipeline } from './harness.ts';

const setUp = `
  CREATE TABLE keyed (id int PRIMARY KEY, note text, n int DEFAULT 0);
  CREATE TABLE whole (id int PRIMARY KEY, body text, n int DEFAULT 0); ALTER TABLE whole REPLICA IDENTITY FULL;
  CREATE TABLE indexed (id int PRIMARY KEY, code text NOT NULL, n int); CREATE UNIQUE INDEX indexed_code ON indexed (code);
  ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_code;
  CREATE TABLE parted (id int, day date, note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
  CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
  CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
  INSERT INTO keyed SELECT g, 'old' FROM generate_series(1, 100) g; INSERT INTO whole SELECT g, repeat(md5(g::text), 200) FROM generate_series(1, 20) g;
  INSERT INTO indexed SELECT g, 'c' || g, g FROM generate_series(1, 20) g; INSERT INTO parted SELECT g, '2026-01-05', 'p' FROM generate_series(1, 20) g`;

const tables = ['public.keyed', 'public.whole', 'public.indexed', 'public.parted'];

/** Statements each of which is a transaction; the stream is compared after all of them. */
const workload = [
  `INSERT INTO keyed VALUES (200, NULL), (201, ''); UPDATE keyed SET id = 300 WHERE id = 1; DELETE FROM keyed WHERE id = 2`,
  `UPDATE whole SET n = 1; UPDATE whole SET id = -id WHERE id < 5; DELETE FROM whole WHERE id = 10`,
  `UPDATE indexed SET code = 'x' || code WHERE id < 5; UPDATE indexed SET n = 0; DELETE FROM indexed WHERE id = 7`,
  `INSERT INTO parted VALUES (100, '2026-02-07', 'q'); UPDATE parted SET day = '2026-02-01' WHERE id = 3; DELETE FROM parted WHERE id = 4`,
  `BEGIN; INSERT INTO keyed SELECT g, repeat('a', 100) FROM generate_series(1000, 3000) g; SAVEPOINT s; UPDATE keyed SET n = 9; ROLLBACK TO s;
   INSERT INTO keyed SELECT g, repeat('b', 100) FROM generate_series(4000, 5000) g; UPDATE keyed SET n = 1 WHERE id > 4500; COMMIT`,
  `BEGIN; INSERT INTO keyed SELECT g, repeat('c', 100) FROM generate_series(6000, 8000) g; ROLLBACK`,
  `BEGIN; TRUNCATE keyed, indexed; INSERT INTO keyed VALUES (1, 'after'); COMMIT`,
  `ALTER TABLE keyed ADD COLUMN extra int DEFAULT 5; INSERT INTO keyed VALUES (2, 'wider', 0, 6); ALTER TABLE keyed DROP COLUMN note; UPDATE keyed SET extra = 7 WHERE id = 1`,
  `SELECT pg_logical_emit_message(true, 'p', 'm')`,
];

for (const major of postgresMajors) {
  describePostgresServer(
    `a source on PostgreSQL ${major}`,
    { major, settings: { logical_decoding_work_mem: '64kB' } },
    (server) => {
      it('equals its tables after every kind of change, a crash and a restart', async () => {
        const sql = await connectTo(server().url());
        await sql.query(setUp);
        const pipeline = await TestPipeline.started({ url: server().url(), tables });
        await pipeline.consistent();
        for (const [index, statement] of workload.entries()) {
          await sql.query(statement);
          if (index === 3) await pipeline.crash().then(async () => pipeline.start());
        }
        await sql.query(`BEGIN; INSERT INTO keyed VALUES (50, 1); PREPARE TRANSACTION 'p'`);
        await sql.query(`COMMIT PREPARED 'p'`);
        await pipeline.until('the new column to be read', () =>
          pipeline.notices().some((text) => text.includes('read again')),
        );
        await pipeline.settled(...tables);
        await pipeline.stop();
        await sql.query(
          `UPDATE keyed SET n = n + 1; UPDATE whole SET n = n + 1; DELETE FROM parted WHERE day > '2026-02-01'`,
        );
        await pipeline.start();
        await pipeline.settled(...tables);
        const [row] = await pipeline.query('SELECT sum(stream_txns) AS n FROM pg_stat_replication_slots');
        expect(Number(row?.['n'])).toBeGreaterThan(0);
        await pipeline.stop();
        await sql.end();
      });
    },
  );
}
