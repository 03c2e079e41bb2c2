import { writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { systemFiles } from '../../base/files.ts';
import { loadConfig } from '../../config/load.ts';
import { createService } from '../../service/create-service.ts';
import type { Service } from '../../service/service.ts';
import { answerJson } from '../../service/verify/answer.ts';
import type { VerifyAnswer } from '../../service/verify/answer.ts';
import { verifySink } from '../../service/verify/verify.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { SecretFilter } from '../../telemetry/secrets.ts';
import type { TestDatabase } from '../servers/suite.ts';
import { temporaryDirectory } from './harness.ts';

let deployments = 0;

/** A service over a PostgreSQL database with sqlite sinks, in this process, to be verified. */
export class Verified {
  readonly directory: string;
  readonly service: Service;

  private constructor(directory: string, service: Service) {
    this.directory = directory;
    this.service = service;
  }

  /** `rest` is the file from `tables` of source `shop` on: `tables: […]` and then whatever follows, indented for the top level. */
  static async start(database: TestDatabase, tables: string, rest: string): Promise<Verified> {
    const directory = await temporaryDirectory();
    const name = `v${++deployments}_${database.name}`.slice(0, 40);
    const file = join(directory, 'tidemark.yaml');
    const source = `sources:\n  shop:\n    type: postgres\n    url: \${URL}\n    tables: ${tables}\n    heartbeat: 1s\n`;
    await writeFile(file, `version: 1\nname: ${name}\n${source}${rest}\nhttp: { port: 0 }\n`);
    const config = await loadConfig(file, { URL: database.url });
    const secrets = new SecretFilter([]);
    const output = { write: (): boolean => true };
    const logger = await createLogger({ level: 'error', output, secrets, colour: false });
    const deps = { clock: systemClock, files: systemFiles, random: Math.random, logger, secrets, output };
    const service = await createService(config, deps);
    onTestFinished(async () => service.stop());
    return new Verified(directory, service);
  }

  async caughtUp(): Promise<void> {
    await this.service.caughtUp(AbortSignal.timeout(60_000));
  }

  async verify(sink: string, repair = false): Promise<VerifyAnswer> {
    const signal = AbortSignal.timeout(120_000);
    return verifySink(this.service.pipeline, { sink, repair, signal, onProgress: () => undefined });
  }

  /** As a client of the API sees it. */
  async verifyJson(sink: string): Promise<Record<string, unknown>> {
    return JSON.parse(answerJson(await this.verify(sink))) as Record<string, unknown>;
  }

  /** Changes the file of the sinks behind tidemark's back. */
  meddle(sql: string): void {
    const file = new DatabaseSync(join(this.directory, 'sinks.db'), { timeout: 10_000 });
    try {
      file.exec(sql);
    } finally {
      file.close();
    }
  }

  rows(sql: string): unknown[] {
    const file = new DatabaseSync(join(this.directory, 'sinks.db'), { readOnly: true });
    try {
      return file
        .prepare(sql)
        .all()
        .map((row) => Object.values(row));
    } finally {
      file.close();
    }
  }
}

const connections = 4;

/** Commits changes to `table (id bigint, name text, balance numeric)` until stopped; about `perSecond` commits a second. */
export function startLoad(
  database: TestDatabase,
  table: string,
  options: { readonly rows: number; readonly perSecond: number },
): { readonly commits: () => number; readonly stop: () => Promise<void> } {
  let commits = 0;
  const stopping = new AbortController();
  const startedMs = performance.now();
  const work = async (first: number): Promise<void> => {
    const client = await database.connect();
    for (let step = first; !stopping.signal.aborted; step += connections) {
      // A fixed sequence: which row, and what becomes of it.
      const id = 1 + ((step * 7919) % options.rows);
      const sql =
        step % 10 === 0
          ? `DELETE FROM ${table} WHERE id = ${id}`
          : `INSERT INTO ${table} VALUES (${id}, 'step ${step}', ${step}.50)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, balance = excluded.balance`;
      await client.query(sql);
      commits++;
      const aheadMs = (commits * 1000) / options.perSecond - (performance.now() - startedMs);
      if (aheadMs > 5) await systemClock.sleep(aheadMs);
    }
  };
  // Several, so that a busy machine keeps up.
  const running = Promise.all(Array.from({ length: connections }, async (_, index) => work(index)));
  // A test that ends early closes the connection; `stop` tells what else went wrong.
  running.catch(() => undefined);
  return {
    commits: () => commits,
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}
