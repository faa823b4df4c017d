import { join } from "node:path";
import { environmentFile, type ServicePlan, type ServiceRequest, stopSeconds } from "./service-plan.ts";

const WATCHDOG_SECONDS = 180;

/** A service of systemd 244 or newer, of the user or of the system. */
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
    mayFail: "the service ends when you log out; to keep it running: sudo loginctl enable-linger $USER",
  };
  return {
    files: [
      { path: unitPath, content: systemdUnit(request, environmentPath), mode: 0o644, isUsers: false },
      { path: environmentPath, content: environmentFile(request, escapeVariable), mode: 0o600, isUsers: true },
    ],
    install: [
      { command: [...ctl, "daemon-reload"] },
      { command: [...ctl, "enable", unit] },
      // A restart hands over, so an installation over a running service ends no agent.
      { command: [...ctl, "restart", unit] },
      ...(isSystem ? [] : [linger]),
    ],
    uninstall: [{ command: [...ctl, "disable", "--now", unit], mayFail: "it was not enabled" }],
    forget: [{ command: [...ctl, "daemon-reload"] }],
    status: [...ctl, "--no-pager", "--lines=0", "status", unit],
    logs: ({ follow }) => [...journal, "--output=cat", "--no-pager", "--lines=200", ...(follow ? ["--follow"] : [])],
    notes: [
      `Settings and secrets: ${environmentPath} (then: ${[...ctl, "restart", unit].join(" ")})`,
      "A restart ends no agent: the next start adopts the executors.",
    ],
  };
}

/** The unit file. docs/operating.md explains it. */
export function systemdUnit(request: ServiceRequest, environmentPath: string): string {
  const { scope, command, name, projectDir, runAs } = request;
  const [program = "", ...words] = command;
  const isSystem = scope === "system";
  const lines = [
    "[Unit]",
    "Description=Agent Runner: runs AI agents unattended",
    ...(isSystem ? ["Wants=network-online.target", "After=network-online.target"] : []),
    "# Restarts without a limit.",
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    "Type=notify",
    "NotifyAccess=main",
    // In the name of the program systemd replaces no variables.
    `ExecStart=${[quotePath(program), ...words.map(quote)].join(" ")}`,
    `WorkingDirectory=${escape(projectDir)}`,
    `EnvironmentFile=-${escape(environmentPath.replaceAll(/[*?[\]\\]/g, "\\$&"))}`,
    ...(isSystem && runAs !== null ? [`User=${runAs}`] : []),
    ...(isSystem ? [`StateDirectory=${name}`, "StateDirectoryMode=0700"] : []),
    "",
    "# A stop drains: the runner takes no more runs, waits for its own, and stops them when the time is up.",
    "KillSignal=SIGTERM",
    `TimeoutStopSec=${stopSeconds(request)}`,
    "# A restart hands over: the runner exits at once, executors keep running, and the next start adopts them.",
    "RestartKillSignal=SIGUSR2",
    "KillMode=process",
    "# Each run gets its own cgroup below the service's.",
    "Delegate=yes",
    "Restart=on-failure",
    "RestartSec=2",
    "# A restart does not correct a wrong option or setting.",
    "RestartPreventExitStatus=2",
    "# The runner pings as long as its calls to the coordinator end, answered or not.",
    `WatchdogSec=${WATCHDOG_SECONDS}`,
    "# An agent without memory ends its own run, not the service.",
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
 * Restricts the service in ways that no agent notices. Left out on purpose:
 * - PrivateTmp and other private folders: each start makes new ones, and executors outlive a start
 * - MemoryDenyWriteExecute: JavaScript is compiled as it runs
 * - RestrictNamespaces and SystemCallFilter: agents' own sandboxes use them
 * - ProtectControlGroups: each run gets a cgroup
 */
function hardening({ scope, projectDir, home }: ServiceRequest): string[] {
  const everywhere = [
    "# Hardening",
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
  ];
  // The rest needs rights that the service manager of a user does not have.
  if (scope === "user") return everywhere;
  return [
    ...everywhere,
    "CapabilityBoundingSet=",
    "SystemCallArchitectures=native",
    "ProtectSystem=strict",
    `ReadWritePaths=${[...new Set([home, projectDir])].map((path) => quotePath(`-${path}`)).join(" ")} -/tmp -/var/tmp`,
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
  ];
}

/** Quotes one argument of ExecStart (systemd.service(5)), where `$` begins a variable. */
function quote(word: string): string {
  return quotePath(word.replaceAll("$", "$$$$"));
}

/** Quotes one word of a list (systemd.syntax(7)). Quotes, backslashes and `%` specifiers stay literal. */
function quotePath(word: string): string {
  const escaped = escape(word).replaceAll("\\", "\\\\").replaceAll('"', '\\"');
  return /^[\w@%+=:,./-]+$/.test(escaped) ? escaped : `"${escaped}"`;
}

/** Escapes a value that systemd does not split. */
function escape(value: string): string {
  return value.replaceAll("%", "%%");
}

/** In a file of variables a backslash quotes, as does a quote at the start; spaces at both ends are cut off. */
function escapeVariable(value: string): string {
  return value.replaceAll("\\", "\\\\").replace(/^["'\s]|\s$/g, "\\$&");
}
