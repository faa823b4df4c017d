// `bun tests/coordinator/trial-growth.ts [ended] [pending]`: what a coordinator with a long life behind it takes, against one without.
// It prints a line a question: the median of several times in ms, empty and full, and the memory of the process.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { tempFolder } from "../harness/temp-folder.ts";
import { fillDatabase } from "./fill-database.ts";

const ended = Number(process.argv[2] ?? 1_000_000);
const pending = Number(process.argv[3] ?? 100_000);
const SAMPLES = 200;
const serve = join(import.meta.dir, "serve-until-killed.ts");

class Side implements AsyncDisposable {
  private constructor(
    readonly url: string,
    readonly child: Bun.Subprocess,
  ) {}

  static async start(databasePath: string): Promise<Side> {
    const child = Bun.spawn([process.execPath, serve, databasePath], { stdout: "pipe", stderr: "inherit" });
    const first = await child.stdout.getReader().read();
    return new Side(new TextDecoder().decode(first.value).trim(), child);
  }

  get residentMiB(): number {
    const [, kib = "0"] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.child.pid}/status`, "utf8")) ?? [];
    return Math.round(Number(kib) / 1024);
  }

  // oxlint-disable-next-line typescript/no-explicit-any
  async call(method: string, path: string, body?: object): Promise<any> {
    const response = await fetch(this.url + path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? null : JSON.parse(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.exited;
  }
}

const start = { type: "start_session", prompt: "A prompt of the length that a short one has." };
const medianOf = (times: number[]): number => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;

/** Everything that is asked, each with its median in ms. */
async function measure(side: Side): Promise<Record<string, number>> {
  const { runner_id } = await side.call("POST", "/runner/register", { hostname: "h", project_dir: "/p", executor_type: "x" });
  const medians: Record<string, number> = {};
  const ask = async (what: string, once: () => Promise<unknown>, samples = SAMPLES): Promise<void> => {
    const times: number[] = [];
    for (let i = 0; i < samples; i++) {
      const began = performance.now();
      await once();
      times.push(performance.now() - began);
    }
    medians[what] = medianOf(times);
  };
  await ask("warm-up", () => side.call("GET", "/health"));
  await ask("create", () => side.call("POST", "/runs", start));
  const claimed: string[] = [];
  await ask("claim", async () => claimed.push((await side.call("GET", `/runner/runs?runner_id=${runner_id}`)).run.run_id));
  await ask("started and completed", async () => {
    const runId = claimed.pop();
    await side.call("POST", `/runner/runs/${runId}/started`, { runner_id });
    await side.call("POST", `/runner/runs/${runId}/completed`, { runner_id, status: "success" });
  });
  for (const path of [
    "/runs?limit=50",
    "/runs?status=failed&limit=50",
    "/runs?status=pending&limit=50",
    "/runs?status=completed,failed,pending&limit=50",
    `/runs?runner_id=${runner_id}&status=claimed`,
    "/runs?runner_id=nobody&limit=50",
    "/sessions?limit=50",
    "/sessions?status=failed&limit=50",
    "/trees?limit=50",
    "/stats",
  ]) {
    await ask(`GET ${path.replace(runner_id, "...")}`, () => side.call("GET", path));
  }
  return medians;
}

using folder = tempFolder();
const paths = { empty: join(folder.path, "empty.db"), full: join(folder.path, "full.db") };
await (await Side.start(paths.full))[Symbol.asyncDispose]();
const began = performance.now();
fillDatabase(paths.full, { ended, pending });
console.log(`${ended} ended and ${pending} pending runs written in ${((performance.now() - began) / 1_000).toFixed(0)} s`);
await using empty = await Side.start(paths.empty);
const opened = performance.now();
await using full = await Side.start(paths.full);
console.log(`opened in ${(performance.now() - opened).toFixed(0)} ms, empty and full: ${empty.residentMiB} and ${full.residentMiB} MiB`);
const sides = [await measure(empty), await measure(full)] as const;
for (const [what, ms] of Object.entries(sides[0])) console.log(`${what.padEnd(52)} ${ms.toFixed(2).padStart(8)} ${(sides[1][what] ?? 0).toFixed(2).padStart(8)} ms`);
console.log(`memory after all that: ${empty.residentMiB} and ${full.residentMiB} MiB`);
const whole = performance.now();
const body = (await fetch(`${full.url}/runs`)).body;
let bytes = 0;
let most = 0;
for await (const chunk of body ?? []) {
  bytes += chunk.byteLength;
  most = Math.max(most, full.residentMiB);
}
console.log(`GET /runs, all of it: ${(bytes / 2 ** 20).toFixed(0)} MiB in ${((performance.now() - whole) / 1_000).toFixed(1)} s, at most ${most} MiB resident`);
