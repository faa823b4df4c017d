// `bun run bench`: compares the program with what this machine can do. A missed aim is not an error.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { buildForThisMachine, isUpToDate } from "../build.ts";
import packageJson from "../package.json" with { type: "json" };
import { afterRuns } from "./after-runs.ts";
import { completion } from "./completion.ts";
import { coordinator } from "./coordinator.ts";
import { durability } from "./durability.ts";
import { growth } from "./growth.ts";
import { dispatch } from "./dispatch.ts";
import { explain } from "./explain.ts";
import { type Effort, type Figure, type Item, meetsAim, ratioOf } from "./figure.ts";
import { gateway } from "./gateway.ts";
import { idle } from "./idle.ts";
import { describeMachine, type Machine, renderMachine } from "./machine.ts";
import { manyRuns } from "./many-runs.ts";
import { output } from "./output.ts";
import { Scene } from "./scene.ts";
import { size } from "./size.ts";
import { startUp } from "./start-up.ts";
import { renderLimits, renderTable } from "./table.ts";
import { throughput } from "./throughput.ts";
import { unreadStreams } from "./unread-streams.ts";

const ITEMS: readonly Item[] = [
  startUp,
  dispatch,
  completion,
  throughput,
  manyRuns,
  idle,
  afterRuns,
  output,
  gateway,
  coordinator,
  durability,
  growth,
  unreadStreams,
  size,
  explain,
];

const HELP = `Usage: bun run bench [--quick] [--only ITEM ...] [--json FILE]

Measures the compiled binary, and the minimum that this machine needs for the same work. Prints a table.

  --quick      Take few samples under small loads, to check that every item still works
  --only ITEM  Measure only this item; may be repeated
  --json FILE  Write the figures and a description of the machine to FILE

Items: ${ITEMS.map((item) => item.name).join(", ")}

Exits with 1 only if an item cannot be measured. See docs/performance.md.
`;

interface Choice extends Effort {
  readonly items: readonly Item[];
  readonly jsonFile: string | undefined;
}

const OPTIONS = {
  quick: { type: "boolean", default: false },
  only: { type: "string", multiple: true, default: [] as string[] },
  json: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Null for --help. */
function parseChoice(args: readonly string[]): Choice | null {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  if (values.help) return null;
  const names = ITEMS.map((item) => item.name);
  const unknown = values.only.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`unknown item ${unknown.join(", ")}; choose from ${names.join(", ")}`);
  const items = values.only.length === 0 ? ITEMS : ITEMS.filter((item) => values.only.includes(item.name));
  return { quick: values.quick, items, jsonFile: values.json };
}

/** Resolves to whether every item was measured. */
async function bench({ items, quick, jsonFile }: Choice): Promise<boolean> {
  if (process.platform === "win32") throw new Error("the bench needs POSIX named pipes, which Windows does not have");
  if (!isUpToDate()) await buildForThisMachine();
  const machine = describeMachine();
  say(renderMachine(machine));
  const figures: Figure[] = [];
  let isComplete = true;
  const benchStartMs = performance.now();
  for (const item of items) {
    if (item.needsLinux === true && process.platform !== "linux") {
      say(`${item.name}: skipped, because it needs /proc`);
      continue;
    }
    const startMs = performance.now();
    say(`${item.name} ...`);
    try {
      figures.push(...(await item.measure({ quick })));
      say(`${item.name}: measured in ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
    } catch (error) {
      isComplete = false;
      say(`${item.name}: failed: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }
  say(`finished in ${((performance.now() - benchStartMs) / 1000).toFixed(0)} s`);
  process.stdout.write(
    `\n${renderMachine(machine)}\n\n${renderTable(figures)}\n\nLimits:\n\n${renderLimits(figures)}\n`,
  );
  if (jsonFile !== undefined) writeFileSync(jsonFile, toJson(machine, quick, figures));
  return isComplete;
}

function toJson(machine: Machine, quick: boolean, figures: readonly Figure[]): string {
  const withRatios = figures.map((figure) => ({ ...figure, ratio: ratioOf(figure), met: meetsAim(figure) }));
  const result = {
    version: packageJson.version,
    takenAt: new Date().toISOString(),
    quick,
    machine,
    figures: withRatios,
  };
  return `${JSON.stringify(result, null, 2)}\n`;
}

/** Prints to stderr: stdout contains only the table. */
function say(message: string): void {
  process.stderr.write(`[bench] ${message}\n`);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    void Promise.all([...Scene.open].map((scene) => scene[Symbol.asyncDispose]())).then(() => process.exit(130));
  });
}
try {
  const choice = parseChoice(process.argv.slice(2));
  if (choice === null) process.stdout.write(HELP);
  else process.exitCode = (await bench(choice)) ? 0 : 1;
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
// Open pipes and streams must not delay the exit.
process.exit();
