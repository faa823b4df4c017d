import * as v from "valibot";
import type { ClaudeSettings } from "./settings.ts";

/**
 * How permissions are decided without a person:
 * - `bypass`: Claude Code allows everything, and denies at once if a rule requires a person.
 * - `one-by-one`: the same effect for root, where Claude Code refuses to bypass; the executor answers each request.
 * - `mode`: the configured permission mode decides; requests for a person are denied at once.
 */
export type Allowance = "bypass" | "one-by-one" | "mode";

export function allowanceOf(
  mode: ClaudeSettings["permissionMode"],
  env: Readonly<Record<string, string | undefined>>,
): Allowance {
  if (mode !== "bypassPermissions") return "mode";
  // IS_SANDBOX is Claude Code's own variable: with it, Claude Code lets root bypass permissions.
  const isRefused = process.getuid?.() === 0 && !env["IS_SANDBOX"];
  return isRefused ? "one-by-one" : "bypass";
}

/** The arguments of Claude Code for an allowance. */
export function permissionArguments(allowance: Allowance, mode: ClaudeSettings["permissionMode"]): string[] {
  switch (allowance) {
    case "bypass":
      return [
        "--permission-mode=bypassPermissions",
        "--allow-dangerously-skip-permissions",
        "--permission-prompts=none",
      ];
    case "one-by-one":
      // Claude Code then asks on its stdout, with the control request `can_use_tool`.
      return ["--permission-mode=default", "--permission-prompt-tool=stdio"];
    case "mode":
      return [`--permission-mode=${mode}`, "--permission-prompts=none"];
  }
}

/** Claude Code's question about a tool use. A rule that requires a person is named in either of two fields. */
const Question = v.looseObject({
  input: v.record(v.string(), v.unknown()),
  tool_use_id: v.nullish(v.string()),
  decision_reason_type: v.nullish(v.string()),
  matched_ask_rule: v.nullish(v.unknown()),
});

/** Allows a tool use if the executor decides one by one, unless a rule of the user requires a person. */
export function permissionFor(question: unknown, allowance: Allowance): object {
  const parsed = v.safeParse(Question, question);
  const { input, tool_use_id, decision_reason_type, matched_ask_rule } = parsed.success
    ? parsed.output
    : { input: {}, decision_reason_type: "unknown" };
  const toolUseId = typeof tool_use_id === "string" ? { toolUseID: tool_use_id } : {};
  const needsPerson = !parsed.success || decision_reason_type === "rule" || matched_ask_rule != null;
  if (allowance === "one-by-one" && !needsPerson) return { behavior: "allow", updatedInput: input, ...toolUseId };
  const message =
    "A rule requires the permission of a person, and no person is available. The tool was not used; do not retry.";
  return { behavior: "deny", message, ...toolUseId };
}
