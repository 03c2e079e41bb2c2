import type { Plan } from './plan.ts';

/**
 * An equivalent plan that operators can keep up to date cheaply: no `apply`, no free columns; filters and projections pushed down to the
 * scans; join conditions hold every equality; cross products only where the query has no equality path. A subplan that is used several
 * times (a CTE) stays one object.
 */
export function optimise(plan: Plan): Plan {
  return plan;
}
