import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import type { Clock } from '../../base/clock.ts';
import { TidemarkError } from '../../base/errors.ts';
import { systemFiles } from '../../base/files.ts';
import type { Files } from '../../base/files.ts';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import type { PipelineEvent, Report } from '../../model/events.ts';
import type { Log } from '../../model/log.ts';
import { lsnOrder } from '../../model/position.ts';
import type { Source, SourceStatus } from '../../model/source.ts';
import { Service } from '../../service/service.ts';
import type { ServiceSetup } from '../../service/service.ts';
import { createSinkGroups } from '../../sinks/create-groups.ts';
import type { SinkOptions } from '../../sinks/options.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { SecretFilter } from '../../telemetry/secrets.ts';
import { Feeder, table } from '../sinks/harness.ts';

export const customers = table('customers', { id: 'int8', name: 'text' });

/** A folder of its own for a test, removed when the test ends. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-service-'));
  onTestFinished(async () => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A source whose database is the test: what the test hands to `feeder` goes through the log's own writer. */
export class FedSource implements Source {
  readonly name = 'shop';
  readonly type = 'fed';
  readonly #log: Log;
  readonly #report: Report;
  feeder: Feeder | null = null;
  /** Runs so far. */
  runs = 0;
  /** Set to fail the run at its start. */
  startError: TidemarkError | null = null;
  /** Set to fail the run under way. */
  fail: (error: TidemarkError) => void = () => undefined;
  positionError: TidemarkError | null = null;
  /** Set for a source on which nothing happens any more. */
  idleAt: string | null = null;
  snapshots: { topic: string; where: string | undefined }[] = [];

  constructor(log: Log, report: Report) {
    this.#log = log;
    this.#report = report;
  }

  async run(signal: AbortSignal): Promise<void> {
    this.runs++;
    if (this.startError) throw this.startError;
    const writer = await this.#log.writer(this.name);
    this.feeder = new Feeder(this.#log, writer);
    this.#report({ type: 'source.connected', source: this.name, server: 'test', position: '0/0' });
    try {
      await new Promise<void>((resolve, reject) => {
        this.fail = reject;
        signal.addEventListener('abort', () => resolve(), { once: true });
        if (signal.aborted) resolve();
      });
    } finally {
      this.feeder = null;
      await writer.close();
    }
  }

  status(): SourceStatus {
    const { position } = this.#log.frontier(this.name);
    const isConsistent = this.#log.state(this.name).has(`consistent:${customers.topic}`);
    return {
      name: this.name,
      type: this.type,
      position,
      lagBytes: 0,
      lagSeconds: 0.0123456,
      snapshot: {
        state: isConsistent ? 'done' : 'running',
        rows: 5,
        rowsEstimated: 10,
        chunksLeft: 1,
        rowsPerSecond: 2.4,
        waitingFor: null,
        tables: [{ topic: customers.topic, state: isConsistent ? 'done' : 'running', rows: 5, rowsEstimated: 10 }],
      },
      consistent: isConsistent,
      error: null,
    };
  }

  async currentPosition(): Promise<string> {
    if (this.positionError) throw this.positionError;
    if (!this.feeder) throw new TidemarkError('SOURCE_UNREACHABLE', 'the source does not run');
    return this.idleAt ?? this.feeder.mark();
  }

  async snapshot(topic: string, where?: string): Promise<void> {
    this.snapshots.push({ topic, where });
  }

  /** The feeder of the run under way. */
  get feed(): Feeder {
    if (!this.feeder) throw new TidemarkError('INTERNAL', 'the source does not run');
    return this.feeder;
  }
}

export interface TestService {
  readonly service: Service;
  readonly source: FedSource;
  readonly directory: string;
  readonly events: PipelineEvent[];
  /** Everything that was logged. */
  readonly logged: string[];
  readonly get: (path: string, headers?: Record<string, string>) => Promise<Response>;
  /** Waits until the source runs. */
  readonly connected: () => Promise<void>;
}

/** A service with one fed source and real sinks, on a port of its own. */
export async function startService(
  options: {
    directory?: string;
    sinks?: (directory: string) => SinkOptions[];
    http?: Partial<ServiceSetup['http']>;
    disk?: ServiceSetup['disk'];
    files?: Files;
    clock?: Clock;
    secrets?: string[];
  } = {},
): Promise<TestService> {
  const directory = options.directory ?? (await temporaryDirectory());
  const files = options.files ?? systemFiles;
  const clock = options.clock ?? systemClock;
  const events: PipelineEvent[] = [];
  const logged: string[] = [];
  const secrets = new SecretFilter(options.secrets ?? []);
  const output = {
    write: (line: string | Buffer): boolean => logged.push(String(line)) > 0,
  };
  const logger = await createLogger({ level: 'trace', output, secrets, colour: false });
  let source: FedSource | null = null;
  const service = await Service.start(
    {
      dataDirectory: directory,
      disk: options.disk ?? { warnPercent: 99.99, stopPercent: 100 },
      http: { host: '127.0.0.1', port: 0, token: undefined, ...options.http },
      plan: async (report) => {
        const log = await openEmbeddedLog({ directory: join(directory, 'log'), files, clock, report });
        const fed = new FedSource(log, (event) => {
          events.push(event);
          report(event);
        });
        source = fed;
        const deps = {
          name: 'test',
          log,
          clock,
          files,
          random: Math.random,
          report,
          onError: 'dead_letter' as const,
          output,
        };
        const groups = createSinkGroups(options.sinks?.(directory) ?? [], { ...deps, directory });
        const origin = { version: '0', connector: 'fed', name: 'shop', database: 'test' };
        return {
          name: 'test',
          log,
          sources: [{ name: 'shop', type: 'fed', order: lsnOrder, origin, build: () => fed }],
          views: null,
          sinks: groups.map((group) => ({
            sinks: group.sinks.map(({ name, stream, topic }) => ({ name, topic, fedBy: { source: stream } })),
            group,
            run: async (signal: AbortSignal) => group.run(signal),
            status: () => group.status(),
            onProgress: (listener: () => void) => group.onProgress(listener),
          })),
        };
      },
    },
    { clock, files, random: Math.random, logger, secrets, output },
  );
  onTestFinished(async () => service.stop());
  if (!source) throw new TidemarkError('INTERNAL', 'the plan was not asked for');
  const fed: FedSource = source;
  const get = async (path: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(new URL(path, service.url), { headers });
  const connected = async (): Promise<void> => until(() => fed.feeder !== null);
  return { service, source: fed, directory, events, logged, get, connected };
}

export function sqliteSink(directory: string, name = 'search'): SinkOptions {
  const path = join(directory, `${name}.db`);
  return { type: 'sqlite', name, from: customers.topic, path, table: 'customers', search: [], start: 'consistent' };
}

/** Waits until the condition holds; fails after `deadlineMs`. */
export async function until(condition: () => boolean | Promise<boolean>, deadlineMs = 60_000): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > endMs)
      throw new TidemarkError('INTERNAL', `not so within ${deadlineMs} ms: ${condition.toString()}`);
    await systemClock.sleep(5);
  }
}
