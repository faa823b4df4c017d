import { describeError } from "../../src/errors.ts";
import { randomHex12 } from "../../src/protocol/identifiers.ts";
import type { FakeState } from "../fakes/fake-state.ts";
import { until } from "../harness/until.ts";
import { Fleet, type FleetRun, OURS, promptOf, type Site } from "./fleet.ts";
import { Found } from "./in-machines.ts";
import { SeededRandom } from "./seeded-random.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

/** A lost claim is found after a poll's time-out, and a hook may come first, on a busy machine. */
const SETTLE_MS = 300_000;
const LOOK_MS = 100;
const QUICK_HOOK_MS = 50;
const ENDED: ReadonlySet<string> = new Set(["completed", "failed", "stopped"]);
const LOG_LINES = 150;

export interface FleetOptions {
  /** Parents at each coordinator; each has two children. */
  readonly trees: number;
  /** Kills of each runner of ours. */
  readonly kills: number;
  readonly pollTimeoutSeconds: number;
  /** How long the slow hooks take: longer than a poll, with its margin. */
  readonly slowHookMs: number;
  readonly seed: number;
  readonly onProgress: (line: string) => void;
}

interface Tree {
  readonly name: string;
  readonly sessionId: string;
  /** The file for which the parent waits; null if it ends at once. */
  readonly gate: string | null;
}

type Hook = "pass" | "change" | "block";
interface HookedRun {
  readonly sessionId: string;
  readonly hook: Hook;
  readonly name: string;
}

/**
 * Runners of three kinds at coordinators of three kinds execute trees of runs with callbacks, and runs with hooks that
 * are quick or slow. The runners of ours are killed meanwhile. Each run must end and be executed once, none that its
 * hook blocks; what a hook changes must arrive; and each parent must be told each child's end once.
 */
export async function mixedFleet(options: FleetOptions): Promise<Verdict> {
  const found = new Found();
  let fleet: Fleet | null = null;
  try {
    const started = (fleet = await Fleet.start(options.pollTimeoutSeconds));
    const plays = await Promise.all(started.sites.map((site, i) => playAt(started, site, options, options.seed + i)));
    for (const { runs, complaints } of plays) {
      found.tried += runs.length;
      found.lost.push(...complaints);
    }
    judgeExecutions(started.executions(), plays, found);
  } catch (error) {
    found.lost.push(`the trial broke off: ${describeError(error)}`);
  }
  const logs = logsOf(fleet);
  await fleet?.[Symbol.asyncDispose]().catch((error: unknown) => found.leftBehind.push(describeError(error)));
  const verdict = verdictOf(found.tried, found);
  return verdict.complaints.length === 0 ? verdict : { ...verdict, complaints: [...verdict.complaints, ...logs] };
}

/** A run is executed once, and one that its hook blocks never. */
function judgeExecutions(executions: ReadonlyMap<string, number>, plays: readonly Play[], found: Found): void {
  for (const { runs, blockedIds } of plays) {
    for (const { run_id } of runs) {
      const times = executions.get(run_id) ?? 0;
      if (blockedIds.has(run_id)) {
        if (times > 0) found.duplicated.push(`run ${run_id} was executed although its hook blocks it`);
      } else if (times > 1) found.duplicated.push(`run ${run_id} was executed ${times} times`);
      else if (times === 0) found.lost.push(`run ${run_id} was never executed`);
    }
  }
}

interface Play {
  readonly runs: readonly FleetRun[];
  readonly blockedIds: ReadonlySet<string>;
  readonly complaints: readonly string[];
}

async function playAt(fleet: Fleet, site: Site, options: FleetOptions, seed: number): Promise<Play> {
  const random = new SeededRandom(seed);
  const state = fleet.fakes.find(({ url }) => url === site.url)?.state;
  const killing = killRepeatedly(site, options, random);
  const hooked = state?.generation === "second" ? await submitHooked(site, state, options) : [];
  const trees: Tree[] = [];
  for (let i = 0; i < options.trees; i++) {
    trees.push(await plant(site, `${site.name.replace(/\W/g, "-")}-${i}`, random));
    await Bun.sleep(random.whole(0, 300));
  }
  await killing;
  const runs = await settled(fleet, site, trees, options);
  const blocked = new Set(hooked.filter(({ hook }) => hook === "block").map(({ sessionId }) => sessionId));
  const blockedIds = new Set(runs.filter(({ session_id }) => blocked.has(session_id)).map(({ run_id }) => run_id));
  const complaints = [
    ...runs.flatMap((run) => wrongEnd(run, blockedIds)),
    ...trees.flatMap((tree) => wrongTree(tree, runs, site)),
    ...(await Promise.all(hooked.map((each) => wrongWord(site, each, runs)))).flat(),
    ...site.pythons.flatMap(({ faults }) => faults.map((fault) => `a Python runner failed: ${fault}`)),
  ];
  return { runs, blockedIds, complaints: complaints.map((text) => `${site.name}: ${text}`) };
}

async function killRepeatedly(site: Site, { kills }: FleetOptions, random: SeededRandom): Promise<void> {
  for (let i = 0; i < kills; i++) {
    await Bun.sleep(random.whole(500, 4_000));
    await site.killRunner(random.whole(0, 500));
  }
}

/** A parent with two children, of which the second may fail. It may wait until both have ended. */
async function plant(site: Site, name: string, random: SeededRandom): Promise<Tree> {
  const gate = random.chance(0.5) ? `go-${name}` : null;
  const second = random.chance(0.3) ? "!fail broken on purpose" : `second child of ${name}`;
  const sleep = (): string => `!sleep ${random.whole(0, 500)}ms`;
  const prompt = [
    `!child ${sleep()}\\nfirst child of ${name}`,
    `!child ${sleep()}\\n${second}`,
    gate === null ? sleep() : `!wait ${gate}`,
    `parent ${name}`,
  ].join("\n");
  // A Python runner of the second generation cannot resume, and there its coordinator has no other for the session.
  const demands = site.name.startsWith("second") ? { additional_demands: { tags: [OURS] } } : {};
  return { name, gate, sessionId: await site.submit(prompt, demands) };
}

/** Runs whose agent has a hook. A slow hook executes an agent of its own, which may need the runner that waits. */
async function submitHooked(site: Site, state: FakeState, { slowHookMs }: FleetOptions): Promise<HookedRun[]> {
  const hooked: HookedRun[] = [];
  for (const hook of ["pass", "change", "block"] as const) {
    for (const pace of ["quick", "slow"] as const) {
      const name = `${pace}-${hook}`;
      const hooks = { on_run_start: { type: "agent", agent_name: "guard" } };
      state.agents.set(name, { name, description: "", system_prompt: "be kind", hooks });
      state.hooks.set(name, async () => {
        await (pace === "quick" ? Bun.sleep(QUICK_HOOK_MS) : guard(state, slowHookMs));
        if (hook === "block") return { action: "block" };
        const changed = { parameters: { prompt: `changed by ${name}` } };
        return { action: "continue", ...(hook === "change" ? changed : {}) };
      });
      // Their runner leaves a hook that takes longer than its poll, and strands the run.
      const demands = pace === "slow" ? { additional_demands: { tags: [OURS] } } : {};
      const sessionId = await site.submit(`as sent to ${name}`, { agent_name: name, ...demands });
      hooked.push({ sessionId, hook, name });
    }
  }
  return hooked;
}

async function guard(state: FakeState, ms: number): Promise<void> {
  const run = state.queue({ session_id: `hook_${randomHex12()}`, prompt: `!sleep ${ms}ms\nthe guard` });
  await until("the hook's run", () => run.status === "completed", SETTLE_MS);
}

/** Opens the gates of parents whose children have ended, until every run has ended and every parent was told. */
async function settled(
  fleet: Fleet,
  site: Site,
  trees: readonly Tree[],
  { onProgress }: FleetOptions,
): Promise<FleetRun[]> {
  const end = performance.now() + SETTLE_MS;
  for (;;) {
    const runs = await site.runs();
    for (const { gate, sessionId } of trees) {
      const children = runs.filter(({ parent_session_id }) => parent_session_id === sessionId);
      const haveEnded = children.length === 2 && children.every(({ status }) => ENDED.has(status));
      if (gate !== null && haveEnded) await Bun.write(fleet.world.path(gate), "");
    }
    const open = runs.filter(({ status }) => !ENDED.has(status)).length;
    const isOver =
      open === 0 && trees.every((tree) => childrenOf(tree, runs).every((child) => toldTo(tree, child, runs) > 0));
    if (isOver || performance.now() > end) return runs;
    onProgress(`${site.name}: ${runs.length - open} of ${runs.length} runs have ended`);
    await Bun.sleep(LOOK_MS);
  }
}

function childrenOf(tree: Tree, runs: readonly FleetRun[]): FleetRun[] {
  return runs.filter(({ parent_session_id, type }) => parent_session_id === tree.sessionId && type === "start_session");
}

function resumesOf(tree: Tree, runs: readonly FleetRun[]): FleetRun[] {
  return runs.filter(({ session_id, type }) => session_id === tree.sessionId && type === "resume_session");
}

function toldTo(tree: Tree, child: FleetRun, runs: readonly FleetRun[]): number {
  const heading = new RegExp(`session="${child.session_id}"|: session ${child.session_id} \\(`, "g");
  return resumesOf(tree, runs).map(promptOf).join("\n").match(heading)?.length ?? 0;
}

function wrongEnd(run: FleetRun, blockedIds: ReadonlySet<string>): string[] {
  const { run_id, status, error } = run;
  const mayFail = blockedIds.has(run_id) || /^!fail /m.test(promptOf(run));
  const expected = mayFail ? "failed" : "completed";
  return status === expected ? [] : [`run ${run_id} (${promptOf(run)}) is ${status}, not ${expected}: ${error}`];
}

function wrongTree(tree: Tree, runs: readonly FleetRun[], site: Site): string[] {
  const children = childrenOf(tree, runs);
  if (children.length !== 2) return [`parent ${tree.name} has ${children.length} children`];
  const wrong = children.flatMap((child) => {
    const times = toldTo(tree, child, runs);
    return times === 1
      ? []
      : [`parent ${tree.name} was told ${times} times of child ${child.run_id} (${child.status})`];
  });
  const resumes = resumesOf(tree, runs);
  // The built-in coordinator waits for all children; the others do if the parent is busy until then.
  const isTogether = tree.gate !== null || site.name === "built-in";
  if (isTogether && resumes.length !== 1) wrong.push(`parent ${tree.name} was resumed ${resumes.length} times`);
  const told = resumes.map(promptOf).join("\n");
  for (const child of children) {
    const text = child.status === "failed" ? "broken on purpose" : promptOf(child).split("\n").at(-1);
    const result = child.status === "failed" ? /code 1|broken on purpose/ : new RegExp(String(text));
    if (!result.test(told)) wrong.push(`parent ${tree.name} did not get the result of ${child.run_id}: ${told}`);
  }
  return wrong;
}

/** The complaint about a run that was not treated as its hook said. */
async function wrongWord(
  site: Site,
  { sessionId, hook, name }: HookedRun,
  runs: readonly FleetRun[],
): Promise<string[]> {
  if (hook === "block") {
    const error = runs.find(({ session_id }) => session_id === sessionId)?.error ?? "";
    return error.startsWith("Blocked by on_run_start hook") ? [] : [`the run of ${name} failed with: ${error}`];
  }
  const expected = hook === "change" ? `changed by ${name}` : `as sent to ${name}`;
  const result = await site.result(sessionId).catch(describeError);
  return result.endsWith(`: ${expected}`) ? [] : [`the run of ${name} has the result ${result}`];
}

function logsOf(fleet: Fleet | null): string[] {
  return (fleet?.sites ?? []).map(
    ({ name, log }) => `the log of the runner at ${name}:\n${log.split("\n").slice(-LOG_LINES).join("\n")}`,
  );
}
