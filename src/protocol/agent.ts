import * as v from "valibot";
import { Demands } from "./run.ts";

export const AgentName = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/,
    "an agent's name is 1 to 100 letters, digits, _, . or -, beginning with a letter or digit",
  ),
);

/**
 * One MCP server of a blueprint. The first generation uses Claude Code's fields, the second `url` and `config`
 * (headers).
 */
const McpServer = v.looseObject({
  type: v.nullish(v.string()),
  url: v.nullish(v.string()),
  headers: v.nullish(v.record(v.string(), v.string())),
  command: v.nullish(v.string()),
  args: v.nullish(v.array(v.string())),
  env: v.nullish(v.record(v.string(), v.string())),
});

/** The `config` of a server: headers, whose values need not be texts in the second generation. */
export const ServerConfig = v.nullish(
  v.record(v.string(), v.pipe(v.union([v.string(), v.number(), v.boolean()]), v.transform(String))),
);

export const McpServers = v.record(v.string(), McpServer);

/** The MCP servers of an agent that the built-in coordinator stores: it has no registry, so each is complete. */
export const CompleteMcpServers = v.record(
  v.string(),
  v.pipe(
    McpServer,
    v.check(({ url, command }) => url != null || command != null, "an MCP server needs a url or a command"),
  ),
);

/** A field of the second generation without which an agent would do something else, or more, than its author wants. */
function notServed(name: string): v.GenericSchema {
  const isEmpty = (value: unknown): boolean => typeof value === "object" && Object.keys(value ?? {}).length === 0;
  return v.nullish(v.pipe(v.unknown(), v.check(isEmpty, `this coordinator does not serve ${name} of agents`)));
}

/** An agent blueprint. `mcp_servers` maps names to servers. Unknown fields are passed on to the executor. */
export const Blueprint = v.looseObject({
  name: v.nullish(v.string()),
  description: v.nullish(v.string()),
  system_prompt: v.nullish(v.string()),
  mcp_servers: v.nullish(McpServers),
});
export type Blueprint = v.InferOutput<typeof Blueprint>;

const agentFields = {
  description: v.string(),
  system_prompt: v.nullish(v.string()),
  mcp_servers: v.nullish(CompleteMcpServers),
  skills: v.nullish(v.array(v.string())),
  tags: v.nullish(v.array(v.string())),
  demands: v.nullish(Demands),
  type: v.nullish(
    v.pipe(
      v.string(),
      v.check((type) => type === "autonomous", "this coordinator serves autonomous agents only"),
    ),
  ),
  hooks: notServed("hooks"),
  capabilities: notServed("capabilities"),
  parameters_schema: notServed("a parameters_schema"),
  output_schema: notServed("an output_schema"),
  script: notServed("scripts"),
  command: notServed("commands"),
};
const AgentStatus = v.picklist(["active", "inactive"]);

/** Body of `POST /agents`. */
export const CreateAgent = v.object({ name: AgentName, ...agentFields });
export type CreateAgent = v.InferOutput<typeof CreateAgent>;

/** Body of `PATCH /agents/{name}`: fields that are absent stay unchanged. */
export const UpdateAgent = v.partial(v.object(agentFields));
export type UpdateAgent = v.InferOutput<typeof UpdateAgent>;

export const UpdateAgentStatus = v.object({ status: AgentStatus });

/** An agent in a list. */
export const AgentInfo = v.looseObject({
  name: v.string(),
  description: v.nullish(v.string(), null),
  tags: v.nullish(v.array(v.string()), []),
  status: v.nullish(v.string(), null),
  source: v.nullish(v.string(), null),
});
export type AgentInfo = v.InferOutput<typeof AgentInfo>;
