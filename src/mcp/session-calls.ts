import * as v from "valibot";
import { detailOf, parseJson } from "../client/failure.ts";
import { isMissing, readRunResult, type RunResult, SessionResultAnswer } from "../client/run-result.ts";
import type { Caller } from "../gateway/caller.ts";
import { keepValid } from "../protocol/keep-valid.ts";
import { CreatedRun, Run, RunList } from "../protocol/run.ts";
import { Session, SessionList } from "../protocol/session.ts";
import { ToolError } from "./tool-result.ts";

const Agent = v.looseObject({
  name: v.string(),
  description: v.nullish(v.string(), ""),
  type: v.nullish(v.string(), "autonomous"),
  tags: v.nullish(v.array(v.string()), []),
  parameters_schema: v.nullish(v.unknown(), null),
  status: v.nullish(v.string(), "active"),
});
export type Agent = v.InferOutput<typeof Agent>;

/** An answer with a status outside 2xx. */
interface Refusal {
  readonly status: number;
  readonly detail: string;
}

/**
 * The coordinator's API for the tools, with the permissions of one caller. Throws a ToolError for an error that the
 * agent must see; the message says what the agent can do.
 */
export class SessionCalls {
  constructor(readonly caller: Caller) {}

  /** The active blueprints with all of these tags. */
  async agents(tags: readonly string[]): Promise<Agent[]> {
    const query = tags.length === 0 ? "" : `?tags=${tags.map(encodeURIComponent).join(",")}`;
    const agents = await this.#get(`/agents${query}`, v.array(v.unknown()));
    return keepValid(Agent, agents).filter(
      ({ status, tags: has }) => status === "active" && tags.every((tag) => has.includes(tag)),
    );
  }

  async hasAgent(name: string): Promise<boolean> {
    const answer = await this.#request("GET", `/agents/${encodeURIComponent(name)}`);
    if (answer.ok || answer.refusal.status === 404) return answer.ok;
    throw broken(answer.refusal);
  }

  async sessions(): Promise<Session[]> {
    return keepValid(Session, (await this.#get("/sessions", SessionList)).sessions);
  }

  /** `not_existent` for an unknown or deleted session. Throws a ToolError for a session outside the caller's tree. */
  async status(sessionId: string): Promise<string> {
    const answer = await this.#request("GET", `${pathOf(sessionId)}/status`);
    if (answer.ok) return parsed(v.looseObject({ status: v.string() }), answer.body).status;
    throw answer.refusal.status === 403 ? notYours(sessionId) : broken(answer.refusal);
  }

  /** What a completed run itself said, with nulls if it said nothing. A string says why there is no result yet. */
  async runResult(run: Pick<Run, "run_id" | "session_id">): Promise<RunResult | string> {
    return (await readRunResult((path) => this.#optional(path), run)) ?? this.#sessionResult(run.session_id);
  }

  /** The result of the session's last turn, with nulls if it has none. A string says why there is no result yet. */
  async result(sessionId: string): Promise<RunResult | string> {
    // Says whether there is a result yet. An earlier turn may have said it.
    const result = await this.#sessionResult(sessionId);
    if (typeof result === "string") return result;
    const query = `session_id=${encodeURIComponent(sessionId)}&status=completed&limit=1`;
    const runs = v.safeParse(RunList, await this.#optional(`/runs?${query}`));
    const last = runs.success ? keepValid(Run, runs.output.runs).findLast((run) => run.session_id === sessionId) : null;
    return last == null ? result : ((await readRunResult((path) => this.#optional(path), last)) ?? result);
  }

  async #sessionResult(sessionId: string): Promise<RunResult | string> {
    const answer = await this.#request("GET", `${pathOf(sessionId)}/result`);
    if (answer.ok) {
      const { result, result_text, result_data } = parsed(SessionResultAnswer, answer.body);
      return { result_text: result ?? result_text ?? null, result_data: result_data ?? null };
    }
    if (answer.refusal.status === 403) throw notYours(sessionId);
    if (answer.refusal.status === 400) return answer.refusal.detail;
    if (answer.refusal.status !== 404) throw broken(answer.refusal);
    if ((await this.status(sessionId)) === "not_existent")
      throw new ToolError(`There is no session ${sessionId}; it may have been deleted.`);
    return { result_text: null, result_data: null };
  }

  async createRun(body: object): Promise<CreatedRun> {
    const answer = await this.#request("POST", "/runs", body);
    if (answer.ok) return parsed(CreatedRun, answer.body);
    const { status, detail } = answer.refusal;
    if (status === 502)
      throw new ToolError(`${detail}. The run may have been created: check with list_agent_sessions before you retry.`);
    throw new ToolError(`The run was not created: ${detail}`);
  }

  async stop(sessionId: string): Promise<void> {
    await this.#request("POST", `${pathOf(sessionId)}/stop`);
  }

  /** `busy`: the session has an active run, and this coordinator deletes no such session. */
  async delete(sessionId: string): Promise<"deleted" | "gone" | "busy"> {
    const answer = await this.#request("DELETE", pathOf(sessionId));
    if (answer.ok) return "deleted";
    if (answer.refusal.status === 404) return "gone";
    if (answer.refusal.status === 409) return "busy";
    throw broken(answer.refusal);
  }

  async #get<S extends v.GenericSchema>(path: string, schema: S): Promise<v.InferOutput<S>> {
    const answer = await this.#request("GET", path);
    if (!answer.ok) throw broken(answer.refusal);
    return parsed(schema, answer.body);
  }

  async #optional(path: string): Promise<unknown> {
    const answer = await this.#request("GET", path);
    if (answer.ok) return answer.body;
    if (isMissing(answer.refusal.status)) return undefined;
    throw broken(answer.refusal);
  }

  async #request(
    method: "GET" | "POST" | "DELETE",
    path: string,
    body?: object,
  ): Promise<{ readonly ok: true; readonly body: unknown } | { readonly ok: false; readonly refusal: Refusal }> {
    const response = await this.caller.call(method, path, body);
    const text = await response.text();
    const json = parseJson(text);
    if (response.ok) return { ok: true, body: json };
    return {
      ok: false,
      refusal: { status: response.status, detail: detailOf(json) ?? `the coordinator answered ${response.status}` },
    };
  }
}

function pathOf(sessionId: string): string {
  return `/sessions/${encodeURIComponent(sessionId)}`;
}

function notYours(sessionId: string): ToolError {
  return new ToolError(
    `${sessionId} is not one of your sessions. You can use sessions started by you or your child sessions; ` +
      "list_agent_sessions lists them.",
  );
}

function broken({ status, detail }: Refusal): ToolError {
  const advice = status >= 500 || status === 429 ? " The error may be transient: retry in a minute." : "";
  return new ToolError(`The call to the coordinator failed (${status}): ${detail}.${advice}`);
}

function parsed<S extends v.GenericSchema>(schema: S, body: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, body);
  if (result.success) return result.output;
  throw new ToolError("The coordinator sent an invalid answer. Retry in a minute.");
}
