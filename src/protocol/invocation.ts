import * as v from "valibot";
import { parseJson } from "./json.ts";
import { clip } from "../errors.ts";
import { Blueprint } from "./agent.ts";
import { SessionId } from "./identifiers.ts";
import { promptOfParameters } from "./parameters.ts";

export const InvocationMode = v.picklist(["start", "resume"]);
export type InvocationMode = v.InferOutput<typeof InvocationMode>;

const Parameters = v.record(v.string(), v.unknown());

/**
 * The stdin of an executor with schema 2.0 (`docs/protocol.md`, section 7). `project_dir` is set on start only.
 * `executor_config` holds the runner's settings for this executor, and is absent without any. The first generation
 * sends no `parameters` and no `agent_name`.
 */
export const InvocationV20 = v.looseObject({
  schema_version: v.literal("2.0"),
  mode: InvocationMode,
  session_id: SessionId,
  prompt: v.string(),
  parameters: v.nullish(Parameters),
  project_dir: v.nullish(v.string()),
  agent_name: v.nullish(v.string()),
  executor_config: v.nullish(v.record(v.string(), v.unknown())),
  agent_blueprint: v.nullish(Blueprint),
});
export type InvocationV20 = v.InferInput<typeof InvocationV20>;

/** The stdin of an executor with schema 2.2. The second generation sends no `prompt`. */
export const InvocationV22 = v.looseObject({
  schema_version: v.literal("2.2"),
  mode: InvocationMode,
  session_id: SessionId,
  parameters: Parameters,
  prompt: v.nullish(v.string()),
  project_dir: v.nullish(v.string()),
  agent_name: v.nullish(v.string()),
  executor_config: v.nullish(v.record(v.string(), v.unknown())),
  agent_blueprint: v.nullish(Blueprint),
});
export type InvocationV22 = v.InferInput<typeof InvocationV22>;

/** An invocation of either schema. */
export interface Invocation {
  readonly schemaVersion: "2.0" | "2.2";
  readonly mode: InvocationMode;
  readonly sessionId: string;
  /** The task as text. Parameters other than a lone `prompt` become an `<inputs>` block. */
  readonly prompt: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly projectDir: string | null;
  readonly agentBlueprint: Blueprint | null;
  readonly agentName: string | null;
  readonly executorConfig: Readonly<Record<string, unknown>>;
}

/** Parses an executor's complete stdin. Throws an Error whose message names the invalid field. */
export function parseInvocation(text: string): Invocation {
  const payload = parseJsonObject(text);
  const version = payload["schema_version"];
  if (version === "2.0") return fromV20(parseAs(InvocationV20, payload));
  if (version === "2.2") return fromV22(parseAs(InvocationV22, payload));
  if (version === undefined) throw new Error("the invocation has no schema_version");
  throw new Error(`unsupported schema version ${clip(JSON.stringify(version))}: this executor takes "2.0" and "2.2"`);
}

function parseJsonObject(text: string): Record<string, unknown> {
  if (text.trim() === "") throw new Error("the invocation is empty: expected a JSON object on stdin");
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new Error("the invocation is not valid JSON", { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error("the invocation is not a JSON object");
  }
  return value as Record<string, unknown>;
}

function parseAs<const S extends v.GenericSchema>(schema: S, payload: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, payload);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue) ?? "invocation";
  const isMissing = issue.received === "undefined";
  throw new Error(
    isMissing ? `the invocation has no ${path}` : `the invocation's ${path} is invalid: ${clip(issue.message)}`,
  );
}

function fromV20(payload: v.InferOutput<typeof InvocationV20>): Invocation {
  return {
    schemaVersion: "2.0",
    mode: payload.mode,
    sessionId: payload.session_id,
    prompt: payload.prompt,
    parameters: payload.parameters ?? { prompt: payload.prompt },
    projectDir: payload.project_dir ?? null,
    agentBlueprint: payload.agent_blueprint ?? null,
    agentName: payload.agent_name ?? payload.agent_blueprint?.name ?? null,
    executorConfig: payload.executor_config ?? {},
  };
}

function fromV22(payload: v.InferOutput<typeof InvocationV22>): Invocation {
  return {
    schemaVersion: "2.2",
    mode: payload.mode,
    sessionId: payload.session_id,
    prompt: promptOfParameters(payload.parameters),
    parameters: payload.parameters,
    projectDir: payload.project_dir ?? null,
    agentBlueprint: payload.agent_blueprint ?? null,
    agentName: payload.agent_name ?? payload.agent_blueprint?.name ?? null,
    executorConfig: payload.executor_config ?? {},
  };
}

const jsonFields = {
  mode: { enum: ["start", "resume"], description: "start: a new session; resume: a session that this executor knows" },
  session_id: { type: "string", minLength: 1, maxLength: 200 },
  prompt: { type: ["string", "null"], description: "the task as text" },
  parameters: { type: ["object", "null"], description: "`prompt`, or the parameters of the agent's own schema" },
  project_dir: { type: ["string", "null"], description: "the working folder; set on start only" },
  agent_name: { type: ["string", "null"] },
  executor_config: { type: ["object", "null"], description: "the runner's settings for this executor" },
  agent_blueprint: {
    type: ["object", "null"],
    description: "the agent's blueprint, with its placeholders resolved",
    properties: {
      name: { type: ["string", "null"] },
      description: { type: ["string", "null"] },
      system_prompt: { type: ["string", "null"] },
      mcp_servers: { type: ["object", "null"], additionalProperties: { type: "object" } },
    },
  },
} as const;

/** The JSON Schema (2020-12) of an executor's stdin, as `--schema` prints it. Unknown fields are ignored. */
export function invocationJsonSchema(): Record<string, unknown> {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Executor invocation",
    oneOf: [
      {
        title: "Schema 2.0",
        type: "object",
        required: ["schema_version", "mode", "session_id", "prompt"],
        properties: { schema_version: { const: "2.0" }, ...jsonFields, prompt: { type: "string" } },
      },
      {
        title: "Schema 2.2",
        type: "object",
        required: ["schema_version", "mode", "session_id", "parameters"],
        properties: {
          schema_version: { const: "2.2" },
          ...jsonFields,
          parameters: { type: "object", description: "`prompt`, or the parameters of the agent's own schema" },
        },
      },
    ],
  };
}

/** How the executors of the Python system refuse an invocation of another version than their own. */
const REFUSALS = [
  /Unsupported schema version\b.*?(?:Supported: (.+))?$/im,
  /Missing required field: (parameters|prompt)\b/,
];

/** What to do about an executor that refused the version of its invocation; null if its error says nothing of that. */
export function schemaHint(errorText: string): string | null {
  const refusal = REFUSALS.map((pattern) => pattern.exec(errorText)).find((found) => found !== null);
  if (refusal === undefined) return null;
  const [, wanted = ""] = refusal;
  const version = wanted === "parameters" || wanted.includes("2.2") ? "2.2" : "2.0";
  return `The executor takes another version of the invocation: set AGENT_INVOCATION_SCHEMA=${version} for the runner`;
}
