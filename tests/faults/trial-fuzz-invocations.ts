import { describeError } from "../../src/errors.ts";
import { Semaphore } from "../../src/async/semaphore.ts";
import { parseInvocation } from "../../src/protocol/invocation.ts";
import { BINARY } from "../harness/binary.ts";
import { mutateBytes, mutateValue } from "./mutate.ts";
import { SeededRandom } from "./seeded-random.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

const CONCURRENCY = 8;
const HANG_MS = 60_000;
const MAX_MESSAGE_LENGTH = 1_000;

const COMMON = {
  mode: "start",
  session_id: "ses_0123456789ab",
  project_dir: "/p",
  agent_blueprint: { name: "a", system_prompt: "s", mcp_servers: { m: { url: "u" } } },
};
const VALID: readonly [object, ...object[]] = [
  { schema_version: "2.0", ...COMMON, prompt: "p" },
  { schema_version: "2.2", ...COMMON, parameters: { prompt: "p" }, executor_config: {} },
];

/**
 * Sends malformed invocations to the parser, which must refuse each with one clear message. Sends every
 * `processEach`-th to a process of the test executor too, which must exit with 1 and write one line to stderr. `lost`
 * counts the violations.
 */
export async function fuzzInvocations(options: {
  readonly count: number;
  readonly processEach: number;
  readonly seed: number;
  readonly onDone?: (done: number) => void;
}): Promise<Verdict> {
  const random = new SeededRandom(options.seed);
  const slots = new Semaphore(CONCURRENCY);
  let done = 0;
  const tryOne = async (_: unknown, i: number): Promise<string[]> => {
    const { bytes, message } = nextMalformed(random);
    const unclear = isClear(message)
      ? []
      : [`the parser throws ${JSON.stringify(message.slice(0, 300))} on ${shown(bytes)}`];
    const wrong = i % options.processEach === 0 ? await slots.hold(() => asProcess(bytes)) : [];
    options.onDone?.(++done);
    return [...unclear, ...wrong];
  };
  const complaints = (await Promise.all(Array.from({ length: options.count }, tryOne))).flat();
  return verdictOf(options.count, { lost: complaints });
}

/** Repeats a mutation that the parser accepts. */
function nextMalformed(random: SeededRandom): { bytes: Buffer; message: string } {
  for (;;) {
    const valid = random.pick(VALID);
    const bytes = random.chance(0.6)
      ? Buffer.from(JSON.stringify(mutateValue(random, valid)) ?? "")
      : mutateBytes(random, JSON.stringify(valid));
    try {
      parseInvocation(new TextDecoder().decode(bytes));
    } catch (error) {
      return { bytes, message: error instanceof Error ? error.message : `not an Error: ${describeError(error)}` };
    }
  }
}

async function asProcess(bytes: Buffer): Promise<string[]> {
  const child = Bun.spawn([BINARY, "exec-builtin", "test-executor"], {
    // Nothing listens on this port: the executor must send nothing.
    env: { PATH: process.env["PATH"] ?? "", AGENT_ORCHESTRATOR_API_URL: "http://127.0.0.1:9" },
    stdin: bytes,
    stdout: "pipe",
    stderr: "pipe",
    timeout: HANG_MS,
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const [line = "", ...more] = stderr.split("\n");
  const isRight =
    code === 1 && stdout === "" && line.startsWith("test-executor: ") && isClear(line) && more.join("") === "";
  return isRight
    ? []
    : [
        `the executor exited with ${code} (${child.signalCode}), stdout ${JSON.stringify(stdout.slice(0, 200))}, ` +
          `stderr ${JSON.stringify(stderr.slice(0, 500))} on ${shown(bytes)}`,
      ];
}

function isClear(message: string): boolean {
  return message.length > 10 && message.length < MAX_MESSAGE_LENGTH && !message.includes("\n");
}

function shown(bytes: Buffer): string {
  return JSON.stringify(bytes.toString("latin1", 0, 300));
}
