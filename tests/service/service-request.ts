import type { ServiceRequest } from "../../src/service/service-plan.ts";

export function serviceRequest(more: Partial<ServiceRequest> = {}): ServiceRequest {
  return {
    name: "agent-runner",
    scope: "user",
    command: [process.execPath, "--executor", "test-executor"],
    projectDir: "/tmp",
    home: "/home/agents",
    configHome: "/home/agents/.config",
    runAs: null,
    drainMs: 60_000,
    searchPath: "/usr/bin:/bin",
    uid: 1000,
    ...more,
  };
}
