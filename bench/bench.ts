// `bun run bench`: how near the program is to what this machine can do. No figure is a fault.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { buildForThisMachine, isUpToDate } from "../build.ts";
import packageJson from "../package.json" with { type: "json" };
import { completion } from "./completion.ts";
import { coordinator } from "./coordinator.ts";
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

const ITEMS: readonly Item[] = [
  startUp,
  dispatch,
  completion,
  throughput,
  manyRuns,
  idle,
  output,
  gateway,
  coordinator,
  growth,
  size,
  explain,
];

const HELP = `Usage: bun run bench [--quick] [--only ITEM ...] [--json FILE]

Measures the compiled binary beside the least that this machine can do for the same work, and prints a table (docs/performance.md).

  --quick      few samples, small loads: whether all of it still works
  --only ITEM  one of ${ITEMS.map((item) => item.name).join(", ")}; may be repeated
  --json FILE  writes the figures and the machine

The exit code is 1 only if something could not be measured.
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

/** Null where help was asked for. */
function choose(words: readonly string[]): Choice | null {
  const { values } = parseArgs({ args: [...words], options: OPTIONS });
  if (values.help) return null;
  const names = ITEMS.map((item) => item.name);
  const unknown = values.only.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`there is no item ${unknown.join(", ")}; there are ${names.join(", ")}`);
  const items = values.only.length === 0 ? ITEMS : ITEMS.filter((item) => values.only.includes(item.name));
  return { quick: values.quick, items, jsonFile: values.json };
}

/** Resolves to whether all items could be measured. */
async function bench({ items, quick, jsonFile }: Choice): Promise<boolean> {
  if (process.platform === "win32")
    throw new Error("the bench needs named pipes, which Windows does not have in this form");
  if (!isUpToDate()) await buildForThisMachine();
  const machine = describeMachine();
  say(renderMachine(machine));
  const figures: Figure[] = [];
  let isWhole = true;
  const allBegunMs = performance.now();
  for (const item of items) {
    if (item.needsLinux === true && process.platform !== "linux") {
      say(`${item.name}: left out, it needs /proc`);
      continue;
    }
    const begunMs = performance.now();
    say(`${item.name} ...`);
    try {
      figures.push(...(await item.measure({ quick })));
      say(`${item.name}: measured in ${((performance.now() - begunMs) / 1000).toFixed(0)} s`);
    } catch (error) {
      isWhole = false;
      say(`${item.name}: could not be measured: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }
  say(`all of it: ${((performance.now() - allBegunMs) / 1000).toFixed(0)} s`);
  process.stdout.write(
    `\n${renderMachine(machine)}\n\n${renderTable(figures)}\n\nThe limits:\n\n${renderLimits(figures)}\n`,
  );
  if (jsonFile !== undefined) writeFileSync(jsonFile, toJson(machine, quick, figures));
  return isWhole;
}

function toJson(machine: Machine, quick: boolean, figures: readonly Figure[]): string {
  const withRatios = figures.map((figure) => ({ ...figure, ratio: ratioOf(figure), met: meetsAim(figure) }));
  const taken = {
    version: packageJson.version,
    takenAt: new Date().toISOString(),
    quick,
    machine,
    figures: withRatios,
  };
  return `${JSON.stringify(taken, null, 2)}\n`;
}

/** On stderr: stdout has the table only. */
function say(message: string): void {
  process.stderr.write(`[bench] ${message}\n`);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    void Promise.all([...Scene.open].map((scene) => scene[Symbol.asyncDispose]())).then(() => process.exit(130));
  });
}
try {
  const choice = choose(process.argv.slice(2));
  if (choice === null) process.stdout.write(HELP);
  else process.exitCode = (await bench(choice)) ? 0 : 1;
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
// Pipes and streams that are still open must not hold it up.
process.exit();
