import { TidemarkError, isTidemarkError } from '../base/errors.ts';
import { ChangeCursor } from '../model/change.ts';
import { ChangeSet } from './change-set.ts';
import type { Lane } from './lane.ts';
import type { Cursor, Target } from './port.ts';

/** Rows as the log has them at the cursor that the plan was asked for, and keys of rows that are to go. */
export interface Repair {
  readonly rows: ChangeSet;
  readonly extra: readonly string[];
}

/** Asked between two transactions, when the sink holds everything up to `cursor` and nothing beyond. Null for nothing to do. */
export type RepairPlan = (cursor: Cursor) => Promise<Repair | null>;

interface Asked {
  readonly sink: string;
  readonly plan: RepairPlan;
  /** Resolves with how many of the rows the target cannot take. */
  readonly done: PromiseWithResolvers<number>;
}

/** Repairs that wait for the pause between two transactions of a group, so that no live change is overtaken by an older value. */
export class Repairs {
  /** Called when one has been asked for. */
  onAsked: () => void = () => undefined;
  readonly #target: Target;
  #asked: Asked[] = [];

  constructor(target: Target) {
    this.#target = target;
  }

  get any(): boolean {
    return this.#asked.length > 0;
  }

  /** Resolves once the repair is committed, with the number of rows that the target rejects. SINK_FAILED when it cannot be made. */
  async ask(sink: string, plan: RepairPlan): Promise<number> {
    const done = Promise.withResolvers<number>();
    this.#asked.push({ sink, plan, done });
    this.onAsked();
    return done.promise;
  }

  /** Makes what is asked for; no write is open. Throws what the target fails with, after telling who has asked. */
  async run(lanes: readonly Lane[]): Promise<void> {
    for (let asked = this.#asked.shift(); asked !== undefined; asked = this.#asked.shift()) {
      let planned: { lane: Lane; repair: Repair | null };
      try {
        planned = await this.#plan(asked, lanes);
      } catch (error) {
        asked.done.reject(error);
        continue;
      }
      try {
        const { lane, repair } = planned;
        asked.done.resolve(repair === null ? 0 : await this.#write(asked.sink, lane, repair));
      } catch (error) {
        asked.done.reject(error);
        throw error;
      }
    }
  }

  /** Nobody will make them. */
  reject(error: TidemarkError): void {
    for (const { done } of this.#asked.splice(0)) done.reject(error);
  }

  async #plan({ sink: name, plan }: Asked, lanes: readonly Lane[]): Promise<{ lane: Lane; repair: Repair | null }> {
    const lane = lanes.find(({ sinks }) => sinks.some((sink) => sink.name === name));
    const sink = lane?.sinks.find((each) => each.name === name);
    if (lane === undefined || sink === undefined || sink.rebuilding || sink.rebuildDue || !this.#target.repair) {
      throw notNow(name);
    }
    return { lane, repair: await plan(lane.cursor) };
  }

  /** A repair of which a row is rejected is halved until that one stands alone. */
  async #write(sink: string, lane: Lane, repair: Repair): Promise<number> {
    const { rows, extra } = repair;
    if (rows.count === 0 && extra.length === 0) return 0;
    lane.writing = true;
    try {
      await this.#target.begin();
      await this.#target.repair?.(sink, rows, extra);
      const refused = (await this.#target.flush?.(lane.cursor)) ?? [];
      await this.#target.commit(
        lane.sinks.map(({ name }) => name),
        lane.cursor,
      );
      lane.writing = false;
      return refused.length;
    } catch (error) {
      if (!isTidemarkError(error, 'ROW_REJECTED')) throw error;
      await this.#target.rollback();
      lane.writing = false;
    }
    if (rows.count === 1) return 1 + (await this.#write(sink, lane, { rows: part(rows, 0, 0), extra }));
    const middle = rows.count >>> 1;
    const first = await this.#write(sink, lane, { rows: part(rows, 0, middle), extra });
    return first + (await this.#write(sink, lane, { rows: part(rows, middle, rows.count), extra: [] }));
  }
}

/** The sink is not in a state in which it could be repaired; no fault of the target's. */
function notNow(sink: string): TidemarkError {
  const message = `Sink '${sink}' cannot be repaired at the moment: it is being built, or holds nothing that can be read`;
  return new TidemarkError('SINK_FAILED', message, {
    hint: 'Wait until it is consistent; `tidemark status` shows how far it is.',
    place: { sink },
  });
}

function part(rows: ChangeSet, from: number, to: number): ChangeSet {
  const result = new ChangeSet(rows.topic);
  const record = new ChangeCursor();
  for (let index = from; index < to; index++) {
    rows.locate(index, record);
    result.add(record, rows.seqAt(index), false, false);
  }
  return result;
}
