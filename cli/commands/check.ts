import { isTidemarkError } from '../../base/errors.ts';
import { findingsOf } from '../../config/findings.ts';
import type { Config } from '../../config/config.ts';
import type { CheckResult } from '../../model/source.ts';
import { checkDeployment } from '../../service/check.ts';
import { wantsColour } from '../../telemetry/logger.ts';
import type { CommandContext, CommonOptions } from '../context.ts';
import { readConfig } from '../deployment.ts';

interface CheckOptions extends CommonOptions {
  readonly offline?: boolean;
}

/** Returns the exit code: 1 when something must be put right first. */
export async function checkCommand(options: CheckOptions, context: CommandContext): Promise<number> {
  const config = await readOrTell(options, context);
  const results: CheckResult[] = [];
  const colour = wantsColour(context.environment, context.stdout.isTTY === true);
  for await (const result of checkDeployment(config, { files: context.files, offline: options.offline === true })) {
    results.push(result);
    if (options.json !== true) context.stdout.write(context.secrets.clean(describe(result, colour)));
  }
  const errors = results.filter(({ level }) => level === 'error').length;
  const warnings = results.filter(({ level }) => level === 'warning').length;
  if (options.json === true) {
    context.stdout.write(context.secrets.clean(`${JSON.stringify({ ok: errors === 0, errors, warnings, results })}\n`));
  } else {
    context.stdout.write(
      `${count(results.length, 'check')}, ${count(warnings, 'warning')}, ${count(errors, 'error')}\n`,
    );
  }
  return errors === 0 ? 0 : 1;
}

/** With --json, mistakes in the file are data on stdout like everything else that is found. */
async function readOrTell(options: CheckOptions, context: CommandContext): Promise<Config> {
  try {
    return await readConfig(options, context);
  } catch (error) {
    const findings = findingsOf(error);
    if (options.json === true && isTidemarkError(error, 'CONFIG_INVALID') && findings.length > 0) {
      const results = findings.map(({ line, column, message }) => ({
        level: 'error',
        subject: `${options.config}:${line}:${column}`,
        message,
      }));
      const report = { ok: false, errors: results.length, warnings: 0, results };
      context.stdout.write(context.secrets.clean(`${JSON.stringify(report)}\n`));
    }
    throw error;
  }
}

const marks = { ok: 'ok     ', warning: 'warning', error: 'error  ' } as const;
const colours = { ok: 32, warning: 33, error: 31 } as const;

function describe({ level, subject, message, fix }: CheckResult, colour: boolean): string {
  const mark = colour ? `\u001B[${colours[level]}m${marks[level]}\u001B[0m` : marks[level];
  const fixLines = fix === undefined ? [] : fix.split('\n').map((line) => `         ${line}\n`);
  return `${mark}  ${subject}: ${message}\n${fixLines.join('')}`;
}

function count(value: number, what: string): string {
  return `${value} ${what}${value === 1 ? '' : 's'}`;
}
