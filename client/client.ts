/** `tidemark/client`: the one place where names of other files are passed on, since a package has one front door. */
import {
  ServiceUnreachableError,
  SinkFailingError,
  TidemarkClientError,
  UnknownNameError,
  WaitTimeoutError,
} from './errors.ts';
import { pgPosition, withPosition } from './postgres.ts';
import type {
  ClientOf,
  Committed,
  PgPool,
  PgPoolClient,
  PgQueryable,
  PostgresJs,
  PostgresJsBegin,
  TransactionOf,
} from './postgres.ts';
import type { Position, Status, StatusError } from './status.ts';
import { Tidemark } from './tidemark.ts';
import type { TidemarkOptions, ViewRow, WaitOptions, Waited } from './tidemark.ts';

export {
  ServiceUnreachableError,
  SinkFailingError,
  Tidemark,
  TidemarkClientError,
  UnknownNameError,
  WaitTimeoutError,
  pgPosition,
  withPosition,
};
export type {
  ClientOf,
  Committed,
  PgPool,
  PgPoolClient,
  PgQueryable,
  Position,
  PostgresJs,
  PostgresJsBegin,
  Status,
  StatusError,
  TidemarkOptions,
  TransactionOf,
  ViewRow,
  WaitOptions,
  Waited,
};
