import { expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { serviceFault } from "../../src/service/service-plan.ts";
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
      command: ["/opt/a $b/agent-runner", "--tags", '50%,$HOME,"x",c:\\d'],
      projectDir: "/srv/100% mine",
    }),
    ENVIRONMENT_FILE,
  );
  expect(unit).toContain('ExecStart="/opt/a $b/agent-runner" --tags "50%%,$$HOME,\\"x\\",c:\\\\d"');
  expect(unit).toContain("WorkingDirectory=/srv/100%% mine");
});

test("systemdUnit: a folder of a list keeps its dollar, and a pattern in the path of the settings stays a path", () => {
  const unit = systemdUnit(
    serviceRequest({ scope: "system", runAs: "agents", projectDir: '/srv/$x "y" %h\\z' }),
    "/etc/a*b[c]?%n/x.env",
  );
  expect(unit).toContain('ReadWritePaths=-/home/agents "-/srv/$x \\"y\\" %%h\\\\z" -/tmp');
  expect(unit).toContain("EnvironmentFile=-/etc/a\\*b\\[c\\]\\?%%n/x.env");
});

const generator = ["/usr/lib", "/lib"]
  .map((folder) => `${folder}/systemd/user-environment-generators/30-systemd-environment-d-generator`)
  .find((path) => existsSync(path));

test
  .skipIf(generator === undefined)
  .each([
    "/bin:/mnt/c/Program Files/x:/it's",
    '"/quoted":/bin',
    "'/quoted':/bin",
    "/back\\slash:/a\\\\b",
    " /bin ",
    "#/bin;x",
  ])("systemdPlan: systemd reads the PATH %s from the file of variables as it is", (searchPath) => {
  using folder = tempFolder();
  const [, file] = systemdPlan(serviceRequest({ searchPath })).files;
  mkdirSync(join(folder.path, "environment.d"));
  // This reader of the same syntax has no other name for PATH than its own.
  writeFileSync(join(folder.path, "environment.d/x.conf"), (file?.content ?? "").replace("PATH=", "SEEN="));
  const { stdout } = Bun.spawnSync([generator ?? ""], { env: { XDG_CONFIG_HOME: folder.path } });
  const [, shown = ""] = /^SEEN=(.*)$/m.exec(stdout.toString()) ?? [];
  const read = Bun.spawnSync(["bash", "-c", `printf %s ${shown}`]).stdout.toString();
  expect(read).toBe(searchPath);
});

test.each([
  { projectDir: "/srv/a\uFFFDb" },
  { projectDir: "/srv/a " },
  { configHome: " /srv" },
  { command: ["/opt/x", "--tags", "a\u0085b"] },
  { command: ["/opt/x", "--tags", "a\uFFFEb"] },
  { searchPath: "/bin:\uD800" },
  { home: "/home/a\0b" },
  { runAs: "agents\nExecStartPre=x" },
  { runAs: "%h" },
  { runAs: "a b" },
  { runAs: "-x" },
  ...(process.platform === "linux" ? [{ command: ["/opt/it's/agent-runner"] }] : []),
])("serviceFault: refuses %j", (more) => {
  expect(serviceFault(serviceRequest(more))).toContain("cannot stand in the file of a service");
});

test.each([{ runAs: "_agents" }, { runAs: "1000" }, { runAs: "host$" }, { projectDir: "/srv/a b;*$%é" }])(
  "serviceFault: accepts %j",
  (more) => {
    expect(serviceFault(serviceRequest(more))).toBeNull();
  },
);

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
