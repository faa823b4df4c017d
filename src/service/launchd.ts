import { join } from "node:path";
import { environmentFile, type ServicePlan, type ServiceRequest, stopSeconds } from "./service-plan.ts";

/** An agent (user) or a daemon (system) of launchd. Written from launchd.plist(5) and never run: there was no Mac. */
export function launchdPlan(request: ServiceRequest): ServicePlan {
  const { name, scope, home, configHome, uid } = request;
  const isSystem = scope === "system";
  const label = `io.agent-runner.${name}`;
  const domain = isSystem ? "system" : `gui/${uid}`;
  const plistPath = isSystem
    ? `/Library/LaunchDaemons/${label}.plist`
    : join(home, "Library/LaunchAgents", `${label}.plist`);
  const environmentPath = isSystem ? `/etc/agent-runner/${name}.env` : join(configHome, "agent-runner", `${name}.env`);
  const logPath = isSystem ? `/Library/Logs/${label}.log` : join(home, "Library/Logs", `${label}.log`);
  return {
    files: [
      {
        path: plistPath,
        content: launchdPlist(request, { label, environmentPath, logPath }),
        mode: 0o644,
        isUsers: false,
      },
      { path: environmentPath, content: environmentFile(request), mode: 0o600, isUsers: true },
    ],
    install: [
      { command: ["launchctl", "bootout", `${domain}/${label}`], mayFail: "it was not loaded before" },
      { command: ["launchctl", "bootstrap", domain, plistPath] },
    ],
    uninstall: [{ command: ["launchctl", "bootout", `${domain}/${label}`], mayFail: "it was not loaded" }],
    forget: [],
    status: ["launchctl", "print", `${domain}/${label}`],
    logs: ({ follow }) => ["tail", "-n", "200", ...(follow ? ["-f"] : []), logPath],
    notes: [
      `Settings and secrets: ${environmentPath}`,
      "To restart without ending agents: " +
        `launchctl kill SIGUSR2 ${domain}/${label}, then launchctl kickstart ${domain}/${label}`,
    ],
  };
}

interface Names {
  readonly label: string;
  readonly environmentPath: string;
  readonly logPath: string;
}

function launchdPlist(request: ServiceRequest, { label, environmentPath, logPath }: Names): string {
  // launchd reads no environment file, so a shell reads it and then becomes the runner.
  // A name that is none would end the shell, and with it each start of the service.
  const exportLine = `case \${line%%=*} in ''|[!A-Za-z_]*|*[!A-Za-z0-9_]*) ;; *) export "$line" ;; esac`;
  const script = `while IFS= read -r line || [ -n "$line" ]; do ${exportLine}; done < "$0"; exec "$@"`;
  const words = ["/bin/sh", "-c", script, environmentPath, ...request.command];
  const text = (value: string): string => `<string>${escapeXml(value)}</string>`;
  const userName =
    request.scope === "system" && request.runAs !== null ? `  <key>UserName</key>${text(request.runAs)}\n` : "";
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>${text(label)}
  <key>ProgramArguments</key>
  <array>
${words.map((word) => `    ${text(word)}`).join("\n")}
  </array>
${userName}  <key>WorkingDirectory</key>${text(request.projectDir)}
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>ThrottleInterval</key><integer>5</integer>
  <key>ExitTimeOut</key><integer>${stopSeconds(request)}</integer>
  <key>AbandonProcessGroup</key><true/>
  <key>ProcessType</key>${text("Background")}
  <key>StandardOutPath</key>${text(logPath)}
  <key>StandardErrorPath</key>${text(logPath)}
</dict>
</plist>
`;
}

export function escapeXml(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
