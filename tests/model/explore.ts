import { stepsFrom } from "./steps.ts";
import { type Database, ENDED, type Faults, type Runner, type World } from "./world.ts";

const NO_FAULTS: Faults = { kill: 0, wipe: 0, restore: 0, lose: 0, repeat: 0, lease: 0, giveUp: 0, stop: 0 };

export interface Exploration {
  readonly worlds: number;
  /** What is wrong, with the steps that lead there; null where nothing is. */
  readonly fault: string | null;
}

export function beginning(faults: Partial<Faults>): World {
  const runner: Runner = {
    isUp: true,
    instance: 1,
    memory: "nothing",
    outcome: null,
    journal: "nothing",
    executor: "none",
    isToStop: false,
    epoch: 0,
  };
  const database: Database = {
    status: "pending",
    owner: null,
    isStarted: false,
    instances: [1, 1],
    epoch: 0,
    awaited: [],
  };
  return {
    database,
    backup: null,
    runners: [runner, runner],
    messages: [],
    faults: { ...NO_FAULTS, ...faults },
    spawns: 0,
    wasExecuted: false,
    wasRestored: false,
  };
}

interface Found {
  readonly world: World;
  readonly from: Found | null;
  readonly step: string;
}

/**
 * Visits every world that can be reached within `depth` steps, and from each one lets the run come to its end without
 * further faults.
 */
export function explore(faults: Partial<Faults>, depth: number): Exploration {
  let level: Found[] = [{ world: beginning(faults), from: null, step: "" }];
  const seen = new Set(level.map(({ world }) => keyOf(world)));
  const settling = new Set<string>();
  for (let at = 0; at <= depth && level.length > 0; at++) {
    const next: Found[] = [];
    for (const found of level) {
      const fault = wrongIn(found.world) ?? wrongAtEnd(found.world, settling);
      if (fault !== null) return { worlds: seen.size, fault: `${fault}\n${pathTo(found)}` };
      if (at === depth) continue;
      for (const step of stepsFrom(found.world)) {
        const key = keyOf(step.next);
        if (seen.has(key)) continue;
        seen.add(key);
        next.push({ world: step.next, from: found, step: step.name });
      }
    }
    level = next;
  }
  return { worlds: seen.size, fault: null };
}

/** Never executed twice; an end that somebody was told is true. */
function wrongIn({ spawns, database, wasExecuted }: World): string | null {
  if (spawns > 1) return "the run is executed twice";
  if (database.status === "completed" && !wasExecuted) return "completed, but no executor came to its end";
  return null;
}

const SETTLING_STEPS = 200;

/**
 * Without further faults the run ends and nothing runs on: one fair order of steps is followed. `settling` collects the
 * worlds from which that was seen.
 */
function wrongAtEnd(world: World, settling: Set<string>): string | null {
  let at: World = { ...world, faults: NO_FAULTS };
  const taken = new Map<string, number>();
  const passed: string[] = [];
  while (passed.length < SETTLING_STEPS) {
    const key = keyOf(at);
    if (isSettled(at) || settling.has(key)) {
      for (const each of passed) settling.add(each);
      return null;
    }
    passed.push(key);
    const steps = stepsFrom(at).filter((step) => !step.isFault && step.next !== at);
    // The step that was taken least often: no step that stays possible waits for ever.
    const step = steps.toSorted((a, b) => (taken.get(a.name) ?? 0) - (taken.get(b.name) ?? 0))[0];
    if (step === undefined) break;
    taken.set(step.name, (taken.get(step.name) ?? 0) + 1);
    at = step.next;
    const fault = wrongIn(at);
    if (fault !== null) return fault;
  }
  return `does not come to an end: ${JSON.stringify(at.database)} ${JSON.stringify(at.runners)}`;
}

function isSettled({ database, runners }: World): boolean {
  const isQuiet = runners.every((runner) => runner.executor !== "alive" && runner.isUp);
  return isQuiet && ENDED.includes(database.status);
}

/** The order in which messages wait makes no difference, so it makes no other world. */
function keyOf(world: World): string {
  return JSON.stringify({ ...world, messages: world.messages.map((message) => JSON.stringify(message)).sort() });
}

function pathTo(found: Found): string {
  const steps: string[] = [];
  for (let at: Found | null = found; at !== null; at = at.from) steps.push(at.step);
  return steps.reverse().join("\n  ");
}
