// Breadth-first exploration of every reachable world, so that the first violation found is a shortest one.
// Liveness: the graph of fair transitions has no cycle (checked), so every fair run ends where nothing fair is left;
// each such world must be settled. That is stronger than "some continuation ends well".
import { HandoverError } from '../../src/errors.ts';
import { brokenRule, brokenStep, isSettled } from './check.ts';
import { destinationTransitions } from './dest-actions.ts';
import { processTransitions } from './process-actions.ts';
import type { Rules } from './rules.ts';
import { sourceTransitions } from './source-actions.ts';
import type { Transition, World } from './world.ts';

export interface Exploration {
  readonly stateCount: number;
  readonly transitionCount: number;
  /** Worlds in which nothing fair is left to happen. */
  readonly endCount: number;
  /** What is broken and how one gets there; null: nothing. */
  readonly violation: { readonly rule: string; readonly trace: readonly string[] } | null;
}

interface Visited {
  readonly world: World;
  readonly parentIndex: number;
  readonly label: string;
}

export function explore(first: World, rules: Rules): Exploration {
  const visited: Visited[] = [{ world: first, parentIndex: -1, label: 'start' }];
  const keyOf = worldKeys();
  const indexes = new Map<string, number>([[keyOf(first), 0]]);
  const fairEdges: number[][] = [];
  let transitionCount = 0;
  let endCount = 0;
  const result = (rule: string | null, index: number, last: string): Exploration => ({
    stateCount: visited.length,
    transitionCount,
    endCount,
    violation: rule === null ? null : { rule, trace: [...traceTo(visited, index), last] },
  });
  for (let index = 0; index < visited.length; index += 1) {
    const { world } = visited[index] ?? { world: first };
    const found = transitionsOf(world, rules);
    if (typeof found === 'string') return result(found, index, '');
    const fair: number[] = [];
    for (const { label, kind, world: next } of found) {
      transitionCount += 1;
      const after = withoutSettledOrphan(next);
      const rule = brokenRule(after) ?? brokenStep(world, after);
      if (rule !== null) return result(rule, index, label);
      const key = keyOf(after);
      let target = indexes.get(key);
      if (target === undefined) {
        target = visited.length;
        indexes.set(key, target);
        visited.push({ world: after, parentIndex: index, label });
      }
      if (kind === 'fair') fair.push(target);
    }
    fairEdges.push(fair);
    if (fair.length > 0) continue;
    endCount += 1;
    if (!isSettled(world)) return result('nothing more happens, and the guest is not settled', index, '');
  }
  return result(hasCycle(fairEdges) ? 'fair transitions go round for ever' : null, 0, '');
}

/** @returns the assertion that failed, where a transition function says that what happens is impossible. */
function transitionsOf(world: World, rules: Rules): Transition[] | string {
  try {
    const all = [
      ...sourceTransitions(world, rules),
      ...destinationTransitions(world, rules),
      ...processTransitions(world, rules),
    ];
    return all.filter(({ world: { budget } }) => budget.failures >= 0);
  } catch (error) {
    if (error instanceof HandoverError) return error.message;
    throw error;
  }
}

/** An orphaned guard looks at the journal all the time and ends when its handover is settled. */
function withoutSettledOrphan(world: World): World {
  const { phase } = world.sourceRecord;
  if (!world.isOrphanArmed || phase === 'pausing' || phase === 'reclaimed') return world;
  return { ...world, isOrphanArmed: false };
}

/** Equal worlds have equal keys. Parts that a transition did not touch are not serialised again. */
function worldKeys(): (world: World) => string {
  const numbers = new Map<string, number>();
  const known = new WeakMap<object, number>();
  const numberOf = (part: object): number => {
    const before = known.get(part);
    if (before !== undefined) return before;
    const text = JSON.stringify(part);
    const number = numbers.get(text) ?? numbers.size;
    numbers.set(text, number);
    known.set(part, number);
    return number;
  };
  return (world) => {
    let key = '';
    for (const part of Object.values<unknown>({ ...world })) {
      key += typeof part === 'object' && part !== null ? `#${numberOf(part)} ` : `${String(part)} `;
    }
    return key;
  };
}

function traceTo(visited: readonly Visited[], index: number): string[] {
  const trace: string[] = [];
  for (let at = visited[index]; at !== undefined && at.parentIndex >= 0; at = visited[at.parentIndex]) {
    trace.unshift(at.label);
  }
  return trace;
}

/** Kahn's algorithm: whatever can never be removed is on, or behind, a cycle. */
function hasCycle(edges: readonly (readonly number[])[]): boolean {
  const inDegrees = new Uint32Array(edges.length);
  for (const targets of edges) for (const target of targets) inDegrees[target] = (inDegrees[target] ?? 0) + 1;
  const free = [...inDegrees.keys()].filter((index) => inDegrees[index] === 0);
  let removedCount = 0;
  for (let index = free.pop(); index !== undefined; index = free.pop()) {
    removedCount += 1;
    for (const target of edges[index] ?? []) {
      const left = (inDegrees[target] ?? 0) - 1;
      inDegrees[target] = left;
      if (left === 0) free.push(target);
    }
  }
  return removedCount < edges.length;
}
