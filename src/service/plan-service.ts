import { UserError } from "../errors.ts";
import { launchdPlan } from "./launchd.ts";
import type { ServicePlan, ServiceRequest } from "./service-plan.ts";
import { systemdPlan } from "./systemd.ts";
import { taskPlan } from "./task-scheduler.ts";

/** The plan for the platform's service manager. Throws UserError for a platform without one. */
export function planService(request: ServiceRequest, platform: NodeJS.Platform = process.platform): ServicePlan {
  switch (platform) {
    case "linux":
      return systemdPlan(request);
    case "darwin":
      return launchdPlan(request);
    case "win32":
      return taskPlan(request);
    default:
      throw new UserError(`No service manager is known for ${platform}`, {
        hint: "Start agent-runner with the platform's own tools",
      });
  }
}
