import { askLoggedIn, askVersion, type ClaudeFault, findClaude } from "./find-claude.ts";
import { allowanceOf } from "./options.ts";
import { parseSettings } from "./settings.ts";

/** Whether the executor could run, asked when a runner starts. `note` says with which Claude Code, in one line. */
export function checkNeeds(
  table: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
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
  const version = askVersion(claude.path, env);
  if (!version.ok) return version;
  if (askLoggedIn(claude.path, env) === false) {
    const hint = "claude auth login, or set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN";
    return { ok: false, reason: `Claude Code ${version.version} at ${claude.path} is not logged in`, hint };
  }
  const asRoot =
    allowanceOf(parsed.settings.permissionMode, env) === "one-by-one"
      ? "; as root it may not bypass permissions, so the executor allows each use of a tool"
      : "";
  return { ok: true, note: `Claude Code ${version.version} at ${claude.path} (${claude.from})${asRoot}` };
}
