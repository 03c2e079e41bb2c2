#!/bin/sh
# Compiles the sources once, after an install: otherwise the first start would load the compiler that strips their types, and be
# 20 MB larger for as long as it runs. The same flags as in ./tidemark, since the cache is kept by flags.
here=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$here" || exit 0
[ -x node_modules/.bin/node ] || exit 0
export NODE_COMPILE_CACHE="$here/node_modules/.cache/compile"
find base model snapshot connectors log sinks config telemetry service cli -name '*.ts' ! -path cli/main.ts |
  node_modules/.bin/node --max-semi-space-size=2 --input-type=module -e '
    import { readFileSync } from "node:fs";
    for (const file of readFileSync(0, "utf8").trim().split("\n")) await import(`${process.cwd()}/${file}`);
  ' && ./tidemark --help > /dev/null || echo 'the compile cache could not be filled; the first start will be slower' >&2
