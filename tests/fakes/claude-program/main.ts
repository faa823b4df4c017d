// Speaks Claude Code's stream-json protocol from the scenario in the file FAKE_CLAUDE: bad behaviour that the real
// program shows only by chance.
import { appendFileSync, closeSync, readFileSync, writeSync } from "node:fs";
import type { Scenario, Step } from "./step.ts";

const scenario = JSON.parse(readFileSync(process.env["FAKE_CLAUDE"] ?? "", "utf8")) as Scenario;
const waiting = new Map<string, () => void>();
const interrupted = Promise.withResolvers<void>();

function print(text: string): void {
  write(1, Buffer.from(text));
}

/** Blocks until a pipe has taken everything. */
function write(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if ((error as { code?: string }).code !== "EAGAIN") throw error;
      Bun.sleepSync(1);
    }
  }
}

function say(message: object): void {
  print(`${JSON.stringify(message)}\n`);
}

async function act(step: Step): Promise<void> {
  if ("say" in step) say(step.say);
  else if ("raw" in step) print(step.raw);
  else if ("inPieces" in step) {
    const bytes = Buffer.from(`${JSON.stringify(step.inPieces)}\n`);
    for (let at = 0; at < bytes.length; at += step.bytes) write(1, bytes.subarray(at, at + step.bytes));
  } else if ("stderrBytes" in step) write(2, Buffer.alloc(step.stderrBytes, "noise\n"));
  else if ("askOnly" in step) say({ type: "control_request", request_id: step.id, request: step.askOnly });
  else if ("ask" in step) {
    const answered = new Promise<void>((resolve) => waiting.set(step.id, resolve));
    say({ type: "control_request", request_id: step.id, request: step.ask });
    await answered;
  } else if ("awaitInterrupt" in step) await interrupted.promise;
  else if ("closeStdin" in step) closeSync(0);
  else if ("holdStdoutWhile" in step)
    Bun.spawn(["sh", "-c", 'while [ -e "$0" ]; do sleep 0.1; done', step.holdStdoutWhile], {
      stdio: ["ignore", "inherit", "inherit"],
    }).unref();
  else if ("kill" in step) process.kill(process.pid, step.kill);
  else process.exit(step.exit);
}

const USUAL: Readonly<Record<string, object>> = { initialize: {}, get_settings: { errors: [] }, interrupt: {} };

function answer(id: string, subtype: string): void {
  const own = scenario.answers?.[subtype];
  if (own === null) return;
  const usual = { subtype: "success", response: USUAL[subtype] };
  say({ type: "control_response", response: { request_id: id, ...(own ?? usual) } });
  if (subtype === "interrupt") interrupted.resolve();
}

interface Received {
  readonly type: string;
  readonly request_id?: string;
  readonly request?: { readonly subtype: string };
  readonly response?: { readonly request_id: string };
}

async function play(): Promise<void> {
  for (const step of scenario.steps ?? []) await act(step);
}

async function main(): Promise<void> {
  if (scenario.refusal !== undefined) {
    write(2, Buffer.from(scenario.refusal));
    process.exit(1);
  }
  if (scenario.isStubborn) for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => {});
  await Bun.sleep(scenario.startMs ?? 0);
  for await (const line of console) {
    if (line === "") continue;
    appendFileSync(scenario.log, `${line}\n`);
    const { type, request_id, request, response } = JSON.parse(line) as Received;
    if (type === "control_request") answer(request_id ?? "", request?.subtype ?? "");
    else if (type === "control_response") waiting.get(response?.request_id ?? "")?.();
    else void play();
  }
  if (scenario.isStubborn) setInterval(() => {}, 1_000);
  else process.exit(0);
}

await main();
