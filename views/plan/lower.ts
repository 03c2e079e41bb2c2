import { present } from '../../base/assert.ts';
import { TidemarkError } from '../../base/errors.ts';
import { Engine } from '../engine.ts';
import type { EngineInputNode, GraphNode } from '../engine.ts';
import { compileFilter, compilePredicate, compileRow } from '../expressions/compile.ts';
import { Expand } from '../operators/expand.ts';
import { MapRows } from '../operators/map.ts';
import { Input, Scan } from '../operators/scan.ts';
import { Union } from '../operators/union.ts';
import { Values } from '../operators/values.ts';
import type { StateStore } from '../state/port.ts';
import { columnOf } from './expressions.ts';
import { expandFunction } from './lower-expand.ts';
import { lowerAggregate } from './lower-aggregate.ts';
import { columnsPicker, expressionName, GraphBuilder, layoutOf, nodeOf } from './lower-graph.ts';
import type { Lowered } from './lower-graph.ts';
import { lowerJoin } from './lower-join.ts';
import { lowerOutput } from './lower-output.ts';
import type { ViewOutput } from './lower-output.ts';
import { keysOf } from './keys.ts';
import { isUniqueBy } from './lower-unique.ts';
import { lowerDistinct, lowerSetDifference, lowerTopN } from './lower-window.ts';
import type { BoundView, ExpandPlan, FilterPlan, Plan, ProjectPlan, ScanPlan, UnionPlan, ValuesPlan } from './plan.ts';
import { PlanIdentities, digest, text } from './share.ts';
import type { ScannedView } from './share.ts';

export interface EngineOptions {
  /** The views whose results `step` says; all when it is absent. Others are kept up to date as far as these need them. */
  readonly outputs?: readonly string[];
}

/** One engine for all the views; a view may scan another by the relation `views.<name>`. */
export function buildEngine(views: readonly BoundView[], store: StateStore, options: EngineOptions = {}): Engine {
  const lowering = new Lowering(views, store);
  const wanted = options.outputs ?? views.map(({ name }) => name);
  for (const view of views) {
    if (wanted.includes(view.name)) lowering.output(view);
  }
  const { graph, inputs, outputs } = lowering;
  const named = outputs.map((output) => ({ ...output, isWanted: wanted.includes(output.view) }));
  return new Engine({ inputs, nodes: graph.nodes, outputs: named, sizes: () => store.sizes() });
}

/** The relation under which views scan a view. */
export function viewRelation(name: string): string {
  return `views.${name}`;
}

class Lowering {
  readonly graph: GraphBuilder;
  readonly inputs: EngineInputNode[] = [];
  readonly outputs: ViewOutput[] = [];
  /** By the relation under which they are scanned. */
  readonly #views: ReadonlyMap<string, ScannedView>;
  readonly #identities: PlanIdentities;
  readonly #lowered = new Map<string, Lowered>();
  /** Positions of each relation that any plan scans. */
  readonly #positions = new Map<string, Map<number, ScanPlan['columns'][number]['type']>>();

  constructor(views: readonly BoundView[], store: StateStore) {
    this.graph = new GraphBuilder(store);
    this.#views = new Map(views.map((view) => [viewRelation(view.name), { view, isChecked: isKeyChecked(view) }]));
    this.#identities = new PlanIdentities(this.#views);
    for (const { plan } of views) this.#noteScans(plan, new Set());
  }

  output(view: BoundView): ViewOutput {
    const known = this.outputs.find((output) => output.view === view.name);
    if (known !== undefined) return known;
    const output = lowerOutput(view, this.#lower(view.plan), isKeyChecked(view), this.graph);
    this.outputs.push(output);
    markView(output.node, view.name);
    return output;
  }

  /** Plans with the same identity become one operator. */
  #lower(plan: Plan): Lowered {
    const identity = this.#identities.of(plan);
    const known = this.#lowered.get(identity);
    if (known !== undefined) return { ...known, columns: plan.columns };
    const lowered = this.#make(plan, identity);
    this.#lowered.set(identity, lowered);
    return lowered;
  }

  #make(plan: Plan, identity: string): Lowered {
    const { graph } = this;
    switch (plan.kind) {
      case 'scan':
        return this.#scan(plan, identity);
      case 'values':
        return values(plan, identity, graph);
      case 'filter':
        return filter(plan, identity, this.#lower(plan.input), graph);
      case 'project':
        return this.#project(plan, identity);
      case 'join':
        return lowerJoin(plan, identity, this.#lower(plan.left), this.#lower(plan.right), graph);
      case 'aggregate': {
        const input = this.#lower(plan.input);
        const [key = []] = keysOf(plan.input);
        const tieBreak = input.columns.filter(({ id }) => key.includes(id)).map(columnOf);
        return lowerAggregate(plan, identity, input, tieBreak, graph);
      }
      case 'distinct':
        return lowerDistinct(plan, identity, this.#lower(plan.input), graph);
      case 'topN':
        return lowerTopN(plan, identity, this.#lower(plan.input), graph);
      case 'union': {
        const inputs = plan.inputs.map((input) => this.#lower(input));
        return union(plan, identity, inputs, graph);
      }
      case 'except':
      case 'intersect':
        return lowerSetDifference(plan, identity, this.#lower(plan.left), this.#lower(plan.right), graph);
      case 'expand':
        return expand(plan, identity, this.#lower(plan.input), graph);
      case 'apply':
        throw new TidemarkError('INTERNAL', 'a plan with a correlated subquery reached the operators');
    }
  }

  #scan(plan: ScanPlan, identity: string): Lowered {
    const { relation, columns, positions } = plan;
    const scanned = this.#views.get(relation);
    if (scanned !== undefined) return this.#scanView(plan, identity, scanned);
    const input = this.#input(relation);
    const found = positions.map((at) => input.positions.indexOf(at));
    const width = input.positions.length;
    if (new Set(found).size === width) return { node: input.node, identity, columns, positions: found, width };
    const name = `scan-${identity}`;
    const names = columns.map((column) => column.name).join(', ');
    const node = this.graph.add(nodeOf(name, 'scan', `${relation} (${names})`, new Scan(found), [input.node]));
    return { node, identity, columns, positions: found, width };
  }

  /** What a view computes; where its key is checked, what it shows. */
  #scanView({ columns, positions }: ScanPlan, identity: string, { view, isChecked }: ScannedView): Lowered {
    const chosen = positions.map((at) => present(view.columns[at], `column ${at} of view ${view.name}`));
    if (isChecked) {
      const { node } = this.output(view);
      return { node, identity, columns, positions, width: view.columns.length };
    }
    const inner = this.#lower(view.plan);
    const layout = layoutOf(inner);
    return { ...inner, identity, columns, positions: chosen.map(({ id }) => present(layout.get(id), 'a column')) };
  }

  #input(relation: string): EngineInputNode {
    const known = this.inputs.find((input) => input.relation === relation);
    if (known !== undefined) return known;
    const used = [...(this.#positions.get(relation) ?? [])].toSorted(([a], [b]) => a - b);
    const node = this.graph.add(nodeOf(`input-${relation}`, 'input', relation, new Input(), []));
    const input = { relation, positions: used.map(([at]) => at), types: used.map(([, type]) => type), node };
    this.inputs.push(input);
    return input;
  }

  /** A filter below a projection becomes one operator with it; a projection that only chooses columns becomes none. */
  #project(plan: ProjectPlan, identity: string): Lowered {
    const below = plan.input.kind === 'filter' ? plan.input : null;
    const isChoice = plan.expressions.every(({ kind }) => kind === 'column');
    const input = this.#lower(below === null || isChoice ? plan.input : below.input);
    const { columns } = plan;
    const layout = layoutOf(input);
    if (isChoice) {
      const positions = plan.expressions.map((e) => present(e.kind === 'column' ? layout.get(e.id) : null, 'a column'));
      return { ...input, identity, columns, positions };
    }
    const name = `map-${identity}`;
    const operator = new MapRows({
      name,
      condition: below === null ? null : compilePredicate(below.condition, layout),
      compute: compileRow(plan.expressions, layout),
    });
    const computed = plan.expressions.filter(({ kind }) => kind !== 'column');
    const details = [
      ...(below === null ? [] : [`if ${expressionName(below.condition, input.columns)}`]),
      computed.map((e) => expressionName(e, input.columns)).join(', '),
    ];
    const node = this.graph.add(nodeOf(name, 'map', details.join(': '), operator, [input.node]));
    return { node, identity, columns, positions: columns.map((_, index) => index), width: columns.length };
  }

  #noteScans(plan: Plan, seen: Set<Plan>): void {
    if (seen.has(plan)) return;
    seen.add(plan);
    if (plan.kind === 'scan' && !this.#views.has(plan.relation)) {
      const known = this.#positions.get(plan.relation) ?? new Map<number, ScanPlan['columns'][number]['type']>();
      this.#positions.set(plan.relation, known);
      for (const [index, at] of plan.positions.entries()) {
        known.set(at, present(plan.columns[index], 'a column of a scan').type);
      }
    }
    for (const input of inputsOf(plan)) this.#noteScans(input, seen);
  }
}

/** Whether the plan leaves it open that two rows have the declared key. */
function isKeyChecked({ plan, columns, key }: BoundView): boolean {
  return key.length > 0 && !isUniqueBy(plan, new Set(key.map((at) => present(columns[at], 'a key column').id)));
}

function inputsOf(plan: Plan): readonly Plan[] {
  if (plan.kind === 'scan' || plan.kind === 'values') return [];
  if (plan.kind === 'union') return plan.inputs;
  return 'left' in plan && typeof plan.left === 'object'
    ? [plan.left, plan.right]
    : 'input' in plan
      ? [plan.input]
      : [];
}

function markView(node: GraphNode, view: string): void {
  if (node.views.has(view)) return;
  node.views.add(view);
  for (const input of node.inputs) markView(input, view);
}

/** One operator for all that ask the same of the same rows, whatever columns of them they go on with. */
function filter({ condition }: FilterPlan, identity: string, input: Lowered, graph: GraphBuilder): Lowered {
  const layout = layoutOf(input);
  const name = `map-${digest(`${input.node.name}|${text(condition, layout)}`)}`;
  const known = graph.nodes.find((node) => node.name === name);
  if (known !== undefined) return { ...input, node: known, identity };
  const operator = new MapRows({
    name,
    condition: compilePredicate(condition, layout),
    firstRefused: compileFilter(condition, layout),
    compute: null,
  });
  const detail = `if ${expressionName(condition, input.columns)}`;
  return { ...input, node: graph.add(nodeOf(name, 'map', detail, operator, [input.node])), identity };
}

function values({ rows, columns }: ValuesPlan, identity: string, graph: GraphBuilder): Lowered {
  const name = `values-${identity}`;
  const made = rows.map((row) => {
    const compute = compileRow(row, new Map());
    return () => compute([]);
  });
  const records = graph.store.records(name);
  const operator = new Values({ name, rows: made, records });
  const node = graph.add({
    ...nodeOf(name, 'values', `${rows.length} rows`, operator, []),
    states: [{ name, of: records }],
    eager: true,
  });
  return { node, identity, columns, positions: columns.map((_, index) => index), width: columns.length };
}

function union({ columns }: UnionPlan, identity: string, inputs: readonly Lowered[], graph: GraphBuilder): Lowered {
  const operator = new Union(inputs.map(columnsPicker));
  const nodes = inputs.map(({ node }) => node);
  const node = graph.add(nodeOf(`union-${identity}`, 'union', '', operator, nodes));
  return { node, identity, columns, positions: columns.map((_, index) => index), width: columns.length };
}

function expand(plan: ExpandPlan, identity: string, input: Lowered, graph: GraphBuilder): Lowered {
  const name = `expand-${identity}`;
  const made = plan.columns.length - input.columns.length;
  const operator = new Expand({
    name,
    args: compileRow(plan.args, layoutOf(input)),
    expand: expandFunction(plan),
    pick: columnsPicker(input),
    ordinality: plan.ordinality,
    nulls: plan.left ? made : 0,
  });
  const args = plan.args.map((e) => expressionName(e, input.columns)).join(', ');
  const node = graph.add(nodeOf(name, 'expand', `${plan.fn}(${args})`, operator, [input.node]));
  const { columns } = plan;
  return { node, identity, columns, positions: columns.map((_, index) => index), width: columns.length };
}
