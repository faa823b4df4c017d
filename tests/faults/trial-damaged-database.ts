import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BINARY, type StartedBinary } from "../harness/binary.ts";
import { until } from "../harness/until.ts";
import { World } from "../harness/world.ts";
import { ENDS_WELL, promptOf } from "./behaviour.ts";
import { type Difference, differences } from "./differences.ts";
import { type Found, inMachines } from "./in-machines.ts";
import { SeededRandom } from "./seeded-random.ts";
import { settled } from "./truth.ts";
import type { Verdict } from "./verdict.ts";

const START_MS = 60_000;
const AT_ONCE = 2;
const REFUSED = /agent-runner: .*(?:is damaged|is not a coordinator's database|written by a newer version)/;

export interface Damages extends Verdict {
  /** Refused at the start, with the message that says so. */
  readonly refused: number;
  /** Started, and answered a request with 503 in words. */
  readonly reported: number;
  /** Every answer is as before: the damage hit nothing that is shown. */
  readonly harmless: number;
  /** Another letter or number was served without a word, in a value that has no copy: SQLite has no checksums. */
  readonly unnoticed: readonly string[];
}

interface Served {
  readonly answers: Readonly<Record<string, unknown>>;
  /** The text of an answer 503. */
  readonly refusal: string | null;
}

/** Which runs and sessions there are, how they stand, and what belongs together: never wrong without a word. */
const CERTAIN = new Set([
  "run_id",
  "session_id",
  "parent_session_id",
  "status",
  "type",
  "execution_mode",
  "waiting_for",
]);

/**
 * Flips one bit, or sets one byte to another value, at a random place of a coordinator's database. The coordinator must
 * refuse to start, say that the database is damaged, or serve what it served before.
 */
export async function damagedDatabase(options: {
  readonly flips: number;
  readonly seed: number;
  readonly onFlip?: () => void;
}): Promise<Damages> {
  const random = new SeededRandom(options.seed);
  const counts = { refused: 0, reported: 0, harmless: 0 };
  const unnoticed: string[] = [];
  const verdict = await inMachines({}, async (machines, found) => {
    const intact = await populated(machines);
    await using world = new World();
    const before = await serve(world, intact, "intact");
    if (typeof before === "string" || before.served.refusal !== null)
      throw new Error(`the intact database is refused: ${JSON.stringify(before)}`);
    const flips = Array.from({ length: options.flips }, () => flipOf(random, intact.length));
    const queue = flips.values();
    const worker = async (): Promise<void> => {
      for (const flip of queue) {
        const damaged = Buffer.from(intact);
        damaged[flip.offset] = (damaged[flip.offset] ?? 0) ^ flip.mask;
        const after = await serve(world, damaged, `${flip.offset}-${flip.mask}`);
        sort(flip, after, before.served.answers, { counts, unnoticed, found });
        found.tried++;
        options.onFlip?.();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  });
  return { ...verdict, ...counts, unnoticed };
}

interface Flip {
  readonly offset: number;
  /** The bits that change. */
  readonly mask: number;
}

function flipOf(random: SeededRandom, length: number): Flip {
  const mask = random.chance(0.5) ? 1 << random.whole(0, 7) : random.whole(1, 255);
  return { offset: random.whole(0, length - 1), mask };
}

interface Sorted {
  readonly counts: { refused: number; reported: number; harmless: number };
  readonly unnoticed: string[];
  readonly found: Found;
}

function sort(
  { offset, mask }: Flip,
  after: string | { served: Served },
  truth: Served["answers"],
  { counts, unnoticed, found }: Sorted,
): void {
  const which = `the flip of ${mask} at ${offset}`;
  if (typeof after === "string") {
    if (REFUSED.test(after)) counts.refused++;
    else found.lost.push(`${which}: the coordinator does not start and does not say why: ${after}`);
    return;
  }
  const { refusal, answers } = after.served;
  if (refusal !== null) {
    if (/database .* cannot be used: it is damaged/.test(refusal)) counts.reported++;
    else found.lost.push(`${which}: ${refusal}`);
    return;
  }
  const changed = differences(truth, answers);
  if (changed.length === 0) counts.harmless++;
  else if (changed.some(isCertain)) found.lost.push(`${which} is served without a word: ${describe(changed)}`);
  else unnoticed.push(`${which}: ${describe(changed)}`);
}

/** `path`: the call, the list, the number of the row and the field. A row that is missing or added has no field. */
function isCertain({ path: [call = "", , , field] }: Difference): boolean {
  return !call.endsWith("/events") && (field === undefined || CERTAIN.has(field));
}

function describe(changed: readonly Difference[]): string {
  return changed
    .map(({ path, before, after }) => `${path.join(".")}: ${before} became ${after}`)
    .slice(0, 3)
    .join("; ");
}

/** The database of a stopped coordinator with runs of all kinds. */
async function populated(machines: Parameters<Parameters<typeof inMachines>[1]>[0]): Promise<Buffer> {
  const runner = machines.machine("0", { SELF: BINARY });
  for (let i = 0; i < 60; i++)
    await machines.api.submit(promptOf({ ...ENDS_WELL, talks: i % 2 === 0, exitCode: i % 3 === 1 ? 3 : 0 }));
  await settled(machines);
  runner.signal("SIGINT");
  await runner.exited;
  // Nobody may take these.
  for (let i = 0; i < 20; i++) await machines.api.submit("exit=0", { priority: i });
  machines.coordinator.signal("SIGINT");
  await machines.coordinator.exited;
  return readFileSync(machines.database);
}

/** Starts a coordinator on this database and reads everything from it. A text: what it says as it does not start. */
async function serve(world: World, database: Buffer, name: string): Promise<string | { served: Served }> {
  const stateDir = world.path(`state-${name}`);
  mkdirSync(stateDir);
  writeFileSync(join(stateDir, "coordinator.sqlite"), database);
  const coordinator = world.start(["coordinator", "--no-token", "--port", "0", "--state-dir", stateDir]);
  const url = await Promise.race([urlOf(coordinator), coordinator.exited.then(() => null)]);
  if (url === null) return coordinator.stderr() + coordinator.stdout();
  const served = await readAll(url);
  coordinator.signal("SIGKILL");
  await coordinator.exited;
  rmSync(stateDir, { recursive: true });
  return { served };
}

async function urlOf(coordinator: StartedBinary): Promise<string> {
  const [, url = ""] = await until("an answer", () => /agent-runner -c (\S+)/.exec(coordinator.stdout()), START_MS);
  return url;
}

async function readAll(url: string): Promise<Served> {
  const answers: Record<string, unknown> = {};
  try {
    const read = async (path: string): Promise<unknown> => (answers[path] = await get(url + path));
    await read("/runs");
    const { sessions } = (await read("/sessions")) as { sessions: { session_id: string }[] };
    for (const { session_id } of sessions) await read(`/sessions/${session_id}/events`);
    await read("/agents");
    await read("/runs?status=pending");
  } catch (error) {
    return { answers, refusal: String(error) };
  }
  return { answers, refusal: null };
}

async function get(url: string): Promise<unknown> {
  const response = await fetch(url, { keepalive: false });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response.json();
}
