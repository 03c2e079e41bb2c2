import { Ids, rewritePlan } from './columns.ts';
import { inKeyOrder } from './collection-order.ts';
import { decorrelate } from './decorrelate.ts';
import { prune } from './prune.ts';
import { pushDown } from './push-down.ts';
import { simplify } from './simplify.ts';
import type { Plan } from './plan.ts';

/**
 * An equivalent plan that operators can keep up to date cheaply: no `apply`, no free columns; filters and projections pushed down to the
 * scans; join conditions hold every equality; cross products only where the query has no equality path. A subplan that is used several
 * times (a CTE) stays one object.
 */
export function optimise(plan: Plan): Plan {
  const simple = rewritePlan(plan, simplify);
  const flat = inKeyOrder(decorrelate(simple, Ids.after(simple)));
  const early = pushDown(prune(flat));
  return prune(rewritePlan(early, simplify));
}
