import { rmSync } from "node:fs";
import { join } from "node:path";
import { inheritableEnvironment } from "../../config/environment.ts";
import type { Config } from "../../config/load-config.ts";
import type { Coordinator } from "../../coordinator/coordinator.ts";
import { describeError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { openInBrowser } from "../../process/run-tool.ts";
import type { CommandContext } from "../command-line/command.ts";
import { createSecretFile } from "../../trust/secret-file.ts";

/**
 * The line about the dashboard. The journal of systemd is open to other users, who could be the first to use a link
 * in it.
 */
export function dashboardLine(
  coordinator: Pick<Coordinator, "url" | "dashboardLink">,
  { coordinatorToken }: Pick<Config, "coordinatorToken">,
  { env, program }: Pick<CommandContext, "env" | "program">,
): string {
  if (coordinatorToken === undefined) return `Dashboard: ${coordinator.url}/`;
  if (env["JOURNAL_STREAM"]) return `Dashboard: ${coordinator.url}/ (a link that logs in: ${program()} token --link)`;
  return `Dashboard: ${coordinator.dashboardLink()} (logs in once, within ten minutes)`;
}

/**
 * Opens the dashboard in the browser of this user. The link goes through a file: other users see the arguments of
 * every process.
 */
export function openDashboard(
  coordinator: Pick<Coordinator, "dashboardLink">,
  { stateDir }: Pick<Config, "stateDir">,
  { env }: Pick<CommandContext, "env">,
  log: Log,
): void {
  const path = join(stateDir, "dashboard.html");
  try {
    rmSync(path, { force: true });
    createSecretFile(path, pageTo(coordinator.dashboardLink()));
    openInBrowser(path, inheritableEnvironment(env));
  } catch (error) {
    log.warn(`Cannot open a browser: ${describeError(error)}`);
  }
}

function pageTo(link: string): string {
  return `<!doctype html><meta charset="utf-8"><title>agent-runner</title><script>location.replace(${JSON.stringify(
    link,
  )})</script><p><a href="${link}">Dashboard</a>\n`;
}
