import { clip } from "../../src/errors.ts";
import { MINIMUM_VERSION, UPDATE } from "./find-claude.ts";
import type { TurnResult } from "./messages.ts";
import type { Obstacle } from "./preflight.ts";
import type { ClaudeSettings } from "./settings.ts";
import type { Turn } from "./turn.ts";

/** How a run of Claude Code ended. `reason` is one line for people: what happened, and what to do about it. */
export type Ending =
  /** `data` is not null if the blueprint has an output_schema; `text` is then the JSON of `data`. */
  | { readonly kind: "success"; readonly text: string; readonly data: unknown }
  | {
      readonly kind: "usage-limit";
      readonly reason: string;
      /** ISO 8601; null if unknown. */
      readonly resetsAt: string | null;
    }
  | { readonly kind: FailureKind; readonly reason: string };

export type FailureKind =
  | "max-turns"
  | "max-budget"
  | "refused-permissions"
  /** The account or this key may not do this. */
  | "authentication"
  /** A fault of this machine: its credentials are missing or rejected. */
  | "not-logged-in"
  /** The provider is unreachable or reports a failure. The same run may succeed later. */
  | "provider-unavailable"
  | "still-running-in-background"
  /** The agent's answer does not match the blueprint's output_schema. */
  | "wrong-output"
  /** Claude Code does not have the conversation to resume. */
  | "conversation-lost"
  /** A settings file is no JSON object, or has a field of a wrong type. */
  | "bad-settings"
  /** A required MCP server of the blueprint did not connect. */
  | "mcp-unavailable"
  /** A fault of this machine: Claude Code refuses to start. */
  | "not-started"
  | "execution-error"
  | "no-result"
  | "process-died"
  | "stopped";

/** Facts about an ending that the turn does not have. */
export interface EndingContext {
  readonly settings: ClaudeSettings;
  /** The end of Claude Code's stderr. */
  readonly stderr: string;
  /** The host of the session's last run, if it is another host. */
  readonly otherHost: string | null;
}

const LOG_IN =
  "log in on this machine as the user of the runner (claude auth login), " +
  "or set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN for the runner";

export function endingOf(turn: Turn, context: EndingContext): Ending {
  switch (turn.abortReason) {
    case "stopped":
      return { kind: "stopped", reason: "Claude Code was stopped" };
    case "credentials-refused":
      return notLoggedIn("Claude Code could not authenticate: the provider rejects its credentials (401)");
    case "usage-limit":
      return usageLimit(turn, null);
    case "stalled":
      return { kind: "provider-unavailable", reason: stallReason(turn, context.settings) };
    case "background":
      return stillRunning(turn, context.settings);
    case "blocked":
      if (turn.obstacle !== null) return ofObstacle(turn.obstacle);
      break;
    case null:
      break;
  }
  // A result counts even if the process fails afterwards, unless background tasks of the agent were still running.
  const hasDiedEarly = turn.thrown !== null && turn.background.length > 0;
  if (turn.result === null || (hasDiedEarly && !isFailure(turn.result))) return withoutResult(turn, context);
  return ofResult(turn, turn.result, context);
}

function ofObstacle(obstacle: Obstacle): Ending {
  switch (obstacle.kind) {
    case "start":
      return { kind: "not-started", reason: `Claude Code did not start: ${oneLine(obstacle.reason)}` };
    case "settings": {
      const how = "repair the file, or leave its source out of setting_sources";
      const files = oneLine(obstacle.faults.join("; "));
      const what = `Claude Code would ignore a settings file whole, with its rules (${files})`;
      return { kind: "bad-settings", reason: `${what}: ${how}` };
    }
    case "mcp": {
      const what = `MCP servers of the blueprint did not connect: ${clip(obstacle.servers.join(", "), 4_000)}`;
      return { kind: "mcp-unavailable", reason: `${what}; a server with optional: true may be missing` };
    }
  }
}

function ofResult(turn: Turn, result: TurnResult, { settings, otherHost }: EndingContext): Ending {
  switch (result.subtype) {
    case "success":
      return result.isError ? ofFailedAnswer(turn, result) : ofAnswer(turn, result);
    case "error_max_turns":
      return {
        kind: "max-turns",
        reason: `Claude Code reached its limit of ${settings.maxTurns ?? result.turns} turns (max_turns)`,
      };
    case "error_max_budget_usd": {
      const budget = settings.maxBudgetUsd === undefined ? "its budget" : `its budget of $${settings.maxBudgetUsd}`;
      return { kind: "max-budget", reason: `Claude Code used up ${budget} (max_budget_usd)` };
    }
    case "error_max_structured_output_retries":
      return {
        kind: "wrong-output",
        reason: `Claude Code's answer does not match the blueprint's output_schema${detail(result.errors)}`,
      };
    default:
      return ofError(result, otherHost);
  }
}

function ofAnswer(turn: Turn, result: TurnResult): Ending {
  if (!turn.hasModelAnswer)
    return { kind: "no-result", reason: `No model answered the prompt${detail([result.text])}` };
  const refused = turn.refusedTools;
  if (refused.length > 0) {
    const how = "allow it with allowed_tools, or set another permission_mode";
    return {
      kind: "refused-permissions",
      reason: `Claude Code ended after it was denied a permission (${refused.join(", ")}): ${how}`,
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
const TRANSIENT_ERRORS = new Set(["rate_limit", "overloaded", "server_error"]);
/** The beginnings of Claude Code's messages about a reached usage limit or an empty credit. */
const LIMIT_MESSAGE =
  /^(?:You've (?:hit|reached) your|You're out of (?:extra )?usage|Your org is out of usage|Credit balance is too low)/;

/** The ending for a result of subtype "success" that contains the provider's error in place of an answer. */
function ofFailedAnswer(turn: Turn, { text, apiStatus }: TurnResult): Ending {
  const error = turn.errorKind ?? "";
  const message = oneLine(text);
  if (turn.limit?.isRejected || error === "billing_error" || apiStatus === 402 || LIMIT_MESSAGE.test(message))
    return usageLimit(turn, message);
  if (CREDENTIAL_ERRORS.has(error) || apiStatus === 401 || apiStatus === 403) return authentication(message);
  if (TRANSIENT_ERRORS.has(error) || apiStatus === 429 || (apiStatus ?? 0) >= 500) {
    return { kind: "provider-unavailable", reason: `The provider could not answer Claude Code: ${message}` };
  }
  return { kind: "execution-error", reason: failureReason(message) };
}

function ofError({ errors, startFailure }: TurnResult, otherHost: string | null): Ending {
  const message = oneLine(errors.join("; "));
  if (message.startsWith("No conversation found")) {
    const where = otherHost === null ? "" : `; it ran on ${otherHost}, and a conversation stays on its machine`;
    return { kind: "conversation-lost", reason: `Claude Code cannot resume the session: ${message}${where}` };
  }
  if (startFailure !== null)
    return { kind: "not-started", reason: `Claude Code did not start (${startFailure}): ${message}` };
  return { kind: "execution-error", reason: failureReason(message) };
}

function failureReason(message: string): string {
  return message === "" ? "Claude Code failed without a reason" : `Claude Code failed: ${message}`;
}

function withoutResult({ thrown, unreadable }: Turn, { stderr }: EndingContext): Ending {
  const option = /unknown option '?(--[\w-]+)/.exec(stderr)?.[1];
  if (option !== undefined) {
    const why = `it does not know ${option}, and ${MINIMUM_VERSION} or newer is required`;
    return { kind: "not-started", reason: `Claude Code is too old: ${why}; ${UPDATE}` };
  }
  const printed = unreadable === null ? [] : [`it printed ${JSON.stringify(unreadable.first)}`];
  const details = detail([...printed, stderr].filter(Boolean));
  if (thrown === null) return { kind: "no-result", reason: `Claude Code ended without a result${details}` };
  return { kind: "process-died", reason: `${oneLine(thrown.message)}${details}` };
}

function isFailure({ subtype, isError }: TurnResult): boolean {
  return isError || subtype !== "success";
}

function authentication(message: string): Ending {
  if (/not logged in/i.test(message)) return notLoggedIn("Claude Code is not logged in");
  return { kind: "authentication", reason: `Claude Code could not authenticate: ${message}; ${LOG_IN}` };
}

function notLoggedIn(what: string): Ending {
  return { kind: "not-logged-in", reason: `${what}; ${LOG_IN}` };
}

function usageLimit({ limit }: Turn, message: string | null): Ending {
  const resetsAt = limit?.resetsAtMs == null ? null : new Date(limit.resetsAtMs).toISOString();
  const which = limit?.type == null ? "" : ` (${limit.type})`;
  const until = resetsAt === null ? "" : `; it resets at ${resetsAt}`;
  return {
    kind: "usage-limit",
    reason: `The usage limit of the account is reached${which}${until}${message === null ? "" : `: ${message}`}`,
    resetsAt,
  };
}

function stallReason({ lastError }: Turn, { stallTimeoutMs }: ClaudeSettings): string {
  const last = lastError === null ? "" : `; its last error was ${lastError.status ?? lastError.error}`;
  return `The provider gave no answer for ${seconds(stallTimeoutMs)} (stall_timeout)${last}`;
}

function stillRunning({ background }: Turn, { backgroundWaitMs }: ClaudeSettings): Ending {
  const tasks = background.map((task) => JSON.stringify(clip(oneLine(task), 100))).join(", ");
  const reason =
    `Claude Code's turn was over, but background tasks continued for ${seconds(backgroundWaitMs)} ` +
    `(background_wait) and were ended: ${tasks}`;
  return { kind: "still-running-in-background", reason };
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}

function detail(texts: readonly string[]): string {
  const line = oneLine(texts.join("; "));
  return line === "" ? "" : `: ${line}`;
}

function oneLine(text: string): string {
  return clip(text.replaceAll(/\s+/g, " ").trim(), 1_000);
}
