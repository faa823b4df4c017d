import { join } from "node:path";
import { environmentFile, type ServicePlan, type ServiceRequest, stopSeconds } from "./service-plan.ts";

const WATCHDOG_SECONDS = 180;

/** A service of systemd 244 or newer, the user's own or the system's. */
export function systemdPlan(request: ServiceRequest): ServicePlan {
  const { name, scope, configHome } = request;
  const isSystem = scope === "system";
  const unit = `${name}.service`;
  const unitPath = isSystem ? join("/etc/systemd/system", unit) : join(configHome, "systemd/user", unit);
  const environmentPath = isSystem ? `/etc/agent-runner/${name}.env` : join(configHome, "agent-runner", `${name}.env`);
  const ctl = isSystem ? ["systemctl"] : ["systemctl", "--user"];
  const journal = isSystem ? ["journalctl", "--unit", unit] : ["journalctl", "--user", "--unit", unit];
  const linger = {
    command: ["loginctl", "enable-linger"],
    mayFail: "it runs only while you are logged in; allow more with: sudo loginctl enable-linger $USER",
  };
  return {
    files: [
      { path: unitPath, content: systemdUnit(request, environmentPath), mode: 0o644, isUsers: false },
      { path: environmentPath, content: environmentFile(request), mode: 0o600, isUsers: true },
    ],
    install: [
      { command: [...ctl, "daemon-reload"] },
      { command: [...ctl, "enable", unit] },
      // A restart hands over: an installation over a running service ends no agent.
      { command: [...ctl, "restart", unit] },
      ...(isSystem ? [] : [linger]),
    ],
    uninstall: [{ command: [...ctl, "disable", "--now", unit], mayFail: "it was not enabled" }],
    forget: [{ command: [...ctl, "daemon-reload"] }],
    status: [...ctl, "--no-pager", "--lines=0", "status", unit],
    logs: ({ follow }) => [...journal, "--output=cat", "--no-pager", "--lines=200", ...(follow ? ["--follow"] : [])],
    notes: [
      `Settings and secrets: ${environmentPath} (then: ${[...ctl, "restart", unit].join(" ")})`,
      "A restart ends no agent: the next start takes the executors up.",
    ],
  };
}

/** The unit file. What it does without, and why, stands beside it in docs/operating.md. */
export function systemdUnit(request: ServiceRequest, environmentPath: string): string {
  const { scope, command, name, projectDir, runAs } = request;
  const isSystem = scope === "system";
  const lines = [
    "[Unit]",
    "Description=Agent Runner: runs AI agents unattended",
    ...(isSystem ? ["Wants=network-online.target", "After=network-online.target"] : []),
    "# A runner that cannot start is tried again for ever, not given up.",
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    "Type=notify",
    "NotifyAccess=main",
    `ExecStart=${command.map(quote).join(" ")}`,
    `WorkingDirectory=${escape(projectDir)}`,
    `EnvironmentFile=-${escape(environmentPath)}`,
    ...(isSystem && runAs !== null ? [`User=${runAs}`] : []),
    ...(isSystem ? [`StateDirectory=${name}`, "StateDirectoryMode=0700"] : []),
    "",
    "# A stop drains: no more runs, those that are there end, the rest is stopped when the time is up.",
    "KillSignal=SIGTERM",
    `TimeoutStopSec=${stopSeconds(request)}`,
    "# A restart hands over: the runner exits at once, executors go on, and the next start takes them up.",
    "RestartKillSignal=SIGUSR2",
    "KillMode=process",
    "# Each run gets a cgroup of its own below the service's.",
    "Delegate=yes",
    "Restart=on-failure",
    "RestartSec=2",
    "# Faults in what was typed or set do not go away by themselves.",
    "RestartPreventExitStatus=2",
    "# Pings are sent as long as calls to the coordinator come to an end, answered or not.",
    `WatchdogSec=${WATCHDOG_SECONDS}`,
    "# An agent that runs out of memory ends its own run, not the service.",
    "OOMPolicy=continue",
    "",
    ...hardening(request),
    "",
    "[Install]",
    `WantedBy=${isSystem ? "multi-user.target" : "default.target"}`,
    "",
  ];
  return lines.join("\n");
}

/**
 * What no agent needs. Not among it: PrivateTmp and other private folders (they are made anew at each start, and executors outlive those),
 * MemoryDenyWriteExecute (JavaScript is compiled as it runs), RestrictNamespaces and SystemCallFilter (agents' own sandboxes use them),
 * ProtectControlGroups (each run gets a cgroup).
 */
function hardening({ scope, projectDir, home }: ServiceRequest): string[] {
  const everywhere = [
    "# Hardening: what no agent needs",
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
  ];
  // The rest takes rights that a user's own service manager does not have.
  if (scope === "user") return everywhere;
  return [
    ...everywhere,
    "CapabilityBoundingSet=",
    "SystemCallArchitectures=native",
    "ProtectSystem=strict",
    `ReadWritePaths=${[...new Set([home, projectDir])].map((path) => quote(`-${path}`)).join(" ")} -/tmp -/var/tmp`,
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
  ];
}

/** One word of ExecStart (systemd.syntax(7), systemd.service(5)): quotes, backslashes, `%` specifiers and `$` variables mean themselves. */
function quote(word: string): string {
  const escaped = escape(word)
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replaceAll("$", "$$$$")
    .replaceAll("\n", "\\n");
  return /^[\w@%+=:,./-]+$/.test(escaped) ? escaped : `"${escaped}"`;
}

/** A value that is taken whole. */
function escape(value: string): string {
  return value.replaceAll("%", "%%");
}
