import { clip } from "../../src/errors.ts";
import type { TurnResult } from "./messages.ts";
import type { ClaudeSettings } from "./settings.ts";
import type { Turn } from "./turn.ts";

/** How a run of Claude Code ended. `reason` is one line for people: what happened and, where something can be done, what. */
export type Ending =
  /** `data` is not null where the blueprint asked for data; `text` is then its JSON. */
  | { readonly kind: "success"; readonly text: string; readonly data: unknown }
  | {
      readonly kind: "usage-limit";
      readonly reason: string;
      /** ISO 8601, where it is known. */ readonly resetsAt: string | null;
    }
  | { readonly kind: FailureKind; readonly reason: string };

export type FailureKind =
  | "max-turns"
  | "max-budget"
  | "refused-permissions"
  /** The credentials are missing, expired or not accepted. */
  | "authentication"
  /** The provider does not answer, or answers that it cannot: nothing is wrong with the task. */
  | "provider-unavailable"
  | "still-running-in-background"
  /** The agent could not bring its answer into the form that the blueprint asks for. */
  | "wrong-output"
  /** Claude Code does not have the conversation that is to be resumed. */
  | "conversation-lost"
  | "not-started"
  | "execution-error"
  | "no-result"
  | "process-died"
  | "stopped";

/** What can be told about an ending beyond what the turn shows. */
export interface EndingContext {
  readonly settings: ClaudeSettings;
  /** The end of Claude Code's stderr. */
  readonly stderr: string;
  /** The host that the session ran on before, if another than this. */
  readonly otherHost: string | null;
}

const LOG_IN =
  "log in on this machine as the user of the runner (claude auth login), or set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN for the runner";

export function endingOf(turn: Turn, context: EndingContext): Ending {
  switch (turn.cut) {
    case "stopped":
      return { kind: "stopped", reason: "Claude Code was stopped" };
    case "credentials-refused":
      return authentication("the provider does not accept its credentials (401)");
    case "usage-limit":
      return usageLimit(turn, null);
    case "stalled":
      return { kind: "provider-unavailable", reason: stallReason(turn, context.settings) };
    case "background":
      return stillRunning(turn, context.settings);
    case null:
      break;
  }
  // An answer stands whatever becomes of the process then, unless it has died with something of the agent's still running.
  const hasDiedAtWork = turn.thrown !== null && turn.background.length > 0;
  if (turn.result === null || (hasDiedAtWork && !isFailure(turn.result))) return withoutResult(turn, context);
  return ofResult(turn, turn.result, context);
}

function ofResult(turn: Turn, result: TurnResult, { settings, otherHost }: EndingContext): Ending {
  switch (result.subtype) {
    case "success":
      return result.isError ? ofFailedAnswer(turn, result) : ofAnswer(turn, result);
    case "error_max_turns":
      return {
        kind: "max-turns",
        reason: `Claude Code was not done after ${settings.maxTurns ?? result.turns} turns (max_turns)`,
      };
    case "error_max_budget_usd": {
      const budget = settings.maxBudgetUsd === undefined ? "its budget" : `its budget of $${settings.maxBudgetUsd}`;
      return { kind: "max-budget", reason: `Claude Code was not done when it had spent ${budget} (max_budget_usd)` };
    }
    case "error_max_structured_output_retries":
      return {
        kind: "wrong-output",
        reason: `Claude Code gave no answer of the form that the blueprint's output_schema asks for${detail(result.errors)}`,
      };
    default:
      return ofError(result, otherHost);
  }
}

function ofAnswer(turn: Turn, result: TurnResult): Ending {
  const refused = turn.refusedTools;
  if (refused.length > 0) {
    const how = "allow it with allowed_tools, or set another permission_mode";
    return {
      kind: "refused-permissions",
      reason: `Claude Code ended where it was refused a permission (${refused.join(", ")}): ${how}`,
    };
  }
  const data = result.structured ?? null;
  return { kind: "success", text: data === null ? result.text : JSON.stringify(data), data };
}

const CREDENTIAL_ERRORS = new Set([
  "authentication_failed",
  "oauth_org_not_allowed",
  "account_on_hold",
  "verification_required",
  "cloud_credential_error",
]);
const PASSING_ERRORS = new Set(["rate_limit", "overloaded", "server_error"]);
/** How Claude Code begins to say that a plan's usage or an account's credit is used up. */
const LIMIT_WORDS =
  /^(?:You've (?:hit|reached) your|You're out of (?:extra )?usage|Your org is out of usage|Credit balance is too low)/;

/** A result that Claude Code calls a success, with the provider's error in the place of an answer. */
function ofFailedAnswer(turn: Turn, { text, apiStatus }: TurnResult): Ending {
  const error = turn.errorKind ?? "";
  const words = oneLine(text);
  if (turn.limit?.isRejected || error === "billing_error" || apiStatus === 402 || LIMIT_WORDS.test(words))
    return usageLimit(turn, words);
  if (CREDENTIAL_ERRORS.has(error) || apiStatus === 401 || apiStatus === 403) return authentication(words);
  if (PASSING_ERRORS.has(error) || apiStatus === 429 || (apiStatus ?? 0) >= 500) {
    return { kind: "provider-unavailable", reason: `The provider could not answer Claude Code: ${words}` };
  }
  return { kind: "execution-error", reason: `Claude Code failed: ${words || "it does not say why"}` };
}

function ofError({ errors, startFailure }: TurnResult, otherHost: string | null): Ending {
  const words = oneLine(errors.join("; "));
  if (words.startsWith("No conversation found")) {
    const where = otherHost === null ? "" : `; it ran on ${otherHost}, and a conversation stays on its machine`;
    return { kind: "conversation-lost", reason: `Claude Code cannot go on with the session: ${words}${where}` };
  }
  if (startFailure !== null)
    return { kind: "not-started", reason: `Claude Code did not start (${startFailure}): ${words}` };
  return { kind: "execution-error", reason: `Claude Code failed: ${words || "it does not say why"}` };
}

function withoutResult({ thrown }: Turn, { stderr }: EndingContext): Ending {
  if (thrown === null) return { kind: "no-result", reason: `Claude Code ended without a result${detail([stderr])}` };
  const words = thrown instanceof Error ? thrown.message : String(thrown);
  return { kind: "process-died", reason: `${oneLine(words)}${detail([stderr])}` };
}

function isFailure({ subtype, isError }: TurnResult): boolean {
  return isError || subtype !== "success";
}

function authentication(words: string): Ending {
  const what = /not logged in/i.test(words)
    ? "Claude Code is not logged in"
    : `Claude Code could not authenticate: ${words}`;
  return { kind: "authentication", reason: `${what}; ${LOG_IN}` };
}

function usageLimit({ limit }: Turn, words: string | null): Ending {
  const resetsAt = limit?.resetsAtMs == null ? null : new Date(limit.resetsAtMs).toISOString();
  const which = limit?.type == null ? "" : ` (${limit.type})`;
  const until = resetsAt === null ? "" : `; it is reset at ${resetsAt}`;
  return {
    kind: "usage-limit",
    reason: `The usage limit of the account is reached${which}${until}${words === null ? "" : `: ${words}`}`,
    resetsAt,
  };
}

function stallReason({ trouble }: Turn, { stallTimeoutMs }: ClaudeSettings): string {
  const last = trouble === null ? "" : `; the last it said was ${trouble.status ?? trouble.error}`;
  return `The provider gave no answer for ${seconds(stallTimeoutMs)} (stall_timeout)${last}`;
}

function stillRunning({ background }: Turn, { backgroundWaitMs }: ClaudeSettings): Ending {
  const tasks = background.map((task) => JSON.stringify(clip(oneLine(task), 100))).join(", ");
  const reason = `Claude Code's turn was over, but tasks of its went on in the background for ${seconds(backgroundWaitMs)} (background_wait) and were ended: ${tasks}`;
  return { kind: "still-running-in-background", reason };
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}

function detail(texts: readonly string[]): string {
  const words = oneLine(texts.join("; "));
  return words === "" ? "" : `: ${words}`;
}

function oneLine(text: string): string {
  return clip(text.replaceAll(/\s+/g, " ").trim(), 1_000);
}
