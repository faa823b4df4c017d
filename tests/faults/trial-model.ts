import { explore } from "../model/explore.ts";
import type { Faults } from "../model/world.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

type Case = readonly [Partial<Faults>, depth: number];

/** More faults in one order of events, and more steps, than the gate's test of the model. */
const DEEP: readonly Case[] = [
  [{}, 20],
  [{ lose: 2 }, 12],
  [{ lose: 1, repeat: 1 }, 12],
  [{ kill: 2 }, 10],
  [{ kill: 1, lease: 1 }, 11],
  [{ wipe: 1, lease: 1 }, 10],
  [{ wipe: 1, stop: 1 }, 11],
  [{ giveUp: 1, kill: 1, stop: 1 }, 10],
  [{ restore: 1 }, 13],
  [{ restore: 1, kill: 1 }, 10],
  [{ restore: 1, lose: 1 }, 11],
  [{ restore: 1, stop: 1 }, 10],
  [{ restore: 1, kill: 1, lose: 1 }, 9],
  [{ restore: 1, lease: 1, kill: 1 }, 9],
];
const SHALLOW: readonly Case[] = DEEP.map(([faults]) => [faults, 6]);

export interface Explored extends Verdict {
  readonly worlds: number;
  readonly cases: number;
}

/** Explores every order of events of the model (`tests/model/world.ts`), to a depth. */
export async function exploreModel(options: {
  readonly isQuick: boolean;
  readonly onCase: (done: number, of: number) => void;
}): Promise<Explored> {
  const cases = options.isQuick ? SHALLOW : DEEP;
  const lost: string[] = [];
  let worlds = 0;
  for (const [index, [faults, depth]] of cases.entries()) {
    const explored = explore(faults, depth);
    worlds += explored.worlds;
    if (explored.fault !== null) lost.push(`with ${JSON.stringify(faults)}: ${explored.fault}`);
    options.onCase(index + 1, cases.length);
    // Signals are handled between two cases.
    await Bun.sleep(0);
  }
  return { ...verdictOf(worlds, { lost }), worlds, cases: cases.length };
}
