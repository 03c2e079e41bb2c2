import { vi } from 'vitest';
import { describeSearch } from '../servers/search-suite.ts';
import { checkTests } from './search-check.ts';
import { faultTests } from './search-faults.ts';
import { readerTests } from './search-readers.ts';
import { rowTests } from './search-rows.ts';

// A short queue, so that a test can fill it.
const settings = { 'thread_pool.write.queue_size': 2 };
// Two Java servers and two cores: patience is what a busy machine needs.
vi.setConfig({ testTimeout: 300_000 });

describeSearch('a sink on Elasticsearch', { engine: 'elasticsearch', settings }, (suite) => {
  checkTests(suite);
  rowTests(suite);
  readerTests(suite);
  faultTests(suite);
});
