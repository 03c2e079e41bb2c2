import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { TidemarkError, messageOf } from '../base/errors.ts';
import { parseDuration } from '../config/duration.ts';
import { programVersion } from '../service/version.ts';
import { processContext } from './context.ts';
import type { CommandContext, ProcessEnd } from './context.ts';
import { printError } from './print-error.ts';

/** Runs one command line and sets the process's exit code. */
export async function main(args: readonly string[]): Promise<void> {
  const { context, end } = processContext(args[0] === 'run');
  // What nobody awaited is a mistake of our own: told like any other, and the end of the process.
  process.on('uncaughtException', (error) => process.exit(printError(error, context, args.includes('--json'))));
  const exitCode = await runCommandLine(args, context);
  // Whatever a library may have left open must not hold the process; what is written is flushed first, and told when it cannot be.
  process.stdout.write('', () => setImmediate(() => process.exit(finish(exitCode, context, end))));
}

/** The exit code, once everything has been written or has failed to be. */
function finish(exitCode: number, context: CommandContext, end: ProcessEnd): number {
  const error = end.outputError();
  if (error !== null) {
    const hint = 'What was to be printed is not complete.';
    const message = `standard output cannot be written: ${messageOf(error)}`;
    printError(new TidemarkError('OUTPUT_FAILED', message, { hint, cause: error }), context, false);
  }
  return end.exitCode() ?? exitCode;
}

/** Runs one command line; returns its exit code. */
async function runCommandLine(args: readonly string[], context: CommandContext): Promise<number> {
  let exitCode = 0;
  const program = newProgram(context, (code) => {
    exitCode = code;
  });
  try {
    refuseUnknownTopic(program, args);
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    // commander has said what it had to; help that was asked for is no failure, everything else is bad usage.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (context.signal.aborted) return 1;
    return printError(error, context, args.includes('--json'));
  }
}

/** `help nonsense` would otherwise be answered with the help of the whole program. */
function refuseUnknownTopic(program: Command, [first, about]: readonly string[]): void {
  if (first !== 'help' || about === undefined || about === 'help' || about.startsWith('-')) return;
  if (!program.commands.some((one) => one.name() === about)) program.error(`tidemark: unknown command '${about}'`);
}

/** The command tree. Commands are loaded when they run: `--help` costs none of them. */
export function newProgram(context: CommandContext, setExit: (code: number) => void): Command {
  const program = new Command('tidemark')
    .description('Change data capture that keeps caches and search indexes exactly right: no half transactions.')
    .version(programVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'tidemark: ')),
      getOutHasColors: () => false,
    })
    .showHelpAfterError('Run it with --help to see what it takes.')
    .addHelpText('after', mainExamples);
  addSetUpCommands(program, context, setExit);
  addServiceCommands(program, context);
  addSinkCommands(program, context, setExit);
  addDeliveryCommands(program, context, setExit);
  addLogCommands(program, context);
  addViewCommands(program, context, setExit);
  return program;
}

function addSetUpCommands(program: Command, context: CommandContext, setExit: (code: number) => void): void {
  command(program, 'init', 'write a commented starter file, with the tables that it finds', [
    'tidemark init --postgres postgres://app@127.0.0.1:5432/shop',
  ])
    .option('--postgres <url>', 'the database to look at; its password is not written to the file')
    .option('--force', 'replace a file that is there')
    .action(async (options) => {
      const { initCommand } = await import('./commands/init.ts');
      await initCommand(options, context);
    });

  command(program, 'check', 'check the file, the sources and the sinks; one line each, with the fix', [
    'tidemark check',
    'tidemark check --offline',
  ])
    .option('--offline', 'look at the file and the data directory alone')
    .addOption(jsonOption())
    .action(async (options) => {
      const { checkCommand } = await import('./commands/check.ts');
      setExit(await checkCommand(options, context));
    });

  command(
    program,
    'schema',
    'print the JSON Schema of the file',
    ['tidemark schema > tidemark.schema.json'],
    false,
  ).action(async () => {
    const { schemaCommand } = await import('./commands/schema.ts');
    await schemaCommand(context);
  });

  command(program, 'drop', 'remove the slot and the publication that a source made', ['tidemark drop --source shop'])
    .requiredOption('--source <name>', 'the source of the file')
    .addOption(jsonOption())
    .action(async (options) => {
      const { dropCommand } = await import('./commands/drop.ts');
      await dropCommand(options, context);
    });
}

function addServiceCommands(program: Command, context: CommandContext): void {
  command(program, 'run', 'run the service until SIGTERM or SIGINT', ['tidemark run', 'tidemark run --until caught-up'])
    .addOption(
      new Option(
        '--until <state>',
        'stop with exit code 0 once everything committed before the start is in every sink',
      ).choices(['caught-up']),
    )
    .action(async (options) => {
      const { runCommand } = await import('./commands/run.ts');
      await runCommand(options, context);
    });

  command(program, 'status', 'show sources, log, views and sinks of the running service', [
    'tidemark status',
    'tidemark status --json',
  ])
    .option('--watch', 'show it again every second')
    .addOption(jsonOption())
    .action(async (options) => {
      const { statusCommand } = await import('./commands/status.ts');
      await statusCommand(options, context);
    });

  command(program, 'wait', 'return once a sink holds everything committed up to a position', [
    'tidemark wait --sink search --now',
    'tidemark wait --sink search --position 16/B374D848 --timeout 30s',
  ])
    .requiredOption('--sink <name>', 'the sink of the file')
    .option('--position <position>', 'a position of the source, as pg_current_wal_insert_lsn() prints it after COMMIT')
    .option('--now', 'the present position of the source')
    .option('--source <name>', 'the source that the position is of')
    .option('--searchable', 'refresh a search index too, so that searches find it')
    .option('--timeout <duration>', 'how long to wait at most: 250ms, 10s, 5m', durationArgument, '10s')
    .addOption(jsonOption())
    .action(async (options) => {
      const { waitCommand } = await import('./commands/wait.ts');
      await waitCommand(options, context);
    });

  command(program, 'snapshot', 'read a table again into the log while streaming goes on', [
    'tidemark snapshot --table public.orders',
    'tidemark snapshot --table public.orders --where "id > 1000"',
  ])
    .requiredOption('--table <name>', 'the table: shop.public.orders, or an ending of it that is unambiguous')
    .option('--where <sql>', 'only rows that meet this condition of the source')
    .addOption(jsonOption())
    .action(async (options) => {
      const { snapshotCommand } = await import('./commands/snapshot.ts');
      await snapshotCommand(options, context);
    });
}

function addSinkCommands(program: Command, context: CommandContext, setExit: (code: number) => void): void {
  command(program, 'verify', 'compare a sink with its source while both go on; exit 1 when it differs', [
    'tidemark verify --sink search',
    'tidemark verify --sink search --repair',
  ])
    .requiredOption('--sink <name>', 'the sink of the file')
    .option('--repair', 'write what is missing or different, and remove what is extra')
    .addOption(jsonOption())
    .action(async (options) => {
      const { verifyCommand } = await import('./commands/verify.ts');
      setExit(await verifyCommand(options, context));
    });
}

function addDeliveryCommands(program: Command, context: CommandContext, setExit: (code: number) => void): void {
  for (const [name, about] of [
    ['pause', 'stop one sink; others go on, and it stays stopped over restarts'],
    ['resume', 'let a sink go on where it was paused, or where it failed'],
  ] as const) {
    command(program, name, about, [`tidemark ${name} --sink search`])
      .requiredOption('--sink <name>', 'the sink of the file')
      .addOption(jsonOption())
      .action(async (options) => {
        const { pauseCommand } = await import('./commands/pause.ts');
        await pauseCommand(options, name === 'pause', context);
      });
  }

  command(program, 'rebuild', 'build a sink anew from the log, beside what readers see, and swap it in', [
    'tidemark rebuild --sink search',
  ])
    .requiredOption('--sink <name>', 'the sink of the file')
    .addOption(jsonOption())
    .action(async (options) => {
      const { rebuildCommand } = await import('./commands/rebuild.ts');
      setExit(await rebuildCommand(options, context));
    });

  command(program, 'dead-letters', 'list the rows that sinks refused, apply them again, or let them go', [
    'tidemark dead-letters --sink search',
    'tidemark dead-letters --sink search --retry',
    `tidemark dead-letters --sink search --skip --key '{"id":42}'`,
  ])
    .option('--sink <name>', 'those of one sink of the file')
    .option('--key <json>', 'those of one row, by its key')
    .option('--retry', 'apply the newest rows of these keys again')
    .option('--skip', 'let them go')
    .addOption(jsonOption())
    .action(async (options) => {
      const { deadLettersCommand } = await import('./commands/dead-letters.ts');
      setExit(await deadLettersCommand(options, context));
    });
}

function addLogCommands(program: Command, context: CommandContext): void {
  command(program, 'tail', 'print the change events of a topic, one JSON object a line', [
    'tidemark tail shop.public.orders',
    'tidemark tail orders --from now --follow',
    'tidemark tail orders --count 10',
  ])
    .argument('<topic>', 'the topic: shop.public.orders, or an ending of it that is unambiguous')
    .option('--from <place>', 'beginning, now, or the number of a transaction', placeArgument, 'beginning')
    .option('--count <number>', 'stop after so many events', countArgument)
    .option('--follow', 'wait for more at the end')
    .action(async (topic: string, options) => {
      const { tailCommand } = await import('./commands/tail.ts');
      await tailCommand(topic, options, context);
    });

  command(program, 'topics', 'list the topics of the log with their sizes', [
    'tidemark topics',
    'tidemark topics --json',
  ])
    .addOption(jsonOption())
    .action(async (options) => {
      const { topicsCommand } = await import('./commands/topics.ts');
      await topicsCommand(options, context);
    });
}

function addViewCommands(program: Command, context: CommandContext, setExit: (code: number) => void): void {
  command(program, 'explain', 'show the plan of a view: operators, keys, state sizes', ['tidemark explain order_docs'])
    .argument('<view>', 'the view of the file')
    .addOption(jsonOption())
    .action(async (view: string, options) => {
      const { explainCommand } = await import('./commands/explain.ts');
      await explainCommand(view, options, context);
    });

  command(
    program,
    'pipe',
    'keep a view over JSON lines up to date: rows on stdin, changes of the result on stdout',
    [
      "tidemark pipe --table 'orders(id int, total numeric)' --sql 'SELECT sum(total) FROM orders' < orders.ndjson",
      "tidemark pipe --table 'orders(id int PRIMARY KEY, total numeric)' --sql totals.sql --final < orders.ndjson",
    ],
    false,
  )
    .requiredOption(
      '--table <ddl>',
      'a CREATE TABLE body; give it again for further tables',
      (ddl: string, before: readonly string[] | undefined) => [...(before ?? []), ddl],
    )
    .requiredOption(
      '--sql <sql>',
      'one SELECT, or several CREATE VIEW of which the last is printed: the text, or a file of it',
    )
    .option('--key <columns>', 'columns, separated by commas, that are to be a unique key of the result')
    .option('--batch <lines>', 'lines that make one transaction', batchArgument, 1)
    .option('--changes', "print the result's changes after each transaction (the default)")
    .option('--final', "print the result's rows at the end of the input")
    .action(async (options) => {
      const { pipeCommand } = await import('./commands/pipe.ts');
      setExit(await pipeCommand(options, context));
    });
}

function command(program: Command, name: string, about: string, examples: string[], takesFile = true): Command {
  const result = program
    .command(name)
    .description(about)
    .summary(about)
    .helpOption('-h, --help', 'print help')
    .allowExcessArguments(false)
    .addHelpText('after', `\nExamples:\n${examples.map((example) => `  ${example}\n`).join('')}`);
  if (takesFile) result.option('-c, --config <file>', 'the configuration file', 'tidemark.yaml');
  return result;
}

function jsonOption(): Option {
  return new Option('--json', 'print JSON for programs');
}

function durationArgument(text: string): string {
  if (parseDuration(text) !== null) return text;
  throw new InvalidArgumentError('Write it as 250ms, 10s or 5m.');
}

function placeArgument(text: string): string {
  if (/^(beginning|now|\d{1,15})$/.test(text)) return text;
  throw new InvalidArgumentError('Write beginning, now, or the number of a transaction.');
}

function countArgument(text: string): number {
  if (/^\d{1,12}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Write a whole number.');
}

function batchArgument(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Write a whole number, 1 or more.');
}

const mainExamples = `
Examples:
  tidemark init --postgres postgres://app@127.0.0.1:5432/shop
  tidemark check
  tidemark run
  tidemark wait --sink search --now

Exit codes: 0 done, 1 the work failed, 2 bad usage or configuration, 3 a wait ran out of time, 130/143 stopped by a signal.
`;
