import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { until } from "../harness/until.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const CANNOT = /This machine cannot run the executor \(.*\): taking no runs until it can/g;
const RUNS = 12;

interface Machine {
  readonly executor: string;
  readonly folder: string;
  readonly project: string;
}

function machine(world: World, name: string): Machine {
  const folder = `${world.home}/executors/${name}`;
  const project = `${world.home}/mount-${name}`;
  mkdirSync(folder, { recursive: true });
  mkdirSync(project);
  const executor = `${folder}/ao-${name}-exec`;
  write(executor, "#!/bin/sh\ncat >/dev/null\nsleep 0.1\necho done\n");
  return { executor, folder, project };
}

function write(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

type Fault = (at: Machine) => void;

/** What happens to a machine after its runner has started. No executor begins. */
const NOTHING_BEGINS: Readonly<Record<string, Fault>> = {
  "the executor's folder is removed": ({ folder }) => rmSync(folder, { recursive: true }),
  "the project directory's mount goes away": ({ project }) => renameSync(project, `${project}.gone`),
  "the executor loses its x bit": ({ executor }) => chmodSync(executor, 0o644),
  "the executor's interpreter is missing": ({ executor }) => write(executor, "#!/opt/gone/bin/python3\nprint(1)\n"),
  "the executor says that this machine cannot": ({ executor }) =>
    write(executor, "#!/bin/sh\necho 'claude is not installed' >&2\nexit 78\n"),
};

/** Each executor begins, and may have done something before its end. */
const EACH_FAILS_AT_ONCE: Readonly<Record<string, Fault>> = {
  "env does not find the interpreter": ({ executor }) => write(executor, "#!/usr/bin/env no-such-python\nprint(1)\n"),
  "the executor ends at once with 1": ({ executor }) => write(executor, "#!/bin/sh\necho 'no key 4711' >&2\nexit 1\n"),
  "the executor is killed at once": ({ executor }) => write(executor, "#!/bin/sh\nkill -9 $$\n"),
  "the executor is a broken script": ({ executor }) => write(executor, "#!/bin/sh\nif then fi (\n"),
};

/** Half of the runs at a machine that breaks, the others when a healthy machine is there, too. Returns the statuses. */
async function play(world: World, fault: Fault | undefined): Promise<readonly string[]> {
  const { api } = await world.coordinator();
  const broken = machine(world, "broken");
  const healthy = machine(world, "healthy");
  const start = ({ executor, project }: Machine) =>
    world.start(["-c", api.url, "-e", executor, "-p", project, "--max-concurrent", "2"]);
  const first = start(broken);
  await first.line(/Runner started/);
  fault?.(broken);
  await Promise.all(Array.from({ length: RUNS / 2 }, (_, i) => api.submit(`early ${i}`)));
  await first.line(CANNOT);
  await start(healthy).line(/Runner started/);
  await Promise.all(Array.from({ length: RUNS / 2 }, (_, i) => api.submit(`late ${i}`)));
  const hasEnded = ({ status }: { status: string }): boolean => status === "completed" || status === "failed";
  await until("all runs to end", async () => (await api.runs()).every(hasEnded));
  expect(first.stdout().match(CANNOT)).toHaveLength(1);
  const { stdout } = await world.run(["runners", "-c", api.url]);
  expect(stdout).toMatch(/online \(takes no runs: .+\)/);
  return (await api.runs()).map(({ status }) => status);
}

test.each(Object.keys(NOTHING_BEGINS))("beside a healthy runner no run fails when %s", async (name) => {
  await using world = new World();
  const statuses = await play(world, NOTHING_BEGINS[name]);
  expect(statuses.filter((status) => status === "completed")).toHaveLength(RUNS);
});

test.each(Object.keys(EACH_FAILS_AT_ONCE))("a machine eats no queue when %s", async (name) => {
  await using world = new World();
  const begun = performance.now();
  const statuses = await play(world, EACH_FAILS_AT_ONCE[name]);
  // Three in a row, one that ran beside the third, and one for each trial. The pauses before trials double from 1 s.
  const trials = Math.log2((performance.now() - begun) / 1_000 + 1);
  expect(statuses.filter((status) => status === "failed").length).toBeLessThanOrEqual(4 + trials);
});
