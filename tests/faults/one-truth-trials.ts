import { imageDisk } from "../harness/image-disk.ts";
import { findFaketime } from "../../scripts/faketime.ts";
import { clockAtStart, clockJump, type Clocks, JUMPS } from "./trial-clock-jumps.ts";
import { damagedDatabase } from "./trial-damaged-database.ts";
import { machineLost } from "./trial-machine-lost.ts";
import { exploreModel } from "./trial-model.ts";
import { powerCut } from "./trial-power-cut.ts";
import { restoredBackup } from "./trial-restored-backup.ts";
import { suspendedPastLost, suspendedPastStale } from "./trial-suspended.ts";
import { counted, FIRST_SEED, type Trial, type TrialResult } from "./trial.ts";
import { sum, type Verdict, verdictOf } from "./verdict.ts";

/** Trials of a memory that is lost: does the coordinator still say the truth about every run? */
export const ONE_TRUTH_TRIALS: readonly Trial[] = [
  {
    name: "machine-lost",
    fault: "a machine under load loses its runner, its executors and its state folder, and comes back or never does",
    async run({ isQuick, seed, onProgress }) {
      const losses = isQuick ? 2 : 25;
      let done = 0;
      const onLoss = (): void => onProgress(`${++done} of ${2 * losses} machines`);
      const first = seed ?? FIRST_SEED;
      const verdict = await together([
        () => machineLost({ losses, returns: true, seed: first, onLoss }),
        () => machineLost({ losses, returns: false, seed: first + 1, onLoss }),
      ]);
      const tried = `${losses} machines that came back and ${losses} that did not, ${counted(verdict.tried)} runs`;
      return { verdict, tried, notes: [] };
    },
  },
  {
    name: "suspended",
    fault: "the runner sleeps until it is stale or given up; some of its runs are stopped meanwhile",
    async run({ isQuick, seed, onProgress }) {
      const [rounds, runs] = isQuick ? [1, 8] : [20, 12];
      let done = 0;
      const onRound = (): void => onProgress(`${++done} of ${2 * rounds} sleeps`);
      const first = seed ?? FIRST_SEED;
      const stale = isQuick
        ? []
        : [true, false].map((stops, i) => () => suspendedPastStale({ runs, stops, seed: first + 2 + i }));
      const verdict = await together([
        ...[true, false].map((stops, i) => () => suspendedPastLost({ rounds, runs, stops, seed: first + i, onRound })),
        ...stale,
      ]);
      return {
        verdict,
        tried: `${2 * rounds} sleeps past the limit, ${stale.length} until stale, ${counted(verdict.tried)} runs`,
        notes: isQuick ? ["not tried in the short form: 130 s of sleep, until the runner is stale"] : [],
      };
    },
  },
  {
    name: "restored-backup",
    fault: "a backup of the coordinator, made at a random moment under load, is restored at a later one",
    async run({ isQuick, seed, onProgress }) {
      const count = isQuick ? 1 : 25;
      const verdicts: Verdict[] = [];
      for (let i = 0; i < count; i++) {
        const at = (seed ?? FIRST_SEED) + 2 * i;
        verdicts.push(await together([1, 3].map((machines, j) => () => restoredBackup({ machines, seed: at + j }))));
        onProgress(`${2 * (i + 1)} of ${2 * count} backups`);
      }
      const verdict = sum(verdicts);
      const tried = `${count} backups with one runner and ${count} with three, ${counted(verdict.tried)} runs`;
      return { verdict, tried, notes: [] };
    },
  },
  {
    name: "power-cut",
    fault: "a power cut at a random moment under load: the coordinator's disk (ext4) as it is then",
    async run({ isQuick, seed, onProgress }) {
      if (!imageDisk.isPossible) return notTried("a power cut needs root on Linux, to mount an ext4 file system");
      const cuts = isQuick ? 6 : 60;
      const first = seed ?? FIRST_SEED;
      let done = 0;
      const onCut = (): void => onProgress(`${++done} of ${cuts} power cuts`);
      const verdict = await powerCut({ cuts, durability: "disk", seed: first, onCut });
      const tried = `${cuts} power cuts, ${counted(verdict.creates)} acknowledged creates to find`;
      if (isQuick) return { verdict, tried, notes: [] };
      const weak = await powerCut({ cuts: 12, durability: "process", seed: first });
      const note = `with durability "process", ${weak.spoilt} of 12 power cuts lost something that was acknowledged`;
      const isBlind = weak.spoilt === 0 ? ['the trial cannot fail: durability "process" lost nothing'] : [];
      return { verdict: sum([verdict, verdictOf(0, { lost: isBlind })]), tried, notes: [note] };
    },
  },
  {
    name: "damaged-database",
    fault: "one bit or byte of the coordinator's database is another one",
    async run({ isQuick, seed, onProgress }) {
      const flips = isQuick ? 20 : 200;
      let done = 0;
      const onFlip = (): void => onProgress(`${++done} of ${flips} flips`);
      const damages = await damagedDatabase({ flips, seed: seed ?? FIRST_SEED, onFlip });
      const { refused, reported, harmless, unnoticed } = damages;
      const parts = [
        `${refused} refused at the start`,
        `${reported} reported later`,
        `${harmless} changed nothing that is served`,
        `${unnoticed.length} changed a text or a number without a word`,
      ];
      const notes = isQuick ? [] : unnoticed;
      return { verdict: damages, tried: `${flips} flips: ${parts.join(", ")}`, notes };
    },
  },
  {
    name: "clock-jumps",
    fault: "the clock is set by a day back, 10 minutes, a day or 100 days ahead; a start 100 days ahead",
    async run({ isQuick, onProgress }) {
      if (findFaketime() === undefined) return notTried("jumps of the clock need libfaketime (Debian: faketime)");
      const rounds = isQuick ? 1 : 10;
      const whose: readonly Clocks[] = isQuick ? ["coordinator"] : ["coordinator", "both"];
      const verdicts: Verdict[] = [];
      for (let round = 0; round < rounds; round++) {
        for (const clocks of whose) {
          const jumps = JUMPS.map((jump) => () => clockJump(jump, clocks));
          verdicts.push(await together([...jumps, () => clockAtStart(clocks)]));
          onProgress(`${verdicts.length} of ${rounds * whose.length} rounds`);
        }
      }
      const verdict = sum(verdicts);
      const count = verdicts.length;
      const tried = `${JUMPS.length * count} jumps, ${2 * count} starts, ${counted(verdict.tried)} runs`;
      return { verdict, tried, notes: isQuick ? [] : ["half of them with the runner's clock too"] };
    },
  },
  {
    name: "model",
    fault: "every order of events in a model of one run, two runners and a coordinator, to a depth",
    async run({ isQuick, onProgress }) {
      const onCase = (done: number, of: number): void => onProgress(`${done} of ${of} sets of faults`);
      const explored = await exploreModel({ isQuick, onCase });
      return {
        verdict: explored,
        tried: `${explored.cases} sets of faults, ${counted(explored.worlds)} states`,
        notes: [],
      };
    },
  },
];

/** Plays at the same time. */
async function together(plays: readonly (() => Promise<Verdict>)[]): Promise<Verdict> {
  return sum(await Promise.all(plays.map((play) => play())));
}

function notTried(why: string): TrialResult {
  return { verdict: verdictOf(0, {}), tried: "nothing", notes: [`not tried: ${why}`] };
}
