/** `node run-one.ts NAME [SCALE]`: runs one benchmark in this process and prints its figures, one line of JSON each. */
import type { Benchmark } from './figure.ts';
import { defaultScales } from './names.ts';

const [name = '', scale] = process.argv.slice(2);
const { run } = (await import(`./${name}.ts`)) as { run: Benchmark };
for (const figure of await run({ scale: Number(scale ?? defaultScales[name] ?? 1) }))
  console.log(JSON.stringify(figure));
