// `bun run faults` runs every fault trial in full and prints the table of docs/reliability.md. Its help lists the exit
// codes.
import { writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { buildForThisMachine, describeBuild, isUpToDate } from "../build.ts";
import { abandonAll } from "../tests/harness/abandon.ts";
import { BINARY } from "../tests/harness/binary.ts";
import type { Trial, TrialResult } from "../tests/faults/trial.ts";
import { TRIALS } from "../tests/faults/trials.ts";
import { verdictOf } from "../tests/faults/verdict.ts";

const PROGRESS_MS = 10_000;
const HELP = `Usage: bun run faults [options]

Injects faults into a runner and counts runs that are lost or duplicated, and leftovers. The full form takes about 80
minutes on two cores. Each trial has its own home, coordinator and ports; it reaches nothing outside this machine.

Options:
  --quick       Run the short form (three minutes), which is part of the gate
  --only NAME   Run this trial only; can be repeated
  --seed N      Replay the schedule of this seed; the other trials start their random numbers here
  --json FILE   Write results, complaints and the machine to FILE
  --help        Show this help

Trials:
${TRIALS.map(({ name, fault }) => `  ${name.padEnd(19)} ${fault}`).join("\n")}

Examples:
  bun run faults --quick
  bun run faults --only outage --only soak --json results.json
  bun run faults --only schedules --seed 137

Exit codes:
  0    Nothing was lost, duplicated or left behind
  1    Something was
  2    A mistake in the command line
  130  Interrupted; everything that was started has ended
`;

interface Row extends TrialResult {
  readonly name: string;
  readonly fault: string;
  readonly seconds: number;
}

interface Request {
  readonly kind: "request";
  readonly trials: readonly Trial[];
  readonly isQuick: boolean;
  readonly seed: number | null;
  readonly json: string | null;
}

const commandLine = readCommandLine();
switch (commandLine.kind) {
  case "help":
    process.stdout.write(HELP);
    break;
  case "wrong":
    process.stderr.write(`${commandLine.reason}\nSee bun run faults --help\n`);
    process.exitCode = 2;
    break;
  case "request":
    process.exitCode = (await tryAll(commandLine)) ? 0 : 1;
}

type CommandLine = Request | { readonly kind: "help" } | { readonly kind: "wrong"; readonly reason: string };

function readCommandLine(): CommandLine {
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
    if (unknown !== undefined) return { kind: "wrong", reason: `There is no trial ${JSON.stringify(unknown)}` };
    if (seed !== undefined && !/^\d{1,9}$/.test(seed))
      return { kind: "wrong", reason: `--seed: ${JSON.stringify(seed)} is not a whole number` };
    const trials = only.length === 0 ? TRIALS : TRIALS.filter(({ name }) => only.includes(name));
    return {
      kind: "request",
      trials,
      isQuick: quick,
      seed: seed === undefined ? null : Number(seed),
      json: json ?? null,
    };
  } catch (error) {
    return { kind: "wrong", reason: error instanceof Error ? error.message : String(error) };
  }
}

async function tryAll({ trials, isQuick, seed, json }: Request): Promise<boolean> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => leave(signal));
  // Keeps loopback calls away from a proxy of this machine.
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
    verdict: verdictOf(0, { lost: [`the trial broke off: ${String(error)}`] }),
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
  const hardware = `${cpus().length} x ${model}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  return `${version} on ${process.platform} ${release()} ${process.arch}, ${hardware}`;
}

function leave(signal: NodeJS.Signals): void {
  console.error(`Interrupted by ${signal}: ending all processes of the trials`);
  abandonAll();
  process.exit(130);
}
