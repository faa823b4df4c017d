import * as v from "valibot";
import { detailOf, parseJson } from "../client/failure.ts";
import type { Caller } from "../gateway/caller.ts";
import { keepValid } from "../protocol/keep-valid.ts";
import { CreatedRun } from "../protocol/run.ts";
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

/** The first generation has `result`; the second has one of the others. */
const ResultAnswer = v.looseObject({
  result: v.nullish(v.string()),
  result_text: v.nullish(v.string()),
  result_data: v.nullish(v.unknown()),
});

export interface SessionResult {
  readonly result_text: string | null;
  readonly result_data: unknown;
}

/** An answer that is not 2xx. */
interface Refusal {
  readonly status: number;
  readonly detail: string;
}

/**
 * The coordinator's API as the tools need it, by the right of one caller. A refusal that an agent has to hear of is a ToolError in words
 * that tell it what to do.
 */
export class SessionCalls {
  constructor(readonly caller: Caller) {}

  /** Active blueprints with all of these tags. */
  async agents(tags: readonly string[]): Promise<Agent[]> {
    const query = tags.length === 0 ? "" : `?tags=${tags.map(encodeURIComponent).join(",")}`;
    const agents = await this.#get(`/agents${query}`, v.array(v.unknown()));
    return keepValid(Agent, agents).filter(
      ({ status, tags: has }) => status === "active" && tags.every((tag) => has.includes(tag)),
    );
  }

  async hasAgent(name: string): Promise<boolean> {
    const answer = await this.#ask("GET", `/agents/${encodeURIComponent(name)}`);
    if (answer.ok || answer.refusal.status === 404) return answer.ok;
    throw broken(answer.refusal);
  }

  async sessions(): Promise<Session[]> {
    return keepValid(Session, (await this.#get("/sessions", SessionList)).sessions);
  }

  /** `not_existent` for one that was deleted. ToolError for one that is none of the caller's. */
  async status(sessionId: string): Promise<string> {
    const answer = await this.#ask("GET", `${pathOf(sessionId)}/status`);
    if (answer.ok) return parsed(v.looseObject({ status: v.string() }), answer.body).status;
    throw answer.refusal.status === 403 ? notYours(sessionId) : broken(answer.refusal);
  }

  /** What the session's last turn said; null where there is none. A string says why the session has no result yet. */
  async result(sessionId: string): Promise<SessionResult | string> {
    const answer = await this.#ask("GET", `${pathOf(sessionId)}/result`);
    if (answer.ok) {
      const { result, result_text, result_data } = parsed(ResultAnswer, answer.body);
      return { result_text: result ?? result_text ?? null, result_data: result_data ?? null };
    }
    if (answer.refusal.status === 403) throw notYours(sessionId);
    if (answer.refusal.status === 400) return answer.refusal.detail;
    if (answer.refusal.status !== 404) throw broken(answer.refusal);
    if ((await this.status(sessionId)) === "not_existent")
      throw new ToolError(`There is no session ${sessionId} any more: it was deleted.`);
    return { result_text: null, result_data: null };
  }

  async createRun(body: object): Promise<CreatedRun> {
    const answer = await this.#ask("POST", "/runs", body);
    if (answer.ok) return parsed(CreatedRun, answer.body);
    const { status, detail } = answer.refusal;
    if (status === 502)
      throw new ToolError(
        `${detail}. Whether the run was created is not known: look with list_agent_sessions before you try again.`,
      );
    throw new ToolError(`The run was not created: ${detail}`);
  }

  async stop(sessionId: string): Promise<void> {
    await this.#ask("POST", `${pathOf(sessionId)}/stop`);
  }

  /** `busy`: a coordinator that deletes no session in which something runs says so. */
  async delete(sessionId: string): Promise<"deleted" | "gone" | "busy"> {
    const answer = await this.#ask("DELETE", pathOf(sessionId));
    if (answer.ok) return "deleted";
    if (answer.refusal.status === 404) return "gone";
    if (answer.refusal.status === 409) return "busy";
    throw broken(answer.refusal);
  }

  async #get<S extends v.GenericSchema>(path: string, schema: S): Promise<v.InferOutput<S>> {
    const answer = await this.#ask("GET", path);
    if (!answer.ok) throw broken(answer.refusal);
    return parsed(schema, answer.body);
  }

  async #ask(
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
    `${sessionId} is no session of yours: you can use those that you or your child sessions have started; list_agent_sessions shows them.`,
  );
}

function broken({ status, detail }: Refusal): ToolError {
  const advice = status >= 500 || status === 429 ? " It may pass: try again in a while." : "";
  return new ToolError(`The coordinator could not be asked (${status}): ${detail}.${advice}`);
}

function parsed<S extends v.GenericSchema>(schema: S, body: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, body);
  if (result.success) return result.output;
  throw new ToolError("The coordinator gave an answer that makes no sense. Try again in a while.");
}
