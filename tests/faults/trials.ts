import { forgettingCoordinator } from "./trial-forgetting.ts";
import { mixedFleet } from "./trial-fleet.ts";
import { fuzzAnswers } from "./trial-fuzz-answers.ts";
import { fuzzInvocations } from "./trial-fuzz-invocations.ts";
import { hostileExecutors } from "./hostile-executors.ts";
import { killInFlight, killUnderStream } from "./trial-kills.ts";
import { outage } from "./trial-outage.ts";
import { ONE_TRUTH_TRIALS } from "./one-truth-trials.ts";
import { playSchedules } from "./play-schedule.ts";
import { type Holdings, soak } from "./trial-soak.ts";
import { counted, FIRST_SEED, type Trial } from "./trial.ts";

const SCHEDULES_AT_ONCE = 8;

/** All trials of `bun run faults`. The gate plays their short form. */
export const TRIALS: readonly Trial[] = [
  {
    name: "kills-in-flight",
    fault: "SIGKILL of the runner at random points while the same runs are in flight",
    async run({ isQuick, seed }) {
      const [kills, runs] = isQuick ? [4, 8] : [10, 20];
      const verdict = await killInFlight({ kills, runs, seed: seed ?? FIRST_SEED });
      return { verdict, tried: `${kills} kills, ${runs} runs`, notes: [] };
    },
  },
  {
    name: "kills-under-stream",
    fault: "SIGKILL of the runner every 1-3 s under a stream of runs",
    async run({ isQuick, seed, onProgress }) {
      const seconds = isQuick ? 15 : 60;
      const verdict = await killUnderStream({
        seconds,
        seed: seed ?? FIRST_SEED,
        onKill: (kills) => onProgress(`${kills} kills`),
      });
      return { verdict, tried: `${seconds} s: ${verdict.kills} kills, ${counted(verdict.tried)} runs`, notes: [] };
    },
  },
  {
    name: "outage",
    fault: "the coordinator is away while the runs end, and the runner is killed meanwhile",
    async run({ isQuick, onProgress }) {
      const [seconds, runs] = isQuick ? [15, 20] : [600, 100];
      const verdict = await outage({
        seconds,
        runs,
        onSecond: (away) => onProgress(`away for ${away} of ${seconds} s`),
      });
      return { verdict, tried: `${seconds} s, ${runs} runs`, notes: [] };
    },
  },
  {
    name: "forgetting",
    fault: "the coordinator is restarted and has forgotten runner, runs and sessions",
    async run({ isQuick }) {
      const runs = isQuick ? 10 : 20;
      const verdict = await forgettingCoordinator({ runs });
      return { verdict, tried: `${runs} runs in flight, ${runs} later ones`, notes: [] };
    },
  },
  {
    name: "schedules",
    fault: "random schedules: spoilt requests and answers, kills of runner and coordinator, stops",
    async run({ isQuick, seed, onProgress }) {
      const count = isQuick ? 40 : 1_000;
      const seeds = seed === null ? Array.from({ length: count }, (_, i) => FIRST_SEED + i) : [seed];
      let done = 0;
      const verdict = await playSchedules(seeds, {
        atOnce: SCHEDULES_AT_ONCE,
        onVerdict: () => onProgress(`${counted(++done)} of ${counted(seeds.length)} schedules`),
      });
      return {
        verdict,
        tried: `${counted(seeds.length)} schedules, ${counted(verdict.tried)} runs`,
        notes: [`seeds ${seeds[0]} to ${seeds.at(-1)}`],
      };
    },
  },
  {
    name: "hostile",
    fault: "hostile executors: deaf to SIGTERM, 200 processes, daemons, 1 GB of output, a full disk and others",
    async run({ onProgress }) {
      const { untried, ...verdict } = await hostileExecutors({
        onEach: (name) => onProgress(`an executor that ${name}`),
      });
      return { verdict, tried: `${verdict.tried} executors`, notes: untried.map((what) => `not tried: ${what}`) };
    },
  },
  {
    name: "fuzz-answers",
    fault: "malformed answers of the coordinator",
    async run({ isQuick, seed }) {
      const count = isQuick ? 1_000 : 10_000;
      return {
        verdict: await fuzzAnswers({ count, seed: seed ?? FIRST_SEED }),
        tried: `${counted(count)} answers`,
        notes: [],
      };
    },
  },
  {
    name: "fuzz-invocations",
    fault: "malformed invocations",
    async run({ isQuick, seed, onProgress }) {
      const [count, processEach] = isQuick ? [1_000, 10] : [10_000, 1];
      const onDone = (done: number): void => onProgress(`${counted(done)} of ${counted(count)}`);
      const verdict = await fuzzInvocations({ count, processEach, seed: seed ?? FIRST_SEED, onDone });
      return {
        verdict,
        tried: `${counted(count)} invocations`,
        notes: processEach === 1 ? [] : [`one in ${processEach} to an executor's process as well`],
      };
    },
  },
  {
    name: "soak",
    fault: "many runs: memory, virtual size, open files and processes as after a tenth of them",
    async run({ isQuick, onProgress }) {
      const runs = isQuick ? 500 : 20_000;
      const { afterATenth, atTheEnd, ...verdict } = await soak({
        runs,
        onBatch: (done) => onProgress(`${counted(done)} of ${counted(runs)} runs`),
      });
      return {
        verdict,
        tried: `${counted(runs)} runs`,
        notes: [`after a tenth: ${described(afterATenth)}`, `at the end: ${described(atTheEnd)}`],
      };
    },
  },
  {
    name: "fleet",
    fault: "runners of three kinds at coordinators of three kinds: callbacks, slow hooks, SIGKILL of our runners",
    async run({ isQuick, seed, onProgress }) {
      const sizes = isQuick
        ? { trees: 9, kills: 1, pollTimeoutSeconds: 1, slowHookMs: 7_000 }
        : { trees: 60, kills: 8, pollTimeoutSeconds: 30, slowHookMs: 50_000 };
      const verdict = await mixedFleet({ ...sizes, seed: seed ?? FIRST_SEED, onProgress });
      return { verdict, tried: `${counted(verdict.tried)} runs, ${3 * sizes.kills} kills`, notes: [] };
    },
  },
  ...ONE_TRUTH_TRIALS,
];

function described(holdings: Holdings | null): string {
  if (holdings === null) return "unknown";
  const { residentMiB, virtualMiB, openFiles, children } = holdings;
  return `${residentMiB} MiB resident, ${virtualMiB} MiB virtual, ${openFiles} open files, ${children} child processes`;
}
