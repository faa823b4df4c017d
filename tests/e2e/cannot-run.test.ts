import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, renameSync } from "node:fs";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const CANNOT = /This machine cannot run the executor \(.*\): taking no runs until it can/g;

test.each(["the executor", "the project directory"])(
  "%s that goes away costs no run, and is told once",
  async (what) => {
    await using world = new World();
    const folder = `${world.home}/executors/own`;
    const project = `${world.home}/mount`;
    mkdirSync(folder, { recursive: true });
    mkdirSync(project);
    await Bun.write(`${folder}/ao-own-exec`, "#!/bin/sh\ncat >/dev/null\n");
    chmodSync(`${folder}/ao-own-exec`, 0o755);
    const { api } = await world.coordinator();
    const broken = world.start(["-c", api.url, "-e", `${folder}/ao-own-exec`, "-p", project]);
    await broken.line(/Runner started/);
    const lost = what === "the executor" ? folder : project;
    renameSync(lost, `${lost}.gone`);
    const runs = await Promise.all(Array.from({ length: 6 }, () => api.submit("x", { project_dir: world.projectDir })));
    await broken.line(CANNOT);
    const states = (await api.runs()).map(({ status }) => status);
    expect(states.filter((status) => status !== "pending" && status !== "claimed")).toEqual([]);
    renameSync(`${lost}.gone`, lost);
    await broken.line(/This machine can run the executor again/);
    for (const { run_id } of runs) await api.reached(run_id, "completed");
    expect(broken.stdout().match(CANNOT)).toHaveLength(1);
  },
);
