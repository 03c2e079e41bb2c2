import type { Clock } from '../base/clock.ts';
import type { Files } from '../base/files.ts';
import type { PipelineEvent, Report } from '../model/events.ts';
import { logEvent } from '../telemetry/event-log.ts';
import type { Logger } from '../telemetry/logger.ts';
import { Metrics } from '../telemetry/metrics.ts';
import type { SecretFilter } from '../telemetry/secrets.ts';
import { cleanStatus } from './clean-status.ts';
import type { ServiceStatus } from '../telemetry/status.ts';
import { caughtUp } from './caught-up.ts';
import { DiskWatch } from './disk-watch.ts';
import type { DiskMarks } from './disk-watch.ts';
import { HttpServer } from './http/server.ts';
import type { HttpOptions } from './http/server.ts';
import { DataDirectoryLock } from './lock.ts';
import { Pipeline } from './pipeline.ts';
import type { PipelinePlan } from './pipeline.ts';
import type { Output } from '../sinks/ndjson/feed-pipe.ts';
import { programVersion } from './version.ts';

export interface ServiceDeps {
  readonly clock: Clock;
  readonly files: Files;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly secrets: SecretFilter;
  /** Standard output, for sinks that write there. */
  readonly output: Output;
  /** Opens standard input, for a source that reads it; the process's own when absent. */
  readonly stdin?: () => AsyncIterable<Buffer>;
}

/** What a service is made of: the configuration, turned into parts. */
export interface ServiceSetup {
  readonly dataDirectory: string;
  readonly disk: DiskMarks;
  readonly http: HttpOptions;
  /** Opens the log and makes the plan of the pipeline around it. Called once the data directory is ours. */
  readonly plan: (report: Report) => Promise<PipelinePlan>;
}

/** One running deployment: the owner of its data directory, with pipeline and HTTP API. */
export class Service {
  readonly pipeline: Pipeline;
  readonly #deps: ServiceDeps;
  readonly #lock: DataDirectoryLock;
  readonly #http: HttpServer;
  readonly #stopping: AbortController;
  readonly #running: Promise<void>;
  #stopped: Promise<void> | null = null;

  private constructor(parts: {
    pipeline: Pipeline;
    deps: ServiceDeps;
    lock: DataDirectoryLock;
    http: HttpServer;
    stopping: AbortController;
  }) {
    this.pipeline = parts.pipeline;
    this.#deps = parts.deps;
    this.#lock = parts.lock;
    this.#http = parts.http;
    this.#stopping = parts.stopping;
    this.#running = parts.pipeline.run(parts.stopping.signal);
  }

  /**
   * Takes the data directory, opens the log, listens and starts every part. What fails here fails the start (DATA_DIR_LOCKED,
   * LOG_CORRUPT, HTTP_ADDRESS …); from then on the service lives, and a part that fails shows in its status.
   */
  static async start(setup: ServiceSetup, deps: ServiceDeps): Promise<Service> {
    const { clock, files, logger, secrets } = deps;
    const metrics = new Metrics(programVersion());
    const undo: (() => Promise<void>)[] = [];
    try {
      const directory = setup.dataDirectory;
      const lock = await DataDirectoryLock.acquire({ directory, files, command: 'run', nowMs: clock.now() });
      undo.push(() => lock.release());
      let pipeline: Pipeline | null = null;
      const report = (event: PipelineEvent): void => {
        logEvent(logger, event);
        metrics.onEvent(event);
        pipeline?.onEvent(event);
      };
      const plan = await setup.plan(report);
      undo.push(() => plan.log.close());
      pipeline = new Pipeline(plan, clock, report);
      await watchDisk(setup, deps, pipeline, report);
      const stopping = new AbortController();
      const context = { pipeline, metrics, secrets, logger, stopping: stopping.signal };
      const http = await HttpServer.listen(setup.http, context);
      undo.push(() => http.close());
      await lock.announce(http.url);
      logger.info(
        { name: plan.name, http: http.url, dataDirectory: directory, pid: process.pid },
        'tidemark is running',
      );
      return new Service({ pipeline, deps, lock, http, stopping });
    } catch (error) {
      for (const step of undo.toReversed()) await step().catch(() => undefined);
      throw error;
    }
  }

  /** Where the HTTP API answers. */
  get url(): string {
    return this.#http.url;
  }

  async status(): Promise<ServiceStatus> {
    return cleanStatus(await this.pipeline.status(), this.#deps.secrets);
  }

  /** Resolves once everything committed before the call is in every sink; rejects with the first failure. */
  async caughtUp(signal: AbortSignal): Promise<void> {
    await caughtUp(this.pipeline, AbortSignal.any([signal, this.#stopping.signal]));
  }

  /** Stops every part, makes the log durable, and lets the data directory go. */
  async stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    await this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#http.close();
    try {
      await this.pipeline.log.close();
    } finally {
      await this.#lock.release();
    }
    this.#deps.logger.info({}, 'tidemark has stopped');
  }
}

/** The first look happens before anything is written. */
async function watchDisk(setup: ServiceSetup, deps: ServiceDeps, pipeline: Pipeline, report: Report): Promise<void> {
  const disk = new DiskWatch({
    directory: setup.dataDirectory,
    marks: setup.disk,
    files: deps.files,
    clock: deps.clock,
    report,
    onLevel: (level) => pipeline.onDiskLevel(level),
  });
  pipeline.watchDisk(disk);
  await disk.check();
}
