import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemdPlan, systemdUnit } from "../../src/service/systemd.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { serviceRequest } from "./service-request.ts";

const analyze = Bun.which("systemd-analyze");
const ENVIRONMENT_FILE = "/home/agents/.config/agent-runner/agent-runner.env";

test("systemdUnit: a restart hands over, a stop has time to drain, and systemd leaves executors alone", () => {
  const unit = systemdUnit(serviceRequest({ drainMs: 300_000 }), ENVIRONMENT_FILE).split("\n");
  for (const line of [
    "Type=notify",
    "KillMode=process",
    "RestartKillSignal=SIGUSR2",
    "KillSignal=SIGTERM",
    "TimeoutStopSec=330",
    "WatchdogSec=180",
    "OOMPolicy=continue",
    "Restart=on-failure",
  ]) {
    expect(unit).toContain(line);
  }
});

test("systemdUnit: systemd neither expands nor splits the words of the command", () => {
  const unit = systemdUnit(
    serviceRequest({
      command: ["/opt/a b/agent-runner", "--tags", '50%,$HOME,"x",c:\\d'],
      projectDir: "/srv/100% mine",
    }),
    ENVIRONMENT_FILE,
  );
  expect(unit).toContain('ExecStart="/opt/a b/agent-runner" --tags "50%%,$$HOME,\\"x\\",c:\\\\d"');
  expect(unit).toContain("WorkingDirectory=/srv/100%% mine");
});

test("systemdPlan: the environment file is private and belongs to the user; the unit is neither", () => {
  const files = systemdPlan(serviceRequest()).files.map(({ path, mode, isUsers }) => ({
    path,
    mode: mode.toString(8),
    isUsers,
  }));
  expect(files).toEqual([
    { path: "/home/agents/.config/systemd/user/agent-runner.service", mode: "644", isUsers: false },
    { path: ENVIRONMENT_FILE, mode: "600", isUsers: true },
  ]);
});

test("systemdPlan: a system service runs as its user, with its state in /var/lib, and no --user anywhere", () => {
  const plan = systemdPlan(serviceRequest({ scope: "system", runAs: "agents" }));
  expect(plan.files[0]?.content).toContain("User=agents\nStateDirectory=agent-runner\n");
  expect(JSON.stringify(plan)).not.toContain("--user");
});

test.skipIf(analyze === null).each(["user", "system"] as const)(
  "systemdUnit: systemd finds nothing wrong with the unit of a %s service",
  async (scope) => {
    using folder = tempFolder();
    const path = join(folder.path, "agent-runner.service");
    const runAs = scope === "system" ? "root" : null;
    writeFileSync(
      path,
      systemdUnit(serviceRequest({ scope, runAs, projectDir: folder.path }), join(folder.path, "env")),
    );
    const verify = Bun.spawn([analyze ?? "", "verify", "--man=no", ...(scope === "user" ? ["--user"] : []), path], {
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: folder.path,
        XDG_RUNTIME_DIR: folder.path,
        SYSTEMD_UNIT_PATH: `${folder.path}:/usr/lib/systemd/${scope}:`,
      },
      stdout: "pipe",
      stderr: "pipe",
    });
    const said = (await new Response(verify.stdout).text()) + (await new Response(verify.stderr).text());
    expect(said.split("\n").filter((line) => line.includes("agent-runner"))).toEqual([]);
    expect(await verify.exited).toBe(0);
  },
);
