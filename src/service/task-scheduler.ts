import { win32 } from "node:path";
import { escapeXml } from "./launchd.ts";
import type { ServicePlan, ServiceRequest } from "./service-plan.ts";

/**
 * A task of the Windows Task Scheduler, started at log-on (user) or at boot (system): a console program cannot be a
 * Windows service by itself. Written from the Task Scheduler's schema and never run: there was no Windows machine. A
 * task has no environment file. Windows kills it at its end, with its executors.
 */
export function taskPlan(request: ServiceRequest): ServicePlan {
  const { name, home } = request;
  const xmlPath = win32.join(home, "AppData", "Local", "agent-runner", `${name}.task.xml`);
  return {
    files: [{ path: xmlPath, content: taskXml(request), mode: 0o600, isUsers: false }],
    install: [
      { command: ["schtasks", "/Create", "/F", "/TN", name, "/XML", xmlPath] },
      { command: ["schtasks", "/Run", "/TN", name] },
    ],
    uninstall: [
      { command: ["schtasks", "/End", "/TN", name], mayFail: "it was not running" },
      { command: ["schtasks", "/Delete", "/F", "/TN", name], mayFail: "there was no such task" },
    ],
    forget: [],
    status: ["schtasks", "/Query", "/V", "/FO", "LIST", "/TN", name],
    logs: () => [],
    notes: [
      "Put secrets into the user's environment variables (setx AGENT_COORDINATOR_TOKEN ...)",
      "The service is untested on Windows",
    ],
  };
}

function taskXml({ scope, command, projectDir, runAs }: ServiceRequest): string {
  const [program = "", ...words] = command;
  const trigger = scope === "system" ? "<BootTrigger/>" : "<LogonTrigger/>";
  const principal =
    scope === "system"
      ? `<UserId>${escapeXml(runAs ?? "S-1-5-19")}</UserId><LogonType>S4U</LogonType>`
      : "<LogonType>InteractiveToken</LogonType>";
  return `<?xml version="1.0" encoding="UTF-8"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <Triggers>${trigger}</Triggers>
  <Principals><Principal id="Runner">${principal}</Principal></Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure><Interval>PT1M</Interval><Count>999</Count></RestartOnFailure>
  </Settings>
  <Actions Context="Runner">
    <Exec>
      <Command>${escapeXml(program)}</Command>
      <Arguments>${escapeXml(words.map(quote).join(" "))}</Arguments>
      <WorkingDirectory>${escapeXml(projectDir)}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
`;
}

/** Quotes a word for CommandLineToArgvW. */
function quote(word: string): string {
  return /^[^\s"]+$/.test(word) ? word : `"${word.replace(/(\\*)("|$)/g, "$1$1$2").replaceAll('"', '\\"')}"`;
}
