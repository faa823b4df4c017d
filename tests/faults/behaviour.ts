import type { SeededRandom } from "./seeded-random.ts";

/** The behaviour that a prompt requests from the executor `does-as-told`. */
export interface Behaviour {
  readonly exitCode: 0 | 3;
  readonly sleepMs: number;
  /** Ignores SIGTERM and never ends by itself. */
  readonly isStubborn: boolean;
  /** Waits for the file `release`, then sleeps. */
  readonly waits: boolean;
  /** Leaves processes that outlive it. */
  readonly leaves: boolean;
  /** Calls the coordinator through the runner's gateway. Exits with 0. */
  readonly talks: boolean;
}

export const ENDS_WELL: Behaviour = {
  exitCode: 0,
  sleepMs: 0,
  isStubborn: false,
  waits: false,
  leaves: false,
  talks: false,
};

export function promptOf({ exitCode, sleepMs, isStubborn, waits, leaves, talks }: Behaviour): string {
  if (isStubborn) return "stubborn";
  const words = [
    `sleep=${(sleepMs / 1000).toFixed(3)}`,
    `exit=${exitCode}`,
    waits && "until-released",
    leaves && "leaves",
    talks && "talks",
  ];
  return words.filter(Boolean).join(" ");
}

export function randomBehaviour(random: SeededRandom, maxMs: number): Behaviour {
  const talks = random.chance(0.2);
  return {
    exitCode: !talks && random.chance(0.35) ? 3 : 0,
    sleepMs: random.whole(Math.min(50, maxMs), maxMs),
    isStubborn: false,
    waits: false,
    leaves: random.chance(0.2),
    talks,
  };
}
