import type { FastifyInstance } from 'fastify';
import { parameter } from './pipeline-routes.ts';
import { requestInvalid } from './errors.ts';
import { TidemarkError } from '../../base/errors.ts';
import type { ViewsUnit } from '../views-unit.ts';
import type { HttpContext } from './server.ts';

/** Rows of views by their keys, and plans. Returns the paths that it adds. */
export function addViewRoutes(server: FastifyInstance, { pipeline }: HttpContext): string[] {
  const views = (): ViewsUnit => {
    if (pipeline.views) return pipeline.views;
    throw new TidemarkError('VIEW_UNKNOWN', 'the file has no views', { hint: 'Add one under `views`.' });
  };

  server.get<{ Params: { view: string; key: string } }>('/api/v1/views/:view/:key', async (request, reply) => {
    const { view, key } = request.params;
    const { seq, row } = views().lookup(view, splitKey(key));
    // The row is JSON already, with digits that a parser would lose.
    const body = `{"view":${JSON.stringify(view)},"seq":${seq},"row":${row ?? 'null'}}`;
    return reply
      .code(row === null ? 404 : 200)
      .type('application/json; charset=utf-8')
      .send(body);
  });

  server.get('/api/v1/explain', async (request) => {
    const view = parameter(request, 'view');
    if (view === undefined) throw requestInvalid('explain needs ?view=', 'Name a view of the file.');
    return { view, plan: views().explain(view) };
  });
  return ['GET /api/v1/views/{view}/{key}', 'GET /api/v1/explain'];
}

/** `42`, or `a|b` for a key of two columns; a `|` or `\\` within a value has a `\\` before it. */
export function splitKey(text: string): string[] {
  const parts = [''];
  for (let index = 0; index < text.length; index++) {
    const character = text[index] as string;
    if (character === '|') parts.push('');
    else parts[parts.length - 1] += character === '\\' ? (text[++index] ?? '') : character;
  }
  return parts;
}
