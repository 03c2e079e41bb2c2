import { configureGlobal } from 'fast-check';

/**
 * Every run of the suite takes the same random cases, so that it fails for changes of the code only. TIDEMARK_SEED=random looks for
 * new ones, and TIDEMARK_SEED=<number> runs those of a failure that was printed with that seed again.
 */
const wanted = process.env['TIDEMARK_SEED'] ?? '20261121';
if (wanted !== 'random') configureGlobal({ seed: Number(wanted) });
