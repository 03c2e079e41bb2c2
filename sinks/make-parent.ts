import { dirname } from 'node:path';
import { TidemarkError, messageOf } from '../base/errors.ts';
import type { Files } from '../base/files.ts';

/** Makes the folder that a sink's file lies in; SINK_FAILED when that cannot be. */
export async function makeParent(files: Files, path: string): Promise<void> {
  const folder = dirname(path);
  try {
    await files.makeDirectory(folder);
  } catch (error) {
    throw new TidemarkError('SINK_FAILED', `The folder ${folder} cannot be made: ${messageOf(error)}`, {
      hint: `Make it so that this user can write there, or give the sink another \`path\`. It is tried again with growing pauses.`,
      place: { file: path },
      cause: error,
    });
  }
}
