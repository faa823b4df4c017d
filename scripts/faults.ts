// `bun run faults`: every fault trial in full. It ends with the table of docs/reliability.md; exit code 1 where something was lost, duplicated or
// left behind, 2 where what was typed is wrong, 130 where it was interrupted (nothing is left running then).
import { writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { buildForThisMachine, describeBuild, isUpToDate } from "../build.ts";
import { abandonAll } from "../tests/harness/abandon.ts";
import { BINARY } from "../tests/harness/binary.ts";
import { type Trial, type TrialResult, TRIALS } from "../tests/faults/trials.ts";
import { verdictOf } from "../tests/faults/verdict.ts";

const PROGRESS_MS = 10_000;
const HELP = `Usage: bun run faults [options]

Tries everything that may happen to a runner, in full; it takes about an hour on two cores. Nothing outside this machine is reached, and
nothing of yours is touched: each trial has a home, a coordinator and ports of its own.

Options:
  --quick       the short form, which is part of the gate (two minutes)
  --only NAME   only this trial; may be given several times
  --seed N      replays: the schedule of this seed alone; the random numbers of the other trials begin there
  --json FILE   writes the results, all complaints and the machine to FILE
  --help        this text

Trials:
${TRIALS.map(({ name, fault }) => `  ${name.padEnd(19)} ${fault}`).join("\n")}

Examples:
  bun run faults --quick
  bun run faults --only outage --only soak --json results.json
  bun run faults --only schedules --seed 137

Exit code: 0 nothing was lost, duplicated or left behind; 1 something was; 2 a fault in what was typed; 130 interrupted.
`;

interface Row extends TrialResult {
  readonly name: string;
  readonly fault: string;
  readonly seconds: number;
}

interface Wishes {
  readonly kind: "wishes";
  readonly trials: readonly Trial[];
  readonly isQuick: boolean;
  readonly seed: number | null;
  readonly json: string | null;
}

const typed = readCommandLine();
switch (typed.kind) {
  case "help":
    process.stdout.write(HELP);
    break;
  case "wrong":
    process.stderr.write(`${typed.why}\nbun run faults --help shows what there is.\n`);
    process.exitCode = 2;
    break;
  case "wishes":
    process.exitCode = (await tryAll(typed)) ? 0 : 1;
}

type Typed = Wishes | { readonly kind: "help" } | { readonly kind: "wrong"; readonly why: string };

function readCommandLine(): Typed {
  try {
    const options = {
      quick: { type: "boolean" },
      only: { type: "string", multiple: true },
      seed: { type: "string" },
      json: { type: "string" },
      help: { type: "boolean" },
    } as const;
    const { quick = false, only = [], seed, json, help } = parseArgs({ options, allowPositionals: false }).values;
    if (help) return { kind: "help" };
    const unknown = only.find((wanted) => TRIALS.every(({ name }) => name !== wanted));
    if (unknown !== undefined) return { kind: "wrong", why: `There is no trial ${JSON.stringify(unknown)}.` };
    if (seed !== undefined && !/^\d{1,9}$/.test(seed))
      return { kind: "wrong", why: `--seed takes a whole number, not ${JSON.stringify(seed)}.` };
    const trials = only.length === 0 ? TRIALS : TRIALS.filter(({ name }) => only.includes(name));
    return {
      kind: "wishes",
      trials,
      isQuick: quick,
      seed: seed === undefined ? null : Number(seed),
      json: json ?? null,
    };
  } catch (error) {
    return { kind: "wrong", why: error instanceof Error ? error.message : String(error) };
  }
}

async function tryAll({ trials, isQuick, seed, json }: Wishes): Promise<boolean> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => leave(signal));
  // All is on loopback, whatever proxy this machine has.
  for (const name of ["NO_PROXY", "no_proxy"]) process.env[name] = "127.0.0.1,localhost,::1";
  if (process.env["AGENT_RUNNER_BINARY"] === undefined && !isUpToDate())
    console.log(describeBuild(await buildForThisMachine()));
  const machine = describeMachine();
  console.log(machine);
  const rows: Row[] = [];
  for (const trial of trials) {
    rows.push(await tryOne(trial, isQuick, seed));
    if (json !== null) writeFileSync(json, `${JSON.stringify({ machine, isQuick, seed, trials: rows }, null, 2)}\n`);
  }
  console.log(`\n${tableOf(rows)}`);
  return rows.every(isClean);
}

async function tryOne({ name, fault, run }: Trial, isQuick: boolean, seed: number | null): Promise<Row> {
  console.log(`\n== ${name}: ${fault}`);
  const beganMs = performance.now();
  const seconds = (): number => Math.round((performance.now() - beganMs) / 1_000);
  let shownMs = beganMs;
  const onProgress = (line: string): void => {
    if (performance.now() - shownMs < PROGRESS_MS) return;
    shownMs = performance.now();
    console.log(`   ${line} (${seconds()} s)`);
  };
  const result = await run({ isQuick, seed, onProgress }).catch((error: unknown): TrialResult => ({
    verdict: verdictOf(0, { lost: [`it broke off: ${String(error)}`] }),
    tried: "nothing",
    notes: [],
  }));
  const row = { name, fault, seconds: seconds(), ...result };
  for (const complaint of row.verdict.complaints) console.log(complaint);
  console.log(`   ${isClean(row) ? "ok" : "FAILED"}: ${[row.tried, ...row.notes].join("; ")} (${row.seconds} s)`);
  return row;
}

function isClean({ verdict }: Row): boolean {
  return verdict.lost + verdict.duplicated + verdict.leftBehind === 0;
}

function tableOf(rows: readonly Row[]): string {
  const cells = rows.map(({ fault, tried, verdict }) =>
    [fault, tried, verdict.lost, verdict.duplicated, verdict.leftBehind].map(String),
  );
  const lines = [
    ["fault", "number tried", "lost", "duplicated", "left behind"],
    ["---", "---", "---:", "---:", "---:"],
    ...cells,
  ];
  return lines.map((line) => `| ${line.join(" | ")} |`).join("\n");
}

function describeMachine(): string {
  const version = Bun.spawnSync([BINARY, "--version"]).stdout.toString().trim();
  const [{ model } = { model: "unknown processor" }] = cpus();
  return `${version} on ${process.platform} ${release()} ${process.arch}, ${cpus().length} x ${model}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
}

function leave(signal: NodeJS.Signals): void {
  console.error(`interrupted by ${signal}: ending what the trials have started`);
  abandonAll();
  process.exit(130);
}
