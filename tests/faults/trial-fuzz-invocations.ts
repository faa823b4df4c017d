import { describeError } from "../../src/errors.ts";
import { Semaphore } from "../../src/async/semaphore.ts";
import { parseInvocation } from "../../src/protocol/invocation.ts";
import { BINARY } from "../harness/binary.ts";
import { mutateBytes, mutateValue } from "./mutate.ts";
import { SeededRandom } from "./seeded-random.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

const AT_ONCE = 8;
const HANG_MS = 10_000;
const LONGEST_MESSAGE = 1_000;

const COMMON = {
  mode: "start",
  session_id: "ses_0123456789ab",
  project_dir: "/p",
  agent_blueprint: { name: "a", system_prompt: "s", mcp_servers: { m: { url: "u" } } },
};
const RIGHT: readonly [object, ...object[]] = [
  { schema_version: "2.0", ...COMMON, prompt: "p" },
  { schema_version: "2.2", ...COMMON, parameters: { prompt: "p" }, executor_config: {} },
];

/**
 * Malformed invocations: our parser has to refuse each with one clear message; and the built-in executor as a process, which gets every
 * `processEach`-th of them, has to end with 1 and one line on stderr. `lost` counts those of which that is not true.
 */
export async function fuzzInvocations(options: {
  readonly count: number;
  readonly processEach: number;
  readonly seed: number;
  readonly onDone?: (done: number) => void;
}): Promise<Verdict> {
  const random = new SeededRandom(options.seed);
  const slots = new Semaphore(AT_ONCE);
  let done = 0;
  const tryOne = async (_: unknown, i: number): Promise<string[]> => {
    const { bytes, message } = nextMalformed(random);
    const unclear = isClear(message)
      ? []
      : [`the parser says ${JSON.stringify(message.slice(0, 300))} to ${shown(bytes)}`];
    const wrong = i % options.processEach === 0 ? await slots.hold(() => asProcess(bytes)) : [];
    options.onDone?.(++done);
    return [...unclear, ...wrong];
  };
  const complaints = (await Promise.all(Array.from({ length: options.count }, tryOne))).flat();
  return verdictOf(options.count, { lost: complaints });
}

/** A mutation that makes no difference is none. */
function nextMalformed(random: SeededRandom): { bytes: Buffer; message: string } {
  for (;;) {
    const right = random.pick(RIGHT);
    const bytes = random.chance(0.6)
      ? Buffer.from(JSON.stringify(mutateValue(random, right)) ?? "")
      : mutateBytes(random, JSON.stringify(right));
    try {
      parseInvocation(new TextDecoder().decode(bytes));
    } catch (error) {
      return { bytes, message: error instanceof Error ? error.message : `not an Error: ${describeError(error)}` };
    }
  }
}

async function asProcess(bytes: Buffer): Promise<string[]> {
  const child = Bun.spawn([BINARY, "exec-builtin", "test-executor"], {
    // Nobody listens there; nothing is to be sent.
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
        `the executor ended with ${code} (${child.signalCode}), stdout ${JSON.stringify(stdout.slice(0, 200))}, stderr ${JSON.stringify(stderr.slice(0, 500))} on ${shown(bytes)}`,
      ];
}

function isClear(message: string): boolean {
  return message.length > 10 && message.length < LONGEST_MESSAGE && !message.includes("\n");
}

function shown(bytes: Buffer): string {
  return JSON.stringify(bytes.toString("latin1", 0, 300));
}
