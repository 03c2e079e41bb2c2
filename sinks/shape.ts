import type { Column, Table } from '../model/table.ts';
import type { ColumnChoice } from './options.ts';
import type { SinkColumn, SinkShape } from './port.ts';
import { unfit } from './unfit.ts';

/** The shape of a sink's rows under one version of its table. SINK_FAILED when the chosen columns do not fit it. */
export function shapeOf(sink: string, table: Table, schemaId: number, choice: ColumnChoice | undefined): SinkShape {
  const columns: SinkColumn[] = [];
  const sources: number[] = [];
  for (const [name, from] of chosen(table, choice)) {
    const index = table.columns.findIndex((column) => column.name === from);
    const column = table.columns[index];
    if (column === undefined) {
      throw unfit('SINK_FAILED', `Sink '${sink}' asks for column '${from}', which ${table.topic} does not have`, {
        hint: 'Correct `columns` of the sink and start again; it is then built anew from the log.',
        place: { sink, table: table.topic },
      });
    }
    columns.push({ id: column.id, name, type: column.type });
    sources.push(index);
  }
  const key = table.key.map((index) => keyPosition(sink, table, table.columns[index], sources.indexOf(index)));
  return { schemaId, columns, key };
}

function chosen(table: Table, choice: ColumnChoice | undefined): [string, string][] {
  if (choice === undefined) return table.columns.map(({ name }) => [name, name]);
  if (isList(choice)) return choice.map((name) => [name, name]);
  return Object.entries(choice);
}

function isList(choice: ColumnChoice): choice is readonly string[] {
  return Array.isArray(choice);
}

function keyPosition(sink: string, table: Table, column: Column | undefined, position: number): number {
  if (position >= 0) return position;
  throw unfit(
    'SINK_FAILED',
    `Sink '${sink}' leaves out '${column?.name}', which is part of the key of ${table.topic}`,
    {
      hint: 'Add it to `columns` of the sink and start again; it is then built anew from the log.',
      place: { sink, table: table.topic },
    },
  );
}

/** For each column of the shape, its position in rows of `table`, or -1 where these do not have it (NULL then). */
export function columnSources(table: Table, columns: readonly { readonly id: number }[]): Int32Array {
  return Int32Array.from(columns, ({ id }) => table.columns.findIndex((column) => column.id === id));
}
