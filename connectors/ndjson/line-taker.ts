import { present } from '../../base/assert.ts';
import { TidemarkError } from '../../base/errors.ts';
import type { ChangeWriter } from '../../model/change.ts';
import { JsonLineScanner, jsonAbsent, jsonNested, jsonString } from '../../model/json-line.ts';
import type { Line } from '../../model/lines.ts';
import type { LineOp, RowPacker } from './row-packer.ts';

const members = ['table', 'row', 'op', 'commit'] as const;
const tableMember = 0;
const rowMember = 1;
const opMember = 2;
const commitMember = 3;

/** How many changes of each kind a table has had. */
export interface Counts {
  create: number;
  update: number;
  delete: number;
}

/**
 * Turns lines into changes. With one table a line is a row of it; an envelope `{"table": …, "row": {…}, "op": …}`, which lines of several
 * tables must be, is understood too where the table has no column of the envelope's names.
 */
export class LineTaker {
  readonly #tables: ReadonlyMap<string, { readonly packer: RowPacker; readonly counts: Counts }>;
  /** The table whose rows may be lines by themselves. */
  readonly #only: { readonly packer: RowPacker; readonly counts: Counts } | null;
  readonly #mayBeEnvelope: boolean;
  readonly #envelope = new JsonLineScanner(members);

  constructor(packers: readonly RowPacker[]) {
    const tables = packers.map((packer) => ({ packer, counts: { create: 0, update: 0, delete: 0 } }));
    this.#tables = new Map(tables.map((table) => [table.packer.table.name, table]));
    this.#only = tables.length === 1 ? present(tables[0], 'a table') : null;
    const columns = this.#only?.packer.table.columns ?? [];
    this.#mayBeEnvelope = !columns.some(({ name }) => members.some((member) => member === name));
  }

  /** Appends the change that a line makes. VALUE_INVALID, without the line's number, for a malformed one. */
  take({ bytes, start, end }: Line, into: ChangeWriter): void {
    const only = this.#only;
    if (only !== null && !(this.#mayBeEnvelope && beginsAsEnvelope(bytes, start, end))) {
      only.packer.pack('c', bytes, start, end, into);
      only.counts.create++;
      return;
    }
    const envelope = this.#envelope;
    envelope.scan(bytes, start, end);
    if (envelope.kind[commitMember] !== jsonAbsent) {
      throw invalid('every line is a transaction of its own, so that none ends with a line {"commit": true}');
    }
    if (envelope.kind[rowMember] !== jsonNested) {
      throw invalid('a line is {"table": "…", "row": {…}, "op": "c"|"u"|"d"}');
    }
    const { packer, counts } = this.#table();
    const op = this.#op();
    if (op !== 'c' && packer.table.key.length === 0) {
      throw invalid(`"op": "${op}" needs a key, and ${packer.table.name} has none (give it one: key: [ … ])`);
    }
    packer.pack(op, bytes, envelope.start[rowMember] as number, envelope.end[rowMember] as number, into);
    if (op === 'c') counts.create++;
    else if (op === 'u') counts.update++;
    else counts.delete++;
  }

  /** The changes since the last call, by topic. */
  takeCounts(): { topic: string; counts: Counts }[] {
    const taken: { topic: string; counts: Counts }[] = [];
    for (const { packer, counts } of this.#tables.values()) {
      if (counts.create + counts.update + counts.delete === 0) continue;
      taken.push({ topic: packer.table.topic, counts: { ...counts } });
      counts.create = counts.update = counts.delete = 0;
    }
    return taken;
  }

  #table(): { readonly packer: RowPacker; readonly counts: Counts } {
    const kind = this.#envelope.kind[tableMember];
    if (kind === jsonAbsent && this.#only !== null) return this.#only;
    const name = kind === jsonString ? this.#envelope.text(tableMember) : '';
    const found = this.#tables.get(name);
    if (found) return found;
    throw invalid(`"table" must be one of ${[...this.#tables.keys()].join(', ')}`);
  }

  #op(): LineOp {
    const kind = this.#envelope.kind[opMember];
    if (kind === jsonAbsent) return 'c';
    const op = kind === jsonString ? this.#envelope.text(opMember) : '';
    if (op === 'c' || op === 'u' || op === 'd') return op;
    throw invalid('"op" must be "c", "u" or "d"');
  }
}

/** A cheap look at whether the first member is one of an envelope's: rows begin with a column's name. */
function beginsAsEnvelope(bytes: Buffer, start: number, end: number): boolean {
  const at = bytes.indexOf(0x22, start);
  if (at < 0 || at >= end) return false;
  const first = bytes[at + 1];
  // table, row, op, commit
  if (first !== 0x74 && first !== 0x72 && first !== 0x6f && first !== 0x63) return false;
  const name = bytes.toString('latin1', at + 1, bytes.indexOf(0x22, at + 1));
  return members.some((member) => member === name);
}

function invalid(why: string): TidemarkError {
  return new TidemarkError('VALUE_INVALID', why);
}
