import { isTidemarkError, messageOf } from '../base/errors.ts';
import type { TidemarkError } from '../base/errors.ts';
import type { CommandContext } from './context.ts';

/**
 * Tells of a failure on stderr: what happened, where, and what to do about it. The stack is shown for mistakes of tidemark itself
 * alone. With `json`, one line `{"error":{…}}`. Returns the exit code.
 */
export function printError(error: unknown, context: CommandContext, json: boolean): number {
  const text = json ? jsonLine(error) : plainText(error, (context.environment['TIDEMARK_DEBUG'] ?? '') !== '');
  context.stderr.write(context.secrets.clean(text));
  return isTidemarkError(error) ? error.exitCode : 1;
}

function jsonLine(error: unknown): string {
  const known = isTidemarkError(error) ? error : null;
  const body = { code: known?.code ?? 'INTERNAL', message: messageOf(error), hint: known?.hint ?? null };
  return `${JSON.stringify({ error: { ...body, ...(known ? { place: known.place } : {}) } })}\n`;
}

function plainText(error: unknown, debug: boolean): string {
  if (!isTidemarkError(error) || error.code === 'INTERNAL') {
    const stack = error instanceof Error ? (error.stack ?? '') : '';
    return `tidemark: ${messageOf(error)}\n  This is a mistake of tidemark's own; please report it with the lines below.\n${stack}\n`;
  }
  // Mistakes in the file are lines `file:line:column: …` already, which editors and terminals make clickable.
  const lines = error.code === 'CONFIG_INVALID' ? [error.message] : [`tidemark: ${error.message}`, ...placeOf(error)];
  if (error.hint !== undefined) lines.push(`  ${error.hint}`);
  if (debug && error.stack !== undefined) lines.push(error.stack);
  return `${lines.join('\n')}\n`;
}

function placeOf(error: TidemarkError): string[] {
  const { source, sink, table, position, file } = error.place;
  const parts: string[] = [];
  if (source !== undefined) parts.push(`source ${source}`);
  if (sink !== undefined && !error.message.includes(`'${sink}'`)) parts.push(`sink ${sink}`);
  if (table !== undefined && !error.message.includes(table)) parts.push(`table ${table}`);
  if (position !== undefined && !error.message.includes(position)) parts.push(`position ${position}`);
  if (file !== undefined && !error.message.includes(file)) parts.push(file);
  return parts.length === 0 ? [] : [`  at ${parts.join(', ')}`];
}
