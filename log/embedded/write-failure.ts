import { TidemarkError, isTidemarkError, messageOf, systemCodeOf } from '../../base/errors.ts';

/** What a failed call on the log's files means to the user. Errors that say so already pass as they are. */
export function writeFailure(error: unknown, path: string): TidemarkError {
  if (isTidemarkError(error)) return error;
  const system = systemCodeOf(error);
  if (system === 'ENOSPC' || system === 'EFBIG' || system === 'EDQUOT') {
    return new TidemarkError('DISK_FULL', `${path} cannot grow: ${messageOf(error)}`, {
      hint: 'Make room on the disk that holds data_dir (or raise the quota or file size limit). A running service then goes on by itself. Nothing that was acknowledged is lost; the source keeps the rest.',
      place: { file: path },
      cause: error,
    });
  }
  return new TidemarkError('LOG_CLOSED', `${path} cannot be used: ${messageOf(error)}`, {
    hint: 'Check the disk, then start again. Nothing that was acknowledged is lost; the source keeps the rest.',
    place: { file: path },
    cause: error,
  });
}
