import { type Behaviour, ENDS_WELL, randomBehaviour } from "./behaviour.ts";
import { SeededRandom } from "./seeded-random.ts";

/** One action of a schedule. `run` is the index in order of submission. */
export type Action =
  | { readonly do: "submit"; readonly behaviour: Behaviour }
  | { readonly do: "stop"; readonly run: number }
  | { readonly do: "kill-runner" | "start-runner" | "kill-coordinator" | "start-coordinator" };

export interface Step {
  readonly afterMs: number;
  readonly action: Action;
}

/** A plan of actions. The same seed gives the same plan, but the result also depends on the machine's timing. */
export interface Schedule {
  readonly seed: number;
  /** The share of requests with a fault, from 0 to 1. */
  readonly faultShare: number;
  readonly steps: readonly Step[];
}

const MAX_RUN_MS = 300;

export function planSchedule(seed: number): Schedule {
  const random = new SeededRandom(seed);
  const submissions = Array.from({ length: random.whole(3, 7) }, (_, i) => submission(random, i));
  const stops = submissions.flatMap(({ behaviour }, run): Action[] =>
    behaviour.isStubborn || random.chance(0.2) ? [{ do: "stop", run }] : [],
  );
  const queue: Action[] = [...submissions, ...stops];
  const outages: [Action, Action][] = [
    ...pairs(random.whole(0, 3), "kill-runner", "start-runner"),
    ...pairs(random.whole(0, 1), "kill-coordinator", "start-coordinator"),
  ];
  for (const [kill, start] of outages) {
    const at = random.whole(0, queue.length);
    queue.splice(at, 0, kill);
    queue.splice(random.whole(at + 1, Math.min(queue.length, at + 4)), 0, start);
  }
  const steps = queue.map((action) => ({ afterMs: random.whole(0, 250), action }));
  return { seed, faultShare: random.pick([0, 0.15, 0.3, 0.5]), steps };
}

function submission(random: SeededRandom, index: number): { do: "submit"; behaviour: Behaviour } {
  const isStubborn = index === 0 && random.chance(0.2);
  return {
    do: "submit",
    behaviour: isStubborn ? { ...ENDS_WELL, isStubborn } : randomBehaviour(random, MAX_RUN_MS),
  };
}

function pairs(
  count: number,
  kill: "kill-runner" | "kill-coordinator",
  start: "start-runner" | "start-coordinator",
): [Action, Action][] {
  return Array.from({ length: count }, () => [{ do: kill }, { do: start }]);
}
