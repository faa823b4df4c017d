import { type ClaudeFault, findClaude, probeLogin, probeVersion } from "./find-claude.ts";
import { faultOfFiles } from "./config-files.ts";
import { allowanceOf } from "./permissions.ts";
import { parseSettings } from "./settings.ts";

/** Whether Claude Code is installed. Starts no program. True for bad settings, which {@link checkNeeds} reports. */
export function isInstalled(
  table: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  const parsed = parseSettings(table, env);
  return !parsed.ok || findClaude(parsed.settings.path, env).ok;
}

/** Checks at a runner's start that the executor can run. `note` is one line that names the Claude Code. */
export function checkNeeds(
  table: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
  projectDir?: string,
): { readonly ok: true; readonly note: string } | ClaudeFault {
  const parsed = parseSettings(table, env);
  if (!parsed.ok)
    return {
      ok: false,
      reason: `bad settings: ${parsed.faults.join("; ")}`,
      hint: "[executors.claude-code] in the settings file, or the variables CLAUDE_CODE_...",
    };
  const claude = findClaude(parsed.settings.path, env);
  if (!claude.ok) return claude;
  const version = probeVersion(claude.path, env);
  if (!version.ok) return version;
  const fault = faultOfFiles(parsed.settings, env, projectDir);
  if (fault !== null) return fault;
  if (probeLogin(claude.path, env) === false) {
    const hint = "claude auth login, or set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN";
    return { ok: false, reason: `Claude Code ${version.version} at ${claude.path} is not logged in`, hint };
  }
  const asRoot =
    allowanceOf(parsed.settings.permissionMode, env) === "one-by-one"
      ? "; it may not bypass permissions as root, so the executor allows each tool use"
      : "";
  return { ok: true, note: `Claude Code ${version.version} at ${claude.path} (${claude.from})${asRoot}` };
}
