#!/usr/bin/env node
import { enableCompileCache } from 'node:module';

// Sources are compiled once, not at every start; an installed package gains as well.
enableCompileCache();
const { main } = await import('./program.ts');
await main(process.argv.slice(2));
