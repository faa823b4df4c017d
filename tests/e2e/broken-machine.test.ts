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

/** What happens to a machine after its runner has started. */
const FAULTS: Readonly<Record<string, (at: Machine) => void>> = {
  "the executor's folder is removed": ({ folder }) => rmSync(folder, { recursive: true }),
  "the project directory's mount goes away": ({ project }) => renameSync(project, `${project}.gone`),
  "the executor loses its x bit": ({ executor }) => chmodSync(executor, 0o644),
  "the executor's interpreter is missing": ({ executor }) => write(executor, "#!/opt/gone/bin/python3\nprint(1)\n"),
  "env does not find the interpreter": ({ executor }) => write(executor, "#!/usr/bin/env no-such-python\nprint(1)\n"),
  "the executor ends at once with 1": ({ executor }) => write(executor, "#!/bin/sh\necho 'no key 4711' >&2\nexit 1\n"),
  "the executor says that this machine cannot": ({ executor }) =>
    write(executor, "#!/bin/sh\necho 'claude is not installed' >&2\nexit 78\n"),
  "the executor is killed at once": ({ executor }) => write(executor, "#!/bin/sh\nkill -9 $$\n"),
  "the executor is a broken script": ({ executor }) => write(executor, "#!/bin/sh\nif then fi (\n"),
};

test.each(Object.keys(FAULTS))("beside a healthy runner no run is lost when %s", async (name) => {
  await using world = new World();
  const { api } = await world.coordinator();
  const broken = machine(world, "broken");
  const healthy = machine(world, "healthy");
  const start = ({ executor, project }: Machine) =>
    world.start(["-c", api.url, "-e", executor, "-p", project, "--max-concurrent", "2"]);
  const first = start(broken);
  await first.line(/Runner started/);
  FAULTS[name]?.(broken);
  await Promise.all(Array.from({ length: RUNS / 2 }, (_, i) => api.submit(`early ${i}`)));
  await first.line(CANNOT);
  await start(healthy).line(/Runner started/);
  await Promise.all(Array.from({ length: RUNS / 2 }, (_, i) => api.submit(`late ${i}`)));
  await until("all runs to end", async () => (await api.runs()).every(({ status }) => status === "completed"), 60_000);
  expect(first.stdout().match(CANNOT)).toHaveLength(1);
  const { stdout } = await world.run(["runners", "-c", api.url]);
  expect(stdout).toMatch(/online \(takes no runs: .+\)/);
});
